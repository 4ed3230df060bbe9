"""One populate at a time per Control Hub."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from psrlib.client import ControlHub
from psrlib.lock import hold


@contextmanager
def populate_lock(hub: ControlHub, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of a Control Hub on this machine, and in its crew; it ends with the process.

    Parameters
    ----------
    hub : ControlHub
        A session of it.
    folder : Path or None
        Where the lock files are; None means the machine's folder for temporary files.

    Raises
    ------
    ProcessError
        If another process holds it.

    Notes
    -----
    Populates from two machines without a crew in common are not excluded by it; there, each organization is
    made by the one whose creation the hub accepts, and the other one stops.
    """
    name = hashlib.blake2b(hub.url.lower().encode(), digest_size=8).hexdigest()
    where = folder or Path(tempfile.gettempdir()) / f"psr-locks-{os.getuid() if hasattr(os, 'getuid') else 0}"
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(hold(where / f"{name}.lock", "another psr populate or teardown", hub.url))
        if hub.crew is not None:
            stack.enter_context(hub.crew.alone())
        yield
