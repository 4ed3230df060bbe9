"""From JSON to records: types and bounds are checked, and what is wrong is said in one sentence."""

from typing import Any, TypeVar

import msgspec
import orjson

from psrlib.bounds import in_words
from psrlib.decoders import decoder_of
from psrlib.errors import InputError

T = TypeVar("T")
SHOWN = 40  # characters of a wrong value in a message


def decode(content: bytes, kind: type[T], place: str) -> T:
    """Return the record that JSON stands for.

    Raises
    ------
    InputError
        Beginning with ``place``: not JSON, or which field is wrong, what was expected and what received.
    """
    try:
        record: T = decoder_of(kind).decode(content)
        return record
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError as not_json:
            raise InputError(
                f"{place}: not JSON ({one_line(not_json)}); create it again with psr create-json"
            ) from error
        raise InputError(f"{place}: {_sentence(str(error), document)}") from error


def check_record(record: msgspec.Struct, place: str) -> None:
    """Check types and bounds of a record that was not decoded; see `decode`."""
    decode(msgspec.json.encode(record), type(record), place)


def one_line(text: object) -> str:
    """Return a text without line breaks, as messages have it."""
    return " ".join(str(text).split())


def _sentence(error: str, document: Any) -> str:
    """Turn ``$.organizations[0].jobs[3].owner`` into the ids that stand there, and say what was received."""
    reason, _, where = error.partition(" - at `")
    reason = in_words(reason)
    steps = where.rstrip("`").removeprefix("$").replace("[", ".[").strip(".").split(".")
    node = document
    names = []
    for step in filter(None, steps):
        try:
            node = node[int(step[1:-1])] if step.startswith("[") else node[step]
        except (KeyError, ValueError, IndexError, TypeError):
            node = None
        name = node.get("key") or node.get("id") if isinstance(node, dict) else None
        names.append(f'"{str(name)[:SHOWN]}"' if name and step.startswith("[") else step)
    received = "" if isinstance(node, dict | list | None) or ", got" in reason else f", got {_shown(node)}"
    return one_line(f"{' '.join(names) or 'top level'}: {reason[:1].lower()}{reason[1:]}{received}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
