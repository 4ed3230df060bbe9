"""The database: schema version, migrations, comments."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, select, text

from psrlib.errors import InputError
from psrlib.hub.process.snapshots import restore_snapshot
from psrlib.hub.store.database import Database
from psrlib.hub.store.migrations import migrate
from psrlib.hub.store.schema import SCHEMA_VERSION, metadata
from psrlib.hub.store.schema.design import slas

# SQLite's own words for the tables of the first release; never changed again
VERSION_1 = Path(__file__).parents[1] / "golden" / "hub-schema-1.sql"


def open_database(url: str) -> Database:
    database = Database(url)
    database.prepare()
    return database


def set_version(database: Database, version: int) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE meta SET value = :v"), {"v": str(version)})


def test_every_table_and_column_has_a_comment() -> None:
    """The schema explains itself."""
    for table in metadata.sorted_tables:
        assert table.comment, table.name
        assert [column.name for column in table.columns if not column.comment] == [], table.name


def test_comments_are_in_postgresql(postgres: str) -> None:
    """They travel into the database where it keeps comments."""
    engine = create_engine(postgres.rpartition("/")[0] + "/hub" + ("?" + postgres.partition("?")[2]))
    query = "SELECT col_description('users'::regclass, 1)"
    with engine.connect() as connection:
        assert connection.execute(text(query)).scalar() == "User id, name@organization"
    engine.dispose()


def test_a_database_is_opened_again_as_it_was(db_url: str) -> None:
    """Preparing twice changes nothing."""
    first = open_database(db_url)
    set_version(first, SCHEMA_VERSION)
    first.close()
    open_database(db_url).close()


def test_a_newer_database_is_refused_with_its_version(db_url: str) -> None:
    """The message says what was found, what is read, and what to do."""
    database = open_database(db_url)
    set_version(database, SCHEMA_VERSION + 1)
    with pytest.raises(InputError, match=f"schema version {SCHEMA_VERSION + 1}.*reads {SCHEMA_VERSION}"):
        Database(db_url).prepare()
    database.close()


def test_an_older_database_is_brought_up_step_by_step(db_url: str) -> None:
    """Each step runs once, in order; a missing step refuses and changes nothing."""
    database = open_database(db_url)
    ran: list[int] = []

    def step(version: int) -> object:
        def run(connection: Connection) -> None:
            ran.append(version)

        return run

    with database.writing() as connection:
        migrate(connection, 1, {1: step(1), 2: step(2)}, wanted=3)  # type: ignore[dict-item]
    assert ran == [1, 2]
    with pytest.raises(InputError, match="schema version 3"):
        Database(db_url).prepare()
    with pytest.raises(InputError, match="cannot bring it to 9"), database.writing() as connection:
        migrate(connection, 3, {}, wanted=9)
    database.close()


def make_version_1(url: str) -> None:
    """Make a database as the first release left it, with a row in the table that changed since."""
    statements = []
    if url.startswith("sqlite"):
        statements = [s for s in VERSION_1.read_text().split(";\n") if s.strip()]
        statements.append("INSERT INTO meta VALUES ('schema_version', '1')")
    else:
        open_database(url).close()
        statements = [
            "ALTER TABLE slas DROP COLUMN violating",
            "UPDATE meta SET value = '1'",
        ]
    columns = "id, organization, label, status, creator, created_on, last_modified_by, last_modified_on"
    values = "'s:o', 'o', 'old', 'ACTIVE', 'u@o', 0, 'u@o', 0"
    statements.append(f"INSERT INTO slas ({columns}) VALUES ({values})")
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def columns_of(url: str) -> dict[str, set[tuple[str, str, bool]]]:
    """Return name, type and nullability of the columns of every table."""
    engine = create_engine(url)
    inspector = inspect(engine)
    found = {
        table: {(c["name"], str(c["type"]), bool(c["nullable"])) for c in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }
    engine.dispose()
    return found


def test_a_database_of_the_first_release_opens_with_what_it_held(db_url: str) -> None:
    """Its rows are kept, and the new column has its starting value."""
    make_version_1(db_url)
    database = open_database(db_url)
    with database.reading() as connection:
        assert connection.execute(select(slas.c.label, slas.c.violating)).all() == [("old", "[]")]
        assert connection.execute(text("SELECT value FROM meta")).scalar() == str(SCHEMA_VERSION)
    database.close()


def test_every_change_of_the_schema_has_its_step(tmp_path: Path) -> None:
    """The first release's tables, brought up, are the tables of a new database."""
    old, new = f"sqlite:///{tmp_path / 'old.db'}", f"sqlite:///{tmp_path / 'new.db'}"
    make_version_1(old)
    open_database(old).close()
    open_database(new).close()
    assert columns_of(old) == columns_of(new)


def test_the_columns_a_step_adds_are_commented_in_postgresql(postgres: str, helpers: Any) -> None:
    """As those of a new database are."""
    url = helpers.fresh_postgres(postgres)
    make_version_1(url)
    database = open_database(url)
    query = "SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attname = 'violating'"
    with database.reading() as connection:
        assert connection.execute(text(query)).scalar() == slas.c.violating.comment
    database.close()


def test_a_snapshot_of_an_older_schema_is_brought_up_as_it_is_restored(
    tmp_path: Path, postgres: str, helpers: Any
) -> None:
    """Into PostgreSQL, whose tables are this release's."""
    (tmp_path / "snapshots").mkdir()
    make_version_1(f"sqlite:///{tmp_path / 'snapshots' / 'old.db'}")
    url = helpers.fresh_postgres(postgres)
    restore_snapshot(tmp_path, "old", url)
    database = open_database(url)
    with database.reading() as connection:
        assert connection.execute(select(slas.c.label)).scalar() == "old"
    database.close()


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    """Tables of the same names that are not ours are left alone."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
    connection.close()
    with pytest.raises(InputError, match="holds tables of something else"):
        Database(f"sqlite:///{path}").prepare()


@pytest.mark.parametrize("url", ["mysql://x/y", "no url at all", "sqlite:////no/such/folder/x.db"])
def test_a_wrong_url_is_named(url: str) -> None:
    """Unknown kinds, nonsense and unreachable files are refused with one sentence."""
    with pytest.raises(InputError, match="database"):
        Database(url).prepare()


def test_a_failed_request_leaves_no_trace(db_url: str) -> None:
    """What was written before the error is rolled back."""
    database = open_database(db_url)

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(text("INSERT INTO meta (key, value) VALUES ('a', 'b')"))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM meta")).scalar() == 1
    database.close()
