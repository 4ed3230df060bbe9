"""Jobrunner app: records of jobs, and creating them."""

from types import SimpleNamespace
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import select

from psrlib.hub.apps.jobrunner.status import run_json_of
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.pipelines import parse_document, published_commit
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import check_permission, insert_acls
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import roles

OPERATOR = roles("jobrunner:operator")
Int = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]
EXECUTORS = ("COLLECTOR", "TRANSFORMER", "EDGE")
MAX_NAME = 255


class NewJobJson(Struct):
    """A job to be created (control-hub-rest.md, 5.3)."""

    name: str
    pipelineId: str
    pipelineCommitId: str
    description: str | None = None
    pipelineName: str | None = None
    pipelineCommitLabel: str | None = None
    rulesId: str | None = None
    labels: list[str] | None = None
    numInstances: Int | None = 1
    statsRefreshInterval: Millis | None = 60_000
    migrateOffsets: bool | None = True
    edge: bool | None = False
    runtimeParameters: str | None = None
    forceStopTimeout: Millis | None = 120_000
    executorType: str | None = None
    jobTemplate: bool | None = False
    rawJobTags: list[str] | None = None
    timeSeries: bool | None = False
    needsManualAck: bool | None = True
    maxRetriesForFailedJob: Int | None = -1
    globalMaxRetries: Int | None = -1
    staticParameters: list[str] | None = None
    provenanceMetaData: str | None = None
    deleteAfterCompletion: bool | None = False
    draftRun: bool | None = False


class JobTagJson(Struct):
    """A job tag."""

    id: str | None = None
    tag: str | None = None
    parentId: str | None = None
    organization: str | None = None


class JobJson(NewJobJson):
    """A job as the hub returns it and takes it for an update."""

    id: str | None = None
    organization: str | None = None
    creator: str | None = None
    createTime: Millis | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: Millis | None = None
    destroyer: str | None = None
    deleteTime: Millis | None = None
    jobDeleted: bool | None = False
    jobTags: list[JobTagJson] | None = None
    currentJobStatus: dict[str, Any] | None = None
    currentUpgradeStatus: dict[str, Any] | None = None
    cdConfig: dict[str, Any] | None = None
    parentJobId: str | None = None
    systemJobId: str | None = None
    templateJobId: str | None = None
    archived: bool | None = False
    jobSequence: dict[str, Any] | None = None


class DuplicateJobJson(Struct):
    """How to copy a job."""

    namePrefix: str
    description: str | None = None
    numberOfCopies: Annotated[int, Meta(ge=1, le=1000)] = 1


SETTINGS = (
    "description",
    "statsRefreshInterval",
    "edge",
    "runtimeParameters",
    "forceStopTimeout",
    "timeSeries",
    "needsManualAck",
    "maxRetriesForFailedJob",
    "globalMaxRetries",
    "staticParameters",
    "provenanceMetaData",
    "deleteAfterCompletion",
    "draftRun",
)


