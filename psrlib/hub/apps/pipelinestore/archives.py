"""Pipelinestore app: import and export of pipelines as zip archives."""

from collections.abc import Iterable, Iterator

from psrlib.hub.apps.pipelinestore.records import (
    EDITOR,
    PipelineJson,
    fetch_allowed_pipeline,
    fetch_for_answer,
    show_full,
    shown,
)
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.archives import entry_name, read_zip, write_zip
from psrlib.hub.designs.commits import CommitBatch, Content, named_pipeline
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Row, by_key
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.text import Json, dump, load
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App

app = App("pipelinestore")
CONFIG_KEYS = ("pipelineConfig", "pipelineFragmentConfig")


def _import_documents(call: Call, documents: Iterable[Json], message: str) -> list[str]:
    """Store export documents as published pipelines, or versions of pipelines; return the commit ids.

    They are taken one by one, so that only one of a large archive is in memory.
    """
    batch = CommitBatch(call)
    known: set[str] = set()
    for document in documents:
        pipeline_id, content = named_pipeline(_definition(document)), _content(document, message)
        if pipeline_id and pipeline_id not in known:
            row = by_key(pipelines).first(call.db, key=pipeline_id)
            if row is not None and row.organization == call.organization:
                check_permission(call, pipeline_id, "WRITE")
                batch.know([row])
                known.add(pipeline_id)
        if pipeline_id in known:
            batch.add_version(pipeline_id, content)
        else:
            batch.add_pipeline(content, fragment=_config_key(document) == "pipelineFragmentConfig")
    batch.write()
    return [commit["id"] for commit in batch.commits]


def _designs(archive: bytes) -> Iterator[Json]:
    """Yield the export documents of an archive that hold pipelines; those of connections are passed over."""
    for name, document in read_zip(archive, nul=True):
        if any(isinstance(document.get(key), dict) for key in CONFIG_KEYS):
            yield document
        elif "connection" not in name.lower():
            raise bad_request(f"entry '{name}': expected pipelineConfig or pipelineFragmentConfig")


def _config_key(document: Json) -> str:
    key = next((key for key in CONFIG_KEYS if isinstance(document.get(key), dict)), None)
    if key is None:
        raise bad_request("an export document needs pipelineConfig or pipelineFragmentConfig")
    return key


def _definition(document: Json) -> Json:
    found: Json = document[_config_key(document)]
    return found


def _content(document: Json, message: str) -> Content:
    definition = _definition(document)
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


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/importPipelineCommits",
    EDITOR,
    choice="a document whose metadata names a pipeline of the organization becomes its next "
    "version; all or nothing",
)
def import_commits(
    call: Call, body: bytes, commit_message: str | None = None, organization: str | None = None
) -> list[PipelineJson]:
    """Import a zip of export documents, each published at once."""
    made = _import_documents(call, _designs(body), commit_message or "")
    return show_full(call, call.fetch_all(commits, made, "Pipeline commit"))


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/importPipelineNewVersion",
    EDITOR,
    choice="JSON body: one export document",
)
def import_new_version(
    call: Call, pipeline: str, body: Json, commit_message: str | None = None
) -> PipelineJson:
    """Publish an export document as the next version of a pipeline."""
    row = fetch_allowed_pipeline(call, pipeline, "WRITE")
    _definition(body).setdefault("title", row.name)
    batch = CommitBatch(call)
    batch.know([row])
    commit_id = batch.add_version(row.id, _content(body, commit_message or ""))
    batch.write()
    return shown(call, commit_id)


@app.route("POST", "/pipelinestore/rest/v1/pipelines/exportPipelineCommits", USER, writes=False)
def export_commits(call: Call, body: list[str]) -> Raw:
    """Return a zip with one export document per commit."""
    documents = (_export_document(call, commit) for commit in fetch_for_answer(call, body))
    return Raw(write_zip(documents), content_type="application/octet-stream")


def _export_document(call: Call, commit: Row) -> tuple[str, Json]:
    pipeline = store.fetch_pipeline(call, commit.pipeline_id)
    document = {
        "pipelineFragmentConfig" if pipeline.fragment else "pipelineConfig": load(commit.definition),
        "pipelineRules": load(commit.rules),
        "libraryDefinitions": load(commit.library_definitions) or {},
    }
    return entry_name(commit.name, commit.id), document
