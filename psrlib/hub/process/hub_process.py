"""Starting and stopping the embedded hub as a process of its own."""

import json
import logging
import os
import socket
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from psrlib.errors import ProcessError
from psrlib.files import replace_file
from psrlib.process import end_process, fetch, is_running, read_record, start_process, wait_started

logger = logging.getLogger(__name__)
MODULE = "psrlib.hub.process.serve"
RECORD = "hub.json"
PORT_ATTEMPTS = 20  # 50 ms apart
HEALTH = "/public-rest/v1/health"


@dataclass
class HubProcess(AbstractContextManager["HubProcess"]):
    """A running embedded hub; as a context manager it is stopped at the end.

    ``run_dir`` holds ``hub.json``, ``hub.db`` and ``hub.log``; ``url`` is such as ``http://127.0.0.1:18631``.
    """

    run_dir: Path
    url: str
    pid: int

    def __exit__(self, *_: object) -> None:
        stop_hub(self.run_dir)


def start_hub(
    run_dir: str | Path, host: str = "127.0.0.1", port: int = 0, db_url: str | None = None
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

    Raises
    ------
    ProcessError
        When the port is in use or the process does not become healthy.
    """
    folder = Path(run_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    running = find_hub(folder)
    if running is not None:
        return running
    last = _read_record(folder)
    listener = _listen(host, port, last["port"] if last else 0)
    bound = listener.getsockname()[1]
    url = f"http://{_reachable(host)}:{bound}"
    database = db_url or f"sqlite:///{folder / 'hub.db'}"
    log = folder / "hub.log"
    with listener:
        fd = listener.fileno()
        pid = start_process(MODULE, [str(fd), database, url], log, pass_fds=[fd])
    wait_started(pid, "embedded hub", log, lambda: _healthy(url))
    shown = make_url(database).render_as_string(hide_password=True)
    record = {"url": url, "pid": pid, "port": bound, "host": host, "db_url": shown}
    replace_file(folder / RECORD, json.dumps(record, indent=1) + "\n")
    logger.info("embedded hub listens on %s, pid %d", url, pid)
    return HubProcess(folder, url, pid)


def find_hub(run_dir: str | Path) -> HubProcess | None:
    """Return the hub that runs for a folder, or None."""
    folder = Path(run_dir).resolve()
    record = _read_record(folder)
    if record is None or not is_running(record["pid"], MODULE) or not _healthy(record["url"]):
        return None
    return HubProcess(folder, record["url"], record["pid"])


def stop_hub(run_dir: str | Path) -> bool:
    """Stop the hub of a folder; return whether one was running."""
    record = _read_record(Path(run_dir).resolve())
    return record is not None and end_process(record["pid"], MODULE)


def _listen(host: str, port: int, preferred: int) -> socket.socket:
    # A hub that was killed a moment ago holds its port until the system has cleaned up after it.
    attempts = [port] if port else [preferred] * PORT_ATTEMPTS + [0] if preferred else [0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in attempts:
        try:
            return socket.create_server((host, candidate), family=family, backlog=4096)
        except OSError as error:
            refused = error
            time.sleep(0.05)
    raise ProcessError(
        f"embedded hub cannot listen on {host}:{attempts[-1]}: {os.strerror(refused.errno or 0)}; "
        "choose another --port, or stop what uses it"
    ) from refused


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _healthy(url: str) -> bool:
    return b"alive" in (fetch(url + HEALTH, timeout_s=5) or b"")


def _read_record(folder: Path) -> dict[str, Any] | None:
    return read_record(folder / RECORD, ("url", "pid", "port"))
