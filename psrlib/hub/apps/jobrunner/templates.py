"""Jobrunner app of release 4: templates archived, or deleted with their instances; labels, tags of jobs."""

from psrlib.hub.apps.jobrunner.control import JobTemplateCreationInfoJson, create_and_start
from psrlib.hub.apps.jobrunner.jobs import JOBS, delete_rows
from psrlib.hub.apps.jobrunner.records import OPERATOR, JobJson, shown
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.security.acl import all_permitted, permitted
from psrlib.hub.store.queries import Row, by_keys
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App

app = App("jobrunner")


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{template}/createAndStartJobInstancesAsync",
    OPERATOR,
    bulk=True,
    release=4,
    choice="the jobs are started before the answer",
)
def create_and_start_later(call: Call, template: str, body: JobTemplateCreationInfoJson) -> list[JobJson]:
    """Create and start one job per parameter object of a template; answer the jobs, not their runs."""
    return shown(call, [str(run.job_id) for run in create_and_start(call, template, body)])


def _templates(call: Call, ids: list[str]) -> list[Row]:
    rows = all_permitted(call, jobs, ids, "Job", "WRITE")
    for row in rows:
        if not row.template:
            raise bad_request(f"job '{row.name}' is not a template")
    return rows


@app.route("POST", "/jobrunner/rest/v1/jobs/archiveJobTemplates", OPERATOR, release=4)
def archive_templates(call: Call, body: list[str]) -> None:
    """Archive templates."""
    _templates(call, body)
    call.db.execute(jobs.update().where(jobs.c.id.in_(body)).values(archived=True, **call.changed))


@app.route(
    "POST", "/jobrunner/rest/v1/jobs/deleteJobTemplates", OPERATOR, release=4, choice="with their instances"
)
def delete_templates(call: Call, body: list[str]) -> None:
    """Delete templates and the jobs made of them."""
    _templates(call, body)
    instances = [row.id for row in by_keys(jobs, "template_id")(call.db, body)]
    delete_rows(call, [*instances, *body])


@app.route("GET", "/jobrunner/rest/v1/jobs/labels", USER, release=4)
def labels_of_jobs(call: Call) -> list[str]:
    """List the engine labels that jobs ask for."""
    return sorted({label for row in JOBS.rows(call.db, org=call.organization) for label in row.labels})


@app.route("GET", "/jobrunner/rest/v1/job/{job}/labels", USER, release=4)
def labels_of_job(call: Call, job: str) -> list[str]:
    """List the engine labels that a job asks for."""
    return list(permitted(call, jobs, job, "Job", "READ").labels)


@app.route("POST", "/jobrunner/rest/v1/job/jobTagsBulk", USER, writes=False, release=4)
def tags_of_jobs(call: Call, body: list[str]) -> dict[str, list[TagJson]]:
    """Return the tags of several jobs, keyed by id."""
    rows = all_permitted(call, jobs, body, "Job", "READ")
    return {row.id: [label_tree.show_tag(tag, row.organization) for tag in row.tags] for row in rows}
