"""Connection app: connections to outside systems (control-hub-rest.md, 7.6)."""

from typing import Any

from msgspec import Struct
from sqlalchemy import Row, Select, bindparam, func, select

from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.pipelines import parse_document
from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Prepared
from psrlib.hub.store.schema.design import commits, connection_audits, connections
from psrlib.hub.store.text import contains, has_item, load
from psrlib.hub.web.call import FILTER, ORGANIZATION, PAGING, WRAPPER, Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import EITHER, USER, App, Query, roles

app = App("connection", "Connections to outside systems")
CONNECTIONS = Prepared(select(connections).where(connections.c.organization == bindparam("org")))
EDITOR = roles("connection:editor", "connection:user")
AUDIT_PAGE = (
    Query("offset", "integer", 0),
    Query("len", "integer", -1),
    Query("sortField"),
    Query("sortOrder", "text", "DESC"),
)
LAST_30_DAYS_MS = 30 * 86_400_000


class ConnectionJson(Struct):
    """A connection."""

    name: str
    connectionType: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    typeLabel: str | None = None
    sdcId: str | None = None
    sdcVersion: str | None = None
    connectionDefinition: str | None = None
    libraryDefinition: str | None = None
    rawConnectionTags: list[str] | None = None
    tags: list[dict[str, Any]] | None = None


