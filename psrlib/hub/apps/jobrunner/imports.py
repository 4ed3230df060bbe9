"""Importing jobs with their pipelines: what is here already is updated, the rest is created.

An export document carries the ids of the hub it comes from. Importing keeps them, in the importing
organization: job ``<uuid>:a`` becomes ``<uuid>:b`` there, and is found by that id the next time.
"""

import re

import msgspec
from msgspec import Struct, field
from sqlalchemy import Table, select

from psrlib.hub.apps.jobrunner.jobs import refuse_running
from psrlib.hub.apps.jobrunner.records import JobJson, NewJobJson, as_new_job, change_job, insert_jobs
from psrlib.hub.apps.pipelinestore.records import EDITOR as PIPELINE_EDITOR
from psrlib.hub.apps.pipelinestore.records import CommitPipelineJson
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.commits import CommitBatch, Content, Kept
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Query, Row, by_key
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import Json, JsonValue
from psrlib.hub.web.access import check_roles
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request

_ID = re.compile(r"([0-9a-fA-F-]{36}):.+")
_VERSION = re.compile(r"v?(\d{1,9})")


class Updates(Struct, rename="camel"):
    """Which properties of a job are taken from an archive; ``force_import``: all jobs are created anew."""

    instances: bool = field(default=False, name="updateNumInstances")
    runtime_parameters: bool = field(default=False, name="updateRuntimeParameters")
    labels: bool = field(default=False, name="updateLabels")
    migrate_offsets: bool = field(default=True, name="updateMigrateOffsets")
    force_import: bool = False


FLAGS = ("instances", "runtime_parameters", "labels", "migrate_offsets")  # fields of a job, too


def local_id(call: Call, foreign: str | None) -> str | None:
    """Return the id an exported object has in the call's organization; None when it has no proper id."""
    found = _ID.fullmatch(foreign or "")
    return f"{found.group(1)}:{call.organization}" if found else None


def find_local(call: Call, table: Table, foreign: str | None) -> Row | None:
    """Return the row of an exported object that is in the organization already."""
    wanted = local_id(call, foreign)
    if wanted is None:
        return None
    row = by_key(table).first(call.db, key=wanted)
    return row if row is not None and row.organization == call.organization else None


def version_number(text: str | None) -> int:
    """Return the number in a version such as ``2`` or ``v2``; 1 when there is none.

    Examples
    --------
    >>> version_number("v12"), version_number("3"), version_number("1-DRAFT"), version_number(None)
    (12, 3, 1, 1)
    """
    found = _VERSION.fullmatch(text or "")
    return max(int(found.group(1)), 1) if found else 1


def import_job(call: Call, document: Json, updates: Updates, with_pipeline: bool = True) -> str:
    """Bring the job of an export document into the organization; return its id.

    ``with_pipeline``: a job that is here already gets the pipeline of the document too. 400 for a document
    without what it needs, or a job that runs; 403 without the permission to change what is here, without the
    role for pipelines, or beyond a limit.
    """
    try:
        given = msgspec.convert(document.get("minimalJobJson"), JobJson)
    except msgspec.ValidationError as error:
        raise bad_request(f"minimalJobJson: {error}") from error
    call.check_fields(JobJson, document.get("minimalJobJson"), "minimalJobJson")
    call.check_fields(CommitPipelineJson, document.get("commitPipelineJson"), "commitPipelineJson")
    present = None if updates.force_import else _present_job(call, given)
    if present is None:
        return _create_job(call, given, document.get("commitPipelineJson"), updates)
    check_permission(call, present.id, "WRITE")
    refuse_running(call, [present])
    if with_pipeline:
        commit = _commit(call, given, document.get("commitPipelineJson"))
    else:
        commit = store.fetch_commit(call, present.commit_id)
    return _update_job(call, present, given, commit, updates)


def _present_job(call: Call, given: JobJson) -> Row | None:
    if local_id(call, given.id) is not None:
        return find_local(call, jobs, given.id)
    mine = (jobs.c.organization == call.organization) & (jobs.c.name == given.name)
    rows = Query(select(jobs).where(mine).limit(2), kept=False).rows(call.db)
    return rows[0] if len(rows) == 1 else None


def _create_job(call: Call, given: JobJson, pipeline: JsonValue, updates: Updates) -> str:
    commit = _commit(call, given, pipeline)
    names = [name for name in NewJobJson.__struct_fields__ if getattr(updates, name, True)]
    fields = {name: getattr(given, name) for name in names}
    fields |= {"pipeline_id": commit.pipeline_id, "commit_id": commit.id, "rules_id": commit.rules_id}
    kept = None if updates.force_import else local_id(call, given.id)
    return str(insert_jobs(call, [NewJobJson(**fields)], ids=[kept] if kept else None)[0].id)


def _update_job(call: Call, present: Row, given: JobJson, commit: Row, updates: Updates) -> str:
    new = as_new_job(present, commit)
    for name in FLAGS:
        if getattr(updates, name):
            setattr(new, name, getattr(given, name))
    new.pipeline_id, new.commit_id, new.tags = commit.pipeline_id, commit.id, given.tags
    change_job(call, present, new, commit)
    return str(present.id)


def _commit(call: Call, given: JobJson, pipeline: JsonValue) -> Row:
    """Return the published commit that a document names: one that is here, or made from the document."""
    found = find_local(call, commits, given.commit_id)
    if found is not None:
        check_permission(call, found.pipeline_id, "READ")
        if found.draft:
            raise bad_request(f"job '{given.name}': pipeline commit '{found.id}' is a draft here")
        return found
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("pipelineDefinition"), str):
        raise bad_request(
            f"job '{given.name}': commit '{given.commit_id}' is not here, and the document holds "
            "no commitPipelineJson with a pipelineDefinition"
        )
    name = str(pipeline.get("name") or given.name)
    if local_id(call, given.pipeline_id) is None:
        same = _published_by_name(call, name)
        if same is not None:
            return same
    check_roles(call.principal, PIPELINE_EDITOR.roles)
    return store.fetch_commit(call, _make_commit(call, given, name, pipeline))


def _published_by_name(call: Call, name: str) -> Row | None:
    mine = (pipelines.c.organization == call.organization) & (pipelines.c.name == name)
    statement = select(pipelines.c.latest_published).where(mine, pipelines.c.latest_published.is_not(None))
    found = call.db.execute(statement).scalar()
    return None if found is None else store.published_commit(call, found)


def _make_commit(call: Call, given: JobJson, name: str, pipeline: Json) -> str:
    rules, library = pipeline.get("rulesDefinition"), pipeline.get("libraryDefinitions")
    content = Content(
        name,
        store.parse_document(pipeline["pipelineDefinition"], "pipelineDefinition"),
        store.parse_document(rules, "rulesDefinition") if isinstance(rules, str) and rules else None,
        library if isinstance(library, str) else None,
        str(pipeline.get("commitMessage") or ""),
    )
    kept = Kept(
        local_id(call, given.pipeline_id),
        local_id(call, given.commit_id),
        version_number(given.pipeline_commit_label),
    )
    present, batch = find_local(call, pipelines, given.pipeline_id), CommitBatch(call)
    if present is not None:
        check_permission(call, present.id, "WRITE")
        batch.know([present])
        commit_id = batch.add_version(present.id, content, kept)
    else:
        executor = given.executor_type if given.executor_type in ("COLLECTOR", "TRANSFORMER") else None
        commit_id = batch.add_pipeline(content, executor_type=executor, kept=kept)
    batch.write()
    return commit_id
