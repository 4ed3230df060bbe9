"""Organizations shared out among the workers of a Dask cluster: connect, shards, run.

Dask is imported only when a scheduler is given. A shard carries its organizations and the address of the
hub; passwords are each worker's own. A shard whose worker was lost is begun again by the client, which knows
then that something may be there, or may still be on its way.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace
from tqdm.auto import tqdm

from psrlib.client import ControlHub
from psrlib.errors import InputError, ProcessError
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.guards import is_loopback
from psrlib.words import KINDS
from psrlib.worker import (
    LOST,
    Target,
    check_sources,
    dask_module,
    end_session,
    n_under_way,
    pack,
    sources,
    unpack,
    work_shard,
)

log = logging.getLogger(__name__)
CONNECT_S = 10.0
SHARD_WEIGHT = 2000  # entities, about 40 organizations: what is looked at again when a worker is lost
UNKNOWN_WEIGHT = 200  # of an organization of which only the id is known
SHARDS_PER_THREAD = 8  # so that none waits long for the last one
SETTLE_S = 3.0  # until a hub has answered the last requests of a worker that was lost
MOST_ATTEMPTS = 5  # of one shard, each ended by the loss of its worker
ALONE_S = 40.0  # until another client counts as dead, and its workers have stopped
LEASE_S = 15.0
NO_WORKER_S = 60.0
LOOK_S = 2.0  # between two looks whether there are workers


class Cluster:
    """The workers of a Dask scheduler, for one session of a Control Hub.

    Parameters
    ----------
    address : str
        Of the scheduler: ``tls://HOST:PORT``, or ``HOST:PORT`` on this machine.
    hub : ControlHub
        The session of this process. Requests of the workers are counted in it.
    embedded : bool
        Whether the hub is the kit's own, whose initial password everybody knows.
    options
        Of `ControlHub`, for the workers' sessions.

    Raises
    ------
    InputError
        If dask.distributed is not installed, the address is open to others, or a worker is of another psrlib.
    ProcessError
        If the scheduler does not answer, or has no workers.
    """

    def __init__(self, address: str, hub: ControlHub, *, embedded: bool = False, **options: Any) -> None:
        self.client = connect(address)
        self.hub = hub
        release = hub.dialect.release
        self.target = Target(hub.url, hub.user, release, embedded, sources(), tuple(sorted(options.items())))
        self.sent_bytes = self.received_bytes = 0  # of organizations and results

    def close(self) -> None:
        """End the workers' sessions and leave the scheduler."""
        with suppress(Exception):
            self.client.run(end_session, self.target)
        self.client.close()

    @property
    def n_machines(self) -> int:
        """Workers there are now."""
        return len(self.client.nthreads())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only client of this scheduler that writes to the hub.

        One that was killed counts as alive until its lease is over; its workers stop before another begins.

        Raises
        ------
        ProcessError
            If another one is at work.
        """
        distributed = dask_module()
        with distributed.dask.config.set({"distributed.scheduler.locks.lease-timeout": f"{LEASE_S:.0f}s"}):
            lease = distributed.Semaphore(
                1, f"psr {self.target.url}", scheduler_rpc=self.client.scheduler, loop=self.client.loop
            )
        if not lease.acquire(timeout=1):
            log.warning("another psr writes to %s, or was killed: up to %.0f s", self.target.url, ALONE_S)
            if not lease.acquire(timeout=ALONE_S):
                raise ProcessError(f"{self.target.url}: another psr populate or teardown uses this scheduler")
        try:
            self._wait_idle()
            yield
        finally:
            lease.release()

    def each(
        self,
        work: Callable[..., Any],
        document: SeedDocument | None,
        items: Sequence[tuple[Any, ...]],
        common: tuple[Any, ...],
        *,
        renew: Callable[[list[Any]], list[Any]] = list,
        newcomers: bool = True,
        progress: bool = True,
    ) -> Iterator[tuple[int, int, Any]]:
        """Do ``work(hub, document, *item, *common)`` for each item, organizations that belong together.

        The first part of an item is its organization, or the id of one of which no more is known. ``renew``
        returns items as they are to be begun again after their worker was lost. ``newcomers`` tells whether
        workers that come later get work too.

        Yields
        ------
        tuple of int, int, object
            Number of the item, attempts that its shard took, result; in the order in which they are done.

        Raises
        ------
        PsrError
            The first error of a worker; no further shard begins then, and those that have begun end.
        ProcessError
            If scheduler or workers are lost and do not come back.
        """
        distributed = dask_module()
        call = uuid.uuid4().hex
        shared = pack((work, document and replace(document, organizations=[]), common))
        n_threads = self.client.nthreads()
        workers = None if newcomers else list(n_threads)
        attempts: dict[Any, tuple[int, list[int]]] = {}

        def submit(part: list[int], attempt: int) -> Any:
            own = [items[i] for i in part]
            data = pack(own if attempt == 1 else renew(own))
            self.sent_bytes += len(data) + len(shared)
            key = f"psr-{work.__name__}-{call}-{part[0]}-{attempt}"
            priority = sum(_weight(items[i][0]) for i in part)  # the heaviest first
            arguments = (self.target, call, shared, data)
            future = self.client.submit(
                work_shard, *arguments, key=key, pure=False, priority=priority, workers=workers
            )
            attempts[future] = (attempt, part)
            return future

        parts = shards(
            [_weight(item[0]) for item in items], max(1, sum(n_threads.values())) * SHARDS_PER_THREAD
        )
        done = distributed.as_completed(loop=self.client.loop)
        step = work.__name__.strip("_").replace("_", " ")
        bar = tqdm(total=len(items), desc=step, unit="organization", disable=None if progress else True)
        try:
            for part in parts:
                done.add(submit(part, 1))
            while attempts:
                future = self._next(done, workers)
                attempt, part = attempts.pop(future)
                answer = self._result(future)
                if answer == LOST:
                    if attempt == MOST_ATTEMPTS:
                        raise ProcessError(
                            f"{items[part[0]][0].id} and {len(part) - 1} more organizations: {attempt} "
                            "workers were lost with them; their logs tell why, memory is the usual reason"
                        )
                    time.sleep(SETTLE_S)
                    done.add(submit(part, attempt + 1))
                    continue
                self.received_bytes += len(answer)
                results, calls = unpack(answer)
                self.hub.calls.add_all(calls)
                bar.update(len(part))
                yield from ((i, attempt, result) for i, result in zip(part, results, strict=True))
        except BaseException:
            self.client.cancel(list(attempts), force=True)
            with suppress(ProcessError):
                self._wait_idle()
            raise
        finally:
            bar.close()

    def _next(self, done: Any, workers: list[str] | None) -> Any:
        """Return the next future that is done, as long as there are workers for them."""
        seen_at = looked_at = time.monotonic()
        while not done.has_ready():
            time.sleep(0.02)
            if time.monotonic() - looked_at > LOOK_S:
                looked_at = time.monotonic()
                there = self.client.nthreads().keys()
                seen_at = looked_at if (there if workers is None else there & set(workers)) else seen_at
                if looked_at - seen_at > NO_WORKER_S:
                    raise ProcessError(f"no worker for {NO_WORKER_S:.0f} s; start some and run this again")
        return next(done)

    def _result(self, future: Any) -> bytes:
        distributed = dask_module()
        try:
            answer: bytes = future.result()
        except (distributed.comm.CommClosedError, distributed.client.FutureCancelledError) as error:
            raise ProcessError(f"the scheduler was lost ({error}); run this again, it goes on") from error
        except (distributed.KilledWorker, CancelledError):  # lost several times, or closing
            return LOST
        return answer

    def _wait_idle(self) -> None:
        """Wait until no worker works on this hub: those of a client that was killed have to notice."""
        give_up_at = time.monotonic() + ALONE_S
        while busy := [
            worker
            for worker, n in self.client.run(n_under_way, self.target.url, on_error="return").items()
            if n != 0
        ]:
            if time.monotonic() > give_up_at:
                raise ProcessError(f"{self.target.url}: workers {', '.join(busy)} are at work on it")
            time.sleep(0.1)


def connect(address: str) -> Any:
    """Return a client of a scheduler, whose workers are all of this psrlib.

    Errors are those of `Cluster`.
    """
    distributed = dask_module()
    url = address if "://" in address else f"tcp://{address}"
    _check_private(url, "scheduler")
    try:
        client = distributed.Client(url, timeout=CONNECT_S, set_as_default=False, name="psr")
    except (OSError, TypeError, ValueError) as error:  # TypeError: TLS without certificates
        raise ProcessError(f"no Dask scheduler at {url}: {error}") from error
    try:
        info = client.scheduler_info()
        _check_private(info["address"], "scheduler")
        if not info["workers"]:
            raise ProcessError(f"the scheduler at {url} has no workers; start some: dask worker {url}")
        for worker in client.nthreads():  # all of them; some releases of Dask name five in their info
            _check_private(worker, "worker")
        for worker, found in client.run(sources, on_error="return").items():
            name = info["workers"].get(worker, {}).get("name", worker)
            check_sources(found, sources(), f"worker {name} ({worker})")
    except BaseException:
        client.close()
        raise
    return client


def shards(weights: Sequence[int], n: int) -> list[list[int]]:
    """Return which items go together, the heaviest part first; one that is heavy is alone.

    Parameters
    ----------
    weights : sequence of int
        Of each item, entities of an organization.
    n : int
        Parts wanted at least, as far as there are items; a part is of `SHARD_WEIGHT` at most, or one item.

    Examples
    --------
    >>> shards([1, 1, 9, 1, 1], 3)
    [[2], [0, 1, 3, 4]]
    """
    most = min(SHARD_WEIGHT, -(-sum(weights) // n))
    parts: list[list[int]] = []
    weight = most
    for index, own in enumerate(weights):
        if own >= most:
            parts.insert(0, [index])
            continue
        if weight + own > most:
            parts.append([])
            weight = 0
        parts[-1].append(index)
        weight += own
    return sorted(parts, key=lambda part: -sum(weights[i] for i in part))


def _check_private(address: str, what: str) -> None:
    """Refuse an address at which strangers could send tasks: any task is any program."""
    if urlsplit(address).scheme != "tls" and not is_loopback(address):
        raise InputError(
            f"{what} {address}: expected tls://, or an address of this machine alone (127.0.0.1): whoever "
            "reaches an open port of Dask runs programs there; see docs/scale.md"
        )


def _weight(organization: Organization | str) -> int:
    if isinstance(organization, str):
        return UNKNOWN_WEIGHT
    return 1 + sum(len(getattr(organization, kind)) for kind in KINDS)
