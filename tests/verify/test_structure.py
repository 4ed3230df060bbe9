"""What should run is judged job by job."""

import dataclasses
import re

import pytest
from msgspec import structs

from psrlib.seed import SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.verify.check import Check
from psrlib.verify.structure import engine_check, job_checks

ORGANIZATION = "org-0001"


def checks_after(document: SeedDocument, state: ObservedState, **changes: object) -> dict[str, Check]:
    """Return the job checks by name after one active job's run has been changed."""
    found = state.organizations[ORGANIZATION]
    key = next(key for key, run in found.jobs.items() if run.status == "ACTIVE")
    found.jobs[key] = dataclasses.replace(found.jobs[key], **changes)  # type: ignore[arg-type]
    return {check.name: check for check in job_checks(document, state, set())}


@pytest.mark.parametrize(
    ("changes", "failing", "words"),
    [
        ({"status": None, "color": None}, "jobs_active", "never started"),
        ({"status": "INACTIVE_ERROR", "color": "RED"}, "jobs_active", "is INACTIVE_ERROR/RED"),
        ({"color": "RED", "error": "engine down"}, "jobs_green", r"ACTIVE/RED \(engine down\)"),
        ({"pipeline_statuses": {}}, "pipelines_running", "of . pipelines RUNNING .engines report nothing"),
        ({"engine_ids": ("elsewhere",)}, "engines_fit", "elsewhere, which is not of its organization"),
    ],
    ids=["never started", "error", "red", "no pipeline", "foreign engine"],
)
def test_each_flaw_of_a_job_fails_its_own_check(
    document: SeedDocument, state: ObservedState, changes: dict[str, object], failing: str, words: str
) -> None:
    """And no other one."""
    checks = checks_after(document, state, **changes)
    assert [name for name, check in checks.items() if not check.ok] == [failing]
    assert re.search(words, checks[failing].answer)


def test_the_limit_of_an_engine_is_named_when_a_job_failed_for_it(
    document: SeedDocument, state: ObservedState
) -> None:
    """With what the organization wants of its engines, where that is more than they can run."""
    error = "... 'CONTAINER_0166 - Cannot start pipeline 'p' as there are not enough threads available.'"
    changes = {"status": "INACTIVE_ERROR", "color": "RED", "error": error}
    answer = checks_after(document, state, **changes)["jobs_active"].answer
    assert "its engine runs no more pipelines at once; raise runner.thread.pool.size" in answer
    tight = structs.replace(document, variables={**document.variables, "engine_max_pipelines": "1"})
    answer = checks_after(tight, state, **changes)["jobs_active"].findings[0]
    assert re.search(r"its engine runs no more pipelines at once; org-0001: active jobs want \d+", answer)
    assert "which run 1 each" in answer


def test_an_engine_that_does_not_respond_fails_its_jobs_too(
    document: SeedDocument, state: ObservedState
) -> None:
    """Both the engine and what it runs are named."""
    found = state.organizations[ORGANIZATION]
    used = {id for run in found.jobs.values() for id in run.engine_ids}
    key = next(key for key, engine in found.engines.items() if engine.id in used)
    found.engines[key] = dataclasses.replace(found.engines[key], responding=False)
    assert f'engine "{key}" does not respond' in engine_check(document, state).answer
    checks = {check.name: check for check in job_checks(document, state, set())}
    assert f'runs on engine "{key}", which does not respond' in checks["engines_fit"].answer


def test_an_engine_that_never_registered_is_named(document: SeedDocument, state: ObservedState) -> None:
    """Desired engines are looked at, not only those found."""
    state.organizations[ORGANIZATION].engines.clear()
    check = engine_check(document, state)
    assert check.failed == len(document.organizations[0].engines)
    assert "is not registered" in check.answer


def test_excused_jobs_are_not_judged_by_their_status(document: SeedDocument, state: ObservedState) -> None:
    """They count neither as checked nor as failed."""
    found = state.organizations[ORGANIZATION]
    key = next(key for key, run in found.jobs.items() if run.status == "ACTIVE")
    found.jobs[key] = dataclasses.replace(found.jobs[key], status="INACTIVE", color="GRAY")
    checks = {check.name: check for check in job_checks(document, state, {(ORGANIZATION, key)})}
    assert checks["jobs_active"].ok
