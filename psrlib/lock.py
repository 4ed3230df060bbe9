"""Locks that a process holds until it ends: who holds one is alive, whatever process numbers say.

The operating system releases a lock when its process ends, however that ends; a zombie holds none. A lock is
seen from every container that shares the folder, where process numbers mean nothing; so its file tells to
which space of process numbers (pid namespace) the number in it belongs.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from psrlib.errors import ProcessError

RUN_LOCK = "run.lock"  # in the folder of a run
WAIT_S = 0.3  # somebody who only looks holds a lock for a moment
BLANK_S = 5.0  # a file that is locked and says nothing is about to say who, or to be free
PAUSE_S = 0.02


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock: its number and where that counts, what it is, since when."""

    pid: int
    command: str
    since: str
    pid_namespace: str

    @property
    def is_near(self) -> bool:
        """Whether its number is one of this machine and this container, so that a signal reaches it."""
        return self.pid_namespace == pid_namespace()

    @property
    def is_this_process(self) -> bool:
        """Whether it is the process that asks."""
        return self.is_near and self.pid == os.getpid()

    def __str__(self) -> str:
        where = "" if self.is_near else " in another container or on another machine"
        return f"{self.command} (pid {self.pid}{where}, since {self.since})"


@contextmanager
def hold(path: Path, command: str, what: str) -> Iterator[None]:
    """Hold the lock of a file, which is made when it lacks and stays.

    Parameters
    ----------
    path : Path
        The file; it tells who holds the lock.
    command : str
        What this process is, for others' errors.
    what : str
        What is locked, for this one's error.

    Raises
    ------
    ProcessError
        If another process holds it, or the file cannot be locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as error:
        raise ProcessError(f"{path}: cannot be locked ({error.strerror}); choose another place") from error
    with file:
        deadline = time.monotonic() + WAIT_S
        while not _lock(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline and (holder := _find(file)):
                raise _refusal(what, holder)
            time.sleep(PAUSE_S)
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        _write(file, json.dumps(asdict(Holder(os.getpid(), command, since, pid_namespace()))) + "\n")
        try:
            yield
        finally:
            _write(file, "")


def check_free(path: Path, what: str) -> None:
    """Refuse what must not happen while another process holds a lock; ``what`` is locked.

    Raises
    ------
    ProcessError
        If one does.
    """
    holder = find_holder(path)
    if holder is not None and not holder.is_this_process:
        raise _refusal(what, holder)


def find_holder(path: Path) -> Holder | None:
    """Return the process that holds a lock, None when nobody does; reads only."""
    with suppress(FileNotFoundError), open(path) as file:
        return _find(file)
    return None


def pid_namespace() -> str:
    """Return where this process's number counts: the start of the machine and the namespace on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: one space of numbers
        return ""


def _refusal(what: str, holder: Holder) -> ProcessError:
    return ProcessError(f"{what}: {holder} is at work there; wait for its end, or end it")


def _lock(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ProcessError(
            f"{file.name}: its file system has no locks ({error.strerror}); choose another"
        ) from error
    return True


def _find(file: IO[str]) -> Holder | None:
    """Return who holds a lock.

    The text lacks for an instant at the beginning and at the end, and on a busy machine both its writer and
    its reader may be stopped in that instant: so the lock is tried again with every look.
    """
    deadline = time.monotonic() + BLANK_S
    while not _lock(file, fcntl.LOCK_SH):
        file.seek(0)
        with suppress(ValueError, TypeError):
            return Holder(**json.loads(file.read()))
        if time.monotonic() > deadline:
            return Holder(0, "another process", "just now", "unknown")
        time.sleep(PAUSE_S)
    fcntl.flock(file, fcntl.LOCK_UN)
    return None


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
