"""Pipelinestore app: committing, drafting, publishing, deleting."""

from msgspec import Struct
from sqlalchemy import select

from psrlib.hub.apps.pipelinestore.records import (
    EDITOR,
    CommitPipelineJson,
    DuplicatePipelineJson,
    PipelineJson,
    fetch_allowed,
    fetch_allowed_pipeline,
    fetch_for_answer,
    label_text,
    show_latest,
    shown,
)
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.commits import CommitBatch, Content, metadata_of, named_pipeline, pipeline_labels
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Query, Row, by_key
from psrlib.hub.store.schema.design import labels, pipelines
from psrlib.hub.store.text import Json, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, not_found
from psrlib.hub.web.routing import App

app = App("pipelinestore")


class CommitOptions(Struct, rename="camel"):
    """What to make of a pipeline that is sent."""

    new_pipeline: bool = False
    import_pipeline: bool = False
    fragment: bool = False
    organization: str | None = None
    execution_mode: str | None = None


@app.route(
    "PUT",
    "/pipelinestore/rest/v1/pipelines",
    EDITOR,
    status=201,
    choice="a definition whose metadata names an existing dpm.pipeline.id becomes that "
    "pipeline's next version; "
    "with importPipeline it is always a new pipeline; the same name twice is allowed unless failIfExists",
)
def commit_pipeline(call: Call, options: CommitOptions, body: CommitPipelineJson) -> PipelineJson:
    """Commit and publish a pipeline in one call, import one, or create a first draft."""
    fragment = bool(body.fragment or options.fragment)
    mode = options.execution_mode or ("BATCH" if body.executor_type == "TRANSFORMER" else "STANDALONE")
    if body.pipeline_definition is None:
        definition = store.empty_definition(body.name, mode, fragment)
    else:
        definition = store.parse_document(body.pipeline_definition, "pipelineDefinition")
    content = Content(
        body.name,
        definition,
        _parse_rules(body.rules_definition, "rulesDefinition"),
        body.library_definitions,
        body.commit_message or "",
    )
    draft = options.new_pipeline or body.pipeline_definition is None
    existing = None if draft or options.import_pipeline else _named_pipeline(call, definition)
    batch = CommitBatch(call)
    if existing is not None:
        check_permission(call, existing.id, "WRITE")
        batch.know([existing])
        commit_id = batch.add_version(existing.id, content)
    else:
        if body.fail_if_exists:
            store.refuse_taken_name(call, body.name)
        commit_id = batch.add_pipeline(
            content, draft=draft, fragment=fragment, executor_type=body.executor_type, sdc_id=body.sdc_id
        )
    batch.write()
    return shown(call, commit_id)


def _parse_rules(text: str | None, what: str) -> Json | None:
    return store.parse_document(text, what) if text else None


def _named_pipeline(call: Call, definition: Json) -> Row | None:
    row = by_key(pipelines).first(call.db, key=named_pipeline(definition))
    return row if row is not None and row.organization == call.organization else None


@app.route(
    "DELETE",
    "/pipelinestore/rest/v1/pipeline/{pipeline}",
    EDITOR,
    choice="refused with 400 while a job uses the pipeline",
)
def delete_pipeline(call: Call, pipeline: str) -> None:
    """Delete a pipeline with all versions."""
    store.delete_pipeline(call, fetch_allowed_pipeline(call, pipeline, "WRITE"))


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}",
    EDITOR,
    choice="no validation is done: the definition is stored as given",
)
def save_draft(call: Call, commit: str, body: PipelineJson) -> PipelineJson:
    """Save a draft."""
    row = fetch_allowed(call, commit, "WRITE")
    definition = store.parse_document(body.definition or row.definition, "pipelineDefinition")
    rules_text = body.current_rules.rules_definition if body.current_rules else None
    rules = _parse_rules(rules_text, "currentRules.rulesDefinition")
    texts = None if body.pipeline_labels is None else [label_text(label) for label in body.pipeline_labels]
    if texts is not None and not texts:
        texts = pipeline_labels(definition)
    content = Content(
        body.name or row.name,
        definition,
        load(row.rules) if rules is None else rules,
        row.library_definitions if body.library_definitions is None else body.library_definitions,
        row.message if body.message is None else body.message,
    )
    store.save_draft(call, row, content, texts)
    return shown(call, row.id)


