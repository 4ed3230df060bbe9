"""Pipelines and their commits: creating, drafting, publishing, reading; used by several apps."""

from sqlalchemy import bindparam, select

from psrlib.hub.designs import labels
from psrlib.hub.designs.commits import (
    Content,
    announce,
    commit_row,
    metadata_of,
    pipeline_columns,
    stamp,
    stored_labels,
)
from psrlib.hub.designs.versions import next_draft
from psrlib.hub.security.acl import drop_acls
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import NOT_JSON, Json, dump, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, duplicate, not_found


def empty_definition(name: str, execution_mode: str, fragment: bool) -> Json:
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


def parse_document(text: str, what: str) -> Json:
    """Return a JSON text as an object, refusing anything else."""
    try:
        document = load(text)
    except NOT_JSON as error:
        raise bad_request(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise bad_request(f"{what}: expected a JSON object, received {type(document).__name__}")
    return document


def refuse_taken_name(call: Call, name: str) -> None:
    """Refuse the name that a pipeline of the organization has."""
    same = (pipelines.c.organization == call.organization) & (pipelines.c.name == name)
    if Query(select(pipelines.c.id).where(same), kept=False).first(call.db):
        raise duplicate("Pipeline", name)


def create_draft(call: Call, commit: Row, sdc_id: str | None, sdc_version: str | None) -> str:
    """Make a draft of the next version from a published commit; return its commit id."""
    pipeline = fetch_pipeline(call, commit.pipeline_id)
    latest = fetch_commit(call, pipeline.latest_commit)
    draft = next_draft(call, "pipeline", pipeline, latest, commit) | {
        "message": "",
        "rules_id": call.new_id(pipeline.organization),
        "sdc_id": sdc_id or commit.sdc_id,
        "sdc_version": sdc_version or commit.sdc_version,
    }
    insert_rows(call.db, commits, [draft])
    _settle(call, draft)
    return str(draft["id"])


def save_draft(call: Call, commit: Row, content: Content, label_texts: list[str] | None) -> None:
    """Replace the content of a draft, and the labels in it unless they are None."""
    if not commit.draft:
        raise bad_request(f"commit '{commit.id}' is published; create a draft first")
    if label_texts is not None:
        definition = content.definition
        definition["metadata"] = metadata_of(definition) | {"labels": label_texts}
    ids = (commit.pipeline_id, commit.id, commit.rules_id)
    _replace(call, commit_row(call, content, ids, commit.organization, commit.number, True, commit.sdc_id))


def publish_draft(call: Call, commit: Row, message: str | None) -> None:
    """Turn a draft into a published version."""
    if not commit.draft:
        raise bad_request(f"commit '{commit.id}' is already published")
    ids = (commit.pipeline_id, commit.id, commit.rules_id)
    definition = stamp(call, load(commit.definition), ids, commit.number)
    published = {
        "draft": False,
        "message": message or commit.message,
        "committer": call.principal.id,
        "commit_time": call.now,
        "definition": dump(definition),
    }
    _replace(call, commit._asdict() | published)


def _replace(call: Call, commit: Json) -> None:
    call.db.execute(commits.update().where(commits.c.id == commit["id"]).values(commit))
    _settle(call, commit)


def _settle(call: Call, commit: Json) -> None:
    """Carry a new or changed commit into its pipeline's row, labels and events."""
    texts = stored_labels(commit["definition"])
    values = pipeline_columns(call, commit, texts)
    call.db.execute(pipelines.update().where(pipelines.c.id == commit["pipeline_id"]).values(values))
    labels.remember(call, "PIPELINE", texts, commit["organization"])
    announce(call, [commit])


def fetch_commit(call: Call, commit_id: str) -> Row:
    """Return a commit the caller may see."""
    return call.fetch(commits, commit_id, "Pipeline commit")


def fetch_pipeline(call: Call, pipeline_id: str) -> Row:
    """Return a pipeline the caller may see."""
    return call.fetch(pipelines, pipeline_id, "Pipeline")


def delete_pipeline(call: Call, pipeline: Row) -> None:
    """Delete a pipeline with all versions, unless a job uses it."""
    _refuse_used(call, "pipeline_id", pipeline.id, "pipeline")
    call.forget()
    call.db.execute(commits.delete().where(commits.c.pipeline_id == pipeline.id))
    call.db.execute(pipelines.delete().where(pipelines.c.id == pipeline.id))
    drop_acls(call, [pipeline.id])


def _refuse_used(call: Call, column: str, design_id: str, what: str) -> None:
    using = by_key(jobs, column).first(call.db, key=design_id)
    if using is not None:
        raise bad_request(f"{what} '{design_id}' is used by job '{using.name}'; delete the job first")


def delete_commit(call: Call, commit: Row) -> None:
    """Delete one version; the pipeline goes with its last one."""
    _refuse_used(call, "commit_id", commit.id, "commit")
    others = (commits.c.pipeline_id == commit.pipeline_id) & (commits.c.id != commit.id)
    newest_first = select(commits).where(others).order_by(commits.c.number.desc())
    rest = Query(newest_first, kept=False).rows(call.db)
    pipeline = fetch_pipeline(call, commit.pipeline_id)
    if not rest:
        delete_pipeline(call, pipeline)
        return
    call.db.execute(commits.delete().where(commits.c.id == commit.id))
    call.forget()
    values = {
        "latest_commit": rest[0].id,
        "latest_published": next((row.id for row in rest if not row.draft), None),
        "name": rest[0].name,
        "execution_mode": rest[0].execution_mode,
        "labels": stored_labels(rest[0].definition),
    }
    call.db.execute(pipelines.update().where(pipelines.c.id == pipeline.id).values(values))


LIGHT = [c for c in commits.c if c.name not in ("definition", "library_definitions", "rules")]
_LIGHT_COMMIT = Query(select(*LIGHT).where(commits.c.id == bindparam("wanted")))


def published_commit(call: Call, commit_id: str) -> Row:
    """Return a commit a job may run, without its documents: published and of the call's organization.

    A published commit never changes, so it is remembered until one is deleted.
    """

    def read() -> Row:
        commit = _LIGHT_COMMIT.first(call.db, wanted=commit_id)
        if commit is None or commit.organization != call.organization:
            raise not_found("Pipeline commit", commit_id)
        if commit.draft:
            raise bad_request(f"commit '{commit_id}' is a draft; only published pipelines run in jobs")
        return commit

    return call.hub.cache.recall(call.organization, ("commit", commit_id), read)
