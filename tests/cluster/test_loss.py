"""Whatever is lost meanwhile, everything is made once, and the report says so."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.canon import canon, compare
from support.dask_cluster import DaskCluster
from support.served_hub import serve_hub

from psrlib import cluster
from psrlib.client import ControlHub
from psrlib.cluster import Cluster
from psrlib.errors import HubError
from psrlib.seed import SeedDocument, save_seed
from psrlib.state import PopulateReport, populate, teardown
from psrlib.worker import n_under_way

Connect = Callable[..., ControlHub]
PASSWORD = "admin@admin"
PSR = "from psrlib.cli import main; main()"


class Trap:
    """An ASGI application around a hub that does something when its n-th writing request arrives.

    The request itself reaches the hub, whoever has sent it is gone then.
    """

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.n_left = -1
        self.spring: Callable[[], object] = lambda: None

    def set(self, n: int, spring: Callable[[], object]) -> None:
        self.n_left, self.spring = n, spring

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] in ("PUT", "POST", "DELETE"):
            self.n_left -= 1
            if self.n_left == 0:
                self.spring()
        await self.hub(scope, receive, send)


@contextmanager
def trapped(database: Path) -> Iterator[tuple[str, Trap]]:
    traps: list[Trap] = []
    with serve_hub(database, lambda hub: traps.append(Trap(hub)) or traps[-1]) as url:
        yield url, traps[0]


@pytest.fixture(scope="module")
def reference(
    rich: SeedDocument, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, PopulateReport, int]:
    """Return rows and report of one process, and the writing requests it took."""
    database = tmp_path_factory.mktemp("reference") / "hub.db"
    with trapped(database) as (url, trap), ControlHub(url, "admin@admin", PASSWORD) as hub:
        report = populate(rich, hub, progress=False)
        return canon(database), report, -1 - trap.n_left


def check_kill(
    share: float,
    victim: str,
    rich: SeedDocument,
    dask: DaskCluster,
    database: Path,
    reference: tuple[Any, PopulateReport, int],
) -> None:
    """Kill a worker after a share of the writing requests: nothing twice, nothing lacks, all is counted."""
    rows, alone, n_requests = reference
    with trapped(database) as (url, trap), ControlHub(url, "admin@admin", PASSWORD) as hub:
        hub.crew = Cluster(dask.address, hub)
        killed = threading.Event()

        def kill() -> None:
            dask.kill(victim)
            killed.set()

        trap.set(max(1, round(share * n_requests)), kill)
        try:
            report = populate(rich, hub, progress=False)
        finally:
            if killed.is_set():
                dask.add_worker(victim, environment={"PSR_SCH_PASSWORD": PASSWORD})
        assert killed.is_set()
        comparison = compare(canon(database), rows)
        assert comparison.is_equal, comparison
        assert (report.created, report.changed) == (alone.created, alone.changed)
        assert not report.difference


@pytest.mark.parametrize(("share", "victim"), [(0.1, "left"), (0.6, "right")])
def test_a_worker_is_killed(
    share: float,
    victim: str,
    rich: SeedDocument,
    dask: DaskCluster,
    database: Path,
    reference: tuple[Any, PopulateReport, int],
) -> None:
    """The other one goes on with its organizations."""
    check_kill(share, victim, rich, dask, database, reference)


@pytest.mark.long
@pytest.mark.parametrize("number", range(20))
def test_a_worker_is_killed_at_any_point(
    number: int,
    rich: SeedDocument,
    dask: DaskCluster,
    database: Path,
    reference: tuple[Any, PopulateReport, int],
) -> None:
    """Twenty random points of a populate, and either worker."""
    draw = random.Random(number)
    check_kill(draw.random(), draw.choice(["left", "right"]), rich, dask, database, reference)


@pytest.mark.parametrize(
    "share", [0.4, pytest.param(0.1, marks=pytest.mark.long), pytest.param(0.8, marks=pytest.mark.long)]
)
def test_the_client_is_killed(
    share: float,
    rich: SeedDocument,
    dask: DaskCluster,
    database: Path,
    tmp_path: Path,
    reference: tuple[Any, PopulateReport, int],
) -> None:
    """Its workers stop by themselves; the next client waits for that, and goes on."""
    rows, _, n_requests = reference
    save_seed(rich, tmp_path / "seed.json")
    with trapped(database) as (url, trap):
        arguments = [str(tmp_path / "seed.json"), "--sch-url", url, "--scheduler", dask.address]
        client = subprocess.Popen(
            [sys.executable, "-c", PSR, "populate", *arguments, "--no-engines"],
            env={**os.environ, "PSR_SCH_PASSWORD": PASSWORD},
        )
        trap.set(round(share * n_requests), lambda: os.kill(client.pid, signal.SIGKILL))
        assert client.wait(300) == -signal.SIGKILL
        with ControlHub(url, "admin@admin", PASSWORD) as hub:
            hub.crew = Cluster(dask.address, hub)
            report = populate(rich, hub, progress=False)
            assert report.created
            assert compare(canon(database), rows).is_equal


def test_an_interruption_ends_what_has_not_begun(
    sample: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker is at work any more when the error comes through; populating again completes it."""
    monkeypatch.setattr(cluster, "SHARD_WEIGHT", 1)
    with connect() as hub:
        crew = hub.crew
        assert isinstance(crew, Cluster)
        result = Cluster._result
        n_results = 0

        def interrupted(self: Cluster, future: Any) -> bytes:
            nonlocal n_results
            n_results += 1
            if n_results == 3:
                raise KeyboardInterrupt
            return result(self, future)

        with monkeypatch.context() as patch:
            patch.setattr(Cluster, "_result", interrupted)
            with pytest.raises(KeyboardInterrupt):
                populate(sample, hub, progress=False)
        assert not any(crew.client.run(n_under_way, hub.url).values())
        n_before = len(hub.security.organizations()) - 1
        assert n_before < len(sample.organizations)
        time.sleep(0.5)
        assert len(hub.security.organizations()) - 1 == n_before
        report = populate(sample, hub, progress=False)
        assert report.created["organizations"] == len(sample.organizations) - n_before


