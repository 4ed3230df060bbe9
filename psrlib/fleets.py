"""The mock engines on the workers of a Dask cluster: a fleet for each shard, each with an owner that lives.

Every worker has a keeper (a plugin, so that workers which come later have one too). It starts the fleets of
shards that nobody runs: whoever holds the lock of a shard's folder does, or the lease of its engines in a
database. A fleet ends with its worker, however that ends, for it listens to a pipe; then another keeper goes
on with the same engines. Without a database the folder of the run must be the same one on all workers, with
file locks. Dask is imported here, so this module is imported only where a scheduler is given.
"""

import asyncio
import hashlib
import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
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
from psrlib.engines.database import EngineDatabase, check_store
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
ALL = "all shards"  # in place of one, where an error is none of one's own
_keepers: dict[str, "FleetKeeper"] = {}  # of this worker


class FolderShards:
    """Shards of a run folder that all workers see: each is a folder in it, whose lock tells who runs it."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = list(names)

    def place(self, name: str, scratch: Path) -> Path:
        """Return the run folder of a shard; ``scratch`` is a folder of this worker."""
        return self.folder / FOLDER / SHARDS / name

    def prepare(self, name: str, place: Path) -> None:
        """Make a shard ready to start."""

    def busy(self) -> set[str]:
        """Return the shards that have a fleet, on any worker."""
        return {name for name in self.names if find_holder(self.place(name, self.folder) / FOLDER / LOCK)}

    def close(self) -> None:
        """Close nothing."""


class StoreShards:
    """Shards of a database: who has the lease of a shard's engines runs it, in a folder of its own."""

    def __init__(self, store: str, hub: str, organizations: Mapping[str, Sequence[str]]) -> None:
        self.store, self.hub = store, hub
        self.organizations = organizations
        self.names = list(organizations)
        self._first = {own[0]: name for name, own in organizations.items()}  # all of a shard or none
        self._open: EngineDatabase | None = None  # on a worker

    @property
    def database(self) -> EngineDatabase:
        """The database, open."""
        if self._open is None:
            self._open = EngineDatabase(self.store, self.hub)
        return self._open

    def place(self, name: str, scratch: Path) -> Path:
        """Return the folder for a shard on this worker."""
        return scratch / name

    def prepare(self, name: str, place: Path) -> None:
        """Fetch the identities of a shard."""
        save_identities(place, self.database.load(self.organizations[name]))

    def busy(self) -> set[str]:
        """Return the shards that have a fleet, on any worker."""
        return {self._first[organization] for organization in self.database.owners(list(self._first))}

    def close(self) -> None:
        """Close the database."""
        if self._open is not None:
            self._open.close()


class FleetKeeper(WorkerPlugin):
    """Keeps the fleets of some shards running on one worker."""

    def __init__(
        self, name: str, shards: FolderShards | StoreShards, workers: Sequence[str], arguments: dict[str, Any]
    ) -> None:
        self.name = name
        self.shards = shards
        self.workers = list(
            workers
        )  # addresses; each begins with another shard, one that comes later with any
        self.arguments = arguments

    def setup(self, worker: Any) -> None:
        """Begin to look for shards."""
        self.worker = str(worker.name)
        self.host = urlsplit(worker.address).hostname or ""
        self.ours: dict[str, Path] = {}  # replaced, never changed: other threads read it
        self.errors: dict[str, str] = {}
        self._stopped = threading.Event()
        self._ends_with_us, self._held = os.pipe()  # a fleet reads from it: nothing, until we are gone
        self._scratch = Path(
            worker.local_directory, "psr-" + hashlib.sha256(self.name.encode()).hexdigest()[:8]
        )
        names = self.shards.names
        if worker.address in self.workers:
            number = self.workers.index(worker.address)
        else:
            number = int(hashlib.sha256(worker.address.encode()).hexdigest(), 16)
        first = number % max(1, len(names))
        self._order = names[first:] + names[:first]
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        _keepers[self.name] = self
        self._thread.start()

    async def teardown(self, worker: Any) -> None:
        """Stop the fleets."""
        _keepers.pop(self.name, None)
        self.halt()
        await asyncio.to_thread(self._end)

    def halt(self) -> None:
        """Start no fleet any more."""
        self._stopped.set()

    def tell(self) -> dict[str, Any]:
        """Return what this worker's fleets do, and why it could not start others."""
        found = []
        for name, folder in sorted(self.ours.items()):
            if _is_here(folder) and (status := fleet_status(folder))["running"]:
                url = urlsplit(status.pop("status_url"))
                beyond = self.arguments["listen"] != LOOPBACK
                address = f"{self.host if beyond else url.hostname}:{url.port}"
                found.append({**status, "shard": name, "worker": self.worker, "address": address})
        return {"fleets": found, "errors": dict(self.errors), "n_shards": len(self.shards.names)}

    def _keep(self) -> None:
        took_s = 0.0  # on a busy machine the others take as long to start theirs, which are left to them
        while not self._stopped.wait((LOOK_S + took_s) * (1 + len(self.ours))):
            begun = time.monotonic()
            try:
                self.ours = {name: place for name, place in self.ours.items() if _is_here(place)}
                busy = self.shards.busy() | self.ours.keys()
                self.errors.pop(ALL, None)
            except (PsrError, OSError) as error:  # of the database, of a network's folder: they come back
                self.errors[ALL] = f"worker {self.worker}: {error}"
                continue
            if name := next((name for name in self._order if name not in busy), None):
                self._start(name)
            took_s = time.monotonic() - begun

    def _start(self, name: str) -> None:
        place = self.shards.place(name, self._scratch)
        try:
            self.shards.prepare(name, place)
            start_fleet(place, wait_s=0, shares_port=True, owner=self._ends_with_us, **self.arguments)
        except (PsrError, OSError) as error:
            self.errors[name] = f"worker {self.worker}: {error}"
            self._order.remove(name)  # another one's turn, before this is tried again
            self._order.append(name)
            return
        self.errors.pop(name, None)
        if _is_here(place):
            self.ours = {**self.ours, name: place}

    def _end(self) -> None:
        self._thread.join()
        os.close(self._held)  # all end at once
        try:
            for folder in filter(_is_here, self.ours.values()):
                stop_fleet(folder)
        finally:
            os.close(self._ends_with_us)
            self.shards.close()
            shutil.rmtree(self._scratch, ignore_errors=True)


