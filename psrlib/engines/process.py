"""Starting, watching and stopping the engine fleet as a process of its own."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from psrlib.engines.behaviour import load_behaviour
from psrlib.engines.identity import FILE, FOLDER, engines_dir, load_identities
from psrlib.errors import ProcessError

logger = logging.getLogger(__name__)
MODULE = "psrlib.engines.serve"
RECORD = "fleet.json"
LOG = "fleet.log"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0

_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass
class FleetProcess:
    """A running engine fleet; as a context manager it is stopped at the end.

    Attributes
    ----------
    run_dir : Path
        Folder of the run; the fleet keeps its files in ``run_dir/engines``.
    pid : int
        Process id.
    status_url : str
        Loopback address that serves ``/status`` (JSON) and ``/metrics`` (Prometheus text).
    """

    run_dir: Path
    pid: int
    status_url: str

    def __enter__(self) -> "FleetProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stop_fleet(self.run_dir)

    def status(self) -> dict[str, Any]:
        """Return ``fleet_status`` of this fleet."""
        return fleet_status(self.run_dir)


def start_fleet(
    run_dir: str | Path,
    sch_url: str,
    webhook_url: str | None = None,
    *,
    behaviour: str | Path | None = None,
    poll_interval_s: float = 5.0,
    status_port: int = 0,
    wait_s: float = 60.0,
) -> FleetProcess:
    """Start the engines of a run in a process of their own and wait until each one has settled.

    Settled means polling or refused by the hub. A fleet that already runs for this folder is returned as
    it is when it serves the same hub and the same identities, else it is replaced.

    Parameters
    ----------
    run_dir : path
        Folder of the run, with the identities that ``save_identities`` wrote.
    sch_url : str
        Base URL of the Control Hub.
    webhook_url : str or None
        Where subscriptions post to; a loopback address is served by the fleet, any other is left alone.
    behaviour : path or None
        Table of transitions (JSON); None means the healthy, quiet default.
    poll_interval_s : float
        Delay between an answer and the next poll, seconds; Data Collector's is 5.
    status_port : int
        Loopback port of status and Prometheus text; 0 takes a free one.
    wait_s : float
        Longest wait for the engines to settle, seconds; 0 does not wait.

    Raises
    ------
    InputError
        When the identities or the behaviour table are missing or wrong.
    ProcessError
        When the process ends at start, or no engine reached the hub in time.
    """
    folder = Path(run_dir).resolve()
    identities = load_identities(folder)
    load_behaviour(behaviour)
    wanted = {
        "sch_url": sch_url.rstrip("/"),
        "webhook_url": webhook_url,
        "behaviour": str(Path(behaviour).resolve()) if behaviour else None,
        "poll_interval_s": poll_interval_s,
        "identities": _digest(folder),
    }
    record = _running(folder)
    if record is not None:
        if {name: record.get(name) for name in wanted} == wanted:
            return FleetProcess(folder, int(record["pid"]), str(record["status_url"]))
        stop_fleet(folder)
    fleet = _spawn(folder, {**wanted, "status_port": status_port})
    if wait_s > 0:
        _wait_settled(fleet, len(identities), wait_s)
    return fleet


def stop_fleet(run_dir: str | Path) -> bool:
    """Stop the fleet of a run; its engines stay registered and start as the same engines again.

    Returns
    -------
    bool
        Whether a fleet was running.

    Raises
    ------
    ProcessError
        When the process does not end.
    """
    record = _running(Path(run_dir).resolve())
    if record is None:
        return False
    pid = int(record["pid"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _alive(pid):
        if time.monotonic() > deadline:
            raise ProcessError(f"engine fleet, pid {pid}, does not end; stop it with kill -9 {pid}")
        time.sleep(0.02)
    return True


def fleet_status(run_dir: str | Path) -> dict[str, Any]:
    """Return what the fleet of a run does now.

    Returns
    -------
    dict
        ``running`` (bool) and, when it runs: ``engines``, ``registered``, ``polling``, ``refused``,
        ``pipelines_running`` and ``pipelines`` (by state), ``polls``, ``errors`` (by kind),
        ``webhooks_received``, ``lateness_p99_s``, ``cpu_s``, ``memory_bytes``, and ``refusals`` (reasons).
        When none runs, the counts are 0 and ``engines`` counts the identities on disk.
    """
    folder = Path(run_dir).resolve()
    record = _running(folder)
    if record is not None:
        answer = _fetch(str(record["status_url"]) + "/status")
        if answer is not None:
            return {"running": True, "pid": record["pid"], "sch_url": record["sch_url"], **answer}
    known = (folder / FOLDER / FILE).exists()
    counts = dict.fromkeys(
        ("registered", "polling", "refused", "pipelines_running", "polls", "webhooks_received"), 0
    )
    engines = len(load_identities(folder)) if known else 0
    return {"running": False, "engines": engines, **counts, "errors": {}, "pipelines": {}, "refusals": []}


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``fleet.json``: where a running fleet is found (no secrets in it)."""
    partial = folder / (RECORD + ".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.chmod(0o600)
    partial.replace(folder / RECORD)


def _spawn(folder: Path, settings: dict[str, Any]) -> FleetProcess:
    private = engines_dir(folder)
    (private / RECORD).unlink(missing_ok=True)
    command = [sys.executable, "-m", MODULE, str(folder), json.dumps(settings)]
    log = private / LOG
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    _children[child.pid] = child
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        record = _read_record(folder)
        if record is not None and record["pid"] == child.pid:
            return FleetProcess(folder, child.pid, str(record["status_url"]))
        if child.poll() is not None:
            raise ProcessError(f"engine fleet ended at start: {_last_line(log)}")
        if time.monotonic() > deadline:
            child.kill()
            child.wait()
            raise ProcessError(f"engine fleet did not start within {START_TIMEOUT_S:.0f} s; see {log}")
        time.sleep(0.02)


def _wait_settled(fleet: FleetProcess, engines: int, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        status = fleet_status(fleet.run_dir)
        if not status["running"]:
            raise ProcessError(f"engine fleet ended: {_last_line(fleet.run_dir / FOLDER / LOG)}")
        if status["polling"] + status["refused"] >= engines:
            break
        if time.monotonic() > deadline:
            stop_fleet(fleet.run_dir)
            raise ProcessError(
                f"engine fleet: {status['polling']} of {engines} engines reached {status['sch_url']} within "
                f"{wait_s:.0f} s, errors {status['errors']}; check that the Control Hub is running"
            )
        time.sleep(0.05)
    if status["refused"]:
        logger.warning("%d engines were refused by the hub: %s", status["refused"], status["refusals"][:1])


def _running(folder: Path) -> dict[str, Any] | None:
    record = _read_record(folder)
    return record if record is not None and _is_fleet(int(record["pid"])) else None


def _read_record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / FOLDER / RECORD).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"pid", "status_url", "sch_url"} <= set(record) else None


def _is_fleet(pid: int) -> bool:
    # A record can outlive its process, and the number can belong to somebody else by then.
    if not _alive(pid):
        return False
    try:
        return MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
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


def _fetch(url: str) -> dict[str, Any] | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except (urllib.error.URLError, OSError, ValueError):
        return None


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / FOLDER / FILE).read_bytes()).hexdigest()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else f"no word in {log}"
