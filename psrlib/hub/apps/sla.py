"""Sla app: data SLAs on topologies (control-hub-rest.md, 7.5)."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select

from psrlib.hub.runner.slas import forget_violations, read_definition
from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.design import slas, topologies, topology_commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.web.call import ORGANIZATION, Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App, Parameter, roles

app = App("sla", "Data SLAs")
EDITOR = roles("sla:editor")


class DataSlaJson(Struct):
    """A data SLA; ``slaDefinition`` is JSON text."""

    label: str
    id: str | None = None
    organization: str | None = None
    topologyId: str | None = None
    topologyCommitId: str | None = None
    slaDefinition: str | None = None
    slaStatus: str | None = None
    lastModifiedOn: int | None = None


def _sla_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "label": row.label,
        "topologyId": row.topology_id,
        "topologyCommitId": row.topology_commit_id,
        "slaDefinition": row.definition,
        "slaStatus": row.status,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


@app.route(
    "PUT",
    "/sla/rest/v1/dataSlas",
    EDITOR,
    body=DataSlaJson,
    returns=DataSlaJson,
    choice="an active SLA is judged every second: the one-minute input or error rate in records per second, "
    "engines added up, of every job of jobIds that runs and has reported; a report older than 5 minutes "
    "counts as 0; beyond the threshold an ACTIVE alert of type DATA_SLA (resourceId the job, ruleId the SLA) "
    "and one DATA_SLA_TRIGGERED event; the hub acknowledges the alert, ackedBy null, when the rate is back, "
    "the run ends or the SLA is deactivated or deleted",
)
def create_sla(call: Call) -> Any:
    """Create a data SLA, inactive."""
    new, org = call.body, call.organization
    if not new.label.strip() or len(new.label) > 255:
        raise bad_request("the SLA label must have 1 to 255 characters")
    _check_definition(call, new.slaDefinition)
    if new.topologyId:
        call.fetch(topologies, new.topologyId, "Topology")
    if new.topologyCommitId:
        call.fetch(topology_commits, new.topologyCommitId, "Topology commit")
    row = {
        "id": call.new_id(org),
        "organization": org,
        "label": new.label,
        "topology_id": new.topologyId,
        "topology_commit_id": new.topologyCommitId,
        "definition": new.slaDefinition,
        "status": "INACTIVE",
        "creator": call.principal.id,
        "created_on": call.now,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    call.db.execute(slas.insert().values(row))
    insert_acls(call, "SLA", [row["id"]], org)
    return _sla_json(call.fetch(slas, row["id"], "SLA"))


def _check_definition(call: Call, text: str | None) -> None:
    try:
        definition = read_definition(text)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise bad_request(f"slaDefinition: {error}") from error
    for job in call.fetch_all(jobs, definition.job_ids or [], "Job"):
        check_permission(call, job.id, "READ")


@app.route("GET", "/sla/rest/v1/dataSlas", USER, query=(ORGANIZATION, Parameter("topologyCommitId")))
def list_slas(call: Call) -> Any:
    """List data SLAs."""
    statement = select(slas).where(slas.c.organization == call.organization).order_by(slas.c.label, slas.c.id)
    if commit := call.query["topologyCommitId"]:
        statement = statement.where(slas.c.topology_commit_id == commit)
    return [_sla_json(row) for row in call.db.execute(statement)]


def _set_status(call: Call, status: str) -> Any:
    call.fetch_all(slas, call.body, "SLA")
    if status == "INACTIVE":
        forget_violations(call.db, call.body, call.now)
    values = {"status": status, "last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(slas.update().where(slas.c.id.in_(call.body)).values(values))
    return [_sla_json(row) for row in call.fetch_all(slas, call.body, "SLA")]


@app.route("POST", "/sla/rest/v1/dataSlas/activateSlas", EDITOR, body=list[str])
def activate_slas(call: Call) -> Any:
    """Activate SLAs."""
    return _set_status(call, "ACTIVE")


@app.route("POST", "/sla/rest/v1/dataSlas/deactivateSlas", EDITOR, body=list[str])
def deactivate_slas(call: Call) -> Any:
    """Deactivate SLAs."""
    return _set_status(call, "INACTIVE")


@app.route("POST", "/sla/rest/v1/dataSlas/deleteSlas", EDITOR, body=list[str])
def delete_slas(call: Call) -> Any:
    """Delete SLAs."""
    call.fetch_all(slas, call.body, "SLA")
    forget_violations(call.db, call.body, call.now)
    call.db.execute(slas.delete().where(slas.c.id.in_(call.body)))
    drop_acls(call, call.body)
    return []
