"""Values as texts: JSON in texts of the wire, substrings in conditions."""

from typing import Any

import msgspec
from sqlalchemy import Text, func, type_coerce
from sqlalchemy.sql import ColumnElement

JsonValue = Any  # a value of the wire that is not the hub's business
Json = dict[str, JsonValue]


def dump(value: object) -> str:
    """Return the JSON text of a value."""
    return msgspec.json.encode(value).decode()


def load(text: str | None) -> Any:
    """Return the value of a JSON text; None stays None.

    Whole numbers stay whole however long: stage definitions have limits beyond 64 bits, as JavaScript
    rounds them, which orjson would turn into fractions.
    """
    return None if text is None else msgspec.json.decode(text)


# what a text that is not JSON raises, or one that is nested too deeply
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def without_nul(text: str) -> str:
    """Return a text as a column can hold it: PostgreSQL has no NUL, which JSON text writes as ``\\u0000``."""
    return text.replace("\x00", "")


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Return a case-insensitive substring condition."""
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return func.lower(type_coerce(column, Text)).like(f"%{escaped}%", escape="\\")


def has_item(column: ColumnElement[Any], item: str) -> ColumnElement[bool]:
    """Return whether a column of JSON lists of texts holds a text, in any case."""
    return contains(column, dump(item))


def has_path(column: ColumnElement[Any], path: str) -> ColumnElement[bool]:
    """Return whether a column of JSON lists of texts holds a path such as ``a/b``, or one below it."""
    return has_item(column, path) | contains(column, dump(path + "/")[:-1])


def is_empty(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether a column of JSON lists holds the empty one."""
    return type_coerce(column, Text) == "[]"
