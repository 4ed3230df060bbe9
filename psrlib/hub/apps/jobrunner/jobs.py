"""Jobrunner app: jobs and job templates."""

from msgspec import field
from sqlalchemy import ColumnElement, bindparam, select

from psrlib.hub.apps.jobrunner.records import (
    OPERATOR,
    DuplicateJobJson,
    JobJson,
    NewJobJson,
    as_new_job,
    change_job,
    insert_jobs,
    show_jobs,
    shown,
)
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.runner import words
from psrlib.hub.security.acl import all_permitted, drop_acls, permitted
from psrlib.hub.store.queries import CHUNK, Query, Row, by_keys
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.execution import instances, jobs, metrics, offsets, run_events, runs
from psrlib.hub.store.text import contains, has_item, has_path
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import CountJson, Listed, Listing
from psrlib.hub.web.routing import USER, App

app = App("jobrunner")


class Finding(Listing, rename="camel"):
    """Which jobs a listing is about."""

    system: bool = False
    removed: bool = False
    job_status: str | None = None
    job_label: str | None = None
    job_tag: str | None = None
    edge: bool | None = None
    executor_type: str | None = None
    archived: bool | None = None
    template: bool | None = field(default=None, name="jobTemplate")
    template_id: str | None = field(default=None, name="templateJobId")


@app.route(
    "PUT",
    "/jobrunner/rest/v1/jobs",
    OPERATOR,
    choice="required: name, pipelineId, pipelineCommitId; the rest has the SDK's defaults; names may repeat",
)
def create_job(call: Call, body: NewJobJson) -> JobJson:
    """Create a job or job template."""
    return insert_jobs(call, [body])[0]


@app.route("PUT", "/jobrunner/rest/v1/jobs/createJobs", OPERATOR, choice="all or nothing")
def create_jobs(call: Call, body: list[NewJobJson]) -> list[JobJson]:
    """Create several jobs."""
    return insert_jobs(call, body)


MINE = select(jobs).where(jobs.c.organization == bindparam("org"))
JOBS, DRAFT_RUNS = Query(MINE.where(~jobs.c.draft_run)), Query(MINE.where(jobs.c.draft_run))


def find_jobs(
    call: Call, finding: Finding, *more: ColumnElement[bool], status: str | None = None, query: Query = JOBS
) -> Listed[JobJson]:
    """Return the page of the jobs that a listing asks for, and that meet ``more`` about their current run.

    ``status`` is used where the listing names none.
    """
    query = query.where(*_conditions(finding, call.organization))
    if wanted := finding.job_status or status:
        query = query.join(runs, runs.c.id == jobs.c.current_run, _has_status(wanted), *more)
    return call.page(finding, query, ORDER, show_all=lambda rows: show_jobs(call, rows))


def _has_status(text: str) -> ColumnElement[bool]:
    if text == "null":
        return jobs.c.current_run.is_(None)
    if text in ("ACTIVE_GREEN", "ACTIVE_RED"):
        return (runs.c.status == words.ACTIVE) & (runs.c.color == text.removeprefix("ACTIVE_"))
    return runs.c.status == text


def _conditions(finding: Finding, org: str) -> list[ColumnElement[bool]]:
    equal = ("archived", "template", "template_id", "executor_type")
    found = [jobs.c[name] == value for name in equal if (value := getattr(finding, name)) is not None]
    if finding.removed:
        found.append(jobs.c.id == "")
    if finding.edge:
        found.append(jobs.c.executor_type == "EDGE")
    if finding.job_label:
        found.append(has_item(jobs.c.labels, finding.job_label))
    if finding.job_tag:
        found.append(has_path(jobs.c.tags, finding.job_tag.removesuffix(f":{org}")))
    if text := finding.filter_text:
        found.append(contains(jobs.c.name, text) | contains(jobs.c.id, text))
    return found


ORDER = {
    "NAME": jobs.c.name,
    "LAST_MODIFIED_ON": jobs.c.last_modified_on,
    "CREATED_ON": jobs.c.created_on,
    "CREATE_TIME": jobs.c.created_on,
    "CREATOR": jobs.c.creator,
}


@app.route("GET", "/jobrunner/rest/v1/jobs/byStatus", USER)
@app.route("GET", "/jobrunner/rest/v1/jobs", USER, release=3)
def list_jobs(call: Call, finding: Finding) -> Listed[JobJson]:
    """List jobs with their current status."""
    return find_jobs(call, finding)


@app.route("POST", "/jobrunner/rest/v1/jobs", USER, writes=False)
def get_jobs(call: Call, body: list[str]) -> list[JobJson]:
    """Return several jobs."""
    return shown(call, body)


@app.route("GET", "/jobrunner/rest/v1/jobs/count", USER, choice="counts jobs and templates")
def count_jobs(
    call: Call, organization: str | None = None, removed: bool = False, system: bool = False
) -> CountJson:
    """Count jobs."""
    if removed or system:
        return CountJson(0)
    return CountJson(JOBS.count().scalar(call.db, org=call.organization))


