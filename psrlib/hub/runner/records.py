"""Rows read once, changed in memory and written together: the runner's unit of work on one transaction.

Starting 6,000 jobs changes 36,000 rows. Read and written one by one they cost a statement each; here they
are read by the hundreds, and what changed is written with one statement per table and set of columns.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from msgspec.structs import asdict
from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, select
from sqlalchemy.sql.dml import Update

from psrlib.hub.runner.entities import Entity
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.web.records import show

E = TypeVar("E", bound=Entity)


class Records:
    """The rows one transaction works with; each row is one object, however often it is read.

    Rows are known by the single column of their primary key.
    """

    def __init__(self, connection: Connection) -> None:
        self.db = connection
        self.forget()

    def forget(self) -> None:
        """Drop everything, also what was not written: the transaction was rolled back to a savepoint."""
        # None as a record: there is no such row; as a key: nothing is meant, and nothing is read
        self._known: dict[type[Entity], dict[object, Any]] = defaultdict(lambda: {None: None})
        self._new: dict[type[Entity], list[Entity]] = defaultdict(list)
        self._changed: dict[Entity, set[str]] = defaultdict(set)

    def get(self, kind: type[E], key: object) -> E | None:
        """Return the row with a key; None when there is none, and for None."""
        self.load(kind, [key])
        found: E | None = self._known[kind][key]
        return found

    def load(self, kind: type[Entity], keys: Iterable[object]) -> None:
        """Read the rows of several keys that are not known yet."""
        known = self._known[kind]
        wanted = [key for key in keys if key not in known]
        if wanted:
            self.keep(kind, _reader(kind)(self.db, wanted))
            for key in wanted:
                known.setdefault(key, None)

    def find(self, kind: type[E], *conditions: ColumnElement[bool], limit: int | None = None) -> list[E]:
        """Return the rows that meet conditions, by ascending key; what was changed is written before."""
        self.flush()
        statement = select(kind.table).where(*conditions).order_by(_key(kind.table)).limit(limit)
        return self.keep(kind, self.db.execute(statement))

    def keep(self, kind: type[E], rows: Iterable[Row]) -> list[E]:
        """Return the records of rows just read; a row known before stays as it is in memory."""
        known, name = self._known[kind], _key(kind.table).name
        found: list[E] = []
        for row in rows:
            key = getattr(row, name)
            record = known.get(key)
            if record is None:
                record = known[key] = show(kind, row)
            found.append(record)
        return found

    def insert(self, record: E) -> E:
        """Add a row; one whose key the database counts up is not known before it is read."""
        kind, key = type(record), _key(record.table)
        self._new[kind].append(record)
        if key.autoincrement is not True:
            self._known[kind][getattr(record, key.name)] = record
        return record

    def change(self, record: Entity, **values: object) -> None:
        """Give columns of a row other values."""
        for name, value in values.items():
            setattr(record, name, value)
        self._changed[record].update(values)

    def flush(self) -> None:
        """Write what was added and changed since the last time."""
        for kind, records in self._new.items():
            for record in records:
                self._changed.pop(record, None)
            insert_rows(self.db, kind.table, [asdict(record) for record in records])
        groups: dict[tuple[Table, tuple[str, ...]], list[Entity]] = defaultdict(list)
        for record, names in self._changed.items():
            groups[record.table, tuple(sorted(names))].append(record)
        self._new.clear()
        self._changed.clear()
        for (table, columns), records in groups.items():
            key = _key(table).name
            rows = [
                {"at": getattr(record, key), **{f"new_{name}": getattr(record, name) for name in columns}}
                for record in records
            ]
            self.db.execute(_update(table, columns), rows)


@cache
def _key(table: Table) -> Column[Any]:
    (column,) = table.primary_key.columns
    return column


@cache
def _reader(kind: type[Entity]) -> Callable[..., list[Row]]:
    """Return what reads rows by their keys, no more columns than the record has."""
    columns = [kind.table.c[name] for name in kind.__struct_fields__]
    return any_of(lambda keys: select(*columns).where(_key(kind.table).in_(keys)))


@cache
def _update(table: Table, names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return table.update().where(_key(table) == bindparam("at")).values(values)
