"""Pipelinestore app: committing, drafting, publishing, deleting."""

from typing import Any

from sqlalchemy import select

from psrlib.hub.apps.pipelinestore.records import (
    EDITOR,
    CommitPipelineJson,
    DuplicatePipelineJson,
    PipelineJson,
    label_text,
    pipeline_json,
    shown,
)
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.commits import pipeline_labels
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.design import commits, labels, pipelines
from psrlib.hub.store.text import load
from psrlib.hub.web.call import ORGANIZATION, Call
from psrlib.hub.web.issues import bad_request, not_found
from psrlib.hub.web.routing import App, Parameter

app = App("pipelinestore", "Committing and editing pipelines")
FLAGS = tuple(Parameter(name, "boolean", False) for name in ("newPipeline", "importPipeline", "fragment"))


@app.route(
    "PUT",
    "/pipelinestore/rest/v1/pipelines",
    EDITOR,
    body=CommitPipelineJson,
    status=201,
    query=(
        *FLAGS,
        ORGANIZATION,
        Parameter("executionMode"),
        Parameter("templateCommitId"),
        Parameter("pipelineType"),
    ),
    returns=PipelineJson,
    choice="a definition whose metadata names an existing dpm.pipeline.id becomes that "
    "pipeline's next version; "
    "with importPipeline it is always a new pipeline; the same name twice is allowed unless failIfExists",
)
def commit_pipeline(call: Call) -> Any:
    """Commit and publish a pipeline in one call, import one, or create a first draft."""
    new = call.body
    fragment = bool(new.fragment or call.query["fragment"])
    mode = call.query["executionMode"] or ("BATCH" if new.executorType == "TRANSFORMER" else "STANDALONE")
    if new.pipelineDefinition is None:
        definition = store.empty_definition(new.name, mode, fragment)
    else:
        definition = store.parse_document(new.pipelineDefinition, "pipelineDefinition")
    rules = store.parse_document(new.rulesDefinition, "rulesDefinition") if new.rulesDefinition else None
    draft = bool(call.query["newPipeline"]) or new.pipelineDefinition is None
    existing = None if draft or call.query["importPipeline"] else _named_pipeline(call, definition)
    if existing is not None:
        check_permission(call, existing.id, "WRITE")
        commit_id = store.add_commit(
            call, existing, new.name, definition, rules, new.libraryDefinitions, new.commitMessage or ""
        )
    else:
        commit_id = store.insert_pipeline(
            call,
            new.name,
            definition,
            rules,
            library=new.libraryDefinitions,
            message=new.commitMessage or "",
            draft=draft,
            fragment=fragment,
            executor_type=new.executorType,
            sdc_id=new.sdcId,
            fail_if_exists=bool(new.failIfExists),
        )
    return shown(call, commit_id)


def _named_pipeline(call: Call, definition: dict[str, Any]) -> Row | None:
    metadata = definition.get("metadata")
    pipeline_id = metadata.get("dpm.pipeline.id") if isinstance(metadata, dict) else None
    if not isinstance(pipeline_id, str):
        return None
    statement = select(pipelines).where(
        pipelines.c.id == pipeline_id, pipelines.c.organization == call.organization
    )
    return call.db.execute(statement).first()


