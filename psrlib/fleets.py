"""The mock engines on the workers of a Dask cluster: a fleet for each shard, each with an owner that lives.

Every worker has a keeper (a plugin, so that workers which come later have one too). It starts the fleets of
shards that nobody runs: whoever holds the lock of a shard's folder does. A fleet ends with its worker,
however that ends, for it listens to a pipe; then its lock is free, and another keeper goes on with the same
engines. The folder of the run must be the same one on all workers, with file locks. Dask is imported here, so
this module is imported only where a scheduler is given.
"""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import WorkerPlugin

from psrlib.engines import (
    EngineIdentity,
    fleet_status,
    load_identities,
    save_identities,
    start_fleet,
    stop_fleet,
)
from psrlib.engines.fleet_process import LOCK, LOOPBACK, SHARDS
from psrlib.engines.identity import FILE, FOLDER, engines_dir
from psrlib.errors import InputError, ProcessError, PsrError
from psrlib.files import PRIVATE, replace_file
from psrlib.lock import check_free, find_holder
from psrlib.process import is_child

LOOK_S = 0.5  # between two looks for a shard without a fleet; a keeper with many looks less often
ENGINES_PER_SHARD = 5_000  # at most; half of what one processor carries
WAIT_S = 120.0  # until all engines poll
TARGETS = "prometheus.json"
_keepers: dict[str, "FleetKeeper"] = {}  # of this worker


class FleetKeeper(WorkerPlugin):
    """Keeps the fleets of some shards running on one worker."""

    def __init__(self, name: str, folders: Sequence[Path], arguments: dict[str, Any]) -> None:
        self.name = name
        self.folders = list(folders)
        self.arguments = arguments

    def setup(self, worker: Any) -> None:
        """Begin to look for shards."""
        self.worker = str(worker.name)
        self.host = urlsplit(worker.address).hostname or ""
        self.ours: set[Path] = set()
        self.errors: dict[str, str] = {}
        self._stopped = threading.Event()
        self._ends_with_us, self._held = os.pipe()  # a fleet reads from it: nothing, until we are gone
        first = int(hashlib.sha256(worker.address.encode()).hexdigest(), 16) % len(self.folders)
        self._order = self.folders[first:] + self.folders[:first]
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        _keepers[self.name] = self
        self._thread.start()

    async def teardown(self, worker: Any) -> None:
        """Stop the fleets."""
        _keepers.pop(self.name, None)
        self._stopped.set()
        await asyncio.to_thread(self._end)

    def tell(self) -> dict[str, Any]:
        """Return what this worker's fleets do, and why it could not start others."""
        found = []
        for folder in sorted(self.ours):
            status = fleet_status(folder)
            if status["running"]:
                url = urlsplit(status.pop("status_url"))
                beyond = self.arguments["listen"] != LOOPBACK
                address = f"{self.host if beyond else url.hostname}:{url.port}"
                found.append({**status, "shard": folder.name, "worker": self.worker, "address": address})
        return {"fleets": found, "errors": dict(self.errors)}

    def _keep(self) -> None:
        while not self._stopped.wait(LOOK_S * (1 + len(self.ours))):
            self.ours = {folder for folder in self.ours if find_holder(folder / FOLDER / LOCK)}
            free = [folder for folder in self._order if find_holder(folder / FOLDER / LOCK) is None]
            if free:
                self._start(free[0])

    def _start(self, folder: Path) -> None:
        try:
            start_fleet(folder, wait_s=0, shares_port=True, owner=self._ends_with_us, **self.arguments)
        except (PsrError, OSError) as error:
            self.errors[folder.name] = f"worker {self.worker}: {error}"
            self._order.remove(folder)  # another one's turn, before this is tried again
            self._order.append(folder)
            return
        self.errors.pop(folder.name, None)
        holder = find_holder(folder / FOLDER / LOCK)
        if holder is not None and holder.is_near and is_child(holder.pid):
            self.ours.add(folder)

    def _end(self) -> None:
        self._thread.join()
        for folder in self.ours:
            stop_fleet(folder)
        os.close(self._held)
        os.close(self._ends_with_us)


