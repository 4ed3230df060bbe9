"""Snapshots of a hub's database: a populated state saved once and brought back in seconds."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, create_engine, func, insert, select, text

from psrlib.errors import InputError
from psrlib.files import new_file
from psrlib.hub.process.hub_process import (
    HubProcess,
    default_database,
    find_database,
    find_hub,
    last_start,
    start_hub,
    stop_hub,
)
from psrlib.hub.store.database import Database
from psrlib.hub.store.schema import metadata

FOLDER = "snapshots"
CHUNK_ROWS = 2000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def snapshot_path(run_dir: Path, name: str) -> Path:
    """Return the file of a snapshot; InputError for a name that is not a plain word."""
    if not NAME.fullmatch(name):
        raise InputError(f"snapshot name {name!r}: expected letters, digits and . _ - (at most 64)")
    return run_dir / FOLDER / f"{name}.db"


def save_snapshot(run_dir: str | Path, name: str = "populated", db_url: str | None = None) -> Path:
    """Save the database of a hub, running or not; return the snapshot's file (always SQLite).

    Parameters
    ----------
    run_dir : path
        Folder of the run.
    name : str
        Name of the snapshot; one of the same name is replaced.
    db_url : str or None
        Database of the hub; None means that of its last start (`find_database`).

    Raises
    ------
    InputError
        When the name is wrong, there is no database, or its password is not known.
    """
    folder = Path(run_dir).resolve()
    target = snapshot_path(folder, name)
    url, own = db_url or find_database(folder), folder / "hub.db"
    if url == default_database(folder) and not own.exists():
        raise InputError(f"{own} does not exist; start a hub with --run-dir {folder} first")
    with new_file(target) as file:
        copy_database(folder, url, Path(file.name))
    return target


def copy_database(folder: Path, db_url: str, target: Path) -> None:
    """Copy the database of a folder's hub, running or not, into a file for SQLite."""
    if db_url == default_database(folder):
        _copy_sqlite(folder / "hub.db", target)
    else:
        _copy_rows_out(db_url, target)


def restore_snapshot(
    run_dir: str | Path, name: str = "populated", db_url: str | None = None
) -> HubProcess | None:
    """Bring a snapshot back; a hub that runs for the folder is stopped before and started again after.

    Returns
    -------
    HubProcess or None
        The hub started again, on the same port; None when none was running.

    Raises
    ------
    InputError
        When the snapshot does not exist.
    """
    folder = Path(run_dir).resolve()
    source = snapshot_path(folder, name)
    if not source.exists():
        present = sorted(file.stem for file in source.parent.glob("*.db")) or ["none"]
        raise InputError(f"snapshot {source} does not exist; present: {', '.join(present)}")
    running, start = find_hub(folder), last_start(folder)
    url = db_url or find_database(folder)
    stop_hub(folder)
    if url == default_database(folder):
        with new_file(folder / "hub.db") as file:
            _copy_sqlite(source, Path(file.name))
            for old in folder.glob("hub.db-*"):
                old.unlink()
    else:
        _copy_rows_in(source, url)
    if running is None:
        return None
    return start_hub(folder, db_url=url, **start)


def _copy_sqlite(source: Path, target: Path) -> None:
    # the online backup: one consistent state, also while a hub writes
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _copy_rows_out(db_url: str, target: Path) -> None:
    engine = create_engine(f"sqlite:///{target}")
    metadata.create_all(engine)
    with closing(Database(db_url)) as database:
        database.prepare()
        with database.reading() as old, engine.begin() as new:
            _copy_tables(old, new)
    engine.dispose()


def _copy_rows_in(source: Path, db_url: str) -> None:
    with TemporaryDirectory() as folder, closing(Database(db_url)) as database:
        database.prepare()
        # a copy: opening a database changes its file, and a snapshot stays as it is
        current = Path(folder) / "snapshot.db"
        _copy_sqlite(source, current)
        with closing(Database(f"sqlite:///{current}")) as snapshot:
            snapshot.prepare()
            with snapshot.reading() as old, database.writing() as new:
                for table in reversed(metadata.sorted_tables):
                    new.execute(table.delete())
                _copy_tables(old, new)
                if not database.is_sqlite:
                    _advance_counters(new)


def _copy_tables(old: Connection, new: Connection) -> None:
    for table in metadata.sorted_tables:
        result = old.execution_options(yield_per=CHUNK_ROWS).execute(select(table))
        for part in result.mappings().partitions():
            new.execute(insert(table), [dict(row) for row in part])


def _advance_counters(connection: Connection) -> None:
    """PostgreSQL counts its serial columns by itself; copied rows do not move the count."""
    for table in metadata.sorted_tables:
        key = next(iter(table.primary_key.columns))
        if key.autoincrement is not True:
            continue
        top = connection.execute(select(func.max(key))).scalar()
        if top is not None:
            sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :top)")
            connection.execute(sequence, {"table": table.name, "column": key.name, "top": top})
