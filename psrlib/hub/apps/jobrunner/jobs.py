"""Jobrunner app: jobs and job templates."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from psrlib.hub.apps.jobrunner.records import (
    OPERATOR,
    DuplicateJobJson,
    JobJson,
    NewJobJson,
    as_new_job,
    insert_jobs,
    job_row,
    jobs_json,
    shown,
)
from psrlib.hub.apps.jobrunner.status import empty_status_filter
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.security.acl import check_permission, drop_acls
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.execution import instances, jobs, metrics, offsets, run_events, runs
from psrlib.hub.store.text import contains, has_item, has_path
from psrlib.hub.web.call import LISTING, ORGANIZATION, PAGING, WRAPPER, Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import Listed, Listing
from psrlib.hub.web.routing import USER, App, Parameter

app = App("jobrunner", "Jobs, job templates, runs, engines")
FINDING = (
    *LISTING,
    Parameter("system", "boolean", False),
    Parameter("removed", "boolean", False),
    Parameter("jobStatus"),
    Parameter("jobLabel"),
    Parameter("jobTag"),
    Parameter("edge", "boolean"),
    Parameter("executorType"),
    Parameter("archived", "boolean"),
    Parameter("jobTemplate", "boolean"),
    Parameter("templateJobId"),
)


@app.route(
    "PUT",
    "/jobrunner/rest/v1/jobs",
    OPERATOR,
    body=NewJobJson,
    returns=JobJson,
    choice="required: name, pipelineId, pipelineCommitId; the rest has the SDK's defaults; names may repeat",
)
def create_job(call: Call) -> Any:
    """Create a job or job template."""
    return insert_jobs(call, [call.body])[0]


@app.route(
    "PUT",
    "/jobrunner/rest/v1/jobs/createJobs",
    OPERATOR,
    body=list[NewJobJson],
    choice="all or nothing",
)
def create_jobs(call: Call) -> Any:
    """Create several jobs."""
    return insert_jobs(call, call.body)


JOBS = Query(select(jobs).where(jobs.c.organization == bindparam("org")))


def finding(call: Call) -> Query:
    """Return the jobs a listing's query asks for, in organization ``org``."""
    query = call.query
    statement: Query = JOBS
    if query["removed"]:
        statement = statement.where(jobs.c.id == "")
    for condition in _conditions(query, call.organization):
        statement = statement.where(condition)
    if status := query["jobStatus"]:
        statement = statement.join(runs, runs.c.id == jobs.c.current_run, _has_status(status))
    return statement


def _has_status(text: str) -> ColumnElement[bool]:
    if text in ("", "null"):
        return empty_status_filter()
    status, _, color = text.rpartition("_") if text in ("ACTIVE_GREEN", "ACTIVE_RED") else (text, "", "")
    return (runs.c.status == status) & (runs.c.color == color) if color else runs.c.status == status


def _conditions(query: dict[str, Any], org: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query["archived"] is not None:
        found.append(jobs.c.archived == query["archived"])
    if query["jobTemplate"] is not None:
        found.append(jobs.c.template == query["jobTemplate"])
    if query["templateJobId"]:
        found.append(jobs.c.template_id == query["templateJobId"])
    if query["executorType"]:
        found.append(jobs.c.executor_type == query["executorType"])
    if query["edge"]:
        found.append(jobs.c.executor_type == "EDGE")
    if query["jobLabel"]:
        found.append(has_item(jobs.c.labels, query["jobLabel"]))
    if query["jobTag"]:
        path = query["jobTag"].removesuffix(f":{org}")
        found.append(has_path(jobs.c.tags, path))
    if query["filterText"]:
        text = query["filterText"]
        found.append(contains(jobs.c.name, text) | contains(jobs.c.id, text))
    return found


ORDER = {
    "NAME": jobs.c.name,
    "LAST_MODIFIED_ON": jobs.c.last_modified_on,
    "CREATED_ON": jobs.c.created_on,
    "CREATE_TIME": jobs.c.created_on,
    "CREATOR": jobs.c.creator,
}


@app.route("GET", "/jobrunner/rest/v1/jobs", USER, query=FINDING)
def list_jobs(call: Call) -> Any:
    """List jobs with their current status."""
    return call.old_page(finding(call), ORDER, lambda rows: jobs_json(call, rows), org=call.organization)


@app.route("POST", "/jobrunner/rest/v1/jobs", USER, body=list[str], writes=False)
def get_jobs(call: Call) -> Any:
    """Return several jobs."""
    return shown(call, call.body)


@app.route(
    "GET",
    "/jobrunner/rest/v1/jobs/count",
    USER,
    query=(ORGANIZATION, Parameter("removed", "boolean", False), Parameter("system", "boolean", False)),
    choice="counts jobs and templates",
)
def count_jobs(call: Call) -> Any:
    """Count jobs."""
    if call.query["removed"] or call.query["system"]:
        return {"count": 0}
    statement = select(func.count()).where(jobs.c.organization == call.organization)
    return {"count": call.db.execute(statement).scalar_one()}


@app.route(
    "GET",
    "/jobrunner/rest/v1/jobs/byStatus",
    USER,
    query=(*FINDING,),
)
def jobs_by_status(call: Call) -> Any:
    """List jobs with a status."""
    return call.old_page(finding(call), ORDER, lambda rows: jobs_json(call, rows), org=call.organization)


@app.route(
    "GET",
    "/jobrunner/rest/v1/jobs/forPipelineCommit",
    USER,
    query=(*PAGING, WRAPPER, ORGANIZATION, Parameter("pipelineCommitId")),
)
def jobs_for_commit(call: Call) -> Any:
    """List jobs that use a pipeline commit."""
    statement = select(jobs).where(
        jobs.c.organization == call.organization, jobs.c.commit_id == (call.query["pipelineCommitId"] or "")
    )
    return call.old_page(statement, ORDER, lambda rows: jobs_json(call, rows))


@app.route("GET", "/jobrunner/rest/v1/jobs/tags", USER)
def list_job_tags(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[TagJson]:
    """List job tags."""
    return label_tree.list_labels(call, "JOB", listing, parent_id, label_tree.show_tag)


@app.route("GET", "/jobrunner/rest/v1/job/{job}", USER, returns=JobJson)
def get_job(call: Call) -> Any:
    """Return a job."""
    row = call.fetch(jobs, call.path["job"], "Job")
    check_permission(call, row.id, "READ")
    return jobs_json(call, [row])[0]


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}",
    OPERATOR,
    body=JobJson,
    returns=JobJson,
    choice="refused with 400 while the job runs; the pipeline of a job cannot change, its commit can",
)
def update_job(call: Call) -> Any:
    """Update a job."""
    row, new = call.fetch(jobs, call.path["job"], "Job"), call.body
    check_permission(call, row.id, "WRITE")
    if new.id is not None and new.id != row.id:
        raise bad_request(f"the body's id is '{new.id}', the path's '{row.id}'")
    refuse_running(call, [row])
    commit = published_commit_of(call, new.pipelineCommitId, row.organization)
    if new.rawJobTags is None and new.jobTags is not None:
        new.rawJobTags = [tag.tag for tag in new.jobTags if tag.tag]
    if new.pipelineCommitId != row.commit_id:
        new.rulesId = commit.rules_id
    values = job_row(call, new, commit, row.organization)
    values["archived"] = bool(new.archived)
    call.db.execute(jobs.update().where(jobs.c.id == row.id).values(values))
    label_tree.remember(call, "JOB", values["tags"], row.organization)
    return shown(call, [row.id])[0]


