"""Jobrunner app: import and export of jobs with their pipelines (pipeline-json.md, 1.2)."""

from collections.abc import Iterable

from msgspec import Struct, to_builtins

from psrlib.hub.apps.jobrunner.imports import Updates, import_job
from psrlib.hub.apps.jobrunner.records import OPERATOR, JobJson, show_jobs, shown
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.archives import entry_name, read_zip, write_zip
from psrlib.hub.security.acl import all_permitted
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App

app = App("jobrunner")


class JobUpdates(Updates, rename="camel"):
    """Which properties of a job, and whether its pipeline, are taken from an archive."""

    update_pipeline_refs: bool = True


class ImportedJobJson(Struct, rename="camel"):
    """A job that was imported."""

    minimal_job_json: JobJson


def export_document(call: Call, job: Row) -> Json:
    """Return a job with its pipeline as one export document."""
    commit = store.fetch_commit(call, job.commit_id)
    pipeline = store.fetch_pipeline(call, commit.pipeline_id)
    minimal: Json = to_builtins(show_jobs(call, [job])[0])
    minimal.pop("currentJobStatus")
    return {
        "minimalJobJson": minimal,
        "commitPipelineJson": {
            "name": commit.name,
            "commitMessage": commit.message,
            "fragment": pipeline.fragment,
            "sdcId": commit.sdc_id,
            "executorType": pipeline.executor_type,
            "failIfExists": False,
            "pipelineDefinition": commit.definition,
            "libraryDefinitions": commit.library_definitions,
            "rulesDefinition": commit.rules,
        },
    }


@app.route("POST", "/jobrunner/rest/v1/jobs/exportJobs", USER, writes=False)
def export_jobs(call: Call, body: list[str]) -> Raw:
    """Return a zip with one document per job, its pipeline included."""
    found = all_permitted(call, jobs, body, "Job", "READ")
    documents = ((entry_name(job.name, job.id), export_document(call, job)) for job in found)
    return Raw(write_zip(documents), content_type="application/octet-stream")


def _import(call: Call, updates: JobUpdates, documents: Iterable[Json]) -> list[ImportedJobJson]:
    ids = [import_job(call, document, updates, updates.update_pipeline_refs) for document in documents]
    return [ImportedJobJson(job) for job in shown(call, ids)]


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/importJobs",
    OPERATOR,
    choice="all or nothing; ids are kept (<uuid>:<organization of the caller>), so a job that is here "
    "already is updated: pipeline, numInstances, runtimeParameters, labels and migrateOffsets as the flags "
    "say, tags always, the rest stays; a new job gets the default of a property whose flag is off, and its "
    "pipeline always; a document without ids is matched by name; a pipeline commit that is not here becomes "
    "a version of its pipeline, or a pipeline; updating needs WRITE and a job that does not run; "
    "forceImport: new jobs",
)
def import_jobs(call: Call, updates: JobUpdates, body: bytes) -> list[ImportedJobJson]:
    """Import a zip of job export documents."""
    parts = (part for _, document in read_zip(body) for part in document.get("jobJsonList") or [document])
    found = (part for part in parts if isinstance(part, dict) and "minimalJobJson" in part)
    return _import(call, updates, found)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/importJobsFromJson",
    OPERATOR,
    bulk=True,
    choice="as importJobs; one export document, a list of them, or an object with jobJsonList",
)
def import_jobs_json(call: Call, updates: JobUpdates, body: Json | list[Json]) -> list[ImportedJobJson]:
    """Import job export documents sent as JSON."""
    parts = body if isinstance(body, list) else body.get("jobJsonList") or [body]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad_request("expected export documents with minimalJobJson")
    return _import(call, updates, parts)