def test_an_error_of_ours_is_not_repeated(sample: SeedDocument, dask: DaskCluster, tmp_path: Path) -> None:
    """A refusal of the hub reaches the client as what it is, after one attempt."""
    refused = 0

    class Refusing:
        def __init__(self, hub: Any) -> None:
            self.hub = hub

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            nonlocal refused
            path = scope.get("path", "")
            if (
                scope.get("method") == "PUT"
                and path == f"/security/rest/v1/organization/{sample.organizations[0].id}/users"
            ):
                refused += 1
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b"no"})
                return
            await self.hub(scope, receive, send)

    with serve_hub(tmp_path / "hub.db", Refusing) as url, ControlHub(url, "admin@admin", PASSWORD) as hub:
        hub.crew = Cluster(dask.address, hub)
        with pytest.raises(HubError, match="refused with status 403") as raised:
            populate(sample, hub, progress=False)
        assert raised.value.status == 403
        assert refused >= 1


def test_teardown_counts_what_a_lost_worker_removed(
    rich: SeedDocument, dask: DaskCluster, database: Path, reference: tuple[Any, PopulateReport, int]
) -> None:
    """What a worker removed before it was killed counts as removed."""
    _, alone, _ = reference
    with trapped(database) as (url, trap), ControlHub(url, "admin@admin", PASSWORD) as hub:
        populate(rich, hub, progress=False)
        hub.crew = Cluster(dask.address, hub)
        trap.set(20, lambda: dask.kill("left"))
        try:
            report = teardown(rich, hub)
        finally:
            dask.add_worker("left", environment={"PSR_SCH_PASSWORD": PASSWORD})
        removed = dict(alone.created)
        n_organizations = removed.pop("organizations")
        removed["users"] -= n_organizations  # the first administrators stay
        assert report.removed == removed
        assert len(report.deactivated) == n_organizations
