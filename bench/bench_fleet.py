"""Figures of the engine fleet: polls on time, processor and memory per engine, time to start many jobs.

1. Many engines at the real 5 s poll interval against a null hub. The floor, in the same run and against the
   same hub, is the same number of bare polls per second by wrk, the fastest HTTP load generator packaged.
2. The same with a running pipeline on each engine: what metrics of a real engine's size cost.
3. Engines against the embedded hub: jobs started with one bulk call, time until all are ACTIVE.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.engines import EngineIdentity, fleet_status, load_identities, save_identities, start_fleet
from psrlib.engines.behaviour import Behaviour
from psrlib.engines.counters import quantile_s
from psrlib.engines.definition import read_definition
from psrlib.engines.engine import Engine as FleetEngine
from psrlib.engines.identity import engines_dir
from psrlib.engines.pipeline import Pipeline
from psrlib.engines.store import FleetStore
from psrlib.errors import PsrError
from psrlib.hub.process.hub_process import start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, pipeline_definition, resolve_variables
from psrlib.seed.document import Config, Engine, Organization
from psrlib.state import populate, setup_engines, start_jobs, wait_until_active

POLL_INTERVAL_S = 5.0
METRICS_STAGES, METRICS_PERIOD_S = 3, 60
DELAY = 'wrk.method = "POST"\nwrk.body = "[]"\nwrk.headers["Content-Type"] = "application/json"\n'
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def null_hub() -> Iterator[tuple[str, int]]:
    """Serve the null hub in a process of its own; give its URL and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "null_hub:app", "--app-dir", str(Path(__file__).parent)]
    command += ["--port", str(port), "--lifespan", "off", "--log-level", "error", "--no-access-log"]
    server = subprocess.Popen(command)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait()


def cpu_s(pid: int) -> float:
    """Return the processor seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def identities(number: int) -> list[EngineIdentity]:
    return [
        EngineIdentity(
            f"org-{n // 10:04d}",
            f"engine-{n % 10:04d}",
            str(uuid.uuid1(node=1, clock_seq=n % 16384)),
            f"http://127.0.0.1:{1024 + n}",
            "COLLECTOR",
            ["all"],
            f"{uuid.uuid4().hex}{uuid.uuid4().hex}",
        )
        for n in range(number)
    ]


def save_pipelines(run_dir: str, engines: list[EngineIdentity], n: int) -> None:
    """Write the state of a fleet whose engines run ``n`` pipelines of a seed document each."""
    document = resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 1, 3), {})
    small = [(o, p) for o in document.organizations for p in o.pipelines if p.stages == METRICS_STAGES]
    constants = [{"key": "UPDATE_WAIT_TIME_MS", "value": 1000 * METRICS_PERIOD_S}]
    texts = []
    for organization, pipeline in small[:n]:
        config, _ = pipeline_definition(document, organization, pipeline, 1)
        config["configuration"].append({"name": "constants", "value": constants})
        texts.append(json.dumps(config))
    store = FleetStore(engines_dir(run_dir))
    fleet = []
    for identity in engines:
        engine = FleetEngine(identity, "", Behaviour())
        for number, text in enumerate(texts):
            name = f"P{number}:{uuid.uuid4()}:{identity.organization}"
            pipeline = Pipeline(name=name, rev="0", definition=read_definition(text), state="RUNNING")
            engine.add(pipeline)
        fleet.append(engine)
    store.save(fleet, {})
    store.close()


def measure_fleet(
    url: str, hub_pid: int, number: int, seconds: float, pipelines: int = 0
) -> dict[str, float]:
    """Run a fleet for a while; return rates, processor use, lateness and memory in bytes."""
    with tempfile.TemporaryDirectory() as run_dir:
        save_identities(run_dir, identities(number))
        if pipelines:
            save_pipelines(run_dir, load_identities(run_dir), pipelines)
        with start_fleet(run_dir, url, wait_s=120):
            before, hub_before, begun = fleet_status(run_dir), cpu_s(hub_pid), time.perf_counter()
            time.sleep(seconds)
            after, hub_after, lasted = fleet_status(run_dir), cpu_s(hub_pid), time.perf_counter() - begun
    late = [b - a for a, b in zip(before["lateness_histogram"], after["lateness_histogram"], strict=True)]
    polls = after["polls"] - before["polls"]
    return {
        "polls_per_s": polls / lasted,
        "cores": (after["cpu_s"] - before["cpu_s"]) / lasted,
        "us_per_poll": (after["cpu_s"] - before["cpu_s"]) / max(polls, 1) * 1e6,
        "hub_cores": (hub_after - hub_before) / lasted,
        "lateness_p50_s": quantile_s(late, 0.5),
        "lateness_p99_s": quantile_s(late, 0.99),
        "memory_bytes": after["memory_bytes"],
        "uploads": after["requests"].get("metrics", 0) - before["requests"].get("metrics", 0),
        "errors": sum(after["errors"].values()),
    }


def measure_floor(url: str, polls_per_s: float, seconds: float) -> dict[str, float] | None:
    """Make the same number of bare polls per second with wrk; None when it is not installed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    connections = 100
    script = DELAY + f"function delay() return {round(1000 * connections / polls_per_s)} end\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [
            wrk,
            "-t1",
            f"-c{connections}",
            f"-d{seconds:.0f}s",
            "-s",
            file.name,
            url + "/messaging/rest/v1/events",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        text = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))  # type: ignore[union-attr]
    used = usage.ru_utime + usage.ru_stime
    return {"polls_per_s": rate, "cores": used / seconds, "us_per_poll": used / (rate * seconds) * 1e6}


