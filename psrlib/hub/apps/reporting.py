"""Reporting app: report definitions (control-hub-rest.md, 7.7); no reports are made of them."""

from typing import Any

from msgspec import Struct, to_builtins
from sqlalchemy import select

from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.design import report_definitions, topology_commits
from psrlib.hub.store.text import contains
from psrlib.hub.web.call import FILTER, ORGANIZATION, PAGING, Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App, roles

app = App("reporting", "Report definitions")
OPERATOR = roles("reporting:operator")


class ArtifactJson(Struct):
    """What a report is about."""

    resourceId: str
    resourceType: str = "JOB"


class ReportDefinitionJson(Struct):
    """A report definition; times are epoch milliseconds or expressions."""

    name: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    startTime: int | str | None = None
    endTime: int | str | None = None
    reportArtifacts: list[ArtifactJson] | None = None


def _definition_json(row: Row) -> dict[str, Any]:
    return {
        **row.document,
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def _columns(call: Call) -> dict[str, Any]:
    new = call.body
    if not new.name.strip() or len(new.name) > 255:
        raise bad_request("the report name must have 1 to 255 characters")
    _check_artifacts(call, new.reportArtifacts or [])
    names = ("description", "startTime", "endTime", "reportArtifacts")
    return {
        "name": new.name,
        "document": {name: to_builtins(getattr(new, name)) for name in names},
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _check_artifacts(call: Call, artifacts: list[ArtifactJson]) -> None:
    """Refuse a report about a job or topology that the caller may not read."""
    for artifact in artifacts:
        if not artifact.resourceId.endswith(f":{call.organization}"):
            continue  # of no object here
        commit = select(topology_commits.c.topology_id).where(topology_commits.c.id == artifact.resourceId)
        check_permission(call, call.db.execute(commit).scalar() or artifact.resourceId, "READ")


@app.route(
    "PUT",
    "/reporting/rest/v1/reports",
    OPERATOR,
    body=ReportDefinitionJson,
    returns=ReportDefinitionJson,
    choice="artifacts are not checked for existence",
)
def create_definition(call: Call) -> Any:
    """Create a report definition."""
    row = _columns(call) | {
        "id": call.new_id(),
        "organization": call.organization,
        "creator": call.principal.id,
        "created_on": call.now,
    }
    call.db.execute(report_definitions.insert().values(row))
    insert_acls(call, "REPORT_DEFINITION", [row["id"]], call.organization)
    return _definition_json(call.fetch(report_definitions, row["id"], "Report definition"))


@app.route("GET", "/reporting/rest/v1/reports", USER, query=(*PAGING, ORGANIZATION, FILTER))
def list_definitions(call: Call) -> Any:
    """List report definitions."""
    table = report_definitions
    statement = select(table).where(table.c.organization == call.organization)
    if text := call.query["filterText"]:
        statement = statement.where(contains(table.c.name, text) | contains(table.c.id, text))
    order = {"NAME": table.c.name, "ID": table.c.id}
    return call.old_page(statement, order, lambda rows: [_definition_json(row) for row in rows])


def _fetch(call: Call, action: str) -> Row:
    row = call.fetch(report_definitions, call.path["definition"], "Report definition")
    check_permission(call, row.id, action)
    return row


@app.route(
    "GET",
    "/reporting/rest/v1/report/{definition}",
    USER,
    returns=ReportDefinitionJson,
    choice="not in the reference; the counterpart of POST and DELETE",
)
def get_definition(call: Call) -> Any:
    """Return a report definition."""
    return _definition_json(_fetch(call, "READ"))


@app.route(
    "POST",
    "/reporting/rest/v1/report/{definition}",
    OPERATOR,
    body=ReportDefinitionJson,
    returns=ReportDefinitionJson,
)
def update_definition(call: Call) -> Any:
    """Update a report definition."""
    row = _fetch(call, "WRITE")
    table = report_definitions
    call.db.execute(table.update().where(table.c.id == row.id).values(_columns(call)))
    return _definition_json(_fetch(call, "WRITE"))


@app.route("DELETE", "/reporting/rest/v1/report/{definition}", OPERATOR)
def delete_definition(call: Call) -> Any:
    """Delete a report definition."""
    row = _fetch(call, "WRITE")
    call.db.execute(report_definitions.delete().where(report_definitions.c.id == row.id))
    drop_acls(call, [row.id])
    return None
