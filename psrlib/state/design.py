"""Connections, fragments and pipelines with all their commits."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from psrlib import seed
from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import HubError
from psrlib.seed.document import Connection, Pipeline
from psrlib.state.once import repeat_lost
from psrlib.state.reading import hub_id, n_commits
from psrlib.state.schedule import Call, Plan
from psrlib.state.work import Work

ABSENT = (404, 405, 501)  # the hub does not know the bulk form
ARCHIVE_BYTES = 32_000_000  # uncompressed size of one import archive; request limits are unknown (section 13)
COMMIT_MESSAGE = "Commit {}"


def design_steps(work: Work) -> Plan[None]:
    """Create connections and fragments, then pipelines, then their further commits."""
    yield [
        *(partial(_create_connection, work, connection) for connection in work.missing("connections")),
        *_imports(work, "fragments"),
    ]
    yield _imports(work, "pipelines")
    behind = _behind(work)
    while behind:
        yield [partial(_commit_next, work, pipeline) for pipeline in behind]
        behind = _behind(work)


def _create_connection(work: Work, connection: Connection) -> None:
    body = {
        "name": connection.name,
        "description": "",
        "connectionType": connection.type,
        "connectionDefinition": orjson.dumps(
            {
                "type": connection.type,
                "configuration": [{"name": k, "value": v} for k, v in connection.configuration.items()],
            }
        ).decode(),
        "rawConnectionTags": connection.tags,
    }

    def create(session: ControlHub, _: Sequence[Connection]) -> list[Json]:
        return [{**body, **session.connection.create_connection(body)}]

    work.create("connections", [connection], create, work.admin.connection.connections, connection.owner)


def _imports(work: Work, kind: str) -> list[Call]:
    """Return the calls that create all missing pipelines (or fragments), one archive per owner who logs in."""
    calls: list[Call] = []
    for owner, entities in work.by_owner(kind).items():
        for batch in _batches(work, kind, entities):
            calls.append(partial(_import, work, kind, batch, owner))
    return calls


def _batches(work: Work, kind: str, entities: Sequence[Any]) -> list[dict[str, Json]]:
    """Return the export documents by entity name, in batches of bounded size."""
    batches: list[dict[str, Json]] = []
    size = ARCHIVE_BYTES
    for entity in entities:
        document = export_document(work, kind, entity, 1)
        length = len(orjson.dumps(document))
        if size + length > ARCHIVE_BYTES:
            batches.append({})
            size = 0
        batches[-1][entity.name] = document
        size += length
    return batches


def export_document(work: Work, kind: str, entity: Any, commit: int) -> Json:
    """Return the export document of one commit of a pipeline, or of a fragment."""
    if kind == "fragments":
        config, rules = seed.fragment_definition(work.document, work.desired, entity)
        return {"pipelineFragmentConfig": config, "pipelineRules": rules}
    config, rules = seed.pipeline_definition(work.document, work.desired, entity, commit)
    return {"pipelineConfig": config, "pipelineRules": rules}


def _import(work: Work, kind: str, documents: dict[str, Json], owner: str) -> None:
    entities = [entity for entity in getattr(work.desired, kind) if entity.name in documents]
    is_fragment = kind == "fragments"

    def create(session: ControlHub, remaining: Sequence[Any]) -> list[Json]:
        store = session.pipelinestore
        named = {entity.name: documents[entity.name] for entity in remaining}
        if work.knowledge.has_import is not False:
            try:
                archive = {f"{i:04d}.json": document for i, document in enumerate(named.values())}
                rows = store.import_pipelines(archive, COMMIT_MESSAGE.format(1), is_fragment)
                work.knowledge.has_import = True
                return rows
            except HubError as error:
                if error.status not in ABSENT:
                    raise
                work.knowledge.has_import = False
        return [
            store.commit_pipeline(name, document, COMMIT_MESSAGE.format(1), is_fragment)
            for name, document in named.items()
        ]

    find = work.admin.pipelinestore.fragments if is_fragment else work.admin.pipelinestore.pipelines
    work.create(kind, entities, create, find, owner)


def _behind(work: Work) -> list[Pipeline]:
    """Return the pipelines that lack commits."""
    return [p for p in work.desired.pipelines if n_commits(work.rows["pipelines"][p.key]) < p.commits]


def _commit_next(work: Work, pipeline: Pipeline) -> None:
    row = work.rows["pipelines"][pipeline.key]
    id = hub_id("pipelines", row)
    number = n_commits(row) + 1
    document = export_document(work, "pipelines", pipeline, number)
    store = work.admin.pipelinestore

    def done() -> Json | None:
        work.lost()
        rows = [row for row in store.pipelines() if hub_id("pipelines", row) == id]
        return next((row for row in rows if n_commits(row) >= number), None)

    made = repeat_lost(lambda: store.import_new_version(id, document, COMMIT_MESSAGE.format(number)), done)
    work.rows["pipelines"][pipeline.key] = {"name": pipeline.name, "pipelineId": id, **made}
