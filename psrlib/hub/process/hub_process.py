"""Starting and stopping the embedded hub as a process of its own."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from psrlib.errors import ProcessError

logger = logging.getLogger(__name__)
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
PORT_ATTEMPTS = 20  # 50 ms apart
HEALTH = "/public-rest/v1/health"


@dataclass
class HubProcess:
    """A running embedded hub; as a context manager it is stopped at the end.

    Attributes
    ----------
    run_dir : Path
        Folder with ``hub.json``, ``hub.db`` and ``hub.log``.
    url : str
        Base URL, such as ``http://127.0.0.1:18631``.
    pid : int
        Process id.
    smtp : str or None
        URL of the mail server it was started with.
    """

    run_dir: Path
    url: str
    pid: int
    smtp: str | None = None

    def __enter__(self) -> "HubProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stop_hub(self.run_dir)


@dataclass(frozen=True)
class _Record:
    url: str
    pid: int
    port: int
    smtp: str | None


_children: dict[int, subprocess.Popen[bytes]] = {}


def start_hub(
    run_dir: str | Path,
    host: str = "127.0.0.1",
    port: int = 0,
    db_url: str | None = None,
    smtp: str | None = None,
    smtp_remote: bool = False,
) -> HubProcess:
    """Start the embedded hub in its own process and wait until it is healthy.

    Parameters
    ----------
    run_dir : path
        Folder of the run; a hub that already runs there is returned as it is.
    host : str
        Address to listen on; loopback unless told otherwise.
    port : int
        Port; 0 takes a free one (the one of the last start in this folder, when it is free).
    db_url : str or None
        SQLAlchemy URL; None means the SQLite file ``run_dir/hub.db``.
    smtp : str or None
        Mail server for subscriptions, ``smtp://HOST[:PORT]``; None: their mail is not sent.
    smtp_remote : bool
        Allow a mail server that is not on this machine.

    Raises
    ------
    InputError
        When the mail server's URL is wrong or names another machine without ``smtp_remote``.
    ProcessError
        When the port is in use or the process does not become healthy.
    """
    _reap()
    folder = Path(run_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    running = find_hub(folder)
    if running is not None:
        return running
    listener = _listen(host, port, _last_port(folder))
    bound = listener.getsockname()[1]
    url = f"http://{_reachable(host)}:{bound}"
    database = db_url or f"sqlite:///{folder / 'hub.db'}"
    log = folder / "hub.log"
    with listener, log.open("ab") as output:
        command = [sys.executable, "-m", "psrlib.hub.process.serve", "--fd", str(listener.fileno())]
        command += ["--db-url", database, "--url", url, *(["--smtp", smtp] if smtp else [])]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    _children[child.pid] = child
    _wait_healthy(url, child, log)
    record = {"url": url, "pid": child.pid, "port": bound, "host": host, "db_url": _hidden(database)}
    _write_record(folder, record | ({"smtp": smtp} if smtp else {}))
    logger.info("embedded hub listens on %s, pid %d", url, child.pid)
    return HubProcess(folder, url, child.pid, smtp)


def find_hub(run_dir: str | Path) -> HubProcess | None:
    """Return the hub that runs for a folder, or None."""
    record = _read_record(Path(run_dir).resolve())
    if record is None or not _is_hub(record.pid) or not _healthy(record.url):
        return None
    return HubProcess(Path(run_dir).resolve(), record.url, record.pid, record.smtp)


def stop_hub(run_dir: str | Path) -> bool:
    """Stop the hub of a folder; return whether one was running.

    Raises
    ------
    ProcessError
        When the process does not end.
    """
    record = _read_record(Path(run_dir).resolve())
    if record is None or not _is_hub(record.pid):
        return False
    pid = record.pid
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _alive(pid):
        if time.monotonic() > deadline:
            raise ProcessError(f"embedded hub, pid {pid}, does not end; stop it with kill -9 {pid}")
        time.sleep(0.02)
    _reap()
    return True


def _listen(host: str, port: int, preferred: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # A hub that was killed a moment ago holds its port until the system has cleaned up after it.
    attempts = [port] if port else [preferred] * PORT_ATTEMPTS + [0] if preferred else [0]
    for number, candidate in enumerate(attempts):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(4096)
        except OSError as error:
            listener.close()
            if number == len(attempts) - 1:
                raise ProcessError(
                    f"embedded hub cannot listen on {host}:{candidate}: {error.strerror}; "
                    "choose another --port, or stop what uses it"
                ) from error
            time.sleep(0.05)
            continue
        return listener
    raise ProcessError(f"embedded hub found no free port on {host}")


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _wait_healthy(url: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _healthy(url):
        if child.poll() is not None:
            _children.pop(child.pid, None)
            raise ProcessError(f"embedded hub ended at start: {_last_line(log)}")
        if time.monotonic() > deadline:
            child.kill()
            child.wait()
            raise ProcessError(f"embedded hub did not answer within {START_TIMEOUT_S:.0f} s; see {log}")
        time.sleep(0.05)


def _healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + HEALTH, timeout=5) as answer:
            return b"alive" in answer.read()
    except (urllib.error.URLError, OSError):
        return False


def _is_hub(pid: int) -> bool:
    # A record can outlive its process, and the number can belong to somebody else by then.
    if not _alive(pid):
        return False
    try:
        return b"psrlib.hub.process.serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def _alive(pid: int) -> bool:
    child = _children.get(pid)
    if child is not None:
        if child.poll() is None:
            return True
        del _children[pid]
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reap() -> None:
    """Forget children that ended, however they ended."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"no word in {log}"


def _last_port(folder: Path) -> int:
    record = _read_record(folder)
    return record.port if record else 0


def _read_record(folder: Path) -> "_Record | None":
    try:
        record = json.loads((folder / "hub.json").read_text())
        return _Record(str(record["url"]), int(record["pid"]), int(record["port"]), record.get("smtp"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_record(folder: Path, record: dict[str, str | int]) -> None:
    partial = folder / "hub.json.partial"
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.replace(folder / "hub.json")


def _hidden(db_url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(db_url).render_as_string(hide_password=True)
