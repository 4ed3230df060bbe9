"""Starting, watching and stopping the engine fleet as a process of its own."""

import hashlib
import json
import logging
import socket
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from psrlib.engines.behaviour import load_behaviour
from psrlib.engines.engine import EVENT_MS
from psrlib.engines.identity import FILE, FOLDER, engines_dir, load_identities
from psrlib.engines.webhook_sink import sink_address
from psrlib.errors import InputError, ProcessError
from psrlib.lock import check_free, find_holder
from psrlib.process import end_process, fetch, last_line, read_record, start_process, wait_started

logger = logging.getLogger(__name__)
MODULE = "psrlib.engines.serve"
LOOPBACK = "127.0.0.1"
RECORD = "fleet.json"
LOCK = "fleet.lock"  # held by the fleet as long as it lives
LOG = "fleet.log"
SHARDS = "shards"  # in the folder of a run's engines: a run folder for each shard of a cluster


@dataclass
class FleetProcess(AbstractContextManager["FleetProcess"]):
    """A running engine fleet; as a context manager it is stopped at the end.

    It keeps its files in ``run_dir/engines``; ``status_url`` serves ``/status`` (JSON) and
    ``/metrics`` (Prometheus text).
    """

    run_dir: Path
    pid: int
    status_url: str

    def __exit__(self, *_: object) -> None:
        stop_fleet(self.run_dir)


def start_fleet(
    run_dir: str | Path,
    sch_url: str,
    webhook_url: str | None = None,
    *,
    behaviour: str | Path | None = None,
    poll_interval_s: float = 5.0,
    event_ms: int = EVENT_MS,
    max_pipelines: int | None = None,
    listen: str = LOOPBACK,
    ca_bundle: str | None = None,
    status_port: int = 0,
    wait_s: float = 60.0,
    again: bool = False,
    shares_port: bool = False,
    store: str | None = None,
    owner: int | None = None,
) -> FleetProcess:
    """Start the engines of a run in a process of their own and wait until each one has settled.

    Settled means polling or refused by the hub. A fleet that already runs for this folder is returned as
    it is when it serves the same hub and the same identities, else it is replaced; it goes on when the new
    one could not have its ports.

    Parameters
    ----------
    run_dir : path
        Folder of the run, with the identities that ``save_identities`` wrote.
    sch_url : str
        Base URL of the Control Hub.
    webhook_url : str or None
        Where subscriptions post to; a loopback address is served by the fleet, any other is left alone
        unless ``listen`` is set.
    behaviour : path or None
        Table of transitions (JSON); None means the healthy, quiet default.
    poll_interval_s : float
        Delay between an answer and the next poll, seconds; Data Collector's is 5.
    event_ms : int
        How long an engine is busy, and does not poll, with a SAVE or a START, milliseconds; about 250 on a
        real engine.
    max_pipelines : int or None
        Pipelines an engine can run at once; None means any number, 22 is Data Collector's default.
    listen : str
        Address that status and webhook sink listen on. Beyond loopback (``0.0.0.0`` in a container) the sink
        takes the port of ``webhook_url``, whatever name others know this machine by.
    ca_bundle : str or None
        PEM file of the certificates to trust; None means those of the system.
    status_port : int
        Port of status and Prometheus text; 0 takes a free one.
    wait_s : float
        Longest wait for the engines to settle, seconds; 0 does not wait.
    again : bool
        Replace a fleet that runs even so.
    shares_port : bool
        Whether other fleets on this machine may serve the same webhook URL; each counts what it gets.
    store : str or None
        Database that keeps the engines' state in place of ``state.db``, and has their identities already
        (`psrlib.engines.database.EngineDatabase`): its URL without a password.
    owner : int or None
        A pipe's end to read from: when its other end is closed, the fleet ends. None: it lives for itself.

    Raises
    ------
    InputError
        When the identities or the behaviour table are missing or wrong, or a number is out of range.
    ProcessError
        When a port is in use, the process ends at start (as it does when another one was started meanwhile),
        no engine reached the hub in time, shards of this run have fleets on a cluster, or another fleet has
        some of the engines of the store.
    """
    folder = Path(run_dir).resolve()
    wanted = fleet_settings(
        folder,
        sch_url,
        webhook_url,
        behaviour=behaviour,
        poll_interval_s=poll_interval_s,
        event_ms=event_ms,
        max_pipelines=max_pipelines,
        listen=listen,
        ca_bundle=ca_bundle,
        shares_port=shares_port,
        store=store,
    )
    for lock in _shard_locks(folder):
        check_free(lock, f"the engines of {folder} run already, on a cluster")
    record = _running(folder)
    if record is not None:
        if not again and {name: record.get(name) for name in wanted} == wanted:
            return FleetProcess(folder, record["pid"], record["status_url"])
        _check_ports(wanted, record, status_port)
        stop_fleet(folder)
    private = engines_dir(folder)
    pid = start_process(
        MODULE,
        [str(folder), json.dumps({**wanted, "status_port": status_port, "owner": owner})],
        private / LOG,
        pass_fds=() if owner is None else (owner,),
    )

    def look() -> dict[str, Any] | None:
        found = _running(folder)
        return found if found is not None and found["pid"] == pid else None

    record = wait_started(pid, "engine fleet", private / LOG, look)
    fleet = FleetProcess(folder, pid, record["status_url"])
    if wait_s > 0:
        _wait_settled(fleet, wanted["sch_url"], len(load_identities(folder)), wait_s)
    return fleet