@app.route("POST", "/pipelinestore/rest/v1/pipelineCommit/{commit}/publish", EDITOR)
def publish(call: Call, commit: str, commit_message: str | None = None) -> PipelineJson:
    """Publish a draft."""
    row = fetch_allowed(call, commit, "WRITE")
    store.publish_draft(call, row, commit_message)
    return shown(call, row.id)


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/createDraft",
    EDITOR,
    choice="refused with 400 while a draft exists",
)
def create_draft(
    call: Call, commit: str, authoring_sdc_id: str | None = None, authoring_sdc_version: str | None = None
) -> PipelineJson:
    """Create a draft of the next version."""
    row = fetch_allowed(call, commit, "WRITE")
    return shown(call, store.create_draft(call, row, authoring_sdc_id, authoring_sdc_version))


@app.route(
    "DELETE", "/pipelinestore/rest/v1/pipelineCommit/{commit}", EDITOR, choice="400 while a job uses it"
)
def delete_commit(call: Call, commit: str) -> None:
    """Delete one version."""
    store.delete_commit(call, fetch_allowed(call, commit, "WRITE"))


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/duplicate",
    EDITOR,
    bulk=True,
    choice="copies are drafts; the answer lists them without definitions",
)
def duplicate(call: Call, commit: str, body: DuplicatePipelineJson) -> list[PipelineJson]:
    """Copy a pipeline; one copy is named namePrefix, several namePrefix1..n."""
    row = fetch_allowed(call, commit, "READ")
    pipeline = store.fetch_pipeline(call, row.pipeline_id)
    n, batch = body.number_of_copies, CommitBatch(call)
    original = load(row.definition)
    for name in [body.name_prefix] if n == 1 else [f"{body.name_prefix}{i + 1}" for i in range(n)]:
        definition = original | {"title": name, "description": body.description or ""}
        definition["metadata"] = {"labels": metadata_of(definition).get("labels") or []}
        batch.add_pipeline(
            Content(name, definition, load(row.rules), row.library_definitions),
            draft=True,
            fragment=pipeline.fragment,
            executor_type=pipeline.executor_type,
        )
    batch.write()
    made = [copy["pipeline_id"] for copy in batch.commits]
    return show_latest(call, call.fetch_all(pipelines, made, "Pipeline"))


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/updateFragmentVersion/{first}/{second}",
    EDITOR,
    choice="each pipeline gets a new published version that uses the other fragment commit",
)
def update_fragment_version(call: Call, first: str, second: str, body: list[str]) -> list[PipelineJson]:
    """Move pipelines from one fragment commit to another."""
    old, new = store.fetch_commit(call, first), store.fetch_commit(call, second)
    if old.pipeline_id != new.pipeline_id:
        raise bad_request(f"'{old.id}' and '{new.id}' are commits of different fragments")
    found, batch = fetch_for_answer(call, body), CommitBatch(call)
    batch.know(call.fetch_all(pipelines, [commit.pipeline_id for commit in found], "Pipeline"))
    replacement = load(new.definition)
    for commit in found:
        check_permission(call, commit.pipeline_id, "WRITE")
        if old.id not in commit.fragment_commits:
            raise not_found("Fragment in pipeline commit", commit.id)
        definition = load(commit.definition)
        definition["fragments"] = [
            replacement if f.get("metadata", {}).get("dpm.pipeline.commit.id") == old.id else f
            for f in definition["fragments"]
        ]
        content = Content(
            commit.name, definition, load(commit.rules), message=f"fragment {new.name} v{new.number}"
        )
        batch.add_version(commit.pipeline_id, content)
    batch.write()
    return [shown(call, commit["id"]) for commit in batch.commits]


@app.route("POST", "/pipelinestore/rest/v1/pipelineLabels/deleteLabels", EDITOR)
def delete_pipeline_labels(call: Call, body: list[str]) -> list[str]:
    """Delete labels from the tree."""
    named = (labels.c.kind == "PIPELINE") & labels.c.id.in_(body)
    mine = select(labels.c.id).where(named, labels.c.organization == call.organization)
    found = {row.id for row in Query(mine, kept=False).rows(call.db)}
    for entity_id in body:
        if entity_id not in found:
            raise not_found("Pipeline label", entity_id)
    call.db.execute(labels.delete().where(named))
    return []
