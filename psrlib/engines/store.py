"""The fleet's state: what each engine must find again when its process starts anew."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from psrlib.engines.engine import Engine, Saved
from psrlib.errors import InputError

FILE = "state.db"
_SETUP = """
PRAGMA locking_mode=EXCLUSIVE;  -- one fleet at a time: no shared memory, which a folder of a network lacks
PRAGMA journal_mode=WAL;  -- its side files take the mode of the file
PRAGMA wal_autocheckpoint=100;  -- pages: the side file stays below a megabyte
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS engine (id TEXT PRIMARY KEY, token TEXT NOT NULL, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Saved)


class Store(Protocol):
    """Where a fleet keeps its state."""

    @property
    def is_behind(self) -> bool:
        """Whether engines may tell nobody anything now, for what they tell might not be kept."""

    def restore(self, engines: Iterable[Engine]) -> None:
        """Give each engine back what it had; what it had under another token belongs to another hub."""

    def save(self, engines: Iterable[Engine], counters: dict[str, int]) -> None:
        """Keep the engines that changed, and the counters."""

    def counter(self, name: str) -> int | None:
        """Return a counter of an earlier process, or None."""

    def close(self) -> None:
        """Keep what is to be kept, and let others have the engines."""


class FleetStore:
    """One row per engine in an SQLite file of mode 0600.

    Transactions are whole, and acks leave with the next poll, seconds after the row was written: a killed
    fleet loses nothing that it acknowledged.
    """

    is_behind = False

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.executescript(_SETUP)
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{path}: not the state of a fleet ({error}); move it away and start again"
            ) from error

    def restore(self, engines: Iterable[Engine]) -> None:
        """Give each engine back what it had."""
        rows = self._db.execute("SELECT id, token, state FROM engine")
        give_back(engines, {(engine_id, token): state for engine_id, token, state in rows})

    def save(self, engines: Iterable[Engine], counters: dict[str, int]) -> None:
        """Write the engines that changed, and the counters, in one transaction."""
        rows = [(engine.identity.id, *row) for engine, *row in take_changed(engines)]
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO engine VALUES (?, ?, ?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", list(counters.items()))

    def counter(self, name: str) -> int | None:
        """Return a counter of an earlier process, or None."""
        row = self._db.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def take_changed(engines: Iterable[Engine]) -> list[tuple[Engine, str, bytes]]:
    """Return the engines that changed, each with the digest of its token and its state, marked as kept."""
    rows = []
    for engine in engines:
        if engine.dirty:
            rows.append((engine, _digest(engine), _encoder.encode(engine.save())))
            engine.dirty = False
    return rows


def give_back(engines: Iterable[Engine], saved: Mapping[tuple[str, str], bytes]) -> None:
    """Restore engines from states by id and digest of the token."""
    for engine in engines:
        state = saved.get((engine.identity.id, _digest(engine)))
        if state is not None:
            engine.restore(_decoder.decode(state))


def _digest(engine: Engine) -> str:
    return hashlib.sha256(engine.identity.token.encode()).hexdigest()[:16]
