"""Sla app: data SLAs on topologies (control-hub-rest.md, 7.5)."""

import msgspec
from msgspec import field

from psrlib.hub.runner.slas import SlaDefinition, forget_violations, read_definition
from psrlib.hub.security.acl import all_permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import of_organization
from psrlib.hub.store.schema.design import slas, topologies, topology_commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name
from psrlib.hub.web.records import Audited, show, stored
from psrlib.hub.web.routing import USER, App, roles

app = App("sla")
EDITOR = roles("sla:editor")
SLA = Owned(slas, "SLA", "SLA")


class DataSlaJson(Audited):
    """A data SLA; ``slaDefinition`` is JSON text."""

    label: str
    id: str | None = None
    organization: str | None = None
    topology_id: str | None = None
    topology_commit_id: str | None = None
    definition: str | None = field(default=None, name="slaDefinition")
    status: str | None = field(default=None, name="slaStatus")


@app.route(
    "PUT",
    "/sla/rest/v1/dataSlas",
    EDITOR,
    choice="an active SLA is judged every second: the one-minute input or error rate in records per second, "
    "engines added up, of every job of jobIds that runs and has reported; a report older than 5 minutes "
    "counts as 0; beyond the threshold an ACTIVE alert of type DATA_SLA (resourceId the job, ruleId the SLA) "
    "and one DATA_SLA_TRIGGERED event; the hub acknowledges the alert, ackedBy null, when the rate is back, "
    "the run ends or the SLA is deactivated or deleted",
)
def create_sla(call: Call, body: DataSlaJson) -> DataSlaJson:
    """Create a data SLA, inactive."""
    check_name(body.label, "SLA label")
    try:
        definition = read_definition(body.definition)
    except msgspec.MsgspecError as error:
        raise bad_request(f"slaDefinition: {error}") from error
    call.check_fields(SlaDefinition, load(body.definition or "{}"), "slaDefinition")
    all_permitted(call, jobs, definition.job_ids or [], "Job", "READ")
    if body.topology_id:
        call.fetch(topologies, body.topology_id, "Topology")
    if body.topology_commit_id:
        call.fetch(topology_commits, body.topology_commit_id, "Topology commit")
    return show(DataSlaJson, SLA.create(call, stored(body, slas, status="INACTIVE")))


@app.route("GET", "/sla/rest/v1/dataSlas", USER)
def list_slas(
    call: Call, organization: str | None = None, topology_commit_id: str | None = None
) -> list[DataSlaJson]:
    """List data SLAs."""
    query = of_organization(slas).equal(slas.c.topology_commit_id, topology_commit_id)
    rows = query.page(slas.c.label, slas.c.id).rows(call.db, org=call.organization)
    return [show(DataSlaJson, row) for row in rows]


def _set_status(call: Call, ids: list[str], status: str) -> list[DataSlaJson]:
    call.fetch_all(slas, ids, "SLA")
    if status == "INACTIVE":
        forget_violations(call.db, ids, call.now)
    call.db.execute(slas.update().where(slas.c.id.in_(ids)).values(status=status, **call.changed))
    return [show(DataSlaJson, row) for row in call.fetch_all(slas, ids, "SLA")]


@app.route("POST", "/sla/rest/v1/dataSlas/activateSlas", EDITOR)
def activate_slas(call: Call, body: list[str]) -> list[DataSlaJson]:
    """Activate SLAs."""
    return _set_status(call, body, "ACTIVE")


@app.route("POST", "/sla/rest/v1/dataSlas/deactivateSlas", EDITOR)
def deactivate_slas(call: Call, body: list[str]) -> list[DataSlaJson]:
    """Deactivate SLAs."""
    return _set_status(call, body, "INACTIVE")


@app.route("POST", "/sla/rest/v1/dataSlas/deleteSlas", EDITOR)
def delete_slas(call: Call, body: list[str]) -> list[str]:
    """Delete SLAs."""
    call.fetch_all(slas, body, "SLA")
    forget_violations(call.db, body, call.now)
    SLA.delete(call, body)
    return []
