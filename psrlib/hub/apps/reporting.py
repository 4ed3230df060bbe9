"""Reporting app: report definitions (control-hub-rest.md, 7.7); no reports are made of them."""

from msgspec import Struct

from psrlib.hub.security.acl import check_permission
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, by_key, of_organization
from psrlib.hub.store.schema.design import report_definitions, topology_commits
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import check_name
from psrlib.hub.web.records import Audited, Listed, Paging, show
from psrlib.hub.web.routing import USER, App, roles

app = App("reporting")
OPERATOR = roles("reporting:operator")
DEFINITION = Owned(report_definitions, "Report definition", "REPORT_DEFINITION")
IN_DOCUMENT = ("description", "start_time", "end_time", "report_artifacts")


class ArtifactJson(Struct, rename="camel"):
    """What a report is about."""

    resource_id: str
    resource_type: str = "JOB"


class ReportDefinitionJson(Audited):
    """A report definition; times are epoch milliseconds or expressions."""

    name: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    start_time: int | str | None = None
    end_time: int | str | None = None
    report_artifacts: list[ArtifactJson] | None = None


def _show(row: Row) -> ReportDefinitionJson:
    return show(ReportDefinitionJson, row, **row.document)


def _columns(call: Call, new: ReportDefinitionJson) -> Json:
    check_name(new.name, "report name")
    _check_artifacts(call, new.report_artifacts or [])
    return {"name": new.name, "document": {name: getattr(new, name) for name in IN_DOCUMENT}}


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
    return _show(DEFINITION.create(call, _columns(call, body)))


@app.route("GET", "/reporting/rest/v1/reports", USER)
def list_definitions(
    call: Call, paging: Paging, filter_text: str | None = None, organization: str | None = None
) -> Listed[ReportDefinitionJson]:
    """List report definitions."""
    order = {"NAME": report_definitions.c.name, "ID": report_definitions.c.id}
    query = of_organization(report_definitions).matching(filter_text, *order.values())
    return call.page(paging, query, order, _show)


@app.route(
    "GET",
    "/reporting/rest/v1/report/{definition}",
    USER,
    choice="not in the reference; the counterpart of POST and DELETE",
)
def get_definition(call: Call, definition: str) -> ReportDefinitionJson:
    """Return a report definition."""
    return _show(DEFINITION.fetch(call, definition, "READ"))


@app.route("POST", "/reporting/rest/v1/report/{definition}", OPERATOR)
def update_definition(call: Call, definition: str, body: ReportDefinitionJson) -> ReportDefinitionJson:
    """Update a report definition."""
    DEFINITION.fetch(call, definition, "WRITE")
    DEFINITION.update(call, definition, _columns(call, body))
    return _show(DEFINITION.fetch(call, definition, "WRITE"))


@app.route("DELETE", "/reporting/rest/v1/report/{definition}", OPERATOR)
def delete_definition(call: Call, definition: str) -> None:
    """Delete a report definition."""
    DEFINITION.fetch(call, definition, "WRITE")
    DEFINITION.delete(call, [definition])
