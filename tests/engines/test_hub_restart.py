"""Contract with the embedded hub: spread, labels and instances, and a hub killed under a running fleet."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.engines import fleet_status, start_fleet, stop_fleet
from psrlib.hub.process.hub_process import start_hub, stop_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.seed.document import Engine, Organization
from psrlib.state import populate, setup_engines, start_jobs, wait_until_active

INTERVAL_S = 0.3
N_ENGINES, N_JOBS = 4, 24


def organization(base: Organization) -> Organization:
    """Return an organization of four engines and 24 active jobs, two of them with their own wishes."""
    template = msgspec.structs.replace(
        base.jobs[0], status="ACTIVE", labels=["all"], instances=1, is_template=False, template=None
    )
    jobs = [msgspec.structs.replace(template, key=f"j{n}", name=f"Job {n:02d}") for n in range(N_JOBS)]
    jobs.append(msgspec.structs.replace(template, key="west", name="Job west", labels=["west"]))
    jobs.append(msgspec.structs.replace(template, key="three", name="Job three", instances=3))
    engines = [
        Engine(
            f"engine-{n}",
            "COLLECTOR",
            f"http://127.0.0.1:{18630 + n}",
            ["all", "west"] if n == 3 else ["all"],
        )
        for n in range(N_ENGINES)
    ]
    return msgspec.structs.replace(
        base, engines=engines, jobs=jobs, scheduled_tasks=[], subscriptions=[], topologies=[]
    )


@dataclass
class Running:
    """A populated hub with its engines, all jobs ACTIVE."""

    run_dir: Path
    document: SeedDocument
    url: str

    def rows(self) -> list[dict]:
        """Return the jobs as the hub lists them now."""
        hub = ControlHub(self.url, "admin@admin", "admin@admin")
        return [
            job for o in self.document.organizations for job in hub.for_organization(o.id).jobrunner.jobs()
        ]

    def pipelines(self) -> Counter[tuple[str, str]]:
        """Return how often each (job, engine) pair runs, as the hub sees it."""
        statuses = [(job["name"], job["currentJobStatus"]) for job in self.rows()]
        return Counter(
            (name, p["sdcId"])
            for name, s in statuses
            for p in s["pipelineStatus"]
            if p["status"] == "RUNNING"
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One populated hub for all tests here; each leaves it as it found it."""
    tmp_path = tmp_path_factory.mktemp("run")
    document = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 5, 1)
    document = msgspec.structs.replace(document, organizations=[organization(document.organizations[0])])
    document = resolve_variables(document, {})
    hub = start_hub(tmp_path)
    try:
        client = ControlHub(hub.url, "admin@admin", "admin@admin")
        populate(document, client, progress=False)
        setup_engines(document, client, tmp_path)
        start_fleet(tmp_path, hub.url, poll_interval_s=INTERVAL_S)
        start_jobs(document, client)
        wait_until_active(document, client, timeout_s=60)
        yield Running(tmp_path, document, hub.url)
    finally:
        stop_fleet(tmp_path)
        stop_hub(tmp_path)


def test_jobs_spread_evenly_and_labels_and_instances_are_respected(running: Running) -> None:
    """Jobs without specific labels are uniform over the engines; the others are where they must be."""
    found = running.pipelines()
    plain = Counter(engine for (name, engine) in found if name[-2:].isdigit())
    assert sum(plain.values()) == N_JOBS
    assert max(plain.values()) - min(plain.values()) <= 2
    assert len([engine for (name, engine) in found if name == "Job three"]) == 3
    (west,) = [engine for (name, engine) in found if name == "Job west"]
    client = ControlHub(running.url, "admin@admin", "admin@admin").for_organization("org-0001")
    labels = {engine["id"]: engine["reportedLabels"] for engine in client.jobrunner.engines()}
    assert "west" in labels[west]


def test_a_hub_killed_under_a_running_fleet_finds_every_job_active_again(running: Running) -> None:
    """The same engines, the same pipelines, none twice, and no job started anew."""
    before = running.pipelines()
    record = start_hub(running.run_dir)
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while "poll: no answer" not in fleet_status(running.run_dir)["errors"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    again = start_hub(running.run_dir)
    assert again.url == running.url
    client = ControlHub(again.url, "admin@admin", "admin@admin")
    wait_until_active(running.document, client, timeout_s=60)
    time.sleep(10 * INTERVAL_S)
    wait_until_active(running.document, client, timeout_s=60)
    status = fleet_status(running.run_dir)
    assert (status["polling"], status["refused"]) == (N_ENGINES, 0)
    assert status["pipelines"] == {"RUNNING": N_JOBS + 4}
    assert running.pipelines() == before
    assert {job["currentJobStatus"]["runCount"] for job in running.rows()} == {1}


def test_a_restarted_fleet_goes_on_with_its_jobs(running: Running) -> None:
    """Stop and start: no job is started anew or moved, and all are ACTIVE again."""
    before = running.pipelines()
    stop_fleet(running.run_dir)
    start_fleet(running.run_dir, running.url, poll_interval_s=INTERVAL_S)
    client = ControlHub(running.url, "admin@admin", "admin@admin")
    deadline = time.monotonic() + 30
    while (
        fleet_status(running.run_dir)["pipelines"] != {"RUNNING": N_JOBS + 4} or running.pipelines() != before
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    wait_until_active(running.document, client, timeout_s=60)
    assert {job["currentJobStatus"]["runCount"] for job in running.rows()} == {1}
