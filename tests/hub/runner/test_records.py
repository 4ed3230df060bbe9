"""The runner's unit of work: rows are read once and written together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields
from sqlalchemy import Connection, event, select

from psrlib.hub.runner.entities import Engine, EngineEvent, Entity, Instance, Job, Run, RunEvent
from psrlib.hub.runner.records import Records
from psrlib.hub.store.database import Database
from psrlib.hub.store.queries import defaults
from psrlib.hub.store.schema.execution import runs


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """Yield a writing transaction of an empty database."""
    database = Database(f"sqlite:///{tmp_path / 'hub.db'}")
    database.prepare()
    with database.writing() as connection:
        yield connection
    database.close()


def new_run(number: int) -> Run:
    """Return a run with the columns that have no default."""
    return Run(f"run-{number}", f"job-{number}", "acme", "c", "v1", "u@acme", 1, "ACTIVE", "GREEN")


def statements(connection: Connection, work: Any) -> list[str]:
    """Return the SQL statements that a piece of work executes; one for many rows counts once."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(connection, "before_cursor_execute", note)
    work()
    event.remove(connection, "before_cursor_execute", note)
    return seen


def stored(connection: Connection, column: Any) -> list[Any]:
    return list(connection.execute(select(column).order_by(runs.c.id)).scalars())


def test_many_rows_are_written_with_one_statement_per_table_and_set_of_columns(
    connection: Connection,
) -> None:
    """Ten new rows and ten changes: one INSERT, then one UPDATE; nothing is left for a second flush."""
    records = Records(connection)
    made = [records.insert(new_run(n)) for n in range(10)]
    assert len(statements(connection, records.flush)) == 1
    for record in made:
        records.change(record, status="INACTIVE")
        records.change(record, color="GRAY")
    assert len(statements(connection, records.flush)) == 1
    assert stored(connection, runs.c.status) == ["INACTIVE"] * 10
    assert stored(connection, runs.c.color) == ["GRAY"] * 10
    assert statements(connection, records.flush) == []


def test_a_new_row_that_is_changed_before_it_is_written_costs_one_insert(connection: Connection) -> None:
    """Its columns are those of the moment of writing; columns that are not given have their defaults."""
    records = Records(connection)
    record = records.insert(new_run(1))
    assert (record.failovers, record.warnings, record.error_message) == (0, [], None)
    records.change(record, failovers=3)
    assert len(statements(connection, records.flush)) == 1
    assert stored(connection, runs.c.failovers) == [3]


def test_a_row_is_one_object_and_a_query_does_not_undo_its_changes(connection: Connection) -> None:
    """Read by key, by query and again: the same record; what was changed is written before a query."""
    first = Records(connection)
    first.insert(new_run(1))
    first.flush()
    records = Records(connection)
    record = records.get(Run, "run-1")
    assert record is not None
    records.change(record, status="DEACTIVATING")
    assert records.find(Run, runs.c.status == "DEACTIVATING") == [record]
    assert records.find(Run, runs.c.status == "ACTIVE") == []
    assert records.get(Run, "run-2") is None


def test_rows_whose_key_the_database_counts_keep_their_order(connection: Connection) -> None:
    """Events are handed out in the order in which they were queued."""
    records = Records(connection)
    for number in range(5):
        records.insert(EngineEvent(f"e{number}", "x", "acme", 1001, "QUEUED"))
    assert [event.id for event in records.find(EngineEvent)] == ["e0", "e1", "e2", "e3", "e4"]


def test_what_a_rollback_undid_is_forgotten(connection: Connection) -> None:
    """After a savepoint is rolled back, rows are read anew and nothing of before is written."""
    records = Records(connection)
    records.insert(new_run(1))
    records.flush()
    savepoint = connection.begin_nested()
    record = records.get(Run, "run-1")
    assert record is not None
    records.change(record, status="INACTIVE")
    records.flush()
    records.change(record, color="RED")
    savepoint.rollback()
    records.forget()
    records.flush()
    again = records.get(Run, "run-1")
    assert again is not None
    assert (again.status, again.color) == ("ACTIVE", "GREEN")


@pytest.mark.parametrize("kind", [Job, Run, RunEvent, Instance, Engine, EngineEvent])
def test_a_record_has_the_columns_of_its_table_and_their_defaults(kind: type[Entity]) -> None:
    """A column that is missing or misspelled would be lost when the row is written."""
    own = {field.name: field for field in fields(kind)}
    assert set(own) <= {column.name for column in kind.table.columns}
    for name, value in defaults(kind.table).items():
        if kind is Job and name not in own:
            continue  # the runner inserts no jobs
        field = own[name]
        if not field.required and value is not None:
            assert value == (field.default if field.default_factory is NODEFAULT else field.default_factory())


def test_an_unknown_column_is_named(connection: Connection) -> None:
    """A misspelled attribute is an AttributeError that names record and column."""
    record: Any = Records(connection).insert(new_run(1))
    with pytest.raises(AttributeError, match=r"Run.*colour"):
        Records(connection).change(record, colour="RED")