@app.route(
    "DELETE",
    "/pipelinestore/rest/v1/pipeline/{pipeline}",
    EDITOR,
    choice="refused with 400 while a job uses the pipeline",
)
def delete_pipeline(call: Call) -> Any:
    """Delete a pipeline with all versions."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "WRITE")
    store.delete_pipeline(call, pipeline)
    return None


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}",
    EDITOR,
    body=PipelineJson,
    query=(Parameter("validate", "boolean", False), Parameter("includeLibraryDefinitions", "boolean", False)),
    returns=PipelineJson,
    choice="no validation is done: the definition is stored as given",
)
def save_draft(call: Call) -> Any:
    """Save a draft."""
    new, commit = call.body, store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "WRITE")
    text = new.pipelineDefinition or commit.definition
    definition = store.parse_document(text, "pipelineDefinition")
    rules_text = new.currentRules.rulesDefinition if new.currentRules else None
    rules = store.parse_document(rules_text, "currentRules.rulesDefinition") if rules_text else None
    texts = None if new.pipelineLabels is None else [label_text(label) for label in new.pipelineLabels]
    if texts is not None and not texts:
        texts = pipeline_labels(definition)
    store.save_draft(
        call,
        commit,
        new.name or commit.name,
        definition,
        rules,
        new.libraryDefinitions,
        new.commitMessage,
        texts,
    )
    return shown(call, commit.id)


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/publish",
    EDITOR,
    query=(Parameter("commitMessage"),),
    returns=PipelineJson,
)
def publish(call: Call) -> Any:
    """Publish a draft."""
    commit = store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "WRITE")
    store.publish_draft(call, commit, call.query["commitMessage"])
    return shown(call, commit.id)


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/createDraft",
    EDITOR,
    query=(Parameter("authoringSdcId"), Parameter("authoringSdcVersion")),
    returns=PipelineJson,
    choice="refused with 400 while a draft exists",
)
def create_draft(call: Call) -> Any:
    """Create a draft of the next version."""
    commit = store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "WRITE")
    draft = store.create_draft(call, commit, call.query["authoringSdcId"], call.query["authoringSdcVersion"])
    return shown(call, draft)


@app.route(
    "DELETE", "/pipelinestore/rest/v1/pipelineCommit/{commit}", EDITOR, choice="400 while a job uses it"
)
def delete_commit(call: Call) -> Any:
    """Delete one version."""
    commit = store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "WRITE")
    store.delete_commit(call, commit)
    return None


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/duplicate",
    EDITOR,
    body=DuplicatePipelineJson,
    bulk=True,
    choice="copies are drafts; the answer lists them without definitions",
)
def duplicate(call: Call) -> Any:
    """Copy a pipeline; one copy is named namePrefix, several namePrefix1..n."""
    new, commit = call.body, store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "READ")
    pipeline = store.fetch_pipeline(call, commit.pipeline_id)
    n = new.numberOfCopies
    names = [new.namePrefix] if n == 1 else [f"{new.namePrefix}{i + 1}" for i in range(n)]
    made = []
    for name in names:
        definition = load(commit.definition) | {"title": name, "description": new.description or ""}
        metadata = definition.get("metadata")
        definition["metadata"] = {"labels": (metadata or {}).get("labels") or []}
        commit_id = store.insert_pipeline(
            call,
            name,
            definition,
            load(commit.rules),
            library=commit.library_definitions,
            draft=True,
            fragment=pipeline.fragment,
            executor_type=pipeline.executor_type,
        )
        copy = store.fetch_commit(call, commit_id)
        made.append(pipeline_json(copy, store.fetch_pipeline(call, copy.pipeline_id), False))
    return made


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/updateFragmentVersion/{from}/{to}",
    EDITOR,
    body=list[str],
    choice="each pipeline gets a new published version that uses the other fragment commit",
)
def update_fragment_version(call: Call) -> Any:
    """Move pipelines from one fragment commit to another."""
    old, new = store.fetch_commit(call, call.path["from"]), store.fetch_commit(call, call.path["to"])
    if old.pipeline_id != new.pipeline_id:
        raise bad_request(f"'{old.id}' and '{new.id}' are commits of different fragments")
    made = []
    for commit in call.fetch_all(commits, call.body, "Pipeline commit"):
        check_permission(call, commit.pipeline_id, "WRITE")
        if old.id not in commit.fragment_commits:
            raise not_found("Fragment in pipeline commit", commit.id)
        definition = load(commit.definition)
        replacement = load(new.definition)
        definition["fragments"] = [
            replacement if f.get("metadata", {}).get("dpm.pipeline.commit.id") == old.id else f
            for f in definition["fragments"]
        ]
        pipeline = store.fetch_pipeline(call, commit.pipeline_id)
        message = f"fragment {new.name} v{new.number}"
        made.append(
            store.add_commit(call, pipeline, commit.name, definition, load(commit.rules), None, message)
        )
    return [shown(call, commit_id) for commit_id in made]


@app.route("POST", "/pipelinestore/rest/v1/pipelineLabels/deleteLabels", EDITOR, body=list[str])
def delete_pipeline_labels(call: Call) -> Any:
    """Delete labels from the tree."""
    known = select(labels.c.id).where(
        labels.c.kind == "PIPELINE", labels.c.id.in_(call.body), labels.c.organization == call.organization
    )
    found = set(call.db.execute(known).scalars())
    for entity_id in call.body:
        if entity_id not in found:
            raise not_found("Pipeline label", entity_id)
    call.db.execute(labels.delete().where(labels.c.kind == "PIPELINE", labels.c.id.in_(call.body)))
    return []
