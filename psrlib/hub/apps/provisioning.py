"""Provisioning app: agents and deployments of the quick-start kind (control-hub-rest.md, 7.8)."""

from typing import Annotated

from msgspec import Meta, Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.security.acl import Millis, check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema.automation import agents, deployments
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import Listed, Listing, show, stored
from psrlib.hub.web.routing import USER, App, roles

app = App("provisioning", "Provisioning agents and deployments")
OPERATOR = roles("provisioning:operator")
Count = Annotated[int, Meta(ge=0, le=100_000)]
AGENTS = Query(select(agents).where(agents.c.organization == bindparam("org")))
DEPLOYMENTS = Query(select(deployments).where(deployments.c.organization == bindparam("org")))


class DpmAgentJson(Struct, rename="camel", omit_defaults=True):
    """A provisioning agent; only the id of one that is not registered."""

    id: str
    organization: str | None = None
    name: str | None = None
    version: str | None = None
    url: str | None = field(default=None, name="httpUrl")
    last_reported_time: Millis | None = None


class DeploymentStatusJson(Struct, rename="camel"):
    """How a deployment is, and on which agent."""

    deployment_id: str | None = None
    organization: str | None = None
    status: str | None = None
    error_message: str | None = None
    dpm_agent: DpmAgentJson | None = None
    last_modified_on: Millis | None = None


class DeploymentJson(Struct, rename="camel"):
    """A deployment."""

    name: str
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    labels: list[str] | None = None
    instances: Count | None = field(default=1, name="numInstances")
    spec: str | None = None
    agent_id: str | None = None
    current_deployment_status: DeploymentStatusJson | None = None
    creator: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


def _show_agent(row: Row) -> DpmAgentJson:
    return show(DpmAgentJson, row)


def _show_status(call: Call, row: Row) -> DeploymentStatusJson:
    agent = None
    if row.agent_id:
        found = by_key(agents).first(call.db, key=row.agent_id)
        agent = DpmAgentJson(row.agent_id) if found is None else _show_agent(found)
    return show(DeploymentStatusJson, row, deployment_id=row.id, dpm_agent=agent)


def _show(call: Call, row: Row) -> DeploymentJson:
    return show(DeploymentJson, row, current_deployment_status=_show_status(call, row))


def _show_light(call: Call, row: Row) -> DeploymentJson:
    record = _show(call, row)
    record.spec = None
    return record


def _columns(call: Call, new: DeploymentJson, **more: object) -> Json:
    """Return the columns of a deployment as it was sent, checked; ``more`` are those the hub knows better."""
    if not new.name.strip() or len(new.name) > 255:
        raise bad_request("the deployment name must have 1 to 255 characters")
    return stored(
        new,
        deployments,
        labels=new.labels or [],
        instances=1 if new.instances is None else new.instances,
        last_modified_by=call.principal.id,
        last_modified_on=call.now,
        **more,
    )


@app.route(
    "GET", "/provisioning/rest/v1/dpmAgents", USER, choice="an agent appears when its component registers"
)
def list_agents(call: Call, listing: Listing, version: str | None = None) -> Listed[DpmAgentJson]:
    """List provisioning agents."""
    return call.page(
        listing,
        AGENTS.where(agents.c.version == version) if version else AGENTS,
        {"LAST_REPORTED_TIME": agents.c.last_reported_time, "ID": agents.c.id, "NAME": agents.c.name},
        _show_agent,
    )


@app.route("GET", "/provisioning/rest/v1/dpmAgent/{agent}", USER)
def get_agent(call: Call, agent: str) -> DpmAgentJson:
    """Return a provisioning agent."""
    return _show_agent(call.fetch(agents, agent, "Provisioning agent"))


@app.route("DELETE", "/provisioning/rest/v1/dpmAgent/{agent}", OPERATOR)
def delete_agent(call: Call, agent: str) -> None:
    """Forget a provisioning agent."""
    row = call.fetch(agents, agent, "Provisioning agent")
    check_permission(call, row.id, "WRITE")
    call.db.execute(agents.delete().where(agents.c.id == row.id))


@app.route(
    "PUT",
    "/provisioning/rest/v1/deployments",
    OPERATOR,
    choice="agentId is not checked at creation; the agent must exist when the deployment starts",
)
def create_deployment(call: Call, body: DeploymentJson) -> DeploymentJson:
    """Create a deployment, inactive."""
    row = _columns(
        call,
        body,
        id=call.new_id(),
        organization=call.organization,
        status="INACTIVE",
        creator=call.principal.id,
        created_on=call.now,
    )
    insert_rows(call.db, deployments, [row])
    insert_acls(call, "DEPLOYMENT", [row["id"]], call.organization)
    return _show(call, call.fetch(deployments, row["id"], "Deployment"))