def polls_on_time(number: int, seconds: float) -> None:
    print(f"{number} engines, a poll each {POLL_INTERVAL_S:.0f} s, null hub, {seconds:.0f} s")
    with null_hub() as (url, pid):
        empty = measure_fleet(url, pid, 1, 2.0)
        fleet = measure_fleet(url, pid, number, seconds)
        floor = measure_floor(url, fleet["polls_per_s"], seconds)
    kib = (fleet["memory_bytes"] - empty["memory_bytes"]) / number / 1024
    print(
        f"  polls/s {fleet['polls_per_s']:.0f} of {number / POLL_INTERVAL_S:.0f}, "
        f"errors {fleet['errors']:.0f}"
    )
    print(f"  lateness p50 {fleet['lateness_p50_s']:.3f} s, p99 {fleet['lateness_p99_s']:.3f} s (target 1 s)")
    print(
        f"  fleet {fleet['cores']:.2f} cores (target 1), {fleet['us_per_poll']:.0f} us per poll; "
        f"hub {fleet['hub_cores']:.2f} cores"
    )
    print(f"  memory {kib:.1f} KiB per engine beyond a fleet of one (target 40)")
    if floor is None:
        print("  floor not measured: install wrk")
        return
    ratio = fleet["us_per_poll"] / floor["us_per_poll"]
    print(
        f"  floor (wrk): {floor['polls_per_s']:.0f} polls/s, {floor['cores']:.2f} cores, "
        f"{floor['us_per_poll']:.0f} us per poll; the fleet costs {ratio:.1f} x"
    )


def metrics_cost(number: int, pipelines: int) -> None:
    """Run the same fleet without and with pipelines over one period of their metrics."""
    print(
        f"{number} engines, {pipelines} pipelines of {METRICS_STAGES} stages each, metrics every "
        f"{METRICS_PERIOD_S} s, null hub"
    )
    with null_hub() as (url, pid):
        idle = measure_fleet(url, pid, number, METRICS_PERIOD_S)
        busy = measure_fleet(url, pid, number, METRICS_PERIOD_S, pipelines)
    uploads = max(busy["uploads"], 1)
    extra_s = (busy["cores"] - idle["cores"]) * METRICS_PERIOD_S
    kib = (busy["memory_bytes"] - idle["memory_bytes"]) / number / 1024
    print(
        f"  uploads {uploads:.0f}, {extra_s / uploads * 1e6:.0f} us of the fleet each; fleet "
        f"{busy['cores']:.2f} cores (target 1), {idle['cores']:.2f} without pipelines; errors "
        f"{busy['errors']:.0f}"
    )
    print(f"  lateness p99 {busy['lateness_p99_s']:.3f} s; {kib:.1f} KiB more per engine")


