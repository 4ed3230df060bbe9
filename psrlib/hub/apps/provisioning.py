"""Provisioning app: agents and deployments of the quick-start kind (control-hub-rest.md, 7.8)."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Select, select

from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.automation import agents, deployments
from psrlib.hub.web.call import LISTING, ORGANIZATION, PAGING, WRAPPER, Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App, Parameter, roles

app = App("provisioning", "Provisioning agents and deployments")
OPERATOR = roles("provisioning:operator")
Count = Annotated[int, Meta(ge=0, le=100_000)]
STATUS = Parameter("deploymentStatus")


class DeploymentJson(Struct):
    """A deployment."""

    name: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    labels: list[str] | None = None
    numInstances: Count | None = 1
    spec: str | None = None
    agentId: str | None = None
    currentDeploymentStatus: dict[str, Any] | None = None


def _status_json(call: Call, row: Row) -> dict[str, Any]:
    agent = None
    if row.agent_id:
        found = call.db.execute(select(agents).where(agents.c.id == row.agent_id)).first()
        agent = _agent_json(found) if found is not None else {"id": row.agent_id}
    return {
        "deploymentId": row.id,
        "organization": row.organization,
        "status": row.status,
        "errorMessage": row.error_message,
        "dpmAgent": agent,
        "lastModifiedOn": row.last_modified_on,
    }


def _deployment_json(call: Call, row: Row, full: bool = True) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "description": row.description,
        "labels": row.labels,
        "numInstances": row.instances,
        "spec": row.spec if full else None,
        "agentId": row.agent_id,
        "currentDeploymentStatus": _status_json(call, row),
        "creator": row.creator,
        "createTime": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def _agent_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "version": row.version,
        "httpUrl": row.url,
        "lastReportedTime": row.last_reported_time,
    }


def _columns(call: Call) -> dict[str, Any]:
    new = call.body
    if not new.name.strip() or len(new.name) > 255:
        raise bad_request("the deployment name must have 1 to 255 characters")
    return {
        "name": new.name,
        "description": new.description,
        "labels": new.labels or [],
        "instances": 1 if new.numInstances is None else new.numInstances,
        "spec": new.spec,
        "agent_id": new.agentId,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


@app.route(
    "GET",
    "/provisioning/rest/v1/dpmAgents",
    USER,
    query=(*LISTING, Parameter("version")),
    choice="an agent appears when its component registers",
)
def list_agents(call: Call) -> Any:
    """List provisioning agents."""
    statement = select(agents).where(agents.c.organization == call.organization)
    if version := call.query["version"]:
        statement = statement.where(agents.c.version == version)
    order = {"LAST_REPORTED_TIME": agents.c.last_reported_time, "ID": agents.c.id, "NAME": agents.c.name}
    return call.old_page(statement, order, lambda rows: [_agent_json(row) for row in rows])


@app.route("GET", "/provisioning/rest/v1/dpmAgents/versions", USER, query=(*PAGING, WRAPPER, ORGANIZATION))
def agent_versions(call: Call) -> Any:
    """List the versions of provisioning agents."""
    rows = call.db.execute(select(agents.c.version).where(agents.c.organization == call.organization))
    return call.part(sorted(set(rows.scalars())))


@app.route("GET", "/provisioning/rest/v1/dpmAgent/{agent}", USER)
def get_agent(call: Call) -> Any:
    """Return a provisioning agent."""
    return _agent_json(call.fetch(agents, call.path["agent"], "Provisioning agent"))


@app.route("DELETE", "/provisioning/rest/v1/dpmAgent/{agent}", OPERATOR)
def delete_agent(call: Call) -> Any:
    """Forget a provisioning agent."""
    row = call.fetch(agents, call.path["agent"], "Provisioning agent")
    check_permission(call, row.id, "WRITE")
    call.db.execute(agents.delete().where(agents.c.id == row.id))
    return None


@app.route(
    "PUT",
    "/provisioning/rest/v1/deployments",
    OPERATOR,
    body=DeploymentJson,
    returns=DeploymentJson,
    choice="agentId is not checked at creation; the agent must exist when the deployment starts",
)
def create_deployment(call: Call) -> Any:
    """Create a deployment, inactive."""
    row = _columns(call) | {
        "id": call.new_id(),
        "organization": call.organization,
        "status": "INACTIVE",
        "creator": call.principal.id,
        "created_on": call.now,
    }
    call.db.execute(deployments.insert().values(row))
    insert_acls(call, "DEPLOYMENT", [row["id"]], call.organization)
    return _deployment_json(call, call.fetch(deployments, row["id"], "Deployment"))


def _finding(call: Call) -> Select[Any]:
    statement = select(deployments).where(deployments.c.organization == call.organization)
    if status := call.query.get("deploymentStatus"):
        statement = statement.where(deployments.c.status == status)
    if agent := call.query.get("dpmAgentId"):
        statement = statement.where(deployments.c.agent_id == agent)
    return statement


ORDER = {
    "LAST_MODIFIED_ON": deployments.c.last_modified_on,
    "NAME": deployments.c.name,
    "ID": deployments.c.id,
}


@app.route(
    "GET", "/provisioning/rest/v1/deployments", USER, query=(*LISTING, STATUS, Parameter("dpmAgentId"))
)
def list_deployments(call: Call) -> Any:
    """List deployments without their specification."""
    return call.old_page(_finding(call), ORDER, lambda rows: [_deployment_json(call, r, False) for r in rows])


@app.route("GET", "/provisioning/rest/v1/deployments/byStatus", USER, query=(*LISTING, STATUS))
def deployments_by_status(call: Call) -> Any:
    """List deployments with a status."""
    return call.old_page(_finding(call), ORDER, lambda rows: [_deployment_json(call, r, False) for r in rows])


@app.route("GET", "/provisioning/rest/v1/deployments/status", USER, query=(*LISTING, STATUS))
def list_statuses(call: Call) -> Any:
    """List the status of deployments."""
    return call.old_page(_finding(call), ORDER, lambda rows: [_status_json(call, r) for r in rows])


@app.route("POST", "/provisioning/rest/v1/deployments/status", USER, body=list[str], writes=False)
def statuses(call: Call) -> Any:
    """Return the status of several deployments, keyed by id."""
    return {row.id: _status_json(call, row) for row in call.fetch_all(deployments, call.body, "Deployment")}


def _fetch(call: Call, action: str) -> Row:
    row = call.fetch(deployments, call.path["deployment"], "Deployment")
    check_permission(call, row.id, action)
    return row


@app.route("GET", "/provisioning/rest/v1/deployment/{deployment}", USER, returns=DeploymentJson)
def get_deployment(call: Call) -> Any:
    """Return a deployment."""
    return _deployment_json(call, _fetch(call, "READ"))


@app.route(
    "POST",
    "/provisioning/rest/v1/deployment/{deployment}",
    OPERATOR,
    body=DeploymentJson,
    returns=DeploymentJson,
)
def update_deployment(call: Call) -> Any:
    """Update a deployment."""
    row = _fetch(call, "WRITE")
    call.db.execute(deployments.update().where(deployments.c.id == row.id).values(_columns(call)))
    return _deployment_json(call, _fetch(call, "WRITE"))


def _delete(call: Call, ids: list[str]) -> None:
    for row in call.fetch_all(deployments, ids, "Deployment"):
        check_permission(call, row.id, "WRITE")
        if row.status == "ACTIVE":
            raise bad_request(f"deployment '{row.name}' is ACTIVE; stop it first")
    call.db.execute(deployments.delete().where(deployments.c.id.in_(ids)))
    drop_acls(call, ids)


@app.route("DELETE", "/provisioning/rest/v1/deployment/{deployment}", OPERATOR)
def delete_deployment(call: Call) -> Any:
    """Delete an inactive deployment."""
    _delete(call, [call.path["deployment"]])
    return None


@app.route("POST", "/provisioning/rest/v1/deployments/deleteDeployments", OPERATOR, body=list[str])
def delete_deployments(call: Call) -> Any:
    """Delete inactive deployments."""
    _delete(call, call.body)
    return []


def _set(call: Call, row: Row, **values: Any) -> dict[str, Any]:
    values |= {"last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(deployments.update().where(deployments.c.id == row.id).values(values))
    return _status_json(call, call.fetch(deployments, row.id, "Deployment"))


@app.route(
    "POST",
    "/provisioning/rest/v1/deployment/{deployment}/start",
    OPERATOR,
    query=(Parameter("dpmAgentId"),),
    choice="ACTIVE at once with a registered agent, INACTIVE_ERROR without; nothing is deployed anywhere",
)
def start_deployment(call: Call) -> Any:
    """Start a deployment on an agent."""
    row = _fetch(call, "EXECUTE")
    agent_id = call.query["dpmAgentId"] or row.agent_id or ""
    agent = call.db.execute(
        select(agents).where(agents.c.id == agent_id, agents.c.organization == row.organization)
    ).first()
    if agent is None:
        message = f"PROVISIONING_01 - agent '{agent_id}' is not registered"
        return _set(call, row, status="INACTIVE_ERROR", error_message=message)
    return _set(call, row, status="ACTIVE", agent_id=agent_id, error_message=None)


@app.route("POST", "/provisioning/rest/v1/deployment/{deployment}/stop", OPERATOR)
def stop_deployment(call: Call) -> Any:
    """Stop a deployment."""
    return _set(call, _fetch(call, "EXECUTE"), status="INACTIVE", error_message=None)


@app.route(
    "POST",
    "/provisioning/rest/v1/deployment/{deployment}/scale",
    OPERATOR,
    query=(Parameter("numInstances", "integer"),),
)
def scale_deployment(call: Call) -> Any:
    """Change the number of engines wanted."""
    row, wanted = _fetch(call, "EXECUTE"), call.query["numInstances"]
    if wanted is None or not 0 <= wanted <= 100_000:
        raise bad_request("numInstances: expected an integer from 0 to 100000")
    return _set(call, row, instances=wanted)


def _several(call: Call, **values: Any) -> dict[str, Any]:
    rows = call.fetch_all(deployments, call.body, "Deployment")
    for row in rows:
        check_permission(call, row.id, "EXECUTE")
    return {row.id: _set(call, row, **values) for row in rows}


@app.route("POST", "/provisioning/rest/v1/deployments/stopDeployments", OPERATOR, body=list[str])
def stop_deployments(call: Call) -> Any:
    """Stop several deployments."""
    return _several(call, status="INACTIVE", error_message=None)


@app.route("POST", "/provisioning/rest/v1/deployments/acknowledgeErrors", OPERATOR, body=list[str])
def acknowledge_errors(call: Call) -> Any:
    """Clear the errors of several deployments."""
    return _several(call, status="INACTIVE", error_message=None)
