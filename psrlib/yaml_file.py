"""YAML that a person wrote: small files, read so that none can take a machine's memory or run anything."""

from pathlib import Path
from typing import Any

import yaml

from psrlib.errors import InputError

MAX_BYTES = 1_000_000
SHOWN = 60  # characters of a value in a message


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases: ten lines that refer to each other stand for 10**9 values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def read_yaml(path: Path, what: str) -> Any:
    """Return the content of a YAML file; ``what`` is the word for it in messages.

    Raises
    ------
    InputError
        Naming the file: not readable, more than 1 MB, not YAML, or with aliases.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what} ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path.name}: more than {MAX_BYTES:,} bytes; are these {what}?")
    try:
        return yaml.load(content.decode(), _Loader)
    except RecursionError as error:
        raise InputError(f"{path.name}: not YAML (nested too deeply)") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, a number or a date that is none
        raise InputError(f"{path.name}: not YAML ({' '.join(str(error).split())})") from error


def shown(value: Any) -> str:
    """Return a value as messages show it.

    Examples
    --------
    >>> shown([1, 2]), len(shown("x" * 1000))
    ('[1, 2]', 61)
    """
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