@app.route("GET", "/jobrunner/rest/v1/jobs/forPipelineCommit", USER)
def jobs_for_commit(call: Call, listing: Listing, pipeline_commit_id: str | None = None) -> Listed[JobJson]:
    """List jobs that use a pipeline commit."""
    query = JOBS.where(jobs.c.commit_id == (pipeline_commit_id or ""))
    return call.page(listing, query, ORDER, show_all=lambda rows: show_jobs(call, rows))


@app.route("GET", "/jobrunner/rest/v1/jobs/tags", USER)
def list_job_tags(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[TagJson]:
    """List job tags."""
    return label_tree.list_labels(call, "JOB", listing, parent_id, label_tree.show_tag)


@app.route("GET", "/jobrunner/rest/v1/job/{job}", USER)
def get_job(call: Call, job: str) -> JobJson:
    """Return a job."""
    return show_jobs(call, [permitted(call, jobs, job, "Job", "READ")])[0]


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}",
    OPERATOR,
    choice="refused with 400 while the job runs; the pipeline of a job cannot change, its commit can",
)
def update_job(call: Call, job: str, body: JobJson) -> JobJson:
    """Update a job."""
    row = permitted(call, jobs, job, "Job", "WRITE")
    if body.id is not None and body.id != row.id:
        raise bad_request(f"the body's id is '{body.id}', the path's '{row.id}'")
    refuse_running(call, [row])
    commit, org = call.fetch(commits, body.commit_id, "Pipeline commit"), row.organization
    if commit.draft or commit.organization != org:
        raise bad_request(f"commit '{commit.id}' is not a published commit of organization '{org}'")
    if body.tags is None and body.job_tags is not None:
        body.tags = [tag.tag for tag in body.job_tags if tag.tag]
    if body.commit_id != row.commit_id:
        body.rules_id = commit.rules_id
    change_job(call, row, body, commit, archived=bool(body.archived))
    return shown(call, [row.id])[0]


def refuse_running(call: Call, rows: list[Row]) -> None:
    """Refuse a change of jobs that run."""
    ids = [row.current_run for row in rows if row.current_run]
    running = call.db.execute(select(runs).where(runs.c.id.in_(ids), runs.c.open)).first()
    if running is not None:
        job = next(row for row in rows if row.id == running.job_id)
        raise bad_request(f"job '{job.name}' is {running.status}; stop it first")


def delete_rows(call: Call, ids: list[str]) -> None:
    """Delete jobs that do not run, with everything of theirs."""
    refuse_running(call, all_permitted(call, jobs, ids, "Job", "WRITE"))
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        old = select(runs.c.id).where(runs.c.job_id.in_(part))
        call.db.execute(run_events.delete().where(run_events.c.run_id.in_(old)))
        for table in (instances, offsets, metrics, runs):
            call.db.execute(table.delete().where(table.c.job_id.in_(part)))
        call.db.execute(jobs.delete().where(jobs.c.id.in_(part)))
        drop_acls(call, part)


@app.route("DELETE", "/jobrunner/rest/v2/job/{job}", OPERATOR, choice="second version of the call")
@app.route("DELETE", "/jobrunner/rest/v1/job/{job}", OPERATOR, choice="refused with 400 while the job runs")
def delete_job(call: Call, job: str) -> None:
    """Delete a job."""
    delete_rows(call, [job])


@app.route("POST", "/jobrunner/rest/v1/jobs/deleteJobs", OPERATOR, choice="all or nothing")
def delete_jobs(call: Call, body: list[str]) -> list[str]:
    """Delete several jobs."""
    delete_rows(call, body)
    return []


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/duplicate",
    OPERATOR,
    bulk=True,
    choice="answers the copies; one is named namePrefix, several namePrefix1..n",
)
def duplicate_job(call: Call, job: str, body: DuplicateJobJson) -> list[JobJson]:
    """Copy a job."""
    row = permitted(call, jobs, job, "Job", "READ")
    commit = call.fetch(commits, row.commit_id, "Pipeline commit")
    n = body.number_of_copies
    copies = []
    for name in [body.name_prefix] if n == 1 else [f"{body.name_prefix}{i + 1}" for i in range(n)]:
        copy = as_new_job(row, commit)
        copy.name, copy.description = name, body.description
        copies.append(copy)
    return insert_jobs(call, copies)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/upgradeJobs",
    OPERATOR,
    choice="a running job keeps its run and takes the new version at its next start",
)
def upgrade_jobs(call: Call, body: list[str]) -> list[JobJson]:
    """Move jobs to the newest published version of their pipelines."""
    rows = all_permitted(call, jobs, body, "Job", "WRITE")
    used = by_keys(pipelines)(call.db, [row.pipeline_id for row in rows])
    latest = {pipeline.id: pipeline.latest_published for pipeline in used}
    changed = {"last_modified_by": call.principal.id, "last_modified_on": call.now}
    for row in rows:
        values = {"commit_id": latest[row.pipeline_id], **changed}
        call.db.execute(jobs.update().where(jobs.c.id == row.id).values(values))
    return shown(call, body)
