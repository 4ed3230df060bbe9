"""Connections, fragments and pipelines with all their commits."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.seed.document import Connection
from psrlib.state.commits import batches, commit_steps, export_document
from psrlib.state.details import COMMIT_MESSAGE
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.schedule import Steps


def design_steps(work: OrganizationWork) -> Steps[None]:
    """Create connections and fragments, then pipelines, then their further commits."""
    yield [
        *(partial(_create_connection, work, connection) for connection in work.missing("connections")),
        *(partial(_import_all, work, "fragments", entities) for entities in work.by_owner("fragments")),
    ]
    yield [partial(_import_all, work, "pipelines", entities) for entities in work.by_owner("pipelines")]
    yield from commit_steps(work)


def _create_connection(work: OrganizationWork, connection: Connection) -> None:
    body = connection_body(connection)
    work.create("connections", [connection], lambda s, _: [s.connection.create_connection(body)])


def _import_all(work: OrganizationWork, kind: str, entities: Sequence[Any]) -> None:
    """Import an owner's pipelines (or fragments), archive by archive."""
    documents = ((entity.name, export_document(work, kind, entity, 1)) for entity in entities)
    for batch in batches(documents):
        _import(work, kind, dict(batch))


def _import(work: OrganizationWork, kind: str, documents: dict[str, bytes]) -> None:
    entities = [entity for entity in getattr(work.desired, kind) if entity.name in documents]
    is_fragment = kind == "fragments"

    def create(session: ControlHub, remaining: Sequence[Any]) -> list[Json]:
        store = session.pipelinestore
        named = {entity.name: documents[entity.name] for entity in remaining}
        archive = {f"{i:04d}.json": text for i, text in enumerate(named.values())}
        message = COMMIT_MESSAGE.format(1)
        rows = work.knowledge.use("has_import", lambda: store.import_pipelines(archive, message, is_fragment))
        if rows is not None:
            return rows
        return [
            store.commit_pipeline(name, orjson.loads(text), message, is_fragment)
            for name, text in named.items()
        ]

    work.create(kind, entities, create)


def connection_body(connection: Connection) -> Json:
    """Return the wire form of a connection (control-hub-rest, 7.6)."""
    definition = {
        "type": connection.type,
        "configuration": [{"name": name, "value": value} for name, value in connection.configuration.items()],
    }
    return {
        "name": connection.name,
        "description": "",
        "connectionType": connection.type,
        "connectionDefinition": orjson.dumps(definition).decode(),
        "rawConnectionTags": connection.tags,
    }
