"""A hub as it should be is consistent; each kind of deviation is found and named."""

import dataclasses

import msgspec

from psrlib.seed import SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.verify import Subject, VerificationReport, judge_state


def failed(report: VerificationReport) -> set[str]:
    return {check.name for check in report.results if not check.ok}


def test_a_hub_that_holds_the_document_is_consistent(
    document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """No check fails, and the verdict says so."""
    report = judge_state(document, state, subject)
    assert failed(report) == set()
    assert report.consistent
    assert report.verdict.startswith("Consistent: 5 organizations of random seed 7")


def test_a_missing_organization_fails_its_entities(
    document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """Everything in it is missing, and nothing else."""
    del state.organizations["org-0002"]
    report = judge_state(document, state, subject)
    frame = report.difference.frame()
    assert {"organizations", "users", "jobs", "jobs_active", "engines_responding"} <= failed(report)
    assert set(frame["organization"]) == {"org-0002"}
    assert set(frame["change"]) == {"missing"}


def test_a_changed_field_is_named_with_both_values(
    document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """The answer of the check says what should be and what is."""
    found = state.organizations["org-0001"]
    first, *others = found.organization.jobs
    jobs = [msgspec.structs.replace(first, instances=first.instances + 3), *others]
    found.organization = msgspec.structs.replace(found.organization, jobs=jobs)
    report = judge_state(document, state, subject)
    assert failed(report) == {"jobs"}
    check = next(check for check in report.results if check.name == "jobs")
    assert f"instances should be {first.instances}, is {first.instances + 3}" in check.answer


def test_foreign_organizations_are_reported(
    document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """A hub shared with others is not what the document describes."""
    state.foreign.append("acme")
    report = judge_state(document, state, subject)
    assert failed(report) == {"foreign"}


def test_the_counts_table_has_every_organization_and_metric(
    document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """Desired equals observed in each row when all is well."""
    counts = judge_state(document, state, subject).counts
    assert len(counts) == 5 * 11
    assert (counts["desired"] == counts["observed"]).all()
    assert counts["desired"].sum() > 200


def test_a_job_without_a_running_pipeline_is_found(
    document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """ACTIVE is not enough: an engine must report RUNNING."""
    found = state.organizations["org-0001"]
    driven = {task.job for task in found.organization.scheduled_tasks}
    key = next(key for key, run in found.jobs.items() if run.status == "ACTIVE" and key not in driven)
    run = found.jobs[key]
    found.jobs[key] = dataclasses.replace(
        run, pipeline_statuses=dict.fromkeys(run.pipeline_statuses, "START_ERROR"), color="RED"
    )
    report = judge_state(document, state, subject)
    assert failed(report) == {"jobs_green", "pipelines_running"}
