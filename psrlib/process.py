"""Programs of the kit that run in the background: started with a log, found again, waited for, ended."""

import json
import os
import resource
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from psrlib.errors import ProcessError
from psrlib.files import PRIVATE
from psrlib.lock import find_holder

T = TypeVar("T")
START_TIMEOUT_S = 120.0  # a start takes a second, twenty on a machine that is busy enough
STOP_TIMEOUT_S = 20.0

_children: dict[int, subprocess.Popen[bytes]] = {}  # of this process


def start_process(
    module: str,
    arguments: Sequence[str],
    log: Path,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start ``python -m module`` in a session of its own, with its output appended to a log.

    Parameters
    ----------
    module : str
        Dotted name.
    log : Path
        File that only its owner may read when it is new.
    pass_fds : sequence of int
        Open files that the process inherits.
    environment : mapping
        Variables besides those of this process: a place for secrets, which the list of processes does not
        show.

    Returns
    -------
    int
        Process id.
    """
    command = [sys.executable, "-m", module, *arguments]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE), "ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    for earlier in list(_children):
        _is_alive(earlier)  # one that ended is released
    _children[child.pid] = child
    return child.pid


def wait_started(pid: int, what: str, log: Path, look: Callable[[], T | None]) -> T:
    """Wait until a process of `start_process` is ready; one that is not ready in time is killed.

    Parameters
    ----------
    what : str
        Name of the program in errors.
    look : callable
        Returns something true when the process is ready; that is returned.

    Raises
    ------
    ProcessError
        When the process ends, with the last line of its log, or is not ready within `START_TIMEOUT_S`.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (found := look()):
        if not _is_alive(pid):
            raise ProcessError(f"{what} ended at start: {last_line(log)}")
        if time.monotonic() > deadline:
            if child := _children.pop(pid, None):
                child.kill()
                child.wait()
            raise ProcessError(f"{what} did not start within {START_TIMEOUT_S:.0f} s; see {log}")
        time.sleep(0.02)
    return found


def end_process(lock: Path) -> bool:
    """Ask the process that holds a lock to end (SIGTERM), and kill it when it has not after `STOP_TIMEOUT_S`.

    Returns
    -------
    bool
        Whether there was one.

    Raises
    ------
    ProcessError
        When it runs in another container or on another machine, or does not even end when killed.
    """
    holder = find_holder(lock)
    if holder is None:
        return False
    if not holder.is_near:
        raise ProcessError(f"{holder} cannot be stopped from here (lock {lock}); stop it there")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(holder.pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while (now := find_holder(lock)) and now.pid in (0, holder.pid):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            if child := _children.pop(holder.pid, None):
                child.wait()
            return True
    raise ProcessError(f"{holder} does not end")


def end_when_told() -> None:
    """Let SIGTERM and SIGINT end this process with 0: one that serves until then has done its work."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _is_alive(pid: int) -> bool:
    """Whether a process that was started here still runs; one that ended is released."""
    child = _children.get(pid)
    if child is not None and child.poll() is None:
        return True
    _children.pop(pid, None)  # another thread may have done so
    return False


def is_child(pid: int) -> bool:
    """Whether a process was started here."""
    return pid in _children


def resident_bytes() -> int:
    """Return the memory that this process has now, in bytes."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # not Linux: the most so far
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def last_line(log: Path) -> str:
    """Return the last line of a log, or that there is none."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else f"no word in {log}"


def read_record(path: Path, keys: Collection[str]) -> dict[str, Any] | None:
    """Return the JSON object by which a process is found again; None without a file that has the keys."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and set(keys) <= set(record) else None


def fetch(url: str, timeout_s: float = 10.0) -> bytes | None:
    """Return what is answered to a GET, past any proxy; None when nothing is, or a refusal.

    For signs of life, which hold no secret: a certificate is not checked, as one may name other hosts only.
    """
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            content: bytes = answer.read()
            return content
    except OSError:  # of urllib too
        return None
