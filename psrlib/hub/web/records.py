"""Records of the wire and rows of tables: fields are named as the columns, on the wire in camel case."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

from msgspec import Struct, field
from sqlalchemy import Table

from psrlib.hub.store.queries import Row

R = TypeVar("R", bound=Struct)
T = TypeVar("T")
Reader = Callable[[Any], tuple[Any, ...]]


class Paging(Struct, rename="camel"):
    """Which part of a list is wanted, and in which order (control-hub-rest.md, 1.5)."""

    offset: int = 0
    length: int = field(default=-1, name="len")
    order_by: str | None = None
    order: str | None = None


class Listing(Paging, rename="camel"):
    """What most lists take."""

    with_wrapper: bool = False
    filter_text: str | None = None
    organization: str | None = None


class Page(Struct, Generic[T], rename="camel"):
    """One part of a list, in the wrapper (control-hub-rest.md, 1.5)."""

    total_count: int
    offset: int
    length: int = field(name="len")
    data: list[T]


class CountJson(Struct):
    """How many there are."""

    count: int


Listed = list[T] | Page[T]  # bare or in the wrapper, as the caller asks


def show(record: type[R], row: Row | dict[str, Any], **more: Any) -> R:
    """Return the record of a row, or of the columns of one that was just written.

    Each field takes the column of its name, one that is no column keeps its default; ``more`` gives other
    values.
    """
    columns = tuple(row) if isinstance(row, dict) else row._fields
    names, read, get = _readers(record, columns, tuple(more))
    values = get(row) if isinstance(row, dict) else read(row)
    return record(**dict(zip(names, values, strict=True)), **more)


@cache
def _readers(
    record: type[Struct], columns: tuple[str, ...], given: tuple[str, ...]
) -> tuple[tuple[str, ...], Reader, Reader]:
    """Return the columns to read, and what reads them; a record has two at least."""
    names = tuple(name for name in record.__struct_fields__ if name in columns and name not in given)
    return names, attrgetter(*names), itemgetter(*names)


def stored(record: Struct, table: Table, **more: Any) -> dict[str, Any]:
    """Return the columns of a table that a record has, and ``more``: values of other columns, or instead."""
    return {name: getattr(record, name) for name in _columns_of(type(record), table)} | more


@cache
def _columns_of(record: type[Struct], table: Table) -> tuple[str, ...]:
    return tuple(name for name in record.__struct_fields__ if name in table.c)
