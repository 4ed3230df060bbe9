"""Jobs and job templates."""

from collections.abc import Sequence
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.apps import jobrunner
from psrlib.client.wire import Json
from psrlib.seed.document import Job
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.schedule import Call, Steps

JOBS_PER_CALL = 200


def job_steps(work: OrganizationWork) -> Steps[None]:
    """Create jobs and job templates; an instance of a template is a job with parameters of its own."""
    yield from _rules(work)
    yield _creations(work)


def _rules(work: OrganizationWork) -> Steps[None]:
    """Read the rules ids that listings did not give; a job refers to the rules of its commit."""
    needed = {job.pipeline for job in work.missing("jobs")}
    rows = work.rows["pipelines"]
    lacking = {str(rows[key]["commitId"]): key for key in needed if jobrunner.rules_id(rows[key]) is None}
    if lacking:
        (commits,) = yield [partial(work.admin.pipelinestore.commits, sorted(lacking))]
        for commit in commits:
            key = lacking[str(commit["commitId"])]
            rows[key] = {**rows[key], "currentRules": commit.get("currentRules")}


def _creations(work: OrganizationWork) -> list[Call]:
    return [
        partial(_create, work, jobs[start : start + JOBS_PER_CALL])
        for jobs in work.by_owner("jobs")
        for start in range(0, len(jobs), JOBS_PER_CALL)
    ]


def _create(work: OrganizationWork, jobs: Sequence[Job]) -> None:
    def create(session: ControlHub, remaining: Sequence[Job]) -> list[Json]:
        bodies = [job_body(work, job) for job in remaining]
        made = work.knowledge.use("has_create_jobs", lambda: session.jobrunner.create_jobs(bodies))
        return [session.jobrunner.create_job(body) for body in bodies] if made is None else made

    work.create("jobs", jobs, create)


def job_body(work: OrganizationWork, job: Job) -> Json:
    """Return the wire form of a job, which runs the latest commit of its pipeline."""
    return jobrunner.new_job(
        job.name,
        work.rows["pipelines"][job.pipeline],
        labels=job.labels,
        instances=job.instances,
        tags=job.tags,
        parameters=job.parameters,
        is_template=job.is_template,
    )
