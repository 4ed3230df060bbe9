"""Fleets on workers that share no folder: their engines are in a database."""

import os
import pickle
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result
from support.dask_cluster import DaskCluster, connected
from support.ports import free_port
from support.postgres import STORE_PASSWORD, Postgres
from support.waiting import wait_for

from psrlib.cli import psr
from psrlib.client import ControlHub
from psrlib.engines import fleet_status, load_identities, start_fleet, stop_fleet
from psrlib.engines.database import VARIABLE, EngineDatabase, without_password
from psrlib.errors import InputError, ProcessError
from psrlib.fleets import FleetKeeper, fleets_status, start_fleets, stop_fleets
from psrlib.seed import SeedDocument, save_seed
from psrlib.state import diff, observe, populate, setup_engines, start_jobs, wait_until_active

PASSWORD = "admin@admin"


@pytest.fixture(scope="module")
def store(postgres: Postgres) -> Iterator[str]:
    """Return the URL of a database for engines without its password, which is in the environment."""
    url = postgres.create_protected()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, url)
        yield without_password(url)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where each worker has a folder of its own."""
    return tmp_path_factory.mktemp("machines")


@pytest.fixture(scope="module")
def apart(store: str, machines: Path) -> Iterator[DaskCluster]:
    """Return a scheduler and two workers that know the store; a test that kills one starts it again."""
    (machines / "scheduler").mkdir()
    with DaskCluster(machines / "scheduler", environment={VARIABLE: None}) as cluster:
        for name in ("left", "right"):
            add_worker(cluster, name)
        yield cluster


def add_worker(cluster: DaskCluster, name: str, **environment: str | None) -> None:
    folder = cluster.folder.parent / name
    folder.mkdir(exist_ok=True)
    cluster.add_worker(name, folder=folder, environment={"PSR_SCH_PASSWORD": PASSWORD, **environment})


@pytest.fixture
def run(rich: SeedDocument, hub_url: str, store: str, tmp_path: Path) -> Iterator[tuple[Path, ControlHub]]:
    """Return the client's folder of a populated run, and a session of its hub."""
    folder = tmp_path / "client"
    with ControlHub(hub_url, "admin@admin", PASSWORD) as hub:
        populate(rich, hub, progress=False)
        setup_engines(rich, hub, folder, store)
        yield folder, hub


@pytest.fixture
def client(apart: DaskCluster, run: tuple[Path, ControlHub]) -> Iterator[Any]:
    with connected(apart.address, run[0]) as found:
        yield found


def fleets(below: Path) -> dict[int, psutil.Process]:
    """Return the processes of fleets that have their files below a folder."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "psrlib.engines.serve" in command and any(str(below) in word for word in command):
            found[process.pid] = process
    return found


def test_a_shard_that_moves_is_the_same_engines_again(
    rich: SeedDocument,
    run: tuple[Path, ControlHub],
    client: Any,
    apart: DaskCluster,
    hub_url: str,
    store: str,
    machines: Path,
) -> None:
    """A worker is killed, the other one goes on with its engines and pipelines, out of the database."""
    folder, hub = run
    identities = load_identities(folder)
    port = free_port()
    found = start_fleets(client, folder, hub_url, f"http://127.0.0.1:{port}/hook", store=store)
    assert found["running"]
    assert found["polling"] == len(identities)
    assert {shard["worker"] for shard in found["shards"]} == {"left", "right"}
    assert {path.name for path in (folder / "engines").iterdir()} == {"identities.json", "prometheus.json"}
    shutil.rmtree(folder / "engines")  # nobody needs it
    start_jobs(rich, hub)
    wait_until_active(rich, hub, 180)
    for _ in range(40):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/hook", data=b"{}").read()
    assert fleets_status(client, folder)["webhooks_received"] == 40
    before = fleets(machines)
    apart.kill("left")
    try:
        wait_for(lambda: fleets_status(client, folder)["polling"] == len(identities))
        now = fleets_status(client, folder)
        assert now["running"]
        assert {shard["worker"] for shard in now["shards"]} == {"right"}
        assert now["webhooks_received"] == 40
        wait_for(lambda: len(fleets(machines)) == 2)
        assert len(fleets(machines).keys() - before.keys()) == 1
        wait_until_active(rich, hub, 180)
        observed = observe(rich, hub)
        assert not [item for item in diff(rich, observed).items if item.kind in ("engines", "jobs")]
        engines = [str(row["id"]) for o in rich.organizations for row in hub_engines(hub, o.id)]
        assert sorted(engines) == sorted(identity.id for identity in identities)
        assert now["pipelines_running"] > 0
        assert stop_fleets(client, folder)
        wait_for(lambda: not fleets(machines))  # a process that has given up its engines is about to end
        with EngineDatabase(store, hub_url) as database:
            assert database.owners([o.id for o in rich.organizations]) == {}
    finally:
        add_worker(apart, "left")


def hub_engines(hub: ControlHub, organization: str) -> list[dict[str, Any]]:
    return list(hub.for_organization(organization).jobrunner.engines())


def test_a_fleet_that_is_killed_alone_comes_back(
    run: tuple[Path, ControlHub], client: Any, hub_url: str, store: str, machines: Path
) -> None:
    """Its lease runs out, and one of the workers takes its engines: no other fleet has them."""
    folder, _ = run
    n_engines = len(load_identities(folder))
    start_fleets(client, folder, hub_url, None, store=store)
    pid, process = next(iter(fleets(machines).items()))
    process.kill()
    wait_for(lambda: len(fleets(machines)) == 2 and pid not in fleets(machines))
    wait_for(lambda: fleets_status(client, folder)["polling"] == n_engines)


def test_secrets_are_nowhere(
    run: tuple[Path, ControlHub],
    client: Any,
    apart: DaskCluster,
    hub_url: str,
    store: str,
    machines: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in logs of scheduler, workers and fleets, nor in commands, records, status and plugins."""
    folder, _ = run
    tokens = [identity.token for identity in load_identities(folder)]
    sent: list[str] = []
    register = client.register_plugin

    def note(plugin: FleetKeeper, name: str) -> None:
        sent.append(pickle.dumps(plugin).decode("latin-1"))
        register(plugin, name=name)

    monkeypatch.setattr(client, "register_plugin", note)
    found = start_fleets(client, folder, hub_url, None, store=store)
    assert store in sent[0]
    texts = [str(found), apart.text(), *sent]
    texts += [" ".join(process.cmdline()) for process in fleets(machines).values()]
    kept = [path for path in machines.rglob("*") if path.is_file() and path.name != "identities.json"]
    assert {"fleet.json", "fleet.log"} <= {path.name for path in kept}
    texts += [path.read_text(errors="replace") for path in kept if path.suffix != ".db"]
    for secret in (STORE_PASSWORD, "kept%2Fsecret", *tokens):
        assert [text for text in texts if secret in text] == []
    for path in machines.rglob("identities.json"):
        assert path.stat().st_mode & 0o777 == 0o600
    stop_fleets(client, folder)
    assert [path for path in machines.rglob("identities.json") if folder not in path.parents] == []


