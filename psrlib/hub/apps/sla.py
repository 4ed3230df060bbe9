"""Sla app: data SLAs on topologies (control-hub-rest.md, 7.5)."""

import msgspec
from msgspec import Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.runner.slas import forget_violations, read_definition
from psrlib.hub.security.acl import all_permitted, drop_acls, insert_acls
from psrlib.hub.store.queries import Query, insert_rows
from psrlib.hub.store.schema.design import slas, topologies, topology_commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import show, stored
from psrlib.hub.web.routing import USER, App, roles

app = App("sla", "Data SLAs")
EDITOR = roles("sla:editor")
SLAS = Query(select(slas).where(slas.c.organization == bindparam("org")).order_by(slas.c.label, slas.c.id))


class DataSlaJson(Struct, rename="camel"):
    """A data SLA; ``slaDefinition`` is JSON text."""

    label: str
    id: str | None = None
    organization: str | None = None
    topology_id: str | None = None
    topology_commit_id: str | None = None
    definition: str | None = field(default=None, name="slaDefinition")
    status: str | None = field(default=None, name="slaStatus")
    creator: str | None = None
    created_on: int | None = None
    last_modified_by: str | None = None
    last_modified_on: int | None = None


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
    if not body.label.strip() or len(body.label) > 255:
        raise bad_request("the SLA label must have 1 to 255 characters")
    try:
        definition = read_definition(body.definition)
    except msgspec.MsgspecError as error:
        raise bad_request(f"slaDefinition: {error}") from error
    all_permitted(call, jobs, definition.job_ids or [], "Job", "READ")
    if body.topology_id:
        call.fetch(topologies, body.topology_id, "Topology")
    if body.topology_commit_id:
        call.fetch(topology_commits, body.topology_commit_id, "Topology commit")
    known = {
        "id": call.new_id(),
        "organization": call.organization,
        "status": "INACTIVE",
        "creator": call.principal.id,
        "created_on": call.now,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    row = stored(body, slas, **known)
    insert_rows(call.db, slas, [row])
    insert_acls(call, "SLA", [row["id"]], call.organization)
    return show(DataSlaJson, row)


@app.route("GET", "/sla/rest/v1/dataSlas", USER)
def list_slas(
    call: Call, organization: str | None = None, topology_commit_id: str | None = None
) -> list[DataSlaJson]:
    """List data SLAs."""
    query = SLAS
    if topology_commit_id:
        query = query.where(slas.c.topology_commit_id == topology_commit_id)
    return [show(DataSlaJson, row) for row in query.rows(call.db, org=call.organization)]


def _set_status(call: Call, ids: list[str], status: str) -> list[DataSlaJson]:
    call.fetch_all(slas, ids, "SLA")
    if status == "INACTIVE":
        forget_violations(call.db, ids, call.now)
    values = {"status": status, "last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(slas.update().where(slas.c.id.in_(ids)).values(values))
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
    call.db.execute(slas.delete().where(slas.c.id.in_(body)))
    drop_acls(call, body)
    return []