def start_fleets(
    client: Any,
    run_dir: Path,
    sch_url: str,
    webhook_url: str | None,
    *,
    listen: str = LOOPBACK,
    **options: Any,
) -> dict[str, Any]:
    """Start the engines of a run on the workers of a cluster, and wait until all have settled.

    Parameters
    ----------
    client
        Of `psrlib.cluster.connect`.
    run_dir : Path
        With the identities of all engines; every worker must see the same folder under this name.
    sch_url, webhook_url, listen, options
        Those of `psrlib.engines.start_fleet`.

    Returns
    -------
    dict
        `fleets_status`.

    Raises
    ------
    InputError
        If a worker sees another folder.
    ProcessError
        If a fleet of the whole run is running, or not all engines have settled in time.
    """
    folder = run_dir.resolve()
    check_free(folder / FOLDER / LOCK, f"the engines of {folder} run already, in one fleet")
    identities = load_identities(folder)
    _check_shared(client, folder)
    folders = _share_out(folder, identities, len(client.nthreads()))
    arguments = {"sch_url": sch_url, "webhook_url": webhook_url, "listen": listen, **options}
    client.register_plugin(FleetKeeper(_name(folder), folders, arguments), name=_name(folder))
    deadline = time.monotonic() + WAIT_S
    while True:
        found = fleets_status(client, folder)
        if found["polling"] + found["refused"] >= len(identities):
            return found
        if time.monotonic() > deadline:
            raise ProcessError(
                f"{found['polling']} of {len(identities)} engines reached {sch_url} within {WAIT_S:.0f} s; "
                f"errors {found['errors']}, {'; '.join(found['not_started']) or 'all shards have a fleet'}"
            )
        time.sleep(0.2)


def stop_fleets(client: Any, run_dir: Path) -> bool:
    """Stop the engines of a run on all workers; return whether there were any."""
    name = _name(run_dir.resolve())
    if not any(client.run(_has_keeper, name).values()):
        return False
    client.unregister_worker_plugin(name)
    return True


def fleets_status(client: Any, run_dir: Path) -> dict[str, Any]:
    """Return what the fleets of a run do together, in the words of `psrlib.engines.fleet_status`.

    Besides, ``shards`` (each with its worker and the address of status and Prometheus text) and
    ``not_started`` (errors). The addresses are kept in ``engines/prometheus.json`` too, as Prometheus'
    ``file_sd_configs`` reads them.
    """
    folder = run_dir.resolve()
    told = client.run(_tell, _name(folder), on_error="return")
    answers = [answer for answer in told.values() if isinstance(answer, dict)]
    fleets = [fleet for answer in answers for fleet in answer["fleets"]]
    sums = ("engines", "registered", "polling", "refused", "pipelines_running", "polls", "webhooks_received")
    found: dict[str, Any] = {name: sum(fleet[name] for fleet in fleets) for name in sums}
    for name in ("errors", "pipelines"):
        found[name] = dict(sum((Counter(fleet[name]) for fleet in fleets), Counter()))
    found["refusals"] = [refusal for fleet in fleets for refusal in fleet["refusals"]]
    found["cpu_s"] = sum(fleet["cpu_s"] for fleet in fleets)
    found["memory_bytes"] = sum(fleet["memory_bytes"] for fleet in fleets)
    found["lateness_p99_s"] = max((fleet["lateness_p99_s"] for fleet in fleets), default=0.0)
    shards = [{name: fleet[name] for name in ("shard", "worker", "address", "engines")} for fleet in fleets]
    running = bool(fleets) and len(fleets) == len(_shard_folders(folder))
    started = {fleet["shard"] for fleet in fleets}
    not_started = [e for a in answers for shard, e in a["errors"].items() if shard not in started]
    not_started += [f"worker {w}: {a}" for w, a in told.items() if isinstance(a, BaseException)]
    targets = [{"targets": [shard["address"]], "labels": {"shard": shard["shard"]}} for shard in shards]
    replace_file(engines_dir(folder) / TARGETS, json.dumps(targets, indent=1) + "\n", PRIVATE)
    return {"running": running, **found, "shards": shards, "not_started": not_started}


def _share_out(folder: Path, identities: Sequence[EngineIdentity], n_workers: int) -> list[Path]:
    """Write the identities of each shard into its folder; there are as many shards as at the first start."""
    n_engines = len(identities)
    count = len(_shard_folders(folder)) or max(n_workers, -(-n_engines // ENGINES_PER_SHARD))
    numbers = {id: n % count for n, id in enumerate(dict.fromkeys(i.organization for i in identities))}
    folders = [folder / FOLDER / SHARDS / f"{number}-of-{count}" for number in range(count)]
    for number, shard in enumerate(folders):
        save_identities(shard, [i for i in identities if numbers[i.organization] == number])
    return folders


def _shard_folders(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER / SHARDS).glob("*-of-*"))


def _check_shared(client: Any, folder: Path) -> None:
    wanted = _digest(folder)
    for worker, found in client.run(_digest, folder).items():
        if found != wanted:
            raise InputError(
                f"worker {worker} does not see {folder / FOLDER / FILE} as it is here; its fleets go on with "
                "engines of others, so put the run into a folder that all workers share under this name"
            )


def _digest(folder: Path) -> str | None:
    path = folder / FOLDER / FILE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _name(folder: Path) -> str:
    return f"psr engines of {folder}"


def _has_keeper(name: str) -> bool:
    return name in _keepers


async def _tell(name: str) -> dict[str, Any]:
    keeper = _keepers.get(name)
    return {"fleets": [], "errors": {}} if keeper is None else await asyncio.to_thread(keeper.tell)
