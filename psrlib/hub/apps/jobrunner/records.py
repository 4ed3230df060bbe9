"""Jobrunner app: records of jobs, and creating them."""

from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import fields
from sqlalchemy import select

from psrlib.hub.apps.jobrunner.status import current_runs
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.designs.pipelines import parse_document, published_commit
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import check_permission, insert_acls
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import Json, JsonValue
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import show
from psrlib.hub.web.routing import roles

OPERATOR = roles("jobrunner:operator")
Int = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]
EXECUTORS = ("COLLECTOR", "TRANSFORMER", "EDGE")
EXECUTOR_OF = {"BATCH": "TRANSFORMER", "STREAMING": "TRANSFORMER", "EDGE": "EDGE"}  # by execution mode
MAX_NAME = 255


class JobSettings(Struct, rename="camel"):
    """What of a job is kept as it was given, under the names of the wire."""

    description: str | None = None
    stats_refresh_interval: Millis | None = 60_000
    edge: bool | None = False
    runtime_parameters: str | None = None
    force_stop_timeout: Millis | None = 120_000
    time_series: bool | None = False
    needs_manual_ack: bool | None = True
    max_retries_for_failed_job: Int | None = -1
    global_max_retries: Int | None = -1
    static_parameters: list[str] | None = None
    draft_run: bool | None = False


class NewJobJson(JobSettings, rename="camel", kw_only=True):
    """A job to be created (control-hub-rest.md, 5.3)."""

    name: str
    pipeline_id: str
    commit_id: str = field(name="pipelineCommitId")
    pipeline_name: str | None = None
    pipeline_commit_label: str | None = None
    rules_id: str | None = None
    labels: list[str] | None = None
    instances: Int | None = field(default=1, name="numInstances")
    migrate_offsets: bool | None = True
    executor_type: str | None = None
    template: bool | None = field(default=False, name="jobTemplate")
    tags: list[str] | None = field(default=None, name="rawJobTags")


class JobJson(NewJobJson, rename="camel", kw_only=True):
    """A job as the hub returns it and takes it for an update."""

    id: str | None = None
    organization: str | None = None
    creator: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None
    destroyer: str | None = None
    delete_time: Millis | None = 0
    job_deleted: bool | None = False
    job_tags: list[TagJson] | None = None
    current_job_status: JsonValue = None
    current_upgrade_status: Json | None = None
    cd_config: Json | None = None
    parent_job_id: str | None = None
    system_job_id: str | None = None
    template_id: str | None = field(default=None, name="templateJobId")
    archived: bool | None = False
    provenance_meta_data: dict[str, str] | None = None
    delete_after_completion: bool | None = False


class DuplicateJobJson(Struct, rename="camel"):
    """How to copy a job."""

    name_prefix: str
    description: str | None = None
    number_of_copies: Annotated[int, Meta(ge=1, le=1000)] = 1


SETTINGS = {setting.name: setting.encode_name for setting in fields(JobSettings)}


def job_row(call: Call, new: NewJobJson, commit: Row, **more: object) -> Json:
    """Return the columns of a job, checked; ``more`` are those the hub knows better."""
    if not new.name.strip() or len(new.name) > MAX_NAME:
        raise bad_request(f"the job name must have 1 to {MAX_NAME} characters")
    if new.pipeline_id != commit.pipeline_id:
        raise bad_request(
            f"commit '{commit.id}' belongs to pipeline '{commit.pipeline_id}', not '{new.pipeline_id}'"
        )
    if new.rules_id and new.rules_id != commit.rules_id:
        raise bad_request(
            f"rulesId '{new.rules_id}' is not of commit '{commit.id}', which has '{commit.rules_id}'"
        )
    n_instances = 1 if new.instances is None else new.instances
    if n_instances < -1 or n_instances == 0:
        raise bad_request(f"numInstances is {n_instances}; expected 1 or more, or -1 for every engine")
    if new.runtime_parameters and new.runtime_parameters.strip():
        parse_document(new.runtime_parameters, "runtimeParameters")
    fitting = EXECUTOR_OF.get(commit.execution_mode, "COLLECTOR")
    executor = new.executor_type or ("EDGE" if new.edge else fitting)
    if executor not in EXECUTORS:
        raise bad_request(f"executorType '{executor}': expected one of {', '.join(EXECUTORS)}")
    return {
        "name": new.name,
        "pipeline_id": new.pipeline_id,
        "commit_id": commit.id,
        "executor_type": executor,
        "template": bool(new.template),
        "labels": new.labels or [],
        "tags": list(dict.fromkeys(new.tags or [])),
        "instances": n_instances,
        "migrate_offsets": new.migrate_offsets is not False,
        "settings": {wire: getattr(new, name) for name, wire in SETTINGS.items()},
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
        **more,
    }