def start_many(engines: int, jobs: int, organizations: int, limit_s: float) -> None:
    print(
        f"{engines} engines, {jobs} jobs started with one call for each of {organizations} organizations, "
        "embedded hub"
    )
    document = many_jobs(engines, jobs, organizations)
    with tempfile.TemporaryDirectory() as run_dir, start_hub(run_dir) as process:
        hub = ControlHub(process.url, "admin@admin", "admin@admin")
        begun = time.perf_counter()
        populate(document, hub, progress=False)
        setup_engines(document, hub, Path(run_dir))
        print(f"  populated in {time.perf_counter() - begun:.1f} s")
        with start_fleet(run_dir, process.url, wait_s=120):
            before, hub_before, begun = fleet_status(run_dir), cpu_s(process.pid), time.perf_counter()
            try:
                started = start_jobs(document, hub)
                called = time.perf_counter() - begun
                wait_until_active(document, hub, timeout_s=2 * limit_s)
            except PsrError as error:
                print(f"  NOT REACHED after {time.perf_counter() - begun:.0f} s: {str(error)[:300]}")
                print(f"  pipelines by state: {fleet_status(run_dir)['pipelines']}")
                return
            lasted = time.perf_counter() - begun
            after, hub_after = fleet_status(run_dir), cpu_s(process.pid)
    fleet_cores = (after["cpu_s"] - before["cpu_s"]) / lasted
    print(f"  {started} jobs: calls {called:.1f} s, all ACTIVE after {lasted:.1f} s (target {limit_s:.0f} s)")
    print(
        f"  fleet {fleet_cores:.2f} cores, hub {(hub_after - hub_before) / lasted:.2f} cores, "
        f"{after['pipelines_running']} pipelines running, errors {after['errors']}"
    )


def many_jobs(engines: int, jobs: int, organizations: int) -> SeedDocument:
    """Return a document with this many engines and active jobs, shared out evenly over its organizations."""
    small = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 1, organizations)
    shares = [
        with_jobs(organization, engines // organizations, jobs // organizations)
        for organization in small.organizations
    ]
    return resolve_variables(msgspec.structs.replace(small, organizations=shares), {})


def with_jobs(organization: Organization, engines: int, jobs: int) -> Organization:
    job = msgspec.structs.replace(
        organization.jobs[0], status="ACTIVE", instances=1, labels=["all"], is_template=False, template=None
    )
    keys = [pipeline.key for pipeline in organization.pipelines]
    return msgspec.structs.replace(
        organization,
        config=Config(
            subscriptions_enabled=False, max_engines=engines, max_jobs=2 * jobs, max_job_runs=2 * jobs
        ),
        engines=[
            Engine(f"engine-{n:05d}", "COLLECTOR", f"http://127.0.0.1:{1024 + n}", ["all"])
            for n in range(engines)
        ],
        jobs=[
            msgspec.structs.replace(
                job, key=f"job-{n:05d}", name=f"Job {n:05d}", pipeline=keys[n % len(keys)]
            )
            for n in range(jobs)
        ],
        scheduled_tasks=[],
        subscriptions=[],
        topologies=[],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", type=int, default=10_000, help="0 leaves the first part out")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pipelines", type=int, default=1, help="per engine; 0 leaves this part out")
    parser.add_argument("--hub-engines", type=int, default=2_000)
    parser.add_argument("--hub-jobs", type=int, default=6_000, help="0 leaves the second part out")
    parser.add_argument("--organizations", type=int, default=1, help="of the second part")
    arguments = parser.parse_args()
    if arguments.engines:
        polls_on_time(arguments.engines, arguments.seconds)
    if arguments.engines and arguments.pipelines:
        metrics_cost(arguments.engines, arguments.pipelines)
    if arguments.hub_jobs:
        start_many(arguments.hub_engines, arguments.hub_jobs, arguments.organizations, 60.0)


if __name__ == "__main__":
    main()
