"""Pipelines and their commits: creating, drafting, publishing, reading; used by several apps."""

from typing import Any

import orjson
from sqlalchemy import bindparam, select

from psrlib.hub.designs import labels
from psrlib.hub.designs.commits import (
    CommitBatch,
    Content,
    check_name,
    commit_row,
    settled,
    stamp,
    stored_labels,
)
from psrlib.hub.events.triggers import pipelines_committed
from psrlib.hub.security.acl import drop_acls
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import dump, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, duplicate, not_found


def empty_definition(name: str, execution_mode: str, fragment: bool) -> dict[str, Any]:
    """Return the smallest definition, for drafts created without one."""
    key = "fragmentId" if fragment else "pipelineId"
    return {
        "schemaVersion": 6,
        "version": 19,
        key: name,
        "title": name,
        "description": "",
        "uuid": "00000000-0000-0000-0000-000000000000",
        "configuration": [
            {"name": "executionMode", "value": execution_mode},
            {"name": "constants", "value": []},
        ],
        "uiInfo": {},
        "fragments": [],
        "stages": [],
        "errorStage": None,
        "statsAggregatorStage": None,
        "startEventStages": [],
        "stopEventStages": [],
        "info": {"title": name, "description": "", "sdcVersion": "3.22.0"},
        "metadata": {"labels": []},
        "valid": False,
        "issues": {"stageIssues": {}, "pipelineIssues": [], "issueCount": 0},
        "previewable": True,
    }


def parse_document(text: str, what: str) -> dict[str, Any]:
    """Return a JSON text as an object, refusing anything else."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise bad_request(f"{what}: expected a JSON object, received {type(document).__name__}")
    return document


def insert_pipeline(
    call: Call,
    name: str,
    definition: dict[str, Any],
    rules: dict[str, Any] | None,
    *,
    library: str | None = None,
    message: str = "",
    draft: bool = False,
    fragment: bool = False,
    executor_type: str | None = None,
    sdc_id: str | None = None,
    fail_if_exists: bool = False,
) -> str:
    """Create a pipeline with its first commit; return the commit id."""
    if fail_if_exists:
        same = select(pipelines.c.id).where(
            pipelines.c.organization == call.organization, pipelines.c.name == name
        )
        if call.db.execute(same).first():
            raise duplicate("Pipeline", name)
    batch = CommitBatch(call)
    commit_id = batch.add_pipeline(
        Content(name, definition, rules, library, message),
        draft=draft,
        fragment=fragment,
        executor_type=executor_type,
        sdc_id=sdc_id,
    )
    batch.write()
    return commit_id


def add_commit(
    call: Call,
    pipeline: Row,
    name: str,
    definition: dict[str, Any],
    rules: dict[str, Any] | None,
    library: str | None,
    message: str,
) -> str:
    """Publish the next version of a pipeline; return the commit id."""
    batch = CommitBatch(call)
    batch.know([pipeline])
    commit_id = batch.add_version(pipeline.id, Content(name, definition, rules, library, message))
    batch.write()
    return commit_id


def create_draft(call: Call, commit: Row, sdc_id: str | None, sdc_version: str | None) -> str:
    """Make a draft of the next version from a published commit; return its commit id."""
    pipeline = call.fetch(pipelines, commit.pipeline_id, "Pipeline")
    latest = fetch_commit(call, pipeline.latest_commit)
    if latest.draft:
        raise bad_request(f"pipeline '{pipeline.id}' already has draft '{latest.id}'")
    commit_id = call.new_id(pipeline.organization)
    row = commit._asdict() | {
        "id": commit_id,
        "number": latest.number + 1,
        "draft": True,
        "message": "",
        "committer": call.principal.id,
        "commit_time": call.now,
        "rules_id": call.new_id(pipeline.organization),
        "sdc_id": sdc_id or commit.sdc_id,
        "sdc_version": sdc_version or commit.sdc_version,
    }
    call.db.execute(commits.insert().values(row))
    _settle(call, row)
    return commit_id


def save_draft(
    call: Call,
    commit: Row,
    name: str,
    definition: dict[str, Any],
    rules: dict[str, Any] | None,
    library: str | None,
    message: str | None,
    label_texts: list[str] | None,
) -> None:
    """Replace the content of a draft."""
    if not commit.draft:
        raise bad_request(f"commit '{commit.id}' is published; create a draft first")
    check_name(name)
    if label_texts is not None:
        metadata = definition.get("metadata")
        definition["metadata"] = (metadata if isinstance(metadata, dict) else {}) | {"labels": label_texts}
    content = Content(
        name,
        definition,
        load(commit.rules) if rules is None else rules,
        commit.library_definitions if library is None else library,
        message if message is not None else commit.message,
    )
    pipeline = {"id": commit.pipeline_id, "organization": commit.organization}
    fresh = commit_row(call, commit.id, pipeline, commit.number, content, True)
    fresh["rules_id"] = commit.rules_id
    call.db.execute(commits.update().where(commits.c.id == commit.id).values(fresh))
    _settle(call, fresh)


def publish_draft(call: Call, commit: Row, message: str | None) -> None:
    """Turn a draft into a published version."""
    if not commit.draft:
        raise bad_request(f"commit '{commit.id}' is already published")
    definition = stamp(load(commit.definition), commit.id, commit.pipeline_id, commit.rules_id, commit.number)
    values = {
        "draft": False,
        "message": message or commit.message,
        "committer": call.principal.id,
        "commit_time": call.now,
        "definition": dump(definition),
    }
    call.db.execute(commits.update().where(commits.c.id == commit.id).values(values))
    _settle(call, commit._asdict() | values)


def _settle(call: Call, commit: dict[str, Any]) -> None:
    """Carry a new or changed commit into its pipeline's row, labels and events."""
    texts = stored_labels(commit["definition"])
    values = settled(call, commit, texts)
    call.db.execute(pipelines.update().where(pipelines.c.id == commit["pipeline_id"]).values(values))
    labels.remember(call, "PIPELINE", texts, commit["organization"])
    if not commit["draft"]:
        pipelines_committed(call, [commit])


