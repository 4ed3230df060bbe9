"""The database: schema version, comments, wrong ones."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from support.postgres import Postgres

from psrlib.errors import InputError
from psrlib.hub.process.snapshots import restore_snapshot
from psrlib.hub.store.database import Database
from psrlib.hub.store.schema import SCHEMA_VERSION, metadata


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


def test_comments_are_in_postgresql(postgres: Postgres) -> None:
    """They travel into the database where it keeps comments."""
    engine = create_engine(postgres.create())
    query = "SELECT col_description('users'::regclass, 1)"
    with engine.connect() as connection:
        assert connection.execute(text(query)).scalar() == "User id, name@organization"
    engine.dispose()


def test_a_database_without_an_encoding(postgres: Postgres) -> None:
    """The server would hand its bytes on as they are, and psycopg no text."""
    name = "plain_bytes"
    with postgres.admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"))
    database = open_database(postgres.database(name))
    with database.writing() as connection:
        connection.execute(text("INSERT INTO meta VALUES ('word', 'Zoë')"))
    with database.writing() as connection:
        assert connection.execute(text("SELECT value FROM meta WHERE key = 'word'")).scalar() == "Zoë"
    database.close()


def test_a_database_is_opened_again_as_it_was(db_url: str) -> None:
    """Preparing twice changes nothing."""
    first = open_database(db_url)
    set_version(first, SCHEMA_VERSION)
    first.close()
    open_database(db_url).close()


@pytest.mark.parametrize("step", [-1, 1], ids=["older", "newer"])
def test_a_database_of_another_version_is_refused(step: int, db_url: str) -> None:
    """The message says what was found, what is read, and what to do."""
    database = open_database(db_url)
    set_version(database, SCHEMA_VERSION + step)
    words = f"schema version {SCHEMA_VERSION + step}.*reads {SCHEMA_VERSION};.*a new run directory"
    with pytest.raises(InputError, match=words):
        Database(db_url).prepare()
    database.close()


def test_a_snapshot_of_another_schema_is_refused(tmp_path: Path, postgres: Postgres) -> None:
    """Into PostgreSQL too, whose tables are this release's."""
    (tmp_path / "snapshots").mkdir()
    old = open_database(f"sqlite:///{tmp_path / 'snapshots' / 'old.db'}")
    set_version(old, SCHEMA_VERSION - 1)
    old.close()
    with pytest.raises(InputError, match=f"schema version {SCHEMA_VERSION - 1}"):
        restore_snapshot(tmp_path, "old", postgres.create())


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
