"""Values as texts: JSON in text columns, substrings in conditions."""

from typing import Any

import orjson
from sqlalchemy import func
from sqlalchemy.sql import ColumnElement


def dump(value: Any) -> str:
    """Return the JSON text of a value, for a text column."""
    return orjson.dumps(value).decode()


def load(text: str | None) -> Any:
    """Return the value of a JSON text column; None stays None."""
    return None if text is None else orjson.loads(text)


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Return a case-insensitive substring condition."""
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return func.lower(column).like(f"%{escaped}%", escape="\\")