def fetch_commit(call: Call, commit_id: str) -> Row:
    """Return a commit the caller may see."""
    return call.fetch(commits, commit_id, "Pipeline commit")


def fetch_pipeline(call: Call, pipeline_id: str) -> Row:
    """Return a pipeline the caller may see."""
    return call.fetch(pipelines, pipeline_id, "Pipeline")


def delete_pipeline(call: Call, pipeline: Row) -> None:
    """Delete a pipeline with all versions, unless a job uses it."""
    using = call.db.execute(select(jobs.c.name).where(jobs.c.pipeline_id == pipeline.id)).first()
    if using is not None:
        raise bad_request(f"pipeline '{pipeline.id}' is used by job '{using.name}'; delete the job first")
    call.forget()
    call.db.execute(commits.delete().where(commits.c.pipeline_id == pipeline.id))
    call.db.execute(pipelines.delete().where(pipelines.c.id == pipeline.id))
    drop_acls(call, [pipeline.id])


def delete_commit(call: Call, commit: Row) -> None:
    """Delete one version; the pipeline goes with its last one."""
    using = call.db.execute(select(jobs.c.name).where(jobs.c.commit_id == commit.id)).first()
    if using is not None:
        raise bad_request(f"commit '{commit.id}' is used by job '{using.name}'; delete the job first")
    rest = list(
        call.db.execute(
            select(commits)
            .where(commits.c.pipeline_id == commit.pipeline_id, commits.c.id != commit.id)
            .order_by(commits.c.number.desc())
        )
    )
    pipeline = fetch_pipeline(call, commit.pipeline_id)
    if not rest:
        delete_pipeline(call, pipeline)
        return
    call.db.execute(commits.delete().where(commits.c.id == commit.id))
    call.forget()
    published = [row.id for row in rest if not row.draft]
    values = {
        "latest_commit": rest[0].id,
        "latest_published": published[0] if published else None,
        "name": rest[0].name,
        "execution_mode": rest[0].execution_mode,
        "labels": stored_labels(rest[0].definition),
    }
    call.db.execute(pipelines.update().where(pipelines.c.id == pipeline.id).values(values))


LIGHT = [c for c in commits.c if c.name not in ("definition", "library_definitions", "rules")]
PUBLISHED = select(*LIGHT).where(commits.c.id == bindparam("wanted"))


def published_commit(call: Call, commit_id: str) -> Row:
    """Return a commit a job may run, without its documents: published and of the call's organization.

    A published commit never changes, so it is remembered until one is deleted.
    """
    key = ("commit", commit_id)
    found: Row = call.hub.cache.recall(call.organization, key, lambda: _read_published(call, commit_id))
    return found


def _read_published(call: Call, commit_id: str) -> Row:
    commit = call.db.execute(PUBLISHED, {"wanted": commit_id}).first()
    if commit is None or commit.organization != call.organization:
        raise not_found("Pipeline commit", commit_id)
    if commit.draft:
        raise bad_request(f"commit '{commit_id}' is a draft; only published pipelines run in jobs")
    return commit
