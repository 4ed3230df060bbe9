"""One populate at a time per Control Hub."""

import hashlib
import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from psrlib.lock import hold


def populate_lock(url: str, folder: Path | None = None) -> AbstractContextManager[None]:
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
    Populates from two machines are not excluded by it; there, each organization is made by the one whose
    creation the hub accepts, and the other one stops.
    """
    name = hashlib.blake2b(url.rstrip("/").lower().encode(), digest_size=8).hexdigest()
    where = folder or Path(tempfile.gettempdir()) / f"psr-locks-{os.getuid() if hasattr(os, 'getuid') else 0}"
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    return hold(where / f"{name}.lock", "another psr populate or teardown", url)
