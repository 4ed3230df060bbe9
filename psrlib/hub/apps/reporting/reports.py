"""Reporting app: report definitions and reports (control-hub-rest.md, 7.7)."""

from typing import Any

from msgspec import Struct, to_builtins
from sqlalchemy import Row, select

from psrlib.hub.apps.reporting.pdf import write_pdf
from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.schema.design import report_definitions, reports, topology_commits
from psrlib.hub.store.text import contains, dump, load
from psrlib.hub.web.call import FILTER, ORGANIZATION, PAGING, Call, Raw
from psrlib.hub.web.issues import bad_request, not_found
from psrlib.hub.web.routing import USER, App, Query, roles

app = App("reporting", "Report definitions and reports")
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


def _definition_json(row: Row[Any]) -> dict[str, Any]:
    return {
        **load(row.document),
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
        "document": dump({name: to_builtins(getattr(new, name)) for name in names}),
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _check_artifacts(call: Call, artifacts: list[ArtifactJson]) -> None:
    """Refuse a report about a job or topology that the caller may not read."""
    for artifact in artifacts:
        if not artifact.resourceId.endswith(f":{call.organization}"):
            continue  # of no object here: the report will say so
        commit = select(topology_commits.c.topology_id).where(topology_commits.c.id == artifact.resourceId)
        check_permission(call, call.db.execute(commit).scalar() or artifact.resourceId, "READ")


@app.route(
    "PUT",
    "/reporting/rest/v1/reports",
    OPERATOR,
    body=ReportDefinitionJson,
    returns=ReportDefinitionJson,
    choice="artifacts are not checked for existence: a report names those that are gone",
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
    return call.page(statement, order, lambda rows: [_definition_json(row) for row in rows])


def _fetch(call: Call, action: str) -> Row[Any]:
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
    """Delete a report definition with its reports."""
    row = _fetch(call, "WRITE")
    call.db.execute(reports.delete().where(reports.c.definition_id == row.id))
    call.db.execute(report_definitions.delete().where(report_definitions.c.id == row.id))
    drop_acls(call, [row.id])
    return None


def _report_json(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "reportDefinitionId": row.definition_id,
        "organization": row.organization,
        "name": row.name,
        "reportStatus": row.status,
        "reportTriggerTime": row.trigger_time,
    }


@app.route(
    "POST",
    "/reporting/rest/v1/report/{definition}/generateReport",
    OPERATOR,
    query=(Query("triggerTime", "integer"),),
    choice="ready within a second or two: status, runs and record counts of its jobs, and of the jobs of its "
    "topologies, for the runs that overlap the time range; ${time:now()} less n SECONDS, MINUTES, HOURS or "
    "DAYS is understood, any other expression means open",
)
def generate_report(call: Call) -> Any:
    """Ask for a report."""
    row = _fetch(call, "EXECUTE")
    report_id = call.new_id(row.organization)
    call.db.execute(
        reports.insert().values(
            id=report_id,
            definition_id=row.id,
            organization=row.organization,
            name=row.name,
            status="REPORT_TO_BE_GENERATED",
            trigger_time=call.now if call.query["triggerTime"] is None else call.query["triggerTime"],
        )
    )
    return _report_json(call.fetch(reports, report_id, "Report"))


@app.route(
    "GET",
    "/reporting/rest/v1/report/{definition}/reports",
    USER,
    query=(Query("offset", "integer", 0), Query("len", "integer", -1)),
)
def list_reports(call: Call) -> Any:
    """List the reports of a definition, always wrapped."""
    row = _fetch(call, "READ")
    statement = select(reports).where(reports.c.definition_id == row.id)
    order = {"TRIGGER_TIME": reports.c.trigger_time, "ID": reports.c.id}
    return call.page(statement, order, lambda rows: [_report_json(r) for r in rows], wrap=True)


def _fetch_report(call: Call) -> Row[Any]:
    definition = _fetch(call, "READ")
    report = call.fetch(reports, call.path["report"], "Report")
    if report.definition_id != definition.id:
        raise not_found("Report", report.id)
    return report


@app.route("GET", "/reporting/rest/v1/report/{definition}/{report}", USER)
def get_report(call: Call) -> Any:
    """Return the state of a report."""
    return _report_json(_fetch_report(call))


@app.route(
    "GET",
    "/reporting/rest/v1/report/{definition}/{report}/download",
    USER,
    query=(Query("reportFormat", "text", "PDF"),),
    choice="PDF as asked for and by default; plain text for any other format",
)
def download_report(call: Call) -> Any:
    """Return the content of a report."""
    report = _fetch_report(call)
    if report.content is None:
        raise bad_request(f"report '{report.id}' is {report.status}; ask again in a moment")
    if call.query["reportFormat"].upper() == "PDF":
        return Raw(write_pdf(report.content.split("\n")), content_type="application/pdf")
    return Raw(report.content.encode(), content_type="text/plain; charset=utf-8")