def published_commit_of(call: Call, commit_id: str, organization: str) -> Row:
    """Return a published commit of an organization."""
    commit = call.fetch(commits, commit_id, "Pipeline commit")
    if commit.draft or commit.organization != organization:
        raise bad_request(f"commit '{commit_id}' is not a published commit of organization '{organization}'")
    return commit


def refuse_running(call: Call, rows: list[Row]) -> None:
    """Refuse a change of jobs that run."""
    ids = [row.current_run for row in rows if row.current_run]
    running = call.db.execute(select(runs).where(runs.c.id.in_(ids), runs.c.open)).first()
    if running is not None:
        job = next(row for row in rows if row.id == running.job_id)
        raise bad_request(f"job '{job.name}' is {running.status}; stop it first")


def delete_rows(call: Call, ids: list[str]) -> None:
    """Delete jobs that do not run, with everything of theirs."""
    rows = call.fetch_all(jobs, ids, "Job")
    for row in rows:
        check_permission(call, row.id, "WRITE")
    refuse_running(call, rows)
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        old = select(runs.c.id).where(runs.c.job_id.in_(part))
        call.db.execute(run_events.delete().where(run_events.c.run_id.in_(old)))
        for table in (instances, offsets, metrics, runs):
            call.db.execute(table.delete().where(table.c.job_id.in_(part)))
        call.db.execute(jobs.delete().where(jobs.c.id.in_(part)))
        drop_acls(call, part)


@app.route("DELETE", "/jobrunner/rest/v1/job/{job}", OPERATOR, choice="refused with 400 while the job runs")
def delete_job(call: Call) -> Any:
    """Delete a job."""
    delete_rows(call, [call.path["job"]])
    return None


@app.route("DELETE", "/jobrunner/rest/v2/job/{job}", OPERATOR)
def delete_job_v2(call: Call) -> Any:
    """Delete a job (second version of the call)."""
    delete_rows(call, [call.path["job"]])
    return None


@app.route("POST", "/jobrunner/rest/v1/jobs/deleteJobs", OPERATOR, body=list[str], choice="all or nothing")
def delete_jobs(call: Call) -> Any:
    """Delete several jobs."""
    delete_rows(call, call.body)
    return []


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/duplicate",
    OPERATOR,
    body=DuplicateJobJson,
    bulk=True,
    choice="answers the copies; one is named namePrefix, several namePrefix1..n",
)
def duplicate_job(call: Call) -> Any:
    """Copy a job."""
    row, new = call.fetch(jobs, call.path["job"], "Job"), call.body
    check_permission(call, row.id, "READ")
    commit = call.fetch(commits, row.commit_id, "Pipeline commit")
    n = new.numberOfCopies
    copies = []
    for name in [new.namePrefix] if n == 1 else [f"{new.namePrefix}{i + 1}" for i in range(n)]:
        copy = as_new_job(row, commit)
        copy.name, copy.description = name, new.description
        copies.append(copy)
    return insert_jobs(call, copies)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/upgradeJobs",
    OPERATOR,
    body=list[str],
    choice="a running job keeps its run and takes the new version at its next start",
)
def upgrade_jobs(call: Call) -> Any:
    """Move jobs to the newest published version of their pipelines."""
    rows = call.fetch_all(jobs, call.body, "Job")
    for row in rows:
        check_permission(call, row.id, "WRITE")
        latest = call.db.execute(
            select(pipelines.c.latest_published).where(pipelines.c.id == row.pipeline_id)
        ).scalar_one()
        values = {"commit_id": latest, "last_modified_by": call.principal.id, "last_modified_on": call.now}
        call.db.execute(jobs.update().where(jobs.c.id == row.id).values(values))
    return shown(call, call.body)
