"""Connection app: connections to outside systems (control-hub-rest.md, 7.6)."""

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import ColumnElement, select

from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.designs.pipelines import parse_document
from psrlib.hub.designs.versions import version_text
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Query, Row, insert_rows, of_organization
from psrlib.hub.store.schema.design import commits, connection_audits, connections
from psrlib.hub.store.text import Json, has_item, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import check_name, check_same
from psrlib.hub.web.records import (
    AuditPaging,
    CountJson,
    Listed,
    Listing,
    Millis,
    Span,
    show,
    stored,
)
from psrlib.hub.web.routing import EITHER, USER, App, roles

app = App("connection")
CONNECTION = Owned(connections, "Connection", "CONNECTION")
EDITOR = roles("connection:editor", "connection:user")
LAST_30_DAYS_MS = 30 * 86_400_000


class ConnectionJson(Struct, rename="camel", kw_only=True):
    """A connection; who made and changed it has names of its own here."""

    name: str
    connection_type: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    type_label: str | None = None
    sdc_id: str | None = None
    sdc_version: str | None = None
    definition: str | None = field(default=None, name="connectionDefinition")
    library_definition: str | None = None
    raw_connection_tags: list[str] | None = None
    tags: list[TagJson] | None = None
    read_only: bool | None = False
    creator: str | None = field(default=None, name="createdBy")
    created_on: Millis | None = field(default=None, name="createdTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = field(default=None, name="lastModifiedTime")


class ConnectionAuditJson(Struct, rename="camel"):
    """A change or a reading of a connection."""

    id: str
    organization: str
    user_id: str
    connection_id: str
    connection_name: str
    time: int = field(name="auditTime")
    action: str = field(name="auditAction")


class UsingCommitJson(Struct, rename="camel"):
    """A pipeline commit that uses a connection."""

    pipeline_commit_id: str
    pipeline_version: str
    pipeline_id: str
    pipeline_name: str


class ConnectionConfigJson(Struct):
    """What an engine is told of a connection."""

    type: str
    version: str
    configuration: list[Json]


def _show(row: Row) -> ConnectionJson:
    tags = [label_tree.show_tag(tag, row.organization) for tag in row.tags]
    return show(ConnectionJson, row, raw_connection_tags=row.tags, tags=tags)


def _columns(call: Call, new: ConnectionJson, organization: str) -> Json:
    """Return the columns of a connection as it was sent, checked."""
    check_name(new.name, "connection name")
    if new.definition:
        parse_document(new.definition, "connectionDefinition")
    if new.library_definition:
        parse_document(new.library_definition, "libraryDefinition")
    tags = list(dict.fromkeys(new.raw_connection_tags or []))
    label_tree.remember(call, "CONNECTION", tags, organization)
    return stored(new, connections, tags=tags)


def _audit(call: Call, row: Row, action: str, user: str = "") -> None:
    values = {
        "organization": row.organization,
        "user_id": user or call.principal.id,
        "connection_id": row.id,
        "connection_name": row.name,
        "time": call.now,
        "action": action,
    }
    insert_rows(call.db, connection_audits, [values])


@app.route("PUT", "/connection/rest/v1/connections", EDITOR, choice="readOnly is always false")
def create_connection(call: Call, body: ConnectionJson) -> ConnectionJson:
    """Create a connection."""
    made = CONNECTION.create(call, _columns(call, body, call.organization))
    _audit(call, made, "CREATE")
    return _show(made)


@app.route("GET", "/connection/rest/v1/connections", USER)
def list_connections(
    call: Call, listing: Listing, connection_type: str | None = None, with_total_count: bool = False
) -> Listed[ConnectionJson]:
    """List connections without definitions; wrapped when withTotalCount is true."""
    columns = connections.c
    query = of_organization(connections).equal(columns.connection_type, connection_type)
    return call.page(
        listing,
        query.matching(listing.filter_text, columns.name, columns.id),
        {"NAME": columns.name, "ID": columns.id, "LAST_MODIFIED_TIME": columns.last_modified_on},
        lambda row: replace(_show(row), definition=None, library_definition=None),
        wrap=with_total_count or listing.with_wrapper,
    )


@app.route("GET", "/connection/rest/v1/connection/{connection}", USER)
def get_connection(call: Call, connection: str) -> ConnectionJson:
    """Return a connection."""
    return _show(CONNECTION.fetch(call, connection, "READ"))


@app.route("POST", "/connection/rest/v1/connection/{connection}", EDITOR)
def update_connection(call: Call, connection: str, body: ConnectionJson) -> ConnectionJson:
    """Update a connection."""
    row = CONNECTION.fetch(call, connection, "WRITE")
    if body.id is not None:
        check_same(body.id, row.id)
    CONNECTION.update(call, row.id, _columns(call, body, row.organization))
    _audit(call, row, "UPDATE")
    return get_connection(call, connection)


@app.route(
    "DELETE", "/connection/rest/v1/connection/{connection}", EDITOR, choice="also while pipelines use it"
)
def delete_connection(call: Call, connection: str) -> None:
    """Delete a connection."""
    row = CONNECTION.fetch(call, connection, "WRITE")
    _audit(call, row, "DELETE")
    CONNECTION.delete(call, [row.id])


@app.route(
    "GET",
    "/connection/rest/v1/connection/{connection}/configs",
    EITHER,
    writes=True,
    choice="values as they are stored: nothing is resolved",
)
def connection_configs(call: Call, connection: str, user: str | None = None) -> ConnectionConfigJson:
    """Return the configuration of a connection to an engine."""
    if call.principal.is_component:
        row = call.fetch(connections, connection, "Connection")
    else:
        row = CONNECTION.fetch(call, connection, "READ")
    definition = load(row.definition) or {}
    _audit(call, row, "READ", user or "")
    return ConnectionConfigJson(
        row.connection_type, str(definition.get("version") or "1"), definition.get("configuration") or []
    )


def _using(row: Row) -> Query:
    mine = commits.c.organization == row.organization
    using = select(commits).where(mine, has_item(commits.c.connections, row.id))
    return Query(using.order_by(commits.c.name, commits.c.number), kept=False)


@app.route("GET", "/connection/rest/v1/connection/{connection}/getPipelineCommits", USER)
def commits_using(call: Call, connection: str) -> list[UsingCommitJson]:
    """List pipeline commits that use a connection."""
    return [
        UsingCommitJson(row.id, version_text(row.number, row.draft), row.pipeline_id, row.name)
        for row in _using(CONNECTION.fetch(call, connection, "READ")).rows(call.db)
    ]


@app.route("GET", "/connection/rest/v1/connection/{connection}/countPipelineCommits", USER)
def count_using(call: Call, connection: str) -> CountJson:
    """Count pipeline commits that use a connection."""
    return CountJson(_using(CONNECTION.fetch(call, connection, "READ")).count().scalar(call.db))


@app.route("GET", "/connection/rest/v1/connections/tags", USER)
def connection_tags(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[TagJson]:
    """List connection tags."""
    return label_tree.list_labels(call, "CONNECTION", listing, parent_id, label_tree.show_tag)


def _audits(call: Call, paging: AuditPaging, *conditions: ColumnElement[bool]) -> Listed[ConnectionAuditJson]:
    return call.page(
        paging,
        Query(select(connection_audits).where(*conditions), kept=False),
        {"TIME": connection_audits.c.id},
        lambda row: show(ConnectionAuditJson, row, id=str(row.id)),
    )


@app.route("GET", "/connection/rest/v1/connections/{org}/connectionAudits", USER)
def recent_audits(call: Call, org: str, paging: AuditPaging) -> Listed[ConnectionAuditJson]:
    """List connection audits of the last 30 days."""
    table = connection_audits
    return _audits(call, paging, table.c.organization == org, table.c.time >= call.now - LAST_30_DAYS_MS)


@app.route("GET", "/connection/rest/v1/connections/{org}/connectionAuditsTime", USER)
def audits_between(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[ConnectionAuditJson]:
    """List connection audits of a time range."""
    table = connection_audits
    return _audits(call, paging, table.c.organization == org, span.holds(table.c.time))


@app.route("GET", "/connection/rest/v1/connections/{connection}/audit", USER)
def audits_of(call: Call, connection: str, paging: AuditPaging) -> Listed[ConnectionAuditJson]:
    """List the audits of one connection."""
    row = CONNECTION.fetch(call, connection, "READ")
    return _audits(call, paging, connection_audits.c.connection_id == row.id)
