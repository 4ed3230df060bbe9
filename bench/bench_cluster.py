"""Figures of a cluster: two workers against one, what Dask costs, a worker that is lost, fleets in shards.

The hub answers each request 50 ms late, so that it scales: what bounds is the connections. Ratios of one run;
exit status 1 when a figure is missed. ``--quick`` uses fewer organizations and engines.
"""

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from bench_fleet import cpu_s, identities, null_hub
from bench_populate import LATENCY_S, serve_proxy
from support.dask_cluster import DaskCluster

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.cluster import SETTLE_S, Cluster
from psrlib.engines import fleet_status, save_identities, start_fleet
from psrlib.hub.process.hub_process import start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import populate
from psrlib.verify import verify
from psrlib.worker import LOST

PASSWORD = "admin@admin"  # the embedded hub's initial one
RANDOM_SEED = 19071990
CONNECTIONS = 2  # of each worker: few, so that two processors are enough for all
LEAST_SPEEDUP = 1.7  # two workers over one
MOST_OVERHEAD = 0.10  # share of the time that one worker takes longer than this process alone
MOST_KB = 15.0  # an organization, each way
MOST_RECOVERY_S = 10.0
MOST_CPU = 1.05  # two fleets of half the engines over one of all; equal but for what a measurement varies


@contextmanager
def slow_hub() -> Iterator[str]:
    """Serve an empty hub behind a proxy that adds the latency."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    with tempfile.TemporaryDirectory() as folder, start_hub(folder) as process:
        proxy = spawn.Process(target=serve_proxy, args=(process.url, theirs))
        proxy.start()
        try:
            yield ours.recv()
        finally:
            ours.send("stop")
            proxy.join(10)


def seconds(document: SeedDocument, scheduler: str | None, kill: Any = None) -> tuple[float, Cluster | None]:
    """Populate an empty hub; return the seconds it took, and the cluster with what it counted."""
    with slow_hub() as url, ControlHub(url, "admin@admin", PASSWORD, workers=CONNECTIONS) as hub:
        crew = None
        if scheduler:
            hub.crew = crew = Cluster(scheduler, hub, embedded=True, workers=CONNECTIONS)
        if kill:
            threading.Timer(*kill).start()
        report = populate(document, hub, progress=False)
        print(
            f"  {'one process' if crew is None else f'{len(crew.client.nthreads())} workers'}: "
            f"{report.duration_s:.1f} s, {report.n_calls} calls"
        )
        if crew is not None and not kill:
            sent, received = crew.sent_bytes, crew.received_bytes
            verify(document, hub)
            n = len(document.organizations)
            print(
                f"  populate: {sent / n / 1000:.1f} kB an organization sent, {received / n / 1000:.1f} back"
            )
            both = (crew.sent_bytes - sent, crew.received_bytes - received)
            print(f"  verify: {both[0] / n / 1000:.1f} kB sent, {both[1] / n / 1000:.1f} back")
        return report.duration_s, crew


def measure_workers(n_organizations: int) -> dict[str, bool]:
    """Populate in this process, on one worker, on two, and on two of which one is killed half-way."""
    model = NoiseModel.load(paths.SAMPLE_MODEL)
    document = resolve_variables(create_seed(model, RANDOM_SEED, n_organizations), {})
    print(
        f"{n_organizations} organizations, {LATENCY_S * 1000:.0f} ms on every answer, "
        f"{CONNECTIONS} connections for each worker"
    )
    with tempfile.TemporaryDirectory() as folder, DaskCluster(Path(folder)) as dask:
        dask.add_worker("one")
        alone_s, _ = seconds(document, None)
        one_s, crew = seconds(document, dask.address)
        dask.add_worker("two")
        two_s, _ = seconds(document, dask.address)
        lost_at, killed_at = [], []
        result = Cluster._result

        def noted(self: Cluster, future: Any) -> bytes:
            answer = result(self, future)
            if answer == LOST:
                lost_at.append(time.monotonic())
            return answer

        def kill() -> None:
            killed_at.append(time.monotonic())
            dask.kill("two")

        Cluster._result = noted  # type: ignore[method-assign]
        seconds(document, dask.address, (two_s / 2, kill))
        Cluster._result = result  # type: ignore[method-assign]
    assert crew is not None
    kb = max(crew.sent_bytes, crew.received_bytes) / n_organizations / 1000  # populate and verify together
    recovery_s = max(lost_at, default=float("inf")) - killed_at[0] + SETTLE_S
    overhead = (one_s - alone_s) / one_s
    print(f"two workers over one: {one_s / two_s:.2f} times as fast (at least {LEAST_SPEEDUP})")
    print(f"scheduler and transfer: {overhead:.1%} of the time of one worker (at most {MOST_OVERHEAD:.0%})")
    print(
        f"shipped one way, populate and verify together: {kb:.1f} kB an organization (at most {MOST_KB:.0f})"
    )
    print(f"shards of a killed worker begun again after {recovery_s:.1f} s (at most {MOST_RECOVERY_S:.0f})")
    return {
        "two workers": one_s / two_s >= LEAST_SPEEDUP,
        "scheduler and transfer": overhead <= MOST_OVERHEAD,
        "shipped": kb <= MOST_KB,
        "recovery": recovery_s <= MOST_RECOVERY_S,
    }


def fleet_cpu_us(url: str, sizes: list[int], lasting_s: float) -> float:
    """Run fleets side by side; return their processor time for each poll, microseconds."""
    known = identities(sum(sizes))
    with tempfile.TemporaryDirectory() as folder:
        fleets = []
        try:
            for number, size in enumerate(sizes):
                run_dir = Path(folder) / str(number)
                save_identities(run_dir, [known.pop() for _ in range(size)])
                fleets.append(start_fleet(run_dir, url, wait_s=120))
            before = [fleet_status(fleet.run_dir) for fleet in fleets]
            used_s = [cpu_s(fleet.pid) for fleet in fleets]
            time.sleep(lasting_s)
            used_s = [cpu_s(fleet.pid) - earlier for fleet, earlier in zip(fleets, used_s, strict=True)]
            after = [fleet_status(fleet.run_dir) for fleet in fleets]
        finally:
            for fleet in fleets:
                fleet.__exit__()
    polls = sum(b["polls"] - a["polls"] for a, b in zip(before, after, strict=True))
    memory = sum(status["memory_bytes"] for status in after) / 2**20
    print(f"  {sizes} engines: {polls} polls, {sum(used_s):.1f} s of processor time, {memory:.0f} MiB")
    return sum(used_s) / polls * 1e6


def measure_fleets(n_engines: int, lasting_s: float) -> dict[str, bool]:
    """Run one fleet, then two with half the engines each."""
    print(f"\n{n_engines} engines against a null hub, {lasting_s:.0f} s")
    with null_hub() as (url, _):
        one = fleet_cpu_us(url, [n_engines], lasting_s)
        two = fleet_cpu_us(url, [n_engines // 2, n_engines - n_engines // 2], lasting_s)
    print(
        f"two shards over one fleet: {two / one:.2f} times its processor time per poll (at most {MOST_CPU})"
    )
    return {"fleets in shards": two / one <= MOST_CPU}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    n_organizations, n_engines = (40, 4_000) if options.quick else (80, 10_000)
    reached = measure_workers(n_organizations) | measure_fleets(n_engines, 15.0 if options.quick else 30.0)
    print()
    for figure, is_reached in reached.items():
        print(f"{'reached' if is_reached else 'MISSED '}  {figure}")
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
