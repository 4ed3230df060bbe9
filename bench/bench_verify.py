"""Verification and collection measured: calls an organization, time against populate, large differences.

Ratios of one run; exit status 1 when a figure is missed. ``--quick`` uses fewer organizations.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.collect import collect_stats
from psrlib.hub.process import start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import ObservedState, diff, populate
from psrlib.state.observed import KINDS, ObservedOrganization
from psrlib.verify import verify

PASSWORD = "admin@admin"  # the embedded hub's initial one
RANDOM_SEED = 19071990
MOST_CALLS = 15.0  # an organization, verifying and collecting
MOST_TIME = 0.1  # of populate's wall time
MOST_DIFF_S = 1.0
ENTITIES = 130_000
REPEATS = 3


def draw(n_organizations: int) -> SeedDocument:
    return resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), RANDOM_SEED, n_organizations))


def timed_s(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def count_entities(document: SeedDocument) -> int:
    return sum(len(getattr(o, kind)) for o in document.organizations for kind in KINDS)


def measure_hub(n_organizations: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Return figure -> (measured, allowed) for a populated hub without engines, which change no call."""
    document = draw(n_organizations)
    with start_hub(folder) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        populate_s = timed_s(lambda: populate(document, hub, progress=False))
        before = hub.calls.by_kind()
        verify_s = min(timed_s(lambda: verify(document, hub)) for _ in range(REPEATS))
        calls = hub.calls.since(before)
        per_organization = sum(calls.values()) / REPEATS / n_organizations
        done = collect_stats(hub, folder / "stats", PASSWORD, k=1, source="synthetic", rate_per_s=10_000)
    print(f"{n_organizations} organizations, {count_entities(document)} entities")
    print(f"populate {populate_s:.2f} s, verify {verify_s:.2f} s (best of {REPEATS})")
    print("verifying, calls an organization by kind:")
    for kind, n in calls.items():
        print(f"  {kind:16}{n / REPEATS / n_organizations:6.2f}")
    return {
        "verify: calls an organization": (per_organization, MOST_CALLS),
        "verify: time over populate": (verify_s / populate_s, MOST_TIME),
        "collect: calls an organization": (done.calls_per_organization, MOST_CALLS),
    }


def measure_difference() -> dict[str, tuple[float, float]]:
    """Return the time to compare a large document with a state that holds it but for one organization."""
    document = draw(10)
    document = draw(round(10 * ENTITIES / count_entities(document)))
    found = {
        o.id: ObservedOrganization(organization=o) for o in draw(len(document.organizations)).organizations
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
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_hub(20 if quick else 100, Path(folder))
    figures |= measure_difference()
    for name, (measured, allowed) in figures.items():
        print(f"{name:40}{measured:8.3f}  at most {allowed:g}  {'met' if measured <= allowed else 'MISSED'}")
    sys.exit(any(measured > allowed for measured, allowed in figures.values()))


if __name__ == "__main__":
    main()
