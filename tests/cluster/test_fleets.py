"""Fleets on workers: every engine has one owner that lives, whatever is killed."""

import asyncio
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from support.dask_cluster import DaskCluster, connected
from support.ports import free_port
from support.waiting import wait_for

from psrlib import process
from psrlib.cli import psr
from psrlib.client import ControlHub
from psrlib.cluster import connect
from psrlib.engines import fleet_status, load_identities, start_fleet, stop_fleet
from psrlib.engines.fleet_process import LOCK
from psrlib.errors import InputError, ProcessError
from psrlib.fleets import FleetKeeper, FolderShards, fleets_status, start_fleets, stop_fleets
from psrlib.lock import find_holder
from psrlib.seed import SeedDocument, save_seed
from psrlib.state import diff, observe, populate, setup_engines, start_jobs, wait_until_active

PASSWORD = "admin@admin"


@pytest.fixture
def run(rich: SeedDocument, hub_url: str, tmp_path: Path) -> Iterator[tuple[Path, ControlHub]]:
    """Return the folder of a populated run, with identities, and a session of its hub."""
    folder = tmp_path / "run"
    with ControlHub(hub_url, "admin@admin", PASSWORD) as hub:
        populate(rich, hub, progress=False)
        setup_engines(rich, hub, folder)
        yield folder, hub


@pytest.fixture
def client(dask: DaskCluster, run: tuple[Path, ControlHub]) -> Iterator[Any]:
    with connected(dask.address, run[0]) as found:
        yield found


def owners(folder: Path) -> list[int]:
    """Return the processes that hold the locks of shards."""
    locks = sorted((folder / "engines" / "shards").glob(f"*/engines/{LOCK}"))
    holders = [find_holder(lock) for lock in locks]
    return [holder.pid for holder in holders if holder is not None]


def test_a_shard_that_moves_is_the_same_engines_again(
    rich: SeedDocument, run: tuple[Path, ControlHub], client: Any, dask: DaskCluster, hub_url: str
) -> None:
    """A worker is killed and its fleet with it, the other one goes on: all jobs ACTIVE, no engine double."""
    folder, hub = run
    n_engines = len(load_identities(folder))
    port = free_port()
    found = start_fleets(client, folder, hub_url, f"http://127.0.0.1:{port}/hook")
    assert found["running"]
    assert found["polling"] == n_engines
    assert {shard["worker"] for shard in found["shards"]} == {"left", "right"}
    start_jobs(rich, hub)
    wait_until_active(rich, hub, 180)
    for _ in range(40):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/hook", data=b"{}").read()
    assert fleets_status(client, folder)["webhooks_received"] == 40
    before = owners(folder)
    assert len(before) == 2
    dask.kill("left")
    try:
        wait_for(lambda: len(set(owners(folder)) - set(before)) == 1)
        wait_for(lambda: fleets_status(client, folder)["polling"] == n_engines)
        assert len(owners(folder)) == 2
        now = fleets_status(client, folder)
        assert {shard["worker"] for shard in now["shards"]} == {"right"}
        wait_until_active(rich, hub, 180)
        observed = observe(rich, hub)
        assert not [item for item in diff(rich, observed).items if item.kind in ("engines", "jobs")]
        assert sum(len(o.engines) for o in observed.organizations.values()) == n_engines
        assert now["webhooks_received"] == 40
    finally:
        dask.add_worker("left", environment={"PSR_SCH_PASSWORD": PASSWORD})
    assert stop_fleets(client, folder)
    assert owners(folder) == []
    assert not stop_fleets(client, folder)


def test_workers_that_end_leave_no_engine(run: tuple[Path, ControlHub], tmp_path: Path, hub_url: str) -> None:
    """Scheduler and workers end in their usual way: no fleet is left; the next worker has them again."""
    folder, _ = run
    (tmp_path / "dask").mkdir()
    with DaskCluster(tmp_path / "dask") as cluster:
        cluster.add_worker("only")
        client = connect(cluster.address)
        start_fleets(client, folder, hub_url, None)
        assert len(owners(folder)) == 1
        cluster.kill("only")
        wait_for(lambda: not owners(folder))
        cluster.add_worker("next")
        wait_for(lambda: len(owners(folder)) == 1)
        client.close()
    wait_for(lambda: not owners(folder))


