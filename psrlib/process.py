"""Programs of the kit that run in the background: started with a log, found again, waited for, ended."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from psrlib.errors import ProcessError
from psrlib.files import PRIVATE

T = TypeVar("T")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0

_children: dict[int, subprocess.Popen[bytes]] = {}  # of this process; others are known by their number only


def start_process(module: str, arguments: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> int:
    """Start ``python -m module`` in a session of its own, with its output appended to a log.

    Parameters
    ----------
    module : str
        Dotted name; `is_running` knows the process by it.
    log : Path
        File that only its owner may read when it is new.
    pass_fds : sequence of int
        Open files that the process inherits.

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
        )
    for earlier in list(_children):
        is_alive(earlier)  # one that ended is released
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
        if not is_alive(pid):
            raise ProcessError(f"{what} ended at start: {last_line(log)}")
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            _children[pid].wait()
            raise ProcessError(f"{what} did not start within {START_TIMEOUT_S:.0f} s; see {log}")
        time.sleep(0.02)
    return found


def end_process(pid: int, module: str) -> bool:
    """Ask a process that runs a module to end (SIGTERM), and kill it when it has not after `STOP_TIMEOUT_S`.

    Returns
    -------
    bool
        Whether it was running.

    Raises
    ------
    ProcessError
        When it does not even end when killed.
    """
    if not is_running(pid, module):
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while is_running(pid, module):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            if child := _children.pop(pid, None):
                child.wait()
            return True
    raise ProcessError(f"process {pid} ({module}) does not end")


def is_running(pid: int, module: str) -> bool:
    """Whether a process is alive and runs this module: the number may be another program's by now."""
    if not is_alive(pid):
        return False
    try:
        return module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # not Linux
        return True


def is_alive(pid: int) -> bool:
    """Whether a process exists; a child that ended is released."""
    child = _children.get(pid)
    if child is not None:
        if child.poll() is None:
            return True
        del _children[pid]
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # somebody else's
    return True


def last_line(log: Path) -> str:
    """Return the last line of a log, or that there is none."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else f"no word in {log}"


def read_record(path: Path, keys: Collection[str]) -> dict[str, Any] | None:
    """Return the JSON object by which a process is found again; None without a file that has the keys."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and set(keys) <= set(record) else None


def fetch(url: str, timeout_s: float = 10.0) -> bytes | None:
    """Return what a process of this machine answers to a GET, past any proxy; None when it does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            content: bytes = answer.read()
            return content
    except OSError:  # of urllib too
        return None
