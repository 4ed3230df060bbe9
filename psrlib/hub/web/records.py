"""Records of the wire and rows of tables: fields are named as the columns, on the wire in camel case."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta, Struct, field
from sqlalchemy import ColumnElement, Table

from psrlib.hub.store.queries import Row

R = TypeVar("R", bound=Struct)
T = TypeVar("T")
Reader = Callable[[Any], tuple[Any, ...]]
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]  # what a column of either database holds


class Paging(Struct, rename="camel"):
    """Which part of a list is wanted, and in which order (control-hub-rest.md, 1.5)."""

    offset: int = 0
    length: int = field(default=-1, name="len")
    order_by: str | None = None
    order: str | None = None


class Wrapping(Paging):
    """The same, and whether the part comes in the wrapper."""

    with_wrapper: bool = False


class AuditPaging(Wrapping):
    """The same for audits; the newest come first."""

    order_by: str | None = field(default=None, name="sortField")
    order: str | None = field(default="DESC", name="sortOrder")


class Listing(Wrapping):
    """What most lists take."""

    filter_text: str | None = None
    organization: str | None = None


class Span(Struct, rename="camel"):
    """A range of time, epoch milliseconds, both ends included; a negative end means until now."""

    start_time: int = 0
    end_time: int = -1

    def holds(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """Return whether a time lies in the range."""
        after = column >= self.start_time
        return after if self.end_time < 0 else after & (column <= self.end_time)


class Page(Struct, Generic[T], rename="camel"):
    """One part of a list, in the wrapper (control-hub-rest.md, 1.5)."""

    total_count: int
    offset: int
    length: int = field(name="len")
    data: list[T]


class Audited(Struct, rename="camel", kw_only=True):
    """Who made an object, who changed it last, and when: the hub says it, whatever a body says."""

    creator: str | None = None
    created_on: Millis | None = None
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


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
