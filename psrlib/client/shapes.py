"""Shapes of answers: what the body of a 2xx answer must be to count as the call's answer.

A gateway may answer in a hub's name: with nothing, a page, half a document, or another document. What has not
the shape of the call's answer is a lost answer. Each app's module names the shapes of its calls.

A hub may also refuse in an answer with a 2xx status: the scheduler does (control-hub-4x, 4.8).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import msgspec
import orjson

from psrlib.decoders import decoder_of

Read = Callable[[bytes], Any]
Document = str | dict[str, Any] | None  # an object, or the JSON text of one


class Page(NamedTuple):
    """Rows of a listing, and how many there are in all; None where the hub does not count them."""

    rows: list[dict[str, Any]]
    total: int | None


# What parsing may cost besides the body itself: a list of empty lists takes twenty times its text in memory.
MAX_CONTAINERS = 400_000  # about 200 bytes each
MAX_VALUES = 1_500_000  # about 60 bytes each


class RefusalError(ValueError):
    """A hub says in a body that it refused; ``codes`` are those of its error envelope."""

    def __init__(self, text: str, codes: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.codes = codes


def check_refusal(value: Any) -> None:
    """Raise RefusalError with the hub's words if a body says that the hub refused.

    That is an error envelope of the hub (``ISSUES``) or of the login service (``errors``), or what the
    scheduler says: ``success`` false, with messages beside it and beside each field.

    Examples
    --------
    >>> check_refusal({"response": {"success": False, "messages": [{"message": "Name is taken"}]}})
    Traceback (most recent call last):
    psrlib.client.shapes.RefusalError: Name is taken
    """
    if not isinstance(value, dict):
        return
    for key in ("ISSUES", "errors"):
        issues = value.get(key)
        if isinstance(issues, list) and issues and all(isinstance(issue, dict) for issue in issues):
            codes = tuple(_plain(issue.get("code", "")) for issue in issues)
            parts = (f"{_plain(issue.get('code'))}: {_plain(issue.get('message'))}" for issue in issues)
            raise RefusalError("; ".join(parts), codes)
    said = value["response"] if isinstance(value.get("response"), dict) else value
    if said.get("success") is False:
        data = said.get("data")
        fields = data.items() if isinstance(data, dict) else ()
        words = [*_words(said), *(word for name, field in fields for word in _words(field, f"{name}: "))]
        raise RefusalError("; ".join(words) or "it gives no reason")


def _words(said: Any, prefix: str = "") -> list[str]:
    """Return the texts of the ``messages`` of an answer, or of one of its fields."""
    messages = said.get("messages") if isinstance(said, dict) else None
    found = messages if isinstance(messages, list) else []
    return [prefix + _plain(m.get("message") if isinstance(m, dict) else m) for m in found]


def _plain(said: Any) -> str:
    """Return what a hub says as a text; of a list or an object, which may be nested deep, only its kind."""
    return type(said).__name__ if isinstance(said, list | dict) else str(said)


def anything(content: bytes) -> Any:
    """Return a body that nothing is needed of: parsed if it is JSON, None for nothing or a plain text.

    Raises
    ------
    ValueError
        If it begins like JSON or HTML and is no JSON.

    Examples
    --------
    >>> anything(b""), anything(b"done"), anything(b"[1]")
    (None, None, [1])
    """
    return _parse(content) if content.lstrip()[:1] in (b"{", b"[", b"<") else None


@cache
def record(form: Any) -> Read:
    """Return the reader of an answer that is one JSON object (or map) of a form, a msgspec type.

    Examples
    --------
    >>> class Named(msgspec.Struct):
    ...     id: str
    >>> record(Named)(b'{"id": "a", "more": 1}')
    {'id': 'a', 'more': 1}
    """
    decoder_of(form)
    return lambda content: _checked(_parse(content), form)


@cache
def listing(form: Any) -> Read:
    """Return the reader of a list of objects, bare or as ``{"data": [...]}`` (control-hub-rest, 1.5)."""
    decoder_of(form)
    return lambda content: _checked(_unwrapped(_parse(content)), list[form])


@cache
def page(form: Any) -> Read:
    """Return the reader of one page of a list of objects, as a `Page`.

    Examples
    --------
    >>> class Named(msgspec.Struct):
    ...     id: str
    >>> page(Named)(b'{"totalCount": 7, "data": [{"id": "a"}]}')
    Page(rows=[{'id': 'a'}], total=7)
    """

    decoder_of(form)

    def read(content: bytes) -> Page:
        value = _parse(content)
        total = value.get("totalCount") if isinstance(value, dict) else None
        rows = _checked(_unwrapped(value), list[form])
        return Page(rows, total if isinstance(total, int) and total >= 0 else None)

    return read


@cache
def excerpt(form: Any) -> Read:
    """Return the reader of an answer of which only the fields of a form are kept: the rest is large.

    Examples
    --------
    >>> class Named(msgspec.Struct):
    ...     id: str
    >>> excerpt(list[Named])(b'[{"id": "a", "definition": "a long text"}]')
    [{'id': 'a'}]
    """
    decoder = decoder_of(form)

    def read(content: bytes) -> Any:
        _not_empty(content)
        try:
            return msgspec.to_builtins(decoder.decode(content))
        except RecursionError as error:
            raise ValueError("too deeply nested") from error
        except msgspec.MsgspecError:
            anything(content)  # which knows a refusal
            raise

    return read


def _checked(value: Any, form: Any) -> Any:
    msgspec.convert(value, form)
    return value


def _unwrapped(value: Any) -> Any:
    return value["data"] if isinstance(value, dict) and isinstance(value.get("data"), list) else value


def _parse(content: bytes) -> Any:
    _not_empty(content)
    n_containers, n_values = content.count(b"[") + content.count(b"{"), content.count(b",")
    if n_containers > MAX_CONTAINERS or n_values > MAX_VALUES:
        raise ValueError(f"more than {MAX_CONTAINERS} objects and lists or {MAX_VALUES} values")
    value = orjson.loads(content)
    check_refusal(value)
    return value


def _not_empty(content: bytes) -> None:
    if not content.strip():
        raise ValueError("an empty body")