def insert_jobs(
    call: Call, new_jobs: list[NewJobJson], template_id: str | None = None, ids: list[str] | None = None
) -> list[JobJson]:
    """Create jobs in one go, with given ids or new ones; return them in wire form."""
    org = call.organization
    configuration.check_room(
        call.hub.cache, call.db, org, configuration.MAX_JOBS, jobs, "jobs and job templates", len(new_jobs)
    )
    rows: list[Json] = []
    tags: set[str] = set()
    known: dict[str, Row] = {}
    for new, job_id in zip(new_jobs, ids or [""] * len(new_jobs), strict=True):
        if new.commit_id not in known:
            commit = _commit_to_run(call, new)
            check_permission(call, commit.pipeline_id, "READ")
            known[new.commit_id] = commit
        made = {
            "id": job_id or call.new_id(org),
            "organization": org,
            "template_id": template_id,
            "current_run": None,
            "archived": False,
            "draft_run": _is_draft_run(call, new),
            "creator": call.principal.id,
            "created_on": call.now,
        }
        rows.append(job_row(call, new, known[new.commit_id], **made))
        tags.update(new.tags or [])
    if not rows:
        return []
    insert_rows(call.db, jobs, rows)
    insert_acls(call, "JOB", [row["id"] for row in rows], org)
    label_tree.remember(call, "JOB", tags, org)
    return [_show(row, row["settings"], known[row["commit_id"]], None) for row in rows]


def _is_draft_run(call: Call, new: NewJobJson) -> bool:
    return bool(new.draft_run) and call.hub.release.has_draft_runs


def _commit_to_run(call: Call, new: NewJobJson) -> Row:
    if not _is_draft_run(call, new):
        return published_commit(call, new.commit_id)
    commit = call.fetch(commits, new.commit_id, "Pipeline commit")
    if not commit.draft:
        raise bad_request(f"commit '{commit.id}' is published; a draft run is of a draft")
    return commit


COMMITS = any_of(
    lambda ids: select(commits.c.id, commits.c.number, commits.c.name, commits.c.rules_id).where(
        commits.c.id.in_(ids)
    )
)


def change_job(call: Call, row: Row, new: NewJobJson, commit: Row, **more: object) -> None:
    """Give a stored job other properties."""
    values = job_row(call, new, commit, **more)
    call.db.execute(jobs.update().where(jobs.c.id == row.id).values(values))
    label_tree.remember(call, "JOB", values["tags"], row.organization)


def show_jobs(call: Call, rows: list[Row]) -> list[JobJson]:
    """Return jobs in wire form with their current status."""
    found = {row.id: row for row in COMMITS(call.db, [row.commit_id for row in rows])}
    statuses = current_runs(call, rows)
    return [_show(row, row.settings, found[row.commit_id], statuses.get(row.id)) for row in rows]


def _show(row: Row | Json, settings: Json, commit: Row, status: JsonValue) -> JobJson:
    job = show(
        JobJson,
        row,
        pipeline_name=commit.name,
        pipeline_commit_label=f"v{commit.number}",
        rules_id=commit.rules_id,
        current_job_status=status,
        **{name: settings.get(wire) for name, wire in SETTINGS.items()},
    )
    job.edge = job.executor_type == "EDGE"
    job.job_tags = [label_tree.show_tag(tag, str(job.organization)) for tag in job.tags or []]
    return job


def shown(call: Call, ids: list[str]) -> list[JobJson]:
    """Return jobs by id, in the order given."""
    return show_jobs(call, call.fetch_all(jobs, ids, "Job"))


def as_new_job(row: Row, commit: Row) -> NewJobJson:
    """Return a stored job as a create request."""
    settings = {name: row.settings.get(wire) for name, wire in SETTINGS.items()}
    return show(NewJobJson, row, rules_id=commit.rules_id, **settings)