def _connection_json(row: Row[Any], full: bool = True) -> dict[str, Any]:
    tags = row.tags
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "description": row.description,
        "connectionType": row.connection_type,
        "typeLabel": row.type_label,
        "sdcId": row.sdc_id,
        "sdcVersion": row.sdc_version,
        "connectionDefinition": row.definition if full else None,
        "libraryDefinition": row.library_definition if full else None,
        "rawConnectionTags": tags,
        "tags": [label_tree.label_json(tag, row.organization, "tag") for tag in tags],
        "creator": row.creator,
        "createTime": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def _columns(call: Call, organization: str) -> dict[str, Any]:
    new = call.body
    if not new.name.strip() or len(new.name) > 255:
        raise bad_request("the connection name must have 1 to 255 characters")
    if new.connectionDefinition:
        parse_document(new.connectionDefinition, "connectionDefinition")
    if new.libraryDefinition:
        parse_document(new.libraryDefinition, "libraryDefinition")
    tags = list(dict.fromkeys(new.rawConnectionTags or []))
    label_tree.remember(call, "CONNECTION", tags, organization)
    return {
        "name": new.name,
        "description": new.description,
        "connection_type": new.connectionType,
        "type_label": new.typeLabel,
        "sdc_id": new.sdcId,
        "sdc_version": new.sdcVersion,
        "definition": new.connectionDefinition,
        "library_definition": new.libraryDefinition,
        "tags": tags,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _audit(call: Call, row: Row[Any], action: str, user: str = "") -> None:
    call.db.execute(
        connection_audits.insert().values(
            organization=row.organization,
            user_id=user or call.principal.id,
            connection_id=row.id,
            connection_name=row.name,
            time=call.now,
            action=action,
        )
    )


def _fetch(call: Call, action: str) -> Row[Any]:
    row = call.fetch(connections, call.path["connection"], "Connection")
    check_permission(call, row.id, action)
    return row


@app.route("PUT", "/connection/rest/v1/connections", EDITOR, body=ConnectionJson, returns=ConnectionJson)
def create_connection(call: Call) -> Any:
    """Create a connection."""
    org = call.organization
    row = _columns(call, org) | {
        "id": call.new_id(org),
        "organization": org,
        "creator": call.principal.id,
        "created_on": call.now,
    }
    call.db.execute(connections.insert().values(row))
    insert_acls(call, "CONNECTION", [row["id"]], org)
    made = call.fetch(connections, row["id"], "Connection")
    _audit(call, made, "CREATE")
    return _connection_json(made)


@app.route(
    "GET",
    "/connection/rest/v1/connections",
    USER,
    query=(
        *PAGING,
        ORGANIZATION,
        FILTER,
        WRAPPER,
        Query("connectionType"),
        Query("withTotalCount", "boolean", False),
    ),
)
def list_connections(call: Call) -> Any:
    """List connections without definitions; wrapped when withTotalCount is true."""
    statement: Select[Any] | Prepared = CONNECTIONS
    if kind := call.query["connectionType"]:
        statement = statement.where(connections.c.connection_type == kind)
    if text := call.query["filterText"]:
        statement = statement.where(contains(connections.c.name, text) | contains(connections.c.id, text))
    wrap = bool(call.query["withTotalCount"] or call.query["withWrapper"])
    order = {
        "NAME": connections.c.name,
        "ID": connections.c.id,
        "LAST_MODIFIED_TIME": connections.c.last_modified_on,
    }
    return call.page(
        statement,
        order,
        lambda rows: [_connection_json(row, False) for row in rows],
        wrap=wrap,
        org=call.organization,
    )


@app.route("GET", "/connection/rest/v1/connection/{connection}", USER, returns=ConnectionJson)
def get_connection(call: Call) -> Any:
    """Return a connection."""
    return _connection_json(_fetch(call, "READ"))


@app.route(
    "POST", "/connection/rest/v1/connection/{connection}", EDITOR, body=ConnectionJson, returns=ConnectionJson
)
def update_connection(call: Call) -> Any:
    """Update a connection."""
    row = _fetch(call, "WRITE")
    if call.body.id is not None and call.body.id != row.id:
        raise bad_request(f"the body's id is '{call.body.id}', the path's '{row.id}'")
    values = _columns(call, row.organization)
    call.db.execute(connections.update().where(connections.c.id == row.id).values(values))
    _audit(call, row, "UPDATE")
    return _connection_json(_fetch(call, "READ"))


@app.route(
    "DELETE", "/connection/rest/v1/connection/{connection}", EDITOR, choice="also while pipelines use it"
)
def delete_connection(call: Call) -> Any:
    """Delete a connection."""
    row = _fetch(call, "WRITE")
    _audit(call, row, "DELETE")
    call.db.execute(connections.delete().where(connections.c.id == row.id))
    drop_acls(call, [row.id])
    return None


@app.route(
    "GET",
    "/connection/rest/v1/connection/{connection}/configs",
    EITHER,
    query=(Query("user"),),
    writes=True,
    choice="values as they are stored: nothing is resolved",
)
def connection_configs(call: Call) -> Any:
    """Return the configuration of a connection to an engine."""
    row = call.fetch(connections, call.path["connection"], "Connection")
    if not call.principal.is_component:
        check_permission(call, row.id, "READ")
    definition = load(row.definition) or {}
    _audit(call, row, "READ", call.query["user"] or "")
    return {
        "type": row.connection_type,
        "version": str(definition.get("version") or "1"),
        "configuration": definition.get("configuration") or [],
    }


def _using(row: Row[Any]) -> Select[Any]:
    return select(commits).where(
        commits.c.organization == row.organization, has_item(commits.c.connections, row.id)
    )


@app.route("GET", "/connection/rest/v1/connection/{connection}/getPipelineCommits", USER)
def commits_using(call: Call) -> Any:
    """List pipeline commits that use a connection."""
    rows = call.db.execute(_using(_fetch(call, "READ")).order_by(commits.c.name, commits.c.number))
    return [
        {
            "pipelineCommitId": row.id,
            "pipelineVersion": f"{row.number}-DRAFT" if row.draft else str(row.number),
            "pipelineId": row.pipeline_id,
            "pipelineName": row.name,
        }
        for row in rows
    ]


@app.route("GET", "/connection/rest/v1/connection/{connection}/countPipelineCommits", USER)
def count_using(call: Call) -> Any:
    """Count pipeline commits that use a connection."""
    inner = _using(_fetch(call, "READ")).subquery()
    return {"count": call.db.execute(select(func.count()).select_from(inner)).scalar_one()}


@app.route(
    "GET",
    "/connection/rest/v1/connections/tags",
    USER,
    query=(*PAGING, ORGANIZATION, Query("parentId"), WRAPPER),
)
def connection_tags(call: Call) -> Any:
    """List connection tags."""
    return label_tree.list_labels(call, "CONNECTION", "tag")


def _audits(call: Call, statement: Select[Any]) -> Any:
    call.query["order"] = call.query["sortOrder"]
    return call.page(
        statement,
        {"TIME": connection_audits.c.id},
        lambda rows: [
            {
                "id": str(row.id),
                "organization": row.organization,
                "userId": row.user_id,
                "connectionId": row.connection_id,
                "connectionName": row.connection_name,
                "auditTime": row.time,
                "auditAction": row.action,
            }
            for row in rows
        ],
        wrap=False,
    )


@app.route("GET", "/connection/rest/v1/connections/{org}/connectionAudits", USER, query=AUDIT_PAGE)
def recent_audits(call: Call) -> Any:
    """List connection audits of the last 30 days."""
    table = connection_audits
    recent = (table.c.organization == call.path["org"]) & (table.c.time >= call.now - LAST_30_DAYS_MS)
    return _audits(call, select(table).where(recent))


@app.route(
    "GET",
    "/connection/rest/v1/connections/{org}/connectionAuditsTime",
    USER,
    query=(*AUDIT_PAGE, Query("startTime", "integer", 0), Query("endTime", "integer", -1)),
)
def audits_between(call: Call) -> Any:
    """List connection audits of a time range."""
    table = connection_audits
    statement = select(table).where(table.c.organization == call.path["org"])
    statement = statement.where(table.c.time >= call.query["startTime"])
    if call.query["endTime"] >= 0:
        statement = statement.where(table.c.time <= call.query["endTime"])
    return _audits(call, statement)


@app.route("GET", "/connection/rest/v1/connections/{connection}/audit", USER, query=AUDIT_PAGE)
def audits_of(call: Call) -> Any:
    """List the audits of one connection."""
    row = _fetch(call, "READ")
    return _audits(call, select(connection_audits).where(connection_audits.c.connection_id == row.id))
