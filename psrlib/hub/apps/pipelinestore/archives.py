"""Pipelinestore app: import and export of pipelines as zip archives."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, select

from psrlib.hub.apps.pipelinestore.records import EDITOR, pipeline_json, shown
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.archives import read_zip, write_zip
from psrlib.hub.designs.commits import CommitBatch, Content
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import any_of
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.text import dump, load
from psrlib.hub.web.call import ORGANIZATION, Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App, Parameter

app = App("pipelinestore", "Import and export archives")
CONFIG_KEYS = ("pipelineConfig", "pipelineFragmentConfig")


def import_export_documents(call: Call, documents: list[dict[str, Any]], message: str) -> CommitBatch:
    """Store export documents as published pipelines, or versions of pipelines; return what was made."""
    batch = CommitBatch(call)
    named = [_named_pipeline(document) for document in documents]
    known = {row.id: row for row in _EXISTING(call.db, filter(None, named), org=call.organization)}
    for pipeline_id in known:
        check_permission(call, pipeline_id, "WRITE")
    batch.know(known.values())
    for document, pipeline_id in zip(documents, named, strict=True):
        content = _content(document, message)
        if pipeline_id in known:
            batch.add_version(pipeline_id, content)
        else:
            batch.add_pipeline(content, fragment=_config_key(document) == "pipelineFragmentConfig")
    batch.write()
    return batch


def _config_key(document: dict[str, Any]) -> str:
    key = next((key for key in CONFIG_KEYS if isinstance(document.get(key), dict)), None)
    if key is None:
        raise bad_request("an export document needs pipelineConfig or pipelineFragmentConfig")
    return key


def _content(document: dict[str, Any], message: str) -> Content:
    definition = document[_config_key(document)]
    info = definition.get("info")
    title = definition.get("title") or (info.get("title") if isinstance(info, dict) else None)
    if not isinstance(title, str):
        raise bad_request("an export document needs a title in its pipelineConfig")
    rules, library = document.get("pipelineRules"), document.get("libraryDefinitions")
    return Content(
        title,
        definition,
        rules if isinstance(rules, dict) else None,
        None if library is None else dump(library),
        message,
    )


def _named_pipeline(document: dict[str, Any]) -> str:
    """Return the id of the pipeline a document says it is a version of; empty when it names none."""
    metadata = document[_config_key(document)].get("metadata")
    pipeline_id = metadata.get("dpm.pipeline.id") if isinstance(metadata, dict) else None
    return pipeline_id if isinstance(pipeline_id, str) else ""


_EXISTING = any_of(
    lambda ids: select(pipelines).where(pipelines.c.id.in_(ids), pipelines.c.organization == bindparam("org"))
)


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/importPipelineCommits",
    EDITOR,
    body=bytes,
    query=(Parameter("commitMessage"), Parameter("fragments", "boolean", False), ORGANIZATION),
    choice="a document whose metadata names a pipeline of the organization becomes its next "
    "version; all or nothing",
)
def import_commits(call: Call) -> Any:
    """Import a zip of export documents, each published at once."""
    documents = []
    for name, document in read_zip(call.body):
        if any(isinstance(document.get(key), dict) for key in CONFIG_KEYS):
            documents.append(document)
        elif "connection" not in name.lower():
            raise bad_request(f"entry '{name}': expected pipelineConfig or pipelineFragmentConfig")
    made = import_export_documents(call, documents, call.query["commitMessage"] or "")
    rows = {key: SimpleNamespace(**row) for key, row in made.pipelines.items()}
    return [
        pipeline_json(SimpleNamespace(**commit), rows[commit["pipeline_id"]], True, texts)
        for commit, texts in zip(made.commits, made.labels, strict=True)
    ]


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/importPipelineNewVersion",
    EDITOR,
    body=dict[str, Any],
    query=(Parameter("commitMessage"),),
    choice="JSON body: one export document",
)
def import_new_version(call: Call) -> Any:
    """Publish an export document as the next version of a pipeline."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "WRITE")
    document = call.body
    if "title" not in document[_config_key(document)]:
        document[_config_key(document)]["title"] = pipeline.name
    batch = CommitBatch(call)
    batch.know([pipeline])
    commit_id = batch.add_version(pipeline.id, _content(document, call.query["commitMessage"] or ""))
    batch.write()
    return shown(call, commit_id)


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/exportPipelineCommits",
    USER,
    body=list[str],
    query=(
        Parameter("fragments", "boolean", False),
        Parameter("includePlainTextCredentials", "boolean", False),
    ),
    writes=False,
)
def export_commits(call: Call) -> Any:
    """Return a zip with one export document per commit."""
    documents = []
    for commit in call.fetch_all(commits, call.body, "Pipeline commit"):
        check_permission(call, commit.pipeline_id, "READ")
        pipeline = store.fetch_pipeline(call, commit.pipeline_id)
        key = "pipelineFragmentConfig" if pipeline.fragment else "pipelineConfig"
        document = {
            key: load(commit.definition),
            "pipelineRules": load(commit.rules),
            "libraryDefinitions": load(commit.library_definitions),
        }
        documents.append((commit.name, document))
    return Raw(write_zip(documents), content_type="application/octet-stream")