@app.route("GET", "/provisioning/rest/v1/deployments", USER)
def list_deployments(
    call: Call, listing: Listing, deployment_status: str | None = None, dpm_agent_id: str | None = None
) -> Listed[DeploymentJson]:
    """List deployments without their specification."""
    wanted = ((deployments.c.status, deployment_status), (deployments.c.agent_id, dpm_agent_id))
    return call.page(
        listing,
        DEPLOYMENTS.where(*(column == value for column, value in wanted if value)),
        {
            "LAST_MODIFIED_ON": deployments.c.last_modified_on,
            "NAME": deployments.c.name,
            "ID": deployments.c.id,
        },
        lambda row: _show_light(call, row),
    )


@app.route("POST", "/provisioning/rest/v1/deployments/status", USER, writes=False)
def deployment_statuses(call: Call, body: list[str]) -> dict[str, DeploymentStatusJson]:
    """Return the status of several deployments, keyed by id."""
    return {row.id: _show_status(call, row) for row in call.fetch_all(deployments, body, "Deployment")}


def _fetch(call: Call, deployment: str, action: str) -> Row:
    row = call.fetch(deployments, deployment, "Deployment")
    check_permission(call, row.id, action)
    return row


@app.route("GET", "/provisioning/rest/v1/deployment/{deployment}", USER)
def get_deployment(call: Call, deployment: str) -> DeploymentJson:
    """Return a deployment."""
    return _show(call, _fetch(call, deployment, "READ"))


@app.route("POST", "/provisioning/rest/v1/deployment/{deployment}", OPERATOR)
def update_deployment(call: Call, deployment: str, body: DeploymentJson) -> DeploymentJson:
    """Update a deployment."""
    row = _fetch(call, deployment, "WRITE")
    kept = {name: getattr(row, name) for name in ("id", "organization", "creator", "created_on")}
    values = _columns(call, body, **kept)
    call.db.execute(deployments.update().where(deployments.c.id == row.id).values(values))
    return _show(call, _fetch(call, deployment, "WRITE"))


@app.route("DELETE", "/provisioning/rest/v1/deployment/{deployment}", OPERATOR)
def delete_deployment(call: Call, deployment: str) -> None:
    """Delete an inactive deployment."""
    delete_deployments(call, [deployment])


@app.route("POST", "/provisioning/rest/v1/deployments/deleteDeployments", OPERATOR)
def delete_deployments(call: Call, body: list[str]) -> list[str]:
    """Delete inactive deployments."""
    for row in call.fetch_all(deployments, body, "Deployment"):
        check_permission(call, row.id, "WRITE")
        if row.status == "ACTIVE":
            raise bad_request(f"deployment '{row.name}' is ACTIVE; stop it first")
    call.db.execute(deployments.delete().where(deployments.c.id.in_(body)))
    drop_acls(call, body)
    return []


def _set(call: Call, row: Row, **values: object) -> DeploymentStatusJson:
    values |= {"last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(deployments.update().where(deployments.c.id == row.id).values(values))
    return _show_status(call, call.fetch(deployments, row.id, "Deployment"))


@app.route(
    "POST",
    "/provisioning/rest/v1/deployment/{deployment}/start",
    OPERATOR,
    choice="ACTIVE at once with a registered agent, INACTIVE_ERROR without; nothing is deployed anywhere",
)
def start_deployment(call: Call, deployment: str, dpm_agent_id: str | None = None) -> DeploymentStatusJson:
    """Start a deployment on an agent."""
    row = _fetch(call, deployment, "EXECUTE")
    agent_id = dpm_agent_id or row.agent_id or ""
    agent = by_key(agents).first(call.db, key=agent_id)
    if agent is None or agent.organization != row.organization:
        message = f"PROVISIONING_01 - agent '{agent_id}' is not registered"
        return _set(call, row, status="INACTIVE_ERROR", error_message=message)
    return _set(call, row, status="ACTIVE", agent_id=agent_id, error_message=None)


@app.route("POST", "/provisioning/rest/v1/deployment/{deployment}/stop", OPERATOR)
def stop_deployment(call: Call, deployment: str) -> DeploymentStatusJson:
    """Stop a deployment."""
    return _set(call, _fetch(call, deployment, "EXECUTE"), status="INACTIVE", error_message=None)


@app.route("POST", "/provisioning/rest/v1/deployments/stopDeployments", OPERATOR)
def stop_deployments(call: Call, body: list[str]) -> dict[str, DeploymentStatusJson]:
    """Stop several deployments."""
    return {deployment: stop_deployment(call, deployment) for deployment in body}


@app.route("POST", "/provisioning/rest/v1/deployments/acknowledgeErrors", OPERATOR)
def acknowledge_errors(call: Call, body: list[str]) -> dict[str, DeploymentStatusJson]:
    """Clear the errors of several deployments."""
    return stop_deployments(call, body)
