"""Does what should run run, where it should?"""

from collections.abc import Iterator

import pandas as pd

from psrlib.seed.capacity import ALL_ENGINES, find_shortage, max_pipelines
from psrlib.seed.document import Job, Organization, SeedDocument
from psrlib.state.observed import ObservedJob, ObservedOrganization, ObservedState
from psrlib.verify.check import Check, judge

NO_THREADS = "CONTAINER_0166"  # of an engine that runs as many pipelines as it can
SIGNIFICANCE = 0.001  # of a whole verification; shared among its tests (Bonferroni)


def job_checks(document: SeedDocument, observed: ObservedState, excused: set[tuple[str, str]]) -> list[Check]:
    """Check every job that should be ACTIVE.

    Parameters
    ----------
    excused : set of (organization, job key)
        Jobs that a scheduled task starts or stops; they are judged by `psrlib.verify.tasks`.
    """
    status, color, pipelines, engines, n, n_active = [], [], [], [], 0, 0
    limit = max_pipelines(document.variables)
    for organization in document.organizations:
        found = observed.organizations.get(organization.id) or ObservedOrganization(organization)
        for job in organization.jobs:
            if job.status != "ACTIVE" or job.is_template or (organization.id, job.key) in excused:
                continue
            n += 1
            run = found.jobs.get(job.key)
            name = f'{organization.id}: job "{job.name}"'
            if run is None or run.status != "ACTIVE":
                status.append(f"{name} is {_words(run)}{_reason(run, organization, limit)}")
                continue
            n_active += 1
            if run.color != "GREEN":
                color.append(f"{name} is ACTIVE/{run.color}{_reason(run, organization, limit)}")
            pipelines += [f"{name} {text}" for text in _pipeline_findings(job, run, found)]
            engines += [f"{name} {text}" for text in _engine_findings(job, run, found)]
    questions = (
        ("jobs_active", "Is every job that should be ACTIVE active?", n, status),
        ("jobs_green", "Is every active job green?", n_active, color),
        ("pipelines_running", "Does every instance of an active job report RUNNING?", n_active, pipelines),
        ("engines_fit", "Does each active job run on responding engines with its labels?", n_active, engines),
    )
    return [judge("structural", name, text, checked, findings) for name, text, checked, findings in questions]


def engine_check(document: SeedDocument, observed: ObservedState) -> Check:
    """Check that every engine of the document is registered and responds."""
    findings = []
    for organization in document.organizations:
        found = observed.organizations.get(organization.id)
        for engine in organization.engines:
            seen = found.engines.get(engine.key) if found else None
            if seen is None or not seen.responding:
                state = "does not respond" if seen else "is not registered"
                findings.append(f'{organization.id}: engine "{engine.key}" {state}')
    n = sum(len(organization.engines) for organization in document.organizations)
    question = "Is every engine registered and responding?"
    return judge("structural", "engines_responding", question, n, findings)


def spread_check(tests: pd.DataFrame) -> Check:
    """Check that no organization's spread (`psrlib.verify.spread.spread_tests`) is improbably uneven."""
    limit = SIGNIFICANCE / max(1, len(tests))
    uneven = tests[tests["p_value"] < limit]
    findings = [
        f"{organization}: chi-square {statistic:.1f} over {n} engines, p = {p:.2g}"
        for organization, n, _, statistic, p in uneven.itertuples(index=False)
    ]
    answer = "no organization with two engines and a running job"
    if len(tests):
        total = tests.iloc[-1]
        answer = (
            f"chi-square {total.chi_square:.1f} over all, p = {total.p_value:.2g}; "
            f"smallest p {tests['p_value'].min():.2g}"
        )
    question = f"Are jobs spread evenly over engines (chi-square, p ≥ {limit:.1g})?"
    return judge("structural", "engines_even", question, len(tests), findings, answer)


def foreign_check(observed: ObservedState) -> Check:
    """Check that the hub holds no organization besides the document's and its own."""
    findings = [f"organization {id} is not of this seed document" for id in observed.foreign]
    n = len(observed.organizations) + len(findings)
    return judge("exact", "foreign", "Does the hub hold these organizations only?", n, findings)


def _words(run: ObservedJob | None) -> str:
    if run is None:
        return "missing"
    if run.status is None:
        return "never started"
    return f"{run.status}/{run.color}" if run.color else run.status


def _reason(run: ObservedJob | None, organization: Organization, limit: int) -> str:
    """Return why a job failed, in brackets; where its engine had no threads left, what that takes."""
    if run is None or not run.error:
        return ""
    if NO_THREADS not in run.error:
        return f" ({run.error})"
    shortage = find_shortage(organization, limit)
    advice = shortage or f"raise runner.thread.pool.size, as psr engines configure writes it for {limit} each"
    return f" ({run.error}): its engine runs no more pipelines at once; {advice}"


def _pipeline_findings(job: Job, run: ObservedJob, found: ObservedOrganization) -> Iterator[str]:
    running = sum(status == "RUNNING" for status in run.pipeline_statuses.values())
    fitting = [engine for engine in found.engines.values() if set(job.labels) <= set(engine.labels)]
    wanted = len(fitting) if job.instances == ALL_ENGINES else min(job.instances, max(len(fitting), 1))
    if running < wanted:
        states = ", ".join(sorted(set(run.pipeline_statuses.values()))) or "nothing"
        yield f"has {running} of {wanted} pipelines RUNNING (engines report {states})"


def _engine_findings(job: Job, run: ObservedJob, found: ObservedOrganization) -> Iterator[str]:
    by_id = {engine.id: engine for engine in found.engines.values()}
    for id in run.engine_ids:
        engine = by_id.get(id)
        if engine is None:
            yield f"runs on engine {id}, which is not of its organization"
        elif not engine.responding:
            yield f'runs on engine "{engine.key}", which does not respond'
        elif not set(job.labels) <= set(engine.labels):
            yield f'runs on engine "{engine.key}", which lacks a label of {job.labels}'
