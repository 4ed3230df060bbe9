"""What populating would do: the difference, with an estimate of calls, time and data."""

import time
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson
import pandas as pd

from psrlib import seed
from psrlib.client import ControlHub
from psrlib.client.apps.pipelinestore import export_archive
from psrlib.seed.capacity import Shortage, find_shortages
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.adoption import held, left_out
from psrlib.state.diff import Difference, diff, identity
from psrlib.state.observe import observe
from psrlib.state.observed import ObservedState

PROBES = 5  # reads whose median time stands for all calls
SAMPLE = 12  # pipelines whose export documents are weighed
CALLS_PER_HUB = 5  # organizations, task selector and template, event texts, fields of a new job


@dataclass(frozen=True)
class Estimate:
    """Estimate of a populate: ``calls`` per kind, seconds, bytes of definitions to send and to store.

    ``shortages`` are the organizations whose active jobs exceed what their engines can run, ``foreign`` the
    ids of those on the hub that the document does not name, ``left_out`` what a 4.x hub is not to hold.
    """

    difference: Difference
    calls: dict[str, int]
    duration_s: float
    answer_s: float
    upload_bytes: int
    stored_bytes: int
    shortages: tuple[Shortage, ...] = ()
    foreign: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def n_calls(self) -> int:
        """All HTTP requests."""
        return sum(self.calls.values())

    def frame(self) -> pd.DataFrame:
        """Return one row per kind: missing, different, extra entities and estimated calls."""
        counts = self.difference.counts()
        kinds = dict.fromkeys([*counts, *self.calls])
        changes = ("missing", "different", "extra")
        table = [[k, *(counts.get(k, {}).get(c, 0) for c in changes), self.calls.get(k, 0)] for k in kinds]
        return pd.DataFrame(table, columns=["kind", *changes, "calls"]).set_index("kind")

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "difference": [item.record() for item in self.difference.items],
            "foreign": list(self.foreign),
            "shortages": [shortage._asdict() for shortage in self.shortages],
            "calls": self.calls,
            "duration_s": round(self.duration_s, 3),
            "upload_bytes": self.upload_bytes,
            "stored_bytes": self.stored_bytes,
            "left_out": self.left_out.removeprefix("; "),
        }

    def summary(self) -> str:
        """Return one sentence."""
        if not self.difference:
            return f"nothing to do: the Control Hub holds what the seed document says{self.left_out}"
        return (
            f"about {self.n_calls} calls, {self.duration_s:.0f} s at {self.answer_s * 1000:.0f} ms "
            f"per answer; {self.upload_bytes / 1e6:.1f} MB to send, "
            f"{self.stored_bytes / 1e6:.1f} MB of definitions to store{self.left_out}"
        )


def plan(document: SeedDocument, hub: ControlHub, *, definition_size: str = "small") -> Estimate:
    """Return what populating would do, without changing anything on the hub."""
    drawn, document = document, held(document, hub)
    before = hub.calls.by_kind()
    observed = observe(document, hub)
    reads = sum(hub.calls.since(before).values())
    difference = diff(document, observed, runtime=False)
    answer_s = _answer_time_s(hub)
    missing = {
        (item.organization, item.kind, item.name) for item in difference.items if item.change == "missing"
    }
    calls: Counter[str] = Counter()
    for organization in document.organizations:
        calls += _calls(organization, missing)
    if difference:
        calls["metadata"] += CALLS_PER_HUB
        calls["reading"] += _reads(observed, difference, reads)
    upload, stored = _volume(document, missing, definition_size)
    connections = min(hub.limit.largest, max(1, len(document.organizations)) * 2)
    duration_s = calls.total() * answer_s / connections
    shortages = tuple(find_shortages(document))
    foreign = tuple(observed.foreign)
    return Estimate(
        *(difference, dict(+calls), duration_s, answer_s, upload, stored, shortages, foreign),
        left_out(drawn, document),
    )


def _reads(observed: ObservedState, difference: Difference, reads: int) -> int:
    """Return the calls that reading takes: what exists is read once more, and again where it is changed."""
    incomplete = {item.organization for item in difference.items} & set(observed.organizations)
    n_existing = len(observed.organizations)
    return reads * (n_existing + len(incomplete)) // n_existing if n_existing else 0


def _answer_time_s(hub: ControlHub) -> float:
    """Return the median time of a few cheap reads."""
    times = []
    for _ in range(PROBES):
        started = time.monotonic()
        hub.security.current_user()
        times.append(time.monotonic() - started)
    return median(times)


def _calls(organization: Organization, missing: set[tuple[str, str, str]]) -> Counter[str]:
    """Return the calls that creating an organization's missing entities takes (control-hub-rest, 10.1)."""

    def lacking(kind: str) -> int:
        entities = getattr(organization, kind)
        return sum((organization.id, kind, identity(kind, entity)) in missing for entity in entities)

    is_new = (organization.id, "organizations", organization.id) in missing
    owners = {job.owner for job in organization.jobs} | {p.owner for p in organization.pipelines}
    calls = Counter(
        organizations=int(is_new),
        configuration=2 * is_new,
        users=lacking("users") - is_new,
        groups=lacking("groups"),
        connections=lacking("connections"),
        fragments=min(lacking("fragments"), len(owners)),
        pipelines=min(lacking("pipelines"), 1 + len(owners)),
        jobs=min(lacking("jobs"), len(owners)),
        scheduled_tasks=lacking("scheduled_tasks"),
        subscriptions=lacking("subscriptions"),
        topologies=2 * lacking("topologies"),
    )
    if calls.total():
        calls["sessions"] = len(owners)
    return calls


def _volume(
    document: SeedDocument, missing: set[tuple[str, str, str]], definition_size: str
) -> tuple[int, int]:
    """Return bytes to send and to store for the missing pipelines, from the weight of a sample."""
    lacking = [
        (organization, pipeline)
        for organization in document.organizations
        for pipeline in organization.pipelines
        if (organization.id, "pipelines", pipeline.name) in missing
    ]
    if not lacking:
        return 0, 0
    sample = lacking[:: max(1, len(lacking) // SAMPLE)]
    sent = stored = 0
    for organization, pipeline in sample:
        config, rules = seed.pipeline_definition(document, organization, pipeline, 1)
        export: dict[str, Any] = {"pipelineConfig": config, "pipelineRules": rules}
        if definition_size == "production":
            library = seed.library_definitions(document, organization, pipeline)
            export["libraryDefinitions"] = orjson.Fragment(library)
        text = orjson.dumps(export)
        sent += len(export_archive({"0001.json": text}))
        stored += len(text)
    n_commits = sum(pipeline.commits for _, pipeline in lacking)
    return sent * n_commits // len(sample), stored * n_commits // len(sample)
