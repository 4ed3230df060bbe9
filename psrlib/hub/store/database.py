"""The hub's database: SQLite file or PostgreSQL, one writer at a time, schema with a version."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from psrlib.errors import InputError
from psrlib.hub.store.schema import SCHEMA_VERSION, metadata
from psrlib.hub.store.schema.security import meta

FREE_PAGES = 2000  # 8 MB: less is not worth the work
PAGES_AT_ONCE = 500  # 2 MB, 30 ms
BUSY_TIMEOUT_S = 30  # another process (snapshot) may hold the SQLite file for a moment


class Database:
    """One database, opened for reading by several threads and for writing by one.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:////path/hub.db`` or ``postgresql+psycopg://user@host/name``.

    Raises
    ------
    InputError
        When the URL is wrong or the database was made by another version of the schema.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url: URL = make_url(url)
        except Exception as error:
            raise InputError(f"database URL {url!r} is not understood: {error}") from error
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
            raise InputError(
                f"database URL {self.url.render_as_string()} names {self.url.get_backend_name()}; "
                "expected sqlite:///FILE or postgresql+psycopg://..."
            )
        self._writer = self._engine("READ COMMITTED")
        self._reader = self._engine("REPEATABLE READ")
        self._writing: Connection | None = None
        self._reading = threading.local()
        self._readers: list[Connection] = []

    def _engine(self, isolation: str) -> Engine:
        if not self.is_sqlite:
            # a database without an encoding (SQL_ASCII) would give bytes for text
            arguments: dict[str, Any] = {"client_encoding": "utf8"}
            return create_engine(self.url, isolation_level=isolation, pool_size=4, connect_args=arguments)
        arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None}
        engine = create_engine(self.url, connect_args=arguments, pool_size=4)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine

    def prepare(self) -> None:
        """Create the tables of an empty database, or check the version of an existing one."""
        try:
            with self.writing() as connection:
                self._create_or_check(connection)
        except DBAPIError as error:
            self.close()
            name = self.url.render_as_string()
            raise InputError(f"database {name} cannot be opened: {error.orig}") from error
        except InputError:
            self.close()
            raise

    def _create_or_check(self, connection: Connection) -> None:
        tables = set(inspect(connection).get_table_names())
        if meta.name in tables:
            found = connection.execute(select(meta.c.value).where(meta.c.key == "schema_version"))
            version = int(found.scalar_one())
            if version != SCHEMA_VERSION:
                raise InputError(
                    f"database {self.url.render_as_string()} has schema version {version}, this release "
                    f"reads {SCHEMA_VERSION}; use the release that made it, or a new run directory"
                )
            return
        if tables & set(metadata.tables):
            raise InputError(
                f"database {self.url.render_as_string()} holds tables of something else; "
                "give the hub an empty database"
            )
        metadata.create_all(connection)
        connection.execute(meta.insert().values(key="schema_version", value=str(SCHEMA_VERSION)))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database; each thread keeps its own."""
        connection: Connection | None = getattr(self._reading, "connection", None)
        if connection is None:
            connection = self._reading.connection = self._reader.connect()
            self._readers.append(connection)
        raw: Any = connection.connection.dbapi_connection
        self._begin(connection, "BEGIN")
        try:
            yield connection
        except BaseException:
            (connection if connection.in_transaction() else raw).rollback()
            raise
        # most reads go straight to the driver, and SQLAlchemy knows of no transaction
        (connection if connection.in_transaction() else raw).commit()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that is committed at the end, or rolled back on an error.

        It is the same connection each time: there is one writer, and fetching one from the pool costs as
        much as an insert.
        """
        connection = self._writing
        if connection is None:
            connection = self._writing = self._writer.connect()
        with connection.begin():
            self._begin(connection, "BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def part(self, connection: Connection) -> Iterator[None]:
        """Make what follows a part of the transaction that is undone by itself on an error.

        A savepoint, straight to the driver: SQLAlchemy's own costs as much as the commit it saves.
        """
        raw: Any = connection.connection.dbapi_connection
        raw.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            raw.execute("ROLLBACK TO SAVEPOINT part")
            raise
        finally:
            raw.execute("RELEASE SAVEPOINT part")

    def shrink(self, connection: Connection) -> None:
        """Give back a part of the space that deleted rows held, when it is more than a quarter of the file.

        What is left is for rows to come. PostgreSQL does it by itself. A step gives back one page: the driver
        takes no more of a statement that answers nothing.
        """
        if not self.is_sqlite:
            return
        raw: Any = connection.connection.dbapi_connection
        (free,) = raw.execute("PRAGMA freelist_count").fetchone()
        if free < FREE_PAGES:
            return
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        for _ in range(min(PAGES_AT_ONCE, free - pages // 4)):
            raw.execute("PRAGMA incremental_vacuum(1)").close()

    def _begin(self, connection: Connection, statement: str) -> None:
        """Begin on SQLite, whose driver leaves it to us.

        Straight to the driver: an event listener on the engine would slow down every statement.
        """
        if self.is_sqlite:
            raw: Any = connection.connection.dbapi_connection
            raw.execute(statement)

    def close(self) -> None:
        """Close all connections."""
        for connection in (self._writing, *self._readers):
            if connection is not None:
                connection.close()
        self._writing, self._readers, self._reading = None, [], threading.local()
        self._writer.dispose()
        self._reader.dispose()


def _set_up_sqlite(raw: Any, _record: Any) -> None:
    # WAL with synchronous=NORMAL: a commit survives the death of the process (SIGKILL), which is what a
    # test hub promises; a power cut can lose the last commits but never corrupts the file.
    # auto_vacuum first: a file that holds anything keeps what it began with.
    for pragma in (
        "auto_vacuum=INCREMENTAL",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "cache_size=-65536",
        "temp_store=MEMORY",
    ):
        raw.execute(f"PRAGMA {pragma}").close()
