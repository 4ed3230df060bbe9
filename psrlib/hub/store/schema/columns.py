"""Column kinds used by every table: times are epoch milliseconds, structured values are JSON text."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, Text

metadata = MetaData()


def text(name: str, comment: str, **options: Any) -> Column[str]:
    """Return a text column; not null unless ``nullable=True``."""
    options.setdefault("nullable", False)
    return Column(name, Text, comment=comment, **options)


def moment(name: str, comment: str, **options: Any) -> Column[int]:
    """Return a time column, epoch milliseconds; 0 means never."""
    options.setdefault("nullable", False)
    options.setdefault("default", 0)
    return Column(name, BigInteger, comment=comment, **options)


def number(name: str, comment: str, **options: Any) -> Column[int]:
    """Return a whole-number column."""
    options.setdefault("nullable", False)
    return Column(name, BigInteger, comment=comment, **options)


def serial(name: str, comment: str) -> Column[int]:
    """Return a primary key the database counts up (arrival order)."""
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column(name, kind, primary_key=True, autoincrement=True, comment=comment)


def share(name: str, comment: str, **options: Any) -> Column[float]:
    """Return a floating-point column."""
    options.setdefault("nullable", False)
    return Column(name, Float, comment=comment, **options)


def flag(name: str, comment: str, **options: Any) -> Column[bool]:
    """Return a true/false column."""
    options.setdefault("nullable", False)
    options.setdefault("default", False)
    return Column(name, Boolean, comment=comment, **options)


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
