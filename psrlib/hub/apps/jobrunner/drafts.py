"""Jobrunner app of release 4: draft runs, which are jobs of a pipeline's draft (control-hub-4x.md, 4.6)."""

from psrlib.hub.apps.jobrunner.jobs import DRAFT_RUNS, JOBS, Finding, find_jobs
from psrlib.hub.apps.jobrunner.records import JobJson, show_jobs
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.records import Listed
from psrlib.hub.web.routing import USER, App

app = App("jobrunner")


class DraftFinding(Finding, rename="camel"):
    """Which jobs a listing is about, and whether draft runs instead."""

    draft_run: bool = False


@app.route("GET", "/jobrunner/rest/v1/jobs", USER, release=4, choice="draft runs with draftRun=true only")
def list_jobs(call: Call, finding: DraftFinding) -> Listed[JobJson]:
    """List jobs with their current status, or draft runs."""
    return find_jobs(call, finding, query=DRAFT_RUNS if finding.draft_run else JOBS)


@app.route(
    "GET",
    "/jobrunner/rest/v1/jobs/draftRunJobForPipelineId",
    USER,
    release=4,
    choice="nothing at all when there is none; without labels it runs on any engine",
)
def draft_run_of(call: Call, pipeline_id: str | None = None) -> Raw:
    """Return the draft run of a pipeline."""
    found = DRAFT_RUNS.where(jobs.c.pipeline_id == (pipeline_id or "")).rows(call.db, org=call.organization)
    if not found:
        return Raw(b"")
    check_permission(call, found[-1].id, "READ")
    return Raw(show_jobs(call, found[-1:])[0])