def fleet_settings(
    run_dir: Path,
    sch_url: str,
    webhook_url: str | None,
    *,
    behaviour: str | Path | None = None,
    poll_interval_s: float = 5.0,
    event_ms: int = EVENT_MS,
    max_pipelines: int | None = None,
    listen: str = LOOPBACK,
    ca_bundle: str | None = None,
    shares_port: bool = False,
    store: str | None = None,
) -> dict[str, Any]:
    """Return what the fleet process is told, checked; arguments and errors are those of `start_fleet`."""
    folder = run_dir.resolve()
    load_identities(folder)
    load_behaviour(behaviour)
    if store is not None:
        from psrlib.engines.database import check_store

        check_store(store)
    if event_ms < 0 or (max_pipelines is not None and max_pipelines < 1):
        raise InputError(
            f"event_ms {event_ms}, max_pipelines {max_pipelines}: expected at least 0, and at least 1 or None"
        )
    return {
        "sch_url": sch_url.rstrip("/"),
        "webhook_url": webhook_url,
        "behaviour": str(Path(behaviour).resolve()) if behaviour else None,
        "poll_interval_s": poll_interval_s,
        "event_ms": event_ms,
        "max_pipelines": max_pipelines,
        "listen": listen,
        "ca_bundle": str(Path(ca_bundle).resolve()) if ca_bundle else None,
        "shares_port": shares_port,
        "store": store,
        "identities": hashlib.sha256((folder / FOLDER / FILE).read_bytes()).hexdigest(),
    }


def stop_fleet(run_dir: str | Path) -> bool:
    """Stop the fleet of a run; its engines stay registered and start as the same engines again.

    Returns
    -------
    bool
        Whether a fleet was running.

    Raises
    ------
    ProcessError
        When it runs in another container, or does not end.
    """
    return end_process(Path(run_dir).resolve() / FOLDER / LOCK)


def fleet_status(run_dir: str | Path) -> dict[str, Any]:
    """Return what the fleet of a run does now.

    Returns
    -------
    dict
        ``running`` (bool) and, when it runs: ``engines``, ``registered``, ``polling``, ``refused``,
        ``pipelines_running`` and ``pipelines`` (by state), ``polls``, ``errors`` (by kind),
        ``webhooks_received``, ``lateness_p99_s``, ``cpu_s``, ``memory_bytes``, and ``refusals`` (reasons).
        When none runs, the counts are 0, ``engines`` counts the identities on disk, and ``shards_elsewhere``
        the shards that have fleets on the workers of a cluster, as far as this folder tells.
    """
    folder = Path(run_dir).resolve()
    record = _running(folder)
    if record is not None and (answer := fetch(record["status_url"] + "/status")) is not None:
        known = {name: record[name] for name in ("pid", "sch_url", "status_url")}
        return {"running": True, **known, **json.loads(answer)}
    engines = len(load_identities(folder)) if (folder / FOLDER / FILE).exists() else 0
    zero = ("registered", "polling", "refused", "pipelines_running", "polls", "webhooks_received")
    none: dict[str, Any] = {"errors": {}, "pipelines": {}, "refusals": []}
    none["shards_elsewhere"] = sum(find_holder(lock) is not None for lock in _shard_locks(folder))
    return {"running": False, "engines": engines, **dict.fromkeys(zero, 0), **none}


def _check_ports(wanted: dict[str, Any], record: dict[str, Any], status_port: int) -> None:
    """Refuse ports that another program has, while the fleet that is to be replaced still runs."""
    sinks = [sink_address(one["webhook_url"], one["listen"]) for one in (wanted, record)]
    used = {urlsplit(record["status_url"]).port, sinks[1] and sinks[1][1]}
    ports = [("webhook sink", *sinks[0][:2])] if sinks[0] else []
    if status_port:
        ports.append(("fleet status", wanted["listen"], status_port))
    for what, host, port in ports:
        if port in used:
            continue
        try:
            socket.create_server((host, port)).close()
        except OSError as error:
            raise ProcessError(
                f"{what} cannot listen on {host}:{port}: {error.strerror}; stop what uses the port, or "
                "choose another; the engines that run go on"
            ) from error


def _wait_settled(fleet: FleetProcess, sch_url: str, engines: int, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        status = fleet_status(fleet.run_dir)
        if _running(fleet.run_dir) is None:  # one that does not answer may be busy
            raise ProcessError(f"engine fleet ended: {last_line(fleet.run_dir / FOLDER / LOG)}")
        if status["polling"] + status["refused"] >= engines:
            break
        if time.monotonic() > deadline:
            stop_fleet(fleet.run_dir)
            raise ProcessError(
                f"engine fleet: {status['polling']} of {engines} engines reached {sch_url} within "
                f"{wait_s:.0f} s, errors {status['errors']}; check that the Control Hub is running"
            )
        time.sleep(0.05)
    if status["refused"]:
        logger.warning("%d engines were refused by the hub: %s", status["refused"], status["refusals"][:1])


def _shard_locks(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER / SHARDS).glob(f"*/{FOLDER}/{LOCK}"))


def _running(folder: Path) -> dict[str, Any] | None:
    record = read_record(folder / FOLDER / RECORD, ("pid", "status_url", "sch_url"))
    holder = find_holder(folder / FOLDER / LOCK)
    return record if holder is not None and record is not None and record["pid"] == holder.pid else None
