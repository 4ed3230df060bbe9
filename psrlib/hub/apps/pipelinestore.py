"""Pipelinestore app: pipelines, fragments, commits, labels."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Row, Select, func, select

from psrlib.hub import labels as label_tree
from psrlib.hub import pipelines as store
from psrlib.hub.acl import check_permission
from psrlib.hub.call import LISTING, ORGANIZATION, PAGING, WRAPPER, Call, contains, dump, load
from psrlib.hub.issues import bad_request, not_found
from psrlib.hub.routing import USER, App, Query, roles
from psrlib.hub.schema.design import commit_tags, commits, labels, pipelines

app = App("pipelinestore", "Pipelines, fragments, commits and labels")
EDITOR = roles("pipelinestore:pipelineEditor")
FLAGS = tuple(Query(name, "boolean", False) for name in ("newPipeline", "importPipeline", "fragment"))
Copies = Annotated[int, Meta(ge=1, le=1000)]
FINDING = (
    *LISTING,
    Query("pipelineLabelId"),
    Query("onlyPublished", "boolean", False),
    Query("executionModes"),
    Query("startTime", "integer", -1),
    Query("endTime", "integer", -1),
    Query("userIds"),
    Query("draft", "boolean"),
    Query("system", "boolean", False),
)


class CommitPipelineJson(Struct):
    """A pipeline to be committed (control-hub-rest.md, 4.2)."""

    name: str
    sdcId: str | None = None
    pipelineDefinition: str | None = None
    rulesDefinition: str | None = None
    libraryDefinitions: str | None = None
    commitMessage: str | None = None
    fragment: bool | None = False
    executorType: str | None = None
    failIfExists: bool | None = False


class RulesJson(Struct):
    """Rules of a commit."""

    id: str | None = None
    rulesDefinition: str | None = None


class LabelJson(Struct):
    """A label or tag."""

    label: str | None = None
    id: str | None = None
    parentId: str | None = None
    organization: str | None = None


class PipelineJson(Struct):
    """A pipeline commit (control-hub-rest.md, 4.3)."""

    pipelineId: str | None = None
    commitId: str | None = None
    organization: str | None = None
    name: str | None = None
    description: str | None = None
    version: str | None = None
    draft: bool | None = None
    commitMessage: str | None = None
    sdcId: str | None = None
    sdcVersion: str | None = None
    executorType: str | None = None
    pipelineDefinition: str | None = None
    libraryDefinitions: str | None = None
    currentRules: RulesJson | None = None
    pipelineLabels: list[LabelJson] | None = None
    fragment: bool | None = None
    fragmentCommitIds: list[str] | None = None


class DuplicatePipelineJson(Struct):
    """How to copy a pipeline."""

    namePrefix: str
    description: str | None = None
    numberOfCopies: Copies = 1


def pipeline_json(commit: Row[Any], pipeline: Row[Any], full: bool) -> dict[str, Any]:
    """Return a commit in wire form; definitions only when ``full``."""
    texts = store.pipeline_labels(load(commit.definition)) if full else load(pipeline.labels)
    return {
        "pipelineId": commit.pipeline_id,
        "commitId": commit.id,
        "organization": commit.organization,
        "name": commit.name,
        "description": commit.description,
        "version": version_text(commit.number, commit.draft),
        "draft": commit.draft,
        "commitMessage": commit.message,
        "commitTime": commit.commit_time,
        "committer": commit.committer,
        "parentVersion": str(commit.number - 1) if commit.number > 1 else None,
        "creator": pipeline.creator,
        "createdOn": pipeline.created_on,
        "lastModifiedBy": pipeline.last_modified_by,
        "lastModifiedOn": pipeline.last_modified_on,
        "sdcId": commit.sdc_id,
        "sdcVersion": commit.sdc_version,
        "executorType": pipeline.executor_type,
        "executionMode": commit.execution_mode,
        "pipelineDefinition": commit.definition if full else None,
        "libraryDefinitions": commit.library_definitions if full else None,
        "currentRules": {"id": commit.rules_id, "rulesDefinition": commit.rules if full else None},
        "pipelineLabels": [label_tree.label_json(text, commit.organization) for text in texts],
        "fragment": pipeline.fragment,
        "fragmentCommitIds": load(commit.fragment_commits),
        "templateCommitId": None,
    }


def version_text(number: int, draft: bool) -> str:
    """Return ``n``, or ``n-DRAFT`` for the draft that will be published as n."""
    return f"{number}-DRAFT" if draft else str(number)


def shown(call: Call, commit_id: str) -> dict[str, Any]:
    """Return a commit with its definitions."""
    commit = store.fetch_commit(call, commit_id)
    return pipeline_json(commit, store.fetch_pipeline(call, commit.pipeline_id), True)


@app.route(
    "PUT",
    "/pipelinestore/rest/v1/pipelines",
    EDITOR,
    body=CommitPipelineJson,
    status=201,
    query=(*FLAGS, ORGANIZATION, Query("executionMode"), Query("templateCommitId"), Query("pipelineType")),
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


def _named_pipeline(call: Call, definition: dict[str, Any]) -> Row[Any] | None:
    metadata = definition.get("metadata")
    pipeline_id = metadata.get("dpm.pipeline.id") if isinstance(metadata, dict) else None
    if not isinstance(pipeline_id, str):
        return None
    statement = select(pipelines).where(
        pipelines.c.id == pipeline_id, pipelines.c.organization == call.organization
    )
    return call.db.execute(statement).first()


def _finding(call: Call, fragment: bool, template: bool = False) -> Any:
    query = call.query
    org = call.organization
    statement = select(pipelines).where(
        pipelines.c.organization == org, pipelines.c.fragment == fragment, pipelines.c.template == template
    )
    if query["onlyPublished"] or query["draft"] is False:
        statement = statement.where(pipelines.c.latest_published.is_not(None))
    if query["draft"]:
        statement = statement.where(
            pipelines.c.latest_commit != func.coalesce(pipelines.c.latest_published, "")
        )
    if label := query["pipelineLabelId"]:
        statement = _with_label(statement, label.removesuffix(f":{org}"))
    if modes := query["executionModes"]:
        statement = statement.where(pipelines.c.execution_mode.in_(modes.split(",")))
    if users := query["userIds"]:
        statement = statement.where(pipelines.c.creator.in_(users.split(",")))
    if query["startTime"] > 0:
        statement = statement.where(pipelines.c.last_modified_on >= query["startTime"])
    if query["endTime"] > 0:
        statement = statement.where(pipelines.c.last_modified_on <= query["endTime"])
    if text := query["filterText"]:
        statement = statement.where(contains(pipelines.c.name, text) | contains(pipelines.c.id, text))
    order = {
        "NAME": pipelines.c.name,
        "LAST_MODIFIED_ON": pipelines.c.last_modified_on,
        "CREATED_ON": pipelines.c.created_on,
    }
    return call.page(statement, order, lambda rows: rows_json(call, rows, query["onlyPublished"]), wrap=True)


def _with_label(statement: Select[Any], path: str) -> Select[Any]:
    quoted = dump(path)
    below = dump(path + "/")[:-1]
    either = contains(pipelines.c.labels, quoted) | contains(pipelines.c.labels, below)
    return statement.where(either)


def rows_json(call: Call, rows: list[Row[Any]], only_published: bool) -> list[dict[str, Any]]:
    """Return pipelines by their latest commit, without definitions."""
    wanted = {row.id: row.latest_published if only_published else row.latest_commit for row in rows}
    light = [c for c in commits.c if c.name not in ("definition", "library_definitions", "rules")]
    found: dict[str, Row[Any]] = {}
    ids = [commit_id for commit_id in wanted.values() if commit_id]
    for start in range(0, len(ids), 500):
        part = select(*light).where(commits.c.id.in_(ids[start : start + 500]))
        found.update({row.id: row for row in call.db.execute(part)})
    return [pipeline_json(found[wanted[row.id]], row, False) for row in rows]


@app.route("GET", "/pipelinestore/rest/v1/pipelines", USER, query=FINDING)
def list_pipelines(call: Call) -> Any:
    """List pipelines, always wrapped, without definitions."""
    return _finding(call, fragment=False)


@app.route("GET", "/pipelinestore/rest/v1/pipelines/fragments", USER, query=FINDING)
def list_fragments(call: Call) -> Any:
    """List fragments, always wrapped."""
    return _finding(call, fragment=True)


@app.route("GET", "/pipelinestore/rest/v1/pipelines/templates", USER, query=FINDING, choice="none exist")
def list_templates(call: Call) -> Any:
    """List pipeline templates, always wrapped."""
    return _finding(call, fragment=False, template=True)


@app.route("GET", "/pipelinestore/rest/v1/metrics/pipelines", USER, query=(*FINDING, Query("group")))
def list_group_pipelines(call: Call) -> Any:
    """List pipelines with their audit fields."""
    return _finding(call, fragment=False)


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipelines/count",
    USER,
    query=(ORGANIZATION, Query("system", "boolean", False)),
    choice="counts pipelines, not fragments",
)
def count_pipelines(call: Call) -> Any:
    """Count pipelines."""
    table = pipelines
    statement = select(func.count()).where(table.c.organization == call.organization, ~table.c.fragment)
    return {"count": call.db.execute(statement).scalar_one()}


@app.route("POST", "/pipelinestore/rest/v1/pipelines/latestCommit", USER, body=list[str], writes=False)
def latest_commits(call: Call) -> Any:
    """Return the latest commits of several pipelines, without definitions."""
    rows = call.fetch_all(pipelines, call.body, "Pipeline")
    return rows_json(call, rows, False)


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/latest",
    USER,
    query=(Query("user"), Query("onlyPublished", "boolean", False)),
    returns=PipelineJson,
)
def latest_commit(call: Call) -> Any:
    """Return the latest commit of a pipeline; commitId null when published is asked and none is."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "READ")
    commit_id = pipeline.latest_published if call.query["onlyPublished"] else pipeline.latest_commit
    return shown(call, commit_id) if commit_id else {"pipelineId": pipeline.id, "commitId": None}


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/log",
    USER,
    query=(*PAGING, WRAPPER, ORGANIZATION, Query("onlyPublished", "boolean", False)),
    choice="newest first unless order=ASC is sent",
)
def pipeline_log(call: Call) -> Any:
    """List the commits of a pipeline, without definitions."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "READ")
    light = [c for c in commits.c if c.name not in ("definition", "library_definitions", "rules")]
    statement = select(*light).where(commits.c.pipeline_id == pipeline.id)
    if call.query["onlyPublished"]:
        statement = statement.where(~commits.c.draft)
    if "order" not in call.raw_query:
        call.query["order"] = "DESC"
    return call.page(
        statement,
        {"NUMBER": commits.c.number},
        lambda rows: [pipeline_json(row, pipeline, False) for row in rows],
    )


@app.route(
    "GET", "/pipelinestore/rest/v1/pipeline/{pipeline}/tags", USER, choice="no call creates tags: empty"
)
def pipeline_tags(call: Call) -> Any:
    """List commit tags of a pipeline."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    rows = call.db.execute(select(commit_tags).where(commit_tags.c.pipeline_id == pipeline.id))
    return [{"id": r.id, "commitId": r.commit_id, "name": r.name, "message": r.message} for r in rows]


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