def job_row(call: Call, new: NewJobJson, commit: Row, organization: str) -> dict[str, Any]:
    """Return the columns of a job, checked."""
    if not new.name.strip() or len(new.name) > MAX_NAME:
        raise bad_request(f"the job name must have 1 to {MAX_NAME} characters")
    if new.pipelineId != commit.pipeline_id:
        raise bad_request(
            f"commit '{commit.id}' belongs to pipeline '{commit.pipeline_id}', not '{new.pipelineId}'"
        )
    if new.rulesId and new.rulesId != commit.rules_id:
        raise bad_request(
            f"rulesId '{new.rulesId}' is not of commit '{commit.id}', which has '{commit.rules_id}'"
        )
    n_instances = 1 if new.numInstances is None else new.numInstances
    if n_instances < -1 or n_instances == 0:
        raise bad_request(f"numInstances is {n_instances}; expected 1 or more, or -1 for every engine")
    if new.runtimeParameters and new.runtimeParameters.strip():
        parse_document(new.runtimeParameters, "runtimeParameters")
    executor = new.executorType or ("EDGE" if new.edge else _executor(commit))
    if executor not in EXECUTORS:
        raise bad_request(f"executorType '{executor}': expected one of {', '.join(EXECUTORS)}")
    return {
        "name": new.name,
        "pipeline_id": new.pipelineId,
        "commit_id": commit.id,
        "executor_type": executor,
        "template": bool(new.jobTemplate),
        "labels": new.labels or [],
        "tags": list(dict.fromkeys(new.rawJobTags or [])),
        "instances": n_instances,
        "migrate_offsets": new.migrateOffsets is not False,
        "settings": {name: getattr(new, name) for name in SETTINGS},
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _executor(commit: Row) -> str:
    modes = {"BATCH": "TRANSFORMER", "STREAMING": "TRANSFORMER", "EDGE": "EDGE"}
    return modes.get(commit.execution_mode, "COLLECTOR")


def insert_jobs(
    call: Call, new_jobs: list[NewJobJson], template_id: str | None = None, ids: list[str] | None = None
) -> list[dict[str, Any]]:
    """Create jobs in one go, with given ids or new ones; return them in wire form."""
    org = call.organization
    configuration.check_room(
        call.hub.cache, call.db, org, configuration.MAX_JOBS, jobs, "jobs", len(new_jobs)
    )
    rows, tags = [], set()
    known: dict[str, Row] = {}
    for new, job_id in zip(new_jobs, ids or [""] * len(new_jobs), strict=True):
        if new.pipelineCommitId not in known:
            commit = published_commit(call, new.pipelineCommitId)
            check_permission(call, commit.pipeline_id, "READ")
            known[new.pipelineCommitId] = commit
        row = job_row(call, new, known[new.pipelineCommitId], org)
        row |= {
            "id": job_id or call.new_id(org),
            "organization": org,
            "template_id": template_id,
            "current_run": None,
            "archived": False,
            "creator": call.principal.id,
            "created_on": call.now,
        }
        rows.append(row)
        tags.update(new.rawJobTags or [])
    if not rows:
        return []
    insert_rows(call.db, jobs, rows)
    insert_acls(call, "JOB", [row["id"] for row in rows], org)
    label_tree.remember(call, "JOB", tags, org)
    return [_job_json(SimpleNamespace(**row), known[row["commit_id"]], None) for row in rows]


COMMITS = any_of(
    lambda ids: select(commits.c.id, commits.c.number, commits.c.name, commits.c.rules_id).where(
        commits.c.id.in_(ids)
    )
)


def jobs_json(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return jobs in wire form with their current status."""
    found = {row.id: row for row in COMMITS(call.db, [row.commit_id for row in rows])}
    statuses = run_json_of(call, [row.current_run for row in rows if row.current_run])
    return [_job_json(row, found[row.commit_id], statuses.get(row.current_run or "")) for row in rows]


def _job_json(row: Any, commit: Row, status: dict[str, Any] | None) -> dict[str, Any]:
    tags = row.tags
    return {
        "id": row.id,
        "name": row.name,
        "organization": row.organization,
        "pipelineName": commit.name,
        "pipelineId": row.pipeline_id,
        "pipelineCommitId": row.commit_id,
        "pipelineCommitLabel": f"v{commit.number}",
        "rulesId": commit.rules_id,
        "labels": row.labels,
        "numInstances": row.instances,
        "migrateOffsets": row.migrate_offsets,
        "executorType": row.executor_type,
        "jobTemplate": row.template,
        "templateJobId": row.template_id,
        "rawJobTags": tags,
        "jobTags": [label_tree.show_tag(tag, row.organization) for tag in tags],
        **row.settings,
        "edge": row.executor_type == "EDGE",
        "creator": row.creator,
        "createTime": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
        "destroyer": None,
        "deleteTime": 0,
        "jobDeleted": False,
        "currentJobStatus": status,
        "currentUpgradeStatus": None,
        "parentJobId": None,
        "systemJobId": None,
        "cdConfig": None,
        "archived": row.archived,
        "jobSequence": None,
    }


def shown(call: Call, ids: list[str]) -> list[dict[str, Any]]:
    """Return jobs by id, in the order given."""
    return jobs_json(call, call.fetch_all(jobs, ids, "Job"))


def as_new_job(row: Row, commit: Row) -> NewJobJson:
    """Return a stored job as a create request."""
    settings = row.settings
    return NewJobJson(
        name=row.name,
        pipelineId=row.pipeline_id,
        pipelineCommitId=row.commit_id,
        rulesId=commit.rules_id,
        labels=row.labels,
        numInstances=row.instances,
        migrateOffsets=row.migrate_offsets,
        executorType=row.executor_type,
        jobTemplate=row.template,
        rawJobTags=row.tags,
        **{name: settings.get(name) for name in SETTINGS},
    )
