"""Pipelinestore app: import and export of pipelines as zip archives."""

from typing import Any

from sqlalchemy import select

from psrlib.hub import pipelines as store
from psrlib.hub.acl import check_permission
from psrlib.hub.apps.pipelinestore_records import EDITOR, shown
from psrlib.hub.archives import read_zip, write_zip
from psrlib.hub.call import ORGANIZATION, Call, Raw, dump, load
from psrlib.hub.issues import bad_request
from psrlib.hub.routing import USER, App, Query
from psrlib.hub.schema.design import commits, pipelines

app = App("pipelinestore", "Import and export archives")
CONFIG_KEYS = ("pipelineConfig", "pipelineFragmentConfig")


def import_export_document(call: Call, document: dict[str, Any], message: str) -> str:
    """Store one export document as a published pipeline; return the commit id."""
    key = next((k for k in CONFIG_KEYS if isinstance(document.get(k), dict)), None)
    if key is None:
        raise bad_request("an export document needs pipelineConfig or pipelineFragmentConfig")
    definition, rules = document[key], document.get("pipelineRules")
    title = definition.get("title") or (definition.get("info") or {}).get("title")
    if not isinstance(title, str):
        raise bad_request("an export document needs a title in its pipelineConfig")
    library = document.get("libraryDefinitions")
    text = None if library is None else dump(library)
    rules = rules if isinstance(rules, dict) else None
    existing = _existing(call, definition)
    if existing is not None:
        return store.add_commit(call, existing, title, definition, rules, text, message)
    return store.insert_pipeline(
        call,
        title,
        definition,
        rules,
        library=text,
        message=message,
        fragment=key == "pipelineFragmentConfig",
    )


def _existing(call: Call, definition: dict[str, Any]) -> Any:
    metadata = definition.get("metadata")
    pipeline_id = metadata.get("dpm.pipeline.id") if isinstance(metadata, dict) else None
    if not isinstance(pipeline_id, str):
        return None
    wanted = select(pipelines).where(
        pipelines.c.id == pipeline_id, pipelines.c.organization == call.organization
    )
    return call.db.execute(wanted).first()


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/importPipelineCommits",
    EDITOR,
    body=bytes,
    query=(Query("commitMessage"), Query("fragments", "boolean", False), ORGANIZATION),
    choice="a document whose metadata names a pipeline of the organization becomes its next "
    "version; all or nothing",
)
def import_commits(call: Call) -> Any:
    """Import a zip of export documents, each published at once."""
    message = call.query["commitMessage"] or ""
    made = []
    for name, document in read_zip(call.body):
        if not any(isinstance(document.get(key), dict) for key in CONFIG_KEYS):
            if "connection" in name.lower():
                continue
            raise bad_request(f"entry '{name}': expected pipelineConfig or pipelineFragmentConfig")
        made.append(import_export_document(call, document, message))
    return [shown(call, commit_id) for commit_id in made]


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/importPipelineNewVersion",
    EDITOR,
    body=dict[str, Any],
    query=(Query("commitMessage"),),
    choice="JSON body: one export document",
)
def import_new_version(call: Call) -> Any:
    """Publish an export document as the next version of a pipeline."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "WRITE")
    document = call.body
    definition = next((document[k] for k in CONFIG_KEYS if isinstance(document.get(k), dict)), None)
    if definition is None:
        raise bad_request("the body needs pipelineConfig or pipelineFragmentConfig")
    rules = document.get("pipelineRules")
    library = document.get("libraryDefinitions")
    commit_id = store.add_commit(
        call,
        pipeline,
        str(definition.get("title") or pipeline.name),
        definition,
        rules if isinstance(rules, dict) else None,
        None if library is None else dump(library),
        call.query["commitMessage"] or "",
    )
    return shown(call, commit_id)


@app.route(
    "POST",
    "/pipelinestore/rest/v1/pipelines/exportPipelineCommits",
    USER,
    body=list[str],
    query=(Query("fragments", "boolean", False), Query("includePlainTextCredentials", "boolean", False)),
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
