"""A small seed document and the state of a hub that holds exactly it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from psrlib import paths
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.seed.document import Organization
from psrlib.seed.identity import engine_id
from psrlib.state.observed import ObservedEngine, ObservedJob, ObservedOrganization, ObservedState
from psrlib.verify import Subject

Balance = Callable[[int, int], int]


def observed_organization(desired: Organization, random_seed: int) -> ObservedOrganization:
    """Return what a hub shows when everything of an organization is there and runs, engines in turn."""
    engines = {
        engine.key: ObservedEngine(
            id=engine_id(random_seed, desired.id, engine.key),
            key=engine.key,
            responding=True,
            labels=tuple(engine.labels),
        )
        for engine in desired.engines
    }
    jobs = {}
    turn = 0
    for job in desired.jobs:
        fitting = [engine.id for engine in engines.values() if set(job.labels) <= set(engine.labels)]
        n = len(fitting) if job.instances < 0 else min(job.instances, len(fitting))
        active = job.status == "ACTIVE" and not job.is_template
        chosen = tuple(fitting[(turn + i) % len(fitting)] for i in range(n)) if active else ()
        turn += n if active else 0
        jobs[job.key] = ObservedJob(
            id=f"{job.key}:{desired.id}",
            status="ACTIVE" if active else None,
            color="GREEN" if active else None,
            run_count=int(active),
            engine_ids=chosen,
            pipeline_statuses=dict.fromkeys(chosen, "RUNNING"),
            error=None,
        )
    return ObservedOrganization(organization=desired, jobs=jobs, engines=engines)


@pytest.fixture(scope="session")
def document() -> SeedDocument:
    """Five organizations of the sample model, variables resolved."""
    return resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 7, 5))


@pytest.fixture
def state(document: SeedDocument) -> ObservedState:
    """A hub that holds exactly the document."""
    random_seed = document.provenance.random_seed
    return ObservedState(
        organizations={o.id: observed_organization(o, random_seed) for o in document.organizations},
        foreign=[],
    )


@pytest.fixture
def subject() -> Subject:
    return Subject(
        hub="http://127.0.0.1:18631",
        hub_version="3.22.2",
        verified_at="2026-01-01T00:00:00+00:00",
        random_seed=7,
        num_orgs=5,
        model="sample",
        model_sha256="0" * 64,
        seed_sha256="1" * 64,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "report"