@app.route("GET", "/pipelinestore/rest/v1/pipelineCommit/{commit}", USER, returns=PipelineJson)
def get_commit(call: Call) -> Any:
    """Return a commit with its definitions."""
    commit = store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "READ")
    return pipeline_json(commit, store.fetch_pipeline(call, commit.pipeline_id), True)


@app.route("POST", "/pipelinestore/rest/v1/pipelineCommit", USER, body=list[str], writes=False)
def get_commits(call: Call) -> Any:
    """Return several commits with their definitions."""
    rows = call.fetch_all(commits, call.body, "Pipeline commit")
    parents = call.fetch_all(pipelines, [row.pipeline_id for row in rows], "Pipeline")
    for parent in {p.id: p for p in parents}.values():
        check_permission(call, parent.id, "READ")
    return [pipeline_json(row, parent, True) for row, parent in zip(rows, parents, strict=True)]


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}",
    EDITOR,
    body=PipelineJson,
    query=(Query("validate", "boolean", False), Query("includeLibraryDefinitions", "boolean", False)),
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
        texts = store.pipeline_labels(definition)
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


def label_text(label: LabelJson) -> str:
    """Return the path of a label given by text or by id."""
    text = label.label or (label.id or "").rpartition(":")[0]
    if not text:
        raise bad_request("a pipeline label needs label or id")
    return text


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/publish",
    EDITOR,
    query=(Query("commitMessage"),),
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
    query=(Query("authoringSdcId"), Query("authoringSdcVersion")),
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
    "GET",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/pipelinesUsingFragment",
    USER,
    query=PAGING,
)
def pipelines_using_fragment(call: Call) -> Any:
    """List the pipelines whose latest commit uses a fragment commit."""
    commit = store.fetch_commit(call, call.path["commit"])
    statement = (
        select(pipelines)
        .join(commits, commits.c.id == pipelines.c.latest_commit)
        .where(pipelines.c.organization == commit.organization)
        .where(contains(commits.c.fragment_commits, dump(commit.id)))
    )
    return call.page(
        statement, {"NAME": pipelines.c.name}, lambda rows: rows_json(call, rows, False), wrap=False
    )


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
        if old.id not in load(commit.fragment_commits):
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


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipelineLabels",
    USER,
    query=(*PAGING, ORGANIZATION, Query("parentId"), WRAPPER),
    choice="without parentId the whole tree",
)
def list_pipeline_labels(call: Call) -> Any:
    """List pipeline labels."""
    return label_tree.list_labels(call, "PIPELINE", "label")


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


SYSTEM_SDC = {
    "version": "3.22.0",
    "builtBy": "embedded",
    "builtDate": "",
    "builtRepoSha": "",
    "sourceMd5Checksum": "",
}


@app.route("GET", "/pipelinestore/rest/v1/system/info", USER, choice="a constant: there is no system engine")
def system_info(call: Call) -> Any:
    """Return the build of the system Data Collector."""
    return SYSTEM_SDC


@app.route(
    "GET", "/pipelinestore/rest/v1/definitions", USER, choice="empty lists: no stage libraries are carried"
)
def definitions(call: Call) -> Any:
    """Return stage definitions."""
    return {"pipeline": [], "pipelineRules": [], "stages": [], "services": [], "runtimeConfigs": []}
