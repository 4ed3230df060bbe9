"""Reporting app: report definitions (control-hub-rest.md, 7.7); no reports are made of them."""

from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema.design import report_definitions, topology_commits
from psrlib.hub.store.text import Json, contains
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import Listed, Paging, show
from psrlib.hub.web.routing import USER, App, roles

app = App("reporting", "Report definitions")
OPERATOR = roles("reporting:operator")
DEFINITIONS = Query(select(report_definitions).where(report_definitions.c.organization == bindparam("org")))
IN_DOCUMENT = ("description", "start_time", "end_time", "report_artifacts")


class ArtifactJson(Struct, rename="camel"):
    """What a report is about."""

    resource_id: str
    resource_type: str = "JOB"


class ReportDefinitionJson(Struct, rename="camel"):
    """A report definition; times are epoch milliseconds or expressions."""

    name: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    start_time: int | str | None = None
    end_time: int | str | None = None
    report_artifacts: list[ArtifactJson] | None = None
    creator: str | None = None
    created_on: int | None = None
    last_modified_by: str | None = None
    last_modified_on: int | None = None


def _show(row: Row) -> ReportDefinitionJson:
    return show(ReportDefinitionJson, row, **row.document)


def _columns(call: Call, new: ReportDefinitionJson) -> Json:
    if not new.name.strip() or len(new.name) > 255:
        raise bad_request("the report name must have 1 to 255 characters")
    _check_artifacts(call, new.report_artifacts or [])
    return {
        "name": new.name,
        "document": {name: getattr(new, name) for name in IN_DOCUMENT},
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _check_artifacts(call: Call, artifacts: list[ArtifactJson]) -> None:
    """Refuse a report about a job or topology that the caller may not read."""
    for artifact in artifacts:
        if not artifact.resource_id.endswith(f":{call.organization}"):
            continue  # of no object here
        commit = by_key(topology_commits).first(call.db, key=artifact.resource_id)
        check_permission(call, artifact.resource_id if commit is None else commit.topology_id, "READ")


@app.route("PUT", "/reporting/rest/v1/reports", OPERATOR, choice="artifacts are not checked for existence")
def create_definition(call: Call, body: ReportDefinitionJson) -> ReportDefinitionJson:
    """Create a report definition."""
    row = _columns(call, body) | {
        "id": call.new_id(),
        "organization": call.organization,
        "creator": call.principal.id,
        "created_on": call.now,
    }
    insert_rows(call.db, report_definitions, [row])
    insert_acls(call, "REPORT_DEFINITION", [row["id"]], call.organization)
    return _show(call.fetch(report_definitions, row["id"], "Report definition"))


@app.route("GET", "/reporting/rest/v1/reports", USER)
def list_definitions(
    call: Call, paging: Paging, filter_text: str | None = None, organization: str | None = None
) -> Listed[ReportDefinitionJson]:
    """List report definitions."""
    table, query = report_definitions, DEFINITIONS
    if filter_text:
        query = query.where(contains(table.c.name, filter_text) | contains(table.c.id, filter_text))
    return call.page(paging, query, {"NAME": table.c.name, "ID": table.c.id}, _show, wrap=False)


def _fetch(call: Call, definition: str, action: str) -> Row:
    row = call.fetch(report_definitions, definition, "Report definition")
    check_permission(call, row.id, action)
    return row


@app.route(
    "GET",
    "/reporting/rest/v1/report/{definition}",
    USER,
    choice="not in the reference; the counterpart of POST and DELETE",
)
def get_definition(call: Call, definition: str) -> ReportDefinitionJson:
    """Return a report definition."""
    return _show(_fetch(call, definition, "READ"))


@app.route("POST", "/reporting/rest/v1/report/{definition}", OPERATOR)
def update_definition(call: Call, definition: str, body: ReportDefinitionJson) -> ReportDefinitionJson:
    """Update a report definition."""
    row, table = _fetch(call, definition, "WRITE"), report_definitions
    call.db.execute(table.update().where(table.c.id == row.id).values(_columns(call, body)))
    return _show(_fetch(call, definition, "WRITE"))


@app.route("DELETE", "/reporting/rest/v1/report/{definition}", OPERATOR)
def delete_definition(call: Call, definition: str) -> None:
    """Delete a report definition."""
    row = _fetch(call, definition, "WRITE")
    call.db.execute(report_definitions.delete().where(report_definitions.c.id == row.id))
    drop_acls(call, [row.id])
