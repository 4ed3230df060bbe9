"""Jobrunner app: import and export of jobs with their pipelines (pipeline-json.md, 1.2)."""

from typing import Any

import msgspec
from sqlalchemy import Row, select

from psrlib.hub import pipelines as store
from psrlib.hub.acl import check_permission
from psrlib.hub.apps.jobrunner_records import OPERATOR, JobJson, NewJobJson, insert_jobs, jobs_json, shown
from psrlib.hub.archives import read_zip, write_zip
from psrlib.hub.call import Call, Raw
from psrlib.hub.issues import bad_request
from psrlib.hub.routing import USER, App, Query
from psrlib.hub.schema.design import commits, pipelines
from psrlib.hub.schema.execution import jobs

app = App("jobrunner", "Import and export archives of jobs")
UPDATES = (
    Query("updatePipelineRefs", "boolean", True),
    Query("updateNumInstances", "boolean", False),
    Query("updateRuntimeParameters", "boolean", False),
    Query("updateLabels", "boolean", False),
    Query("updateMigrateOffsets", "boolean", True),
    Query("forceImport", "boolean", False),
)


def export_document(call: Call, job: Row[Any]) -> dict[str, Any]:
    """Return a job with its pipeline as one export document."""
    commit = store.fetch_commit(call, job.commit_id)
    pipeline = store.fetch_pipeline(call, commit.pipeline_id)
    minimal = jobs_json(call, [job])[0]
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


@app.route("POST", "/jobrunner/rest/v1/jobs/exportJobs", USER, body=list[str], writes=False)
def export_jobs(call: Call) -> Any:
    """Return a zip with one document per job, its pipeline included."""
    documents = []
    for job in call.fetch_all(jobs, call.body, "Job"):
        check_permission(call, job.id, "READ")
        documents.append((job.name, export_document(call, job)))
    return Raw(write_zip(documents), content_type="application/octet-stream")


def import_document(call: Call, document: dict[str, Any]) -> str:
    """Create the job of an export document, and its pipeline unless it is here; return the job id."""
    try:
        minimal = msgspec.convert(document.get("minimalJobJson"), JobJson)
    except msgspec.ValidationError as error:
        raise bad_request(f"minimalJobJson: {error}") from error
    commit = _commit(call, minimal, document.get("commitPipelineJson"))
    fields = {name: getattr(minimal, name) for name in NewJobJson.__struct_fields__}
    fields |= {"pipelineId": commit.pipeline_id, "pipelineCommitId": commit.id, "rulesId": commit.rules_id}
    return str(insert_jobs(call, [NewJobJson(**fields)])[0]["id"])


def _commit(call: Call, minimal: JobJson, pipeline: Any) -> Row[Any]:
    mine = commits.c.organization == call.organization
    found = call.db.execute(
        select(commits).where(commits.c.id == minimal.pipelineCommitId, mine, ~commits.c.draft)
    ).first()
    if found is not None:
        return found
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("pipelineDefinition"), str):
        raise bad_request(
            f"job '{minimal.name}': commit '{minimal.pipelineCommitId}' is not here, and the document holds "
            "no commitPipelineJson with a pipelineDefinition"
        )
    name = str(pipeline.get("name") or minimal.name)
    same = call.db.execute(
        select(pipelines.c.latest_published).where(
            pipelines.c.organization == call.organization,
            pipelines.c.name == name,
            pipelines.c.latest_published.is_not(None),
        )
    ).scalar()
    if same is not None:
        return store.fetch_commit(call, same)
    rules = pipeline.get("rulesDefinition")
    library = pipeline.get("libraryDefinitions")
    commit_id = store.insert_pipeline(
        call,
        name,
        store.parse_document(pipeline["pipelineDefinition"], "pipelineDefinition"),
        store.parse_document(rules, "rulesDefinition") if isinstance(rules, str) and rules else None,
        library=library if isinstance(library, str) else None,
        message=str(pipeline.get("commitMessage") or ""),
        executor_type=minimal.executorType if minimal.executorType in ("COLLECTOR", "TRANSFORMER") else None,
    )
    return store.fetch_commit(call, commit_id)


def _answer(call: Call, ids: list[str]) -> list[dict[str, Any]]:
    return [{"minimalJobJson": job} for job in shown(call, ids)]


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/importJobs",
    OPERATOR,
    body=bytes,
    query=UPDATES,
    choice="always new jobs; a pipeline is taken from the hub by commit id or by name, else "
    "from the document; "
    "the update flags are read and have no effect",
)
def import_jobs(call: Call) -> Any:
    """Import a zip of job export documents."""
    ids = []
    for _, document in read_zip(call.body):
        for part in document.get("jobJsonList") or [document]:
            if isinstance(part, dict) and "minimalJobJson" in part:
                ids.append(import_document(call, part))
    return _answer(call, ids)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/importJobsFromJson",
    OPERATOR,
    body=dict[str, Any] | list[dict[str, Any]],
    query=UPDATES,
    choice="one export document, a list of them, or an object with jobJsonList",
)
def import_jobs_json(call: Call) -> Any:
    """Import job export documents sent as JSON."""
    body = call.body
    parts = body if isinstance(body, list) else body.get("jobJsonList") or [body]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad_request("expected export documents with minimalJobJson")
    return _answer(call, [import_document(call, part) for part in parts])
