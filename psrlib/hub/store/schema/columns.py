"""Column kinds used by every table: times are epoch milliseconds, structured values are JSON text."""

from typing import Any

import msgspec
import orjson
from sqlalchemy import BigInteger, Boolean, Column, Dialect, Float, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator

metadata = MetaData()
_NOT_NULL: dict[str, Any] = {"nullable": False}


class JsonText(TypeDecorator[Any]):
    """A structured value, kept as JSON text: both databases search in it, and neither must understand it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect | None = None) -> str | None:
        """Return the text of a value; None stays None."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect | None = None) -> Any:
        """Return the value of a text; None stays None."""
        return None if value is None else orjson.loads(value)


def text(name: str, comment: str, **options: Any) -> Column[str]:
    """Return a text column; not null unless ``nullable=True``."""
    return Column(name, Text, comment=comment, **_NOT_NULL | options)


def json(name: str, comment: str, **options: Any) -> Column[Any]:
    """Return a column of structured values."""
    return Column(name, JsonText, comment=comment, **_NOT_NULL | options)


def moment(name: str, comment: str, **options: Any) -> Column[int]:
    """Return a time column, epoch milliseconds; 0 means never."""
    return number(name, comment, **{"default": 0} | options)


def number(name: str, comment: str, **options: Any) -> Column[int]:
    """Return a whole-number column."""
    return Column(name, BigInteger, comment=comment, **_NOT_NULL | options)


def serial(name: str, comment: str, counted: bool = True) -> Column[int]:
    """Return a primary key in the order of arrival; ``counted``: by the database."""
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column(name, kind, primary_key=True, autoincrement=counted, comment=comment)


def share(name: str, comment: str, **options: Any) -> Column[float]:
    """Return a floating-point column."""
    return Column(name, Float, comment=comment, **_NOT_NULL | options)


def flag(name: str, comment: str, **options: Any) -> Column[bool]:
    """Return a true/false column."""
    return Column(name, Boolean, comment=comment, **_NOT_NULL | {"default": False} | options)


def audit() -> list[Column[Any]]:
    """Return who created and last changed a row, and when."""
    return [
        text("creator", "User id of the creator", default=""),
        moment("created_on", "When the row was created"),
        text("last_modified_by", "User id of the last change", default=""),
        moment("last_modified_on", "When the row was last changed"),
    ]


def table(name: str, comment: str, *items: Any) -> Table:
    """Return a table of the hub's metadata."""
    return Table(name, metadata, *items, comment=comment)