def test_a_worker_that_does_not_reach_the_store(
    run: tuple[Path, ControlHub], client: Any, apart: DaskCluster, hub_url: str, store: str, machines: Path
) -> None:
    """It is named before anything starts, and no password is shown."""
    wrong = os.environ[VARIABLE].replace("kept%2Fsecret", "mistaken")
    assert wrong != os.environ[VARIABLE]
    add_worker(apart, "third", **{VARIABLE: wrong})
    with pytest.raises(ProcessError, match=r"worker .*: engine store .*password authentication") as refused:
        start_fleets(client, run[0], hub_url, None, store=store)
    assert "mistaken" not in str(refused.value)
    assert "mistaken" not in apart.text()
    wait_for(lambda: not fleets(machines))
    apart.kill("third")


def test_shards_by_hand_on_machines_that_share_no_folder(
    rich: SeedDocument, hub_url: str, store: str, tmp_path: Path
) -> None:
    """Populate keeps the identities; each machine has its share, without a login; a third one gets none."""
    machines = [tmp_path / name for name in ("client", "one", "two", "three")]
    for machine in machines:
        machine.mkdir()
        save_seed(rich, machine / "seed.json")
    where = ("--sch-url", hub_url, "--engine-store", store)

    def start(machine: Path, shard: str) -> str:
        """Return what is said, or the error."""
        command = ["engines", "start", str(machine / "seed.json"), *where, "--shard", shard]
        result = CliRunner().invoke(psr, command)
        return f"{result.output}{result.exception or ''}"

    webhook = f"webhook_url=http://127.0.0.1:{free_port()}/hook"
    command = ["populate", str(machines[0] / "seed.json"), *where, "--set", webhook]
    assert CliRunner().invoke(psr, command, env={"PSR_SCH_PASSWORD": PASSWORD}).exit_code == 0
    try:
        for number in (0, 1):
            assert "engines poll" in start(machines[number + 1], f"{number}/2")
        told = [fleet_status(machine) for machine in machines[1:3]]
        assert sum(status["polling"] for status in told) == sum(len(o.engines) for o in rich.organizations)
        for shard in ("0/3", "1/2"):
            assert "run already, on" in start(machines[3], shard)
        stop_fleet(machines[2])
        assert "engines poll" in start(machines[3], "1/2")
        ids = {i.id for machine in (machines[1], machines[3]) for i in load_identities(machine)}
        assert ids == {i.id for i in load_identities(machines[0])}
        with pytest.raises(ProcessError, match="run already, on"):
            start_fleet(machines[0], hub_url, store=store)
    finally:
        for machine in machines:
            stop_fleet(machine)


def test_a_whole_run_in_one_command(hub_url: str, store: str, tmp_path: Path) -> None:
    """The engines of psr up are in the store: a machine with another folder has them only after it ends."""
    random_seed = ("--num-orgs", "1", "--random-seed", "5")
    where = ("--sch-url", hub_url, "--engine-store", store)
    run_dirs = [tmp_path / name for name in ("one", "two")]

    def do(command: str, folder: Path, *arguments: str) -> Result:
        given = [command, *random_seed, "--run-dir", str(folder), *arguments]
        return CliRunner().invoke(psr, given, env={"PSR_SCH_PASSWORD": PASSWORD})

    try:
        assert do("up", run_dirs[0], *where).exit_code == 0
        assert "run already, on" in str(do("up", run_dirs[1], *where).exception)
        assert do("down", run_dirs[0]).exit_code == 0
        assert do("up", run_dirs[1], *where).exit_code == 0
        assert load_identities(run_dirs[0]) == load_identities(run_dirs[1])
    finally:
        for folder in run_dirs:
            stop_fleet(folder)


def test_a_store_is_not_given_with_its_password(rich: SeedDocument, tmp_path: Path) -> None:
    """Nor for an embedded hub, whose address changes."""
    save_seed(rich, tmp_path / "seed.json")
    command = ["engines", "start", str(tmp_path / "seed.json"), "--engine-store"]
    refused = CliRunner().invoke(psr, [*command, "postgresql://psr:secret@db/engines"])
    assert isinstance(refused.exception, InputError)
    assert "leave out its password" in str(refused.exception)
    assert "secret" not in f"{refused.output}{refused.exception}"
    refused = CliRunner().invoke(psr, [*command, "postgresql://psr@db/engines"])
    assert refused.exit_code == 2
    assert "give --sch-url" in refused.output
