"""One populate at a time per Control Hub."""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from psrlib.errors import ProcessError


@contextmanager
def populate_lock(url: str, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of a Control Hub on this machine; it ends with the process, however that ends.

    Parameters
    ----------
    url : str
        Base URL of the hub.
    folder : Path or None
        Where the lock files are; None means the machine's folder for temporary files.

    Raises
    ------
    ProcessError
        If another process holds it.

    Notes
    -----
    The lock is an exclusive transaction on a small SQLite file: portable, and released by the operating
    system when the process is killed. Populates from two machines are not excluded by it; there, each
    organization is made by the one whose creation the hub accepts, and the other one stops.
    """
    name = hashlib.blake2b(url.rstrip("/").lower().encode(), digest_size=8).hexdigest()
    where = folder or Path(tempfile.gettempdir()) / f"psr-locks-{os.getuid() if hasattr(os, 'getuid') else 0}"
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(where / f"{name}.lock", timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise ProcessError(
                f"another psr populate is at work on {url} (lock {where / name}.lock); wait for its end"
            ) from error
        yield