def test_one_fleet_or_shards(run: tuple[Path, ControlHub], client: Any, hub_url: str) -> None:
    """The same engines do not run twice: a fleet of the whole run and shards exclude each other."""
    folder, _ = run
    start_fleet(folder, hub_url)
    with pytest.raises(ProcessError, match="run already, in one fleet"):
        start_fleets(client, folder, hub_url, None)
    stop_fleet(folder)
    start_fleets(client, folder, hub_url, None)
    before = owners(folder)
    assert start_fleets(client, folder, hub_url, None)["running"]  # again: each shard has a new fleet
    assert len(owners(folder)) == len(before)
    assert not set(owners(folder)) & set(before)
    with pytest.raises(ProcessError, match="run already, on a cluster"):
        start_fleet(folder, hub_url)


def test_a_taken_port_stops_nothing_that_runs(run: tuple[Path, ControlHub], hub_url: str) -> None:
    """The new webhook port is looked at before the fleet that runs is stopped."""
    folder, _ = run
    with start_fleet(folder, hub_url, f"http://127.0.0.1:{free_port()}/hook") as fleet:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(
                ProcessError, match=rf"webhook sink cannot listen on 127\.0\.0\.1:{port}.*go on"
            ):
                start_fleet(folder, hub_url, f"http://127.0.0.1:{port}/hook")
        holder = find_holder(folder / "engines" / LOCK)
        assert holder is not None
        assert holder.pid == fleet.pid


def test_a_shard_that_another_worker_has_taken_over_counts_there(
    run: tuple[Path, ControlHub], hub_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that had it before neither tells of it, which would count it twice, nor stops it."""
    folder, _ = run
    keeper = FleetKeeper("test", FolderShards(folder, []), [], {"listen": "127.0.0.1"})
    keeper.setup(SimpleNamespace(name="left", address="tcp://127.0.0.1:9", local_directory=str(tmp_path)))
    keeper.halt()
    keeper._thread.join()
    keeper.ours = {"0-of-1": folder}
    with start_fleet(folder, hub_url) as fleet:
        assert [found["pid"] for found in keeper.tell()["fleets"]] == [fleet.pid]
        with monkeypatch.context() as patch:
            patch.setattr(process, "_children", {})
            assert keeper.tell()["fleets"] == []
            asyncio.run(keeper.teardown(None))
        assert fleet_status(folder)["running"]


def test_a_worker_that_sees_another_folder(
    run: tuple[Path, ControlHub], client: Any, hub_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not go on with the same engines: refused before anything starts."""
    folder, _ = run
    ask = client.run

    def elsewhere(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return ask(work, *([Path("/nowhere")] if arguments == (folder,) else arguments), **options)

    monkeypatch.setattr(client, "run", elsewhere)
    with pytest.raises(InputError, match=r"does not see .*identities\.json as it is here"):
        start_fleets(client, folder, hub_url, None)
    assert owners(folder) == []


def test_commands(rich: SeedDocument, dask: DaskCluster, hub_url: str, tmp_path: Path) -> None:
    """Start, status, restart and stop of all shards; start-jobs through the workers in between."""
    seed = tmp_path / "seed.json"
    save_seed(rich, seed)
    environment = {"PSR_SCH_PASSWORD": PASSWORD}

    def do(*arguments: str, scheduler: str = dask.address) -> str:
        variables = environment | {"PSR_SCHEDULER": scheduler}
        result = CliRunner().invoke(psr, list(arguments), env=variables, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    n_engines = sum(len(o.engines) for o in rich.organizations)
    webhook = f"webhook_url=http://127.0.0.1:{free_port()}/hook"
    where = (str(seed), "--sch-url", hub_url, "--set", webhook)
    do("populate", *where)
    assert f"{n_engines} of {n_engines} engines poll" in do("engines", "start", *where)
    try:
        assert "all run after" in do("start-jobs", *where)
        do("verify", *where)
        status = do("engines", "status", str(seed))
        assert f"{n_engines} engines, {n_engines} registered" in status
        assert status.count("on worker") == 2
        targets = (tmp_path / "engines" / "prometheus.json").read_text()
        address = targets.split('"targets": [')[1].split('"')[1]
        metrics = urllib.request.urlopen(f"http://{address}/metrics").read()
        assert b"psr_fleet_engines" in metrics
        run_dir = ("--run-dir", str(tmp_path))
        assert "2 shards on a cluster" in do("status", *run_dir)
        assert "engines stop" in do("down", *run_dir)
        assert "on a cluster: give --scheduler" in do("engines", "stop", str(seed), scheduler="")
        before = owners(tmp_path)
        do("engines", "restart", *where)
        assert len(owners(tmp_path)) == 2
        assert not set(before) & set(owners(tmp_path))
    finally:
        assert "engines stopped" in do("engines", "stop", str(seed))
    assert owners(tmp_path) == []
