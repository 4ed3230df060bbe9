"""What a worker of a Dask cluster does with a shard: its session, its secrets, and how it stops.

A shard carries its organizations and the address of the hub; passwords are each worker's own.
"""

import hashlib
import os
import pickle
import threading
import uuid
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from psrlib.client import ControlHub, load_credentials
from psrlib.errors import InputError
from psrlib.hub import EMBEDDED_PASSWORD
from psrlib.state.schedule import run_steps

PASSWORD_VARIABLE = "PSR_SCH_PASSWORD"
ORGANIZATION_PASSWORD_VARIABLE = "PSR_ORGANIZATION_PASSWORD"
CREDENTIALS_VARIABLE = "PSR_CREDENTIALS"  # path of the file on the worker
LOST = b""  # in place of a shard's results


@dataclass(frozen=True)
class Target:
    """The hub that is meant, for a worker: without passwords, which it has of its own."""

    url: str
    user: str
    release: int
    embedded: bool
    sources: str
    options: tuple[tuple[str, Any], ...]
    run: str = field(default_factory=lambda: uuid.uuid4().hex)


@cache
def sources() -> str:
    """Return the version of psrlib and a digest of its source files, equal where they are the same."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{version('psr-db-populator')} ({digest.hexdigest()[:12]})"


def dask_module() -> Any:
    """Return the module of dask.distributed, of which psrlib knows nothing without a scheduler."""
    try:
        import distributed
    except ImportError:
        raise InputError(
            "a scheduler needs dask.distributed; install it with pip install psr-db-populator[cluster]"
        ) from None
    return distributed


def check_sources(found: Any, wanted: str, who: str) -> None:
    """Refuse another psrlib than the client's (InputError)."""
    if found != wanted:
        raise InputError(f"{who} has psrlib {found}, this client {wanted}; install the same on both")


def pack(value: Any) -> bytes:
    """Return an object as bytes that are as few as may be."""
    return zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 1)


def unpack(data: bytes) -> Any:
    """Return the object that `pack` was given."""
    return pickle.loads(zlib.decompress(data))


@lru_cache(8)
def _unpack_shared(call: str, data: bytes) -> Any:
    """Return what all shards of a call have in common, one object on each worker: they learn together."""
    return unpack(data)


_sessions: dict[Target, ControlHub] = {}
_reported: dict[Target, dict[str, int]] = {}  # requests that a client has been told of
_busy: Counter[str] = Counter()  # shards under way, by address of the hub
_lock = threading.Lock()


def work_shard(target: Target, call: str, shared: bytes, data: bytes) -> bytes:
    """Do the work of a shard; `LOST` when another worker has begun with it before."""
    worker = dask_module().get_worker()
    key = worker.get_current_task()
    check_sources(sources(), target.sources, f"worker {worker.name}")
    if not _is_first(worker, key):
        return LOST
    stopped, ended = threading.Event(), threading.Event()
    with _lock:
        _busy[target.url] += 1
    threading.Thread(target=_watch, args=(worker, key, stopped, ended), daemon=True).start()
    try:
        hub = _session(target, worker.name)
        work, document, common = _unpack_shared(call, shared)
        steps = (work(hub, document, *item, *common) for item in unpack(data))
        results = run_steps(steps, hub.limit, stopped)
        with _lock:
            calls, _reported[target] = hub.calls.since(_reported[target]), hub.calls.by_kind()
        return pack((results, calls))
    finally:
        ended.set()
        with _lock:
            _busy[target.url] -= 1


def _is_first(worker: Any, key: str) -> bool:
    """Whether no worker has begun with a task before, noted where all can see it."""
    sync = dask_module().utils.sync
    names = ["psr", key]
    known = sync(worker.loop, worker.scheduler.get_metadata, keys=names, default=None)
    sync(worker.loop, worker.scheduler.set_metadata, keys=names, value=worker.address)
    return known is None


def _watch(worker: Any, key: str, stopped: threading.Event, ended: threading.Event) -> None:
    """Stop a shard that nobody waits for any more: its client has gone, or the scheduler."""
    while not ended.wait(0.1):
        task = worker.state.tasks.get(key)
        if task is None or task.state != "executing" or worker.status.name in ("closing", "closed", "failed"):
            stopped.set()
            return


def _session(target: Target, name: str) -> ControlHub:
    """Return this worker's session, shared by the shards of a run."""
    with _lock:
        if target not in _sessions:
            _sessions[target] = ControlHub(target.url, **_secrets(target, name), **dict(target.options))
            _reported[target] = {}
        return _sessions[target]


def _secrets(target: Target, name: str) -> dict[str, Any]:
    """Return what logs in to the hub, out of this worker's own environment."""
    lacking = f"worker {name} has no {{}} for {target.url}; set {{}} in its environment"
    if target.release == 4:
        path = os.environ.get(CREDENTIALS_VARIABLE)
        if not path:
            raise InputError(
                lacking.format("API credentials", f"{CREDENTIALS_VARIABLE}, the path of the file,")
            )
        return {"credentials": load_credentials(Path(path))}
    password = os.environ.get(PASSWORD_VARIABLE) or (EMBEDDED_PASSWORD if target.embedded else None)
    if not password:
        raise InputError(lacking.format(f"password of {target.user}", PASSWORD_VARIABLE))
    organization_password = os.environ.get(ORGANIZATION_PASSWORD_VARIABLE)
    return {"user": target.user, "password": password, "organization_password": organization_password}


def end_session(target: Target) -> None:
    """Close this worker's session of a run."""
    with _lock:
        _reported.pop(target, None)
        if hub := _sessions.pop(target, None):
            hub.close()


def n_under_way(url: str) -> int:
    """Return how many shards this worker has under way, by address of the hub."""
    return _busy[url]