def start_fleets(
    client: Any,
    run_dir: Path,
    sch_url: str,
    webhook_url: str | None,
    *,
    listen: str = LOOPBACK,
    store: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Start the engines of a run on the workers of a cluster, and wait until all have settled.

    Parameters
    ----------
    client
        Of `psrlib.cluster.connect`.
    run_dir : Path
        With the identities of all engines; without a store every worker must see the same folder under this
        name.
    sch_url, webhook_url, listen, store, options
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
        If a worker does not reach the store, a fleet of the whole run is running, or not all engines have
        settled in time.
    """
    folder = run_dir.resolve()
    check_free(folder / FOLDER / LOCK, f"the engines of {folder} run already, in one fleet")
    identities = load_identities(folder)
    shards: FolderShards | StoreShards
    count = max(len(client.nthreads()), -(-len(identities) // ENGINES_PER_SHARD))
    if store is None:
        _check_shared(client, folder)
        # What engines were running is in the folder of their shard: there are as many as at the first start.
        count = len(list((folder / FOLDER / SHARDS).glob("*-of-*"))) or count
        parts = _share_out(identities, count)
        shards = FolderShards(folder, list(parts))
        for name, own in parts.items():
            save_identities(shards.place(name, folder), own)
    else:
        check_store(store)
        _check_reached(client, store, sch_url)
        parts = _share_out(identities, count)
        organizations = {
            name: list(dict.fromkeys(i.organization for i in own)) for name, own in parts.items()
        }
        shards = StoreShards(store, sch_url, {name: own for name, own in organizations.items() if own})
    arguments = {"sch_url": sch_url, "webhook_url": webhook_url, "listen": listen, "store": store, **options}
    client.run(_halt, _name(folder), on_error="ignore")  # keepers of an earlier start are replaced
    keeper = FleetKeeper(_name(folder), shards, list(client.nthreads()), arguments)
    client.register_plugin(keeper, name=_name(folder))
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
    # All stop looking before the first stops a fleet: its shard would be free, and taken over.
    if not any(had is True for had in client.run(_halt, name, on_error="return").values()):
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
    running = bool(fleets) and len(fleets) == max(answer["n_shards"] for answer in answers)
    started = {fleet["shard"] for fleet in fleets}
    not_started = [e for a in answers for shard, e in a["errors"].items() if shard not in started]
    not_started += [f"worker {w}: {a}" for w, a in told.items() if isinstance(a, BaseException)]
    targets = [{"targets": [shard["address"]], "labels": {"shard": shard["shard"]}} for shard in shards]
    replace_file(engines_dir(folder) / TARGETS, json.dumps(targets, indent=1) + "\n", PRIVATE)
    return {"running": running, **found, "shards": shards, "not_started": not_started}


def _is_here(place: Path) -> bool:
    """Whether the fleet of a folder runs and was started by this worker."""
    holder = find_holder(place / FOLDER / LOCK)
    return holder is not None and holder.is_near and is_child(holder.pid)


def _share_out(identities: Sequence[EngineIdentity], count: int) -> dict[str, list[EngineIdentity]]:
    """Return the identities of each shard, those of every ``count``-th organization."""
    numbers = {id: n % count for n, id in enumerate(dict.fromkeys(i.organization for i in identities))}
    return {
        f"{number}-of-{count}": [i for i in identities if numbers[i.organization] == number]
        for number in range(count)
    }


def _check_reached(client: Any, store: str, sch_url: str) -> None:
    for worker, error in client.run(_reach, store, sch_url).items():
        if error:
            raise ProcessError(f"worker {worker}: {error}")


def _reach(store: str, sch_url: str) -> str:
    """Return why this worker does not reach a store; empty where it does."""
    try:
        EngineDatabase(store, sch_url).close()
    except PsrError as error:
        return str(error)
    return ""


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


def _halt(name: str) -> bool:
    """Whether there is a keeper; it starts no fleet any more."""
    keeper = _keepers.get(name)
    if keeper is not None:
        keeper.halt()
    return keeper is not None


async def _tell(name: str) -> dict[str, Any]:
    keeper = _keepers.get(name)
    if keeper is None:
        return {"fleets": [], "errors": {}, "n_shards": 0}
    return await asyncio.to_thread(keeper.tell)
