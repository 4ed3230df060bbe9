"""Verification and collection measured: calls an organization, time against populate, large differences.

Populating is measured twice in one run: creating alone, and the whole main job, from an empty hub until
engines poll and every job that should be ACTIVE runs. Verifying is measured in both states, and beside it the
bare reading: the same calls sent with plain requests by as many threads, answers only parsed as JSON.

Ratios of one run; exit status 1 when a figure is missed. ``--quick`` uses fewer organizations.
"""

import argparse
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests

from psrlib import paths
from psrlib.client import Answer, ControlHub, Request
from psrlib.client.http import HttpClient
from psrlib.collect import collect_stats
from psrlib.engines import start_fleet
from psrlib.hub.process.hub_process import start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import ObservedState, diff, populate, setup_engines, start_jobs, wait_until_active
from psrlib.state.observed import ObservedOrganization
from psrlib.verify import VerificationReport, verify
from psrlib.words import KINDS

PASSWORD = "admin@admin"  # the embedded hub's initial one
RANDOM_SEED = 19071990
MOST_CALLS = 15.0  # an organization, verifying and collecting
MOST_TIME = 0.1  # of populate's wall time
MOST_DIFF_S = 1.0
ENTITIES = 130_000
REPEATS = 5

Figures = dict[str, tuple[float, float]]  # figure -> measured, allowed


def draw(model: NoiseModel, n_organizations: int) -> SeedDocument:
    """Return a document whose webhook is at a free port, so that two runs do not meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        webhook = f"http://127.0.0.1:{probe.getsockname()[1]}/webhook"
    return resolve_variables(create_seed(model, RANDOM_SEED, n_organizations), {"webhook_url": webhook})


def timed_s(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def count_entities(document: SeedDocument) -> int:
    return sum(len(getattr(o, kind)) for o in document.organizations for kind in KINDS)


def measure_hub(document: SeedDocument, folder: Path) -> Figures:
    """Create, verify and collect; start engines and jobs, and verify again."""
    n = len(document.organizations)
    with start_hub(folder) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        create_s = timed_s(lambda: populate(document, hub, progress=False))
        print(f"{n} organizations, {count_entities(document)} entities: created in {create_s:.2f} s")
        created_s, _ = measure_verify("created", document, hub)
        before = hub.calls.by_kind()
        verify(document, hub)
        calls = hub.calls.since(before)
        print("  calls an organization: " + ", ".join(f"{kind} {c / n:.2f}" for kind, c in calls.items()))
        done = collect_stats(hub, folder / "stats", PASSWORD, k=1, source="synthetic", rate_per_s=10_000)
        start_s, running_s = measure_running(document, hub, folder)
    return {
        "verify: calls an organization": (sum(calls.values()) / n, MOST_CALLS),
        "verify over create alone": (created_s / create_s, MOST_TIME),
        "verify over whole populate": (running_s / (create_s + start_s), MOST_TIME),
        "collect: calls an organization": (done.calls_per_organization, MOST_CALLS),
    }


def measure_running(document: SeedDocument, hub: ControlHub, folder: Path) -> tuple[float, float]:
    """Return the seconds until engines poll and all jobs run, and those of verifying that."""
    started = time.perf_counter()
    identities = setup_engines(document, hub, folder)
    with start_fleet(folder, hub.url, document.variables["webhook_url"]):
        n_started = start_jobs(document, hub)
        wait_until_active(document, hub)
        start_s = time.perf_counter() - started
        print(f"{len(identities)} engines, {n_started} jobs running after {start_s:.2f} s more")
        running_s, report = measure_verify("running", document, hub)
        assert report.consistent, report.difference.frame()
    return start_s, running_s


def measure_verify(state: str, document: SeedDocument, hub: ControlHub) -> tuple[float, VerificationReport]:
    """Return the median seconds of several runs, and the report; print them beside the bare reading."""
    verify_s = statistics.median(timed_s(lambda: verify(document, hub)) for _ in range(REPEATS))
    with recorded() as sent:
        report = verify(document, hub)
    bare_s = statistics.median(
        timed_s(lambda: read_bare(hub.url, sent, hub.limit.peak)) for _ in range(REPEATS)
    )
    print(f"verify, {state}: {verify_s:.2f} s, median of {REPEATS}, {len(sent)} calls")
    print(f"  over the bare reading, {bare_s:.2f} s with {hub.limit.peak} threads: {verify_s / bare_s:.2f}")
    return verify_s, report


@contextmanager
def recorded() -> Iterator[list[Request]]:
    """Yield the list of the requests that are sent meanwhile."""
    sent: list[Request] = []
    send = HttpClient.send

    def record(self: HttpClient, request: Request) -> Answer:
        sent.append(request)
        return send(self, request)

    HttpClient.send = record  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        HttpClient.send = send  # type: ignore[method-assign]


def read_bare(url: str, sent: list[Request], n_threads: int) -> None:
    """Send requests as anybody would with requests, a session for each thread; parse the answers."""
    own = threading.local()

    def send(request: Request) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.request(
            request.method,
            url + request.path,
            params=request.query,
            headers=request.headers,
            json=request.body,
        )
        answer.raise_for_status()
        answer.json()

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(send, sent))


def measure_difference(model: NoiseModel) -> Figures:
    """Return the time to compare a large document with a state that holds it but for one organization."""
    document = draw(model, 10)
    document = draw(model, round(10 * ENTITIES / count_entities(document)))
    again = create_seed(model, RANDOM_SEED, len(document.organizations))
    found = {
        o.id: ObservedOrganization(organization=o)
        for o in resolve_variables(again, document.variables).organizations
    }
    del found[document.organizations[-1].id]
    state = ObservedState(organizations=found, foreign=[])
    difference = diff(document, state)
    assert {item.organization for item in difference.items} == {document.organizations[-1].id}
    seconds = min(timed_s(lambda: diff(document, state)) for _ in range(REPEATS))
    print(f"difference of {count_entities(document)} entities: {len(difference)} deviations")
    return {f"difference of {ENTITIES:,} entities, s": (seconds, MOST_DIFF_S)}


def main() -> None:
    """Print every figure with what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 organizations instead of 100")
    parser.add_argument("--model", type=Path, default=paths.SAMPLE_MODEL, help="noise model to draw from")
    options = parser.parse_args()
    model = NoiseModel.load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_hub(draw(model, 20 if options.quick else 100), Path(folder))
    figures |= measure_difference(model)
    for name, (measured, allowed) in figures.items():
        print(f"{name:40}{measured:8.3f}  at most {allowed:g}  {'met' if measured <= allowed else 'MISSED'}")
    sys.exit(any(measured > allowed for measured, allowed in figures.values()))


if __name__ == "__main__":
    main()
