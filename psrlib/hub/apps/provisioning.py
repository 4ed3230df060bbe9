"""Provisioning app: agents and deployments of the quick-start kind (control-hub-rest.md, 7.8)."""

from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from psrlib.hub.security.acl import all_permitted, permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, by_key, of_organization
from psrlib.hub.store.schema.automation import agents, deployments
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name
from psrlib.hub.web.records import Listed, Listing, Millis, show, stored
from psrlib.hub.web.routing import USER, App, roles

app = App("provisioning")
OPERATOR = roles("provisioning:operator")
Count = Annotated[int, Meta(ge=0, le=100_000)]
DEPLOYMENT = Owned(deployments, "Deployment", "DEPLOYMENT")


class DpmAgentJson(Struct, rename="camel", omit_defaults=True):
    """A provisioning agent; only the id of one that is not registered."""

    id: str
    organization: str | None = None
    name: str | None = None
    version: str | None = None
    last_reported_time: Millis | None = None


class DeploymentStatusJson(Struct, rename="camel"):
    """How a deployment is, and on which agent."""

    id: str | None = field(default=None, name="deploymentId")
    status: str | None = None
    error_message: str | None = None
    dpm_agent: DpmAgentJson | None = None


class Deployment(Struct, rename="camel", kw_only=True):
    """What users say of a deployment."""

    name: str
    description: str | None = None
    labels: list[str] | None = None
    instances: Count | None = field(default=1, name="numInstances")
    spec: str | None = None


class NewDeploymentJson(Deployment):
    """A deployment to be created."""

    agent_id: str | None = None


class DeploymentJson(Deployment, kw_only=True):
    """A deployment."""

    id: str | None = None
    organization: str | None = None
    creator: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None
    current_deployment_status: DeploymentStatusJson | None = None


def _show_status(call: Call, row: Row) -> DeploymentStatusJson:
    agent = None
    if row.agent_id:
        found = by_key(agents).first(call.db, key=row.agent_id)
        agent = DpmAgentJson(row.agent_id) if found is None else show(DpmAgentJson, found)
    return show(DeploymentStatusJson, row, dpm_agent=agent)


def _show(call: Call, row: Row) -> DeploymentJson:
    return show(DeploymentJson, row, current_deployment_status=_show_status(call, row))


def _columns(new: Deployment) -> Json:
    """Return the columns of a deployment as it was sent, checked."""
    check_name(new.name, "deployment name")
    instances = 1 if new.instances is None else new.instances
    return stored(new, deployments, labels=new.labels or [], instances=instances)


@app.route(
    "GET", "/provisioning/rest/v1/dpmAgents", USER, choice="an agent appears when its component registers"
)
def list_agents(call: Call, listing: Listing, version: str | None = None) -> Listed[DpmAgentJson]:
    """List provisioning agents."""
    return call.page(
        listing,
        of_organization(agents).equal(agents.c.version, version),
        {"LAST_REPORTED_TIME": agents.c.last_reported_time, "ID": agents.c.id, "NAME": agents.c.name},
        lambda row: show(DpmAgentJson, row),
    )


@app.route("GET", "/provisioning/rest/v1/dpmAgent/{agent}", USER)
def get_agent(call: Call, agent: str) -> DpmAgentJson:
    """Return a provisioning agent."""
    return show(DpmAgentJson, call.fetch(agents, agent, "Provisioning agent"))


@app.route("DELETE", "/provisioning/rest/v1/dpmAgent/{agent}", OPERATOR)
def delete_agent(call: Call, agent: str) -> None:
    """Forget a provisioning agent."""
    row = permitted(call, agents, agent, "Provisioning agent", "WRITE")
    call.db.execute(agents.delete().where(agents.c.id == row.id))


@app.route(
    "PUT",
    "/provisioning/rest/v1/deployments",
    OPERATOR,
    choice="agentId is not checked at creation; the agent must exist when the deployment starts",
)
def create_deployment(call: Call, body: NewDeploymentJson) -> DeploymentJson:
    """Create a deployment, inactive."""
    return _show(call, DEPLOYMENT.create(call, _columns(body) | {"status": "INACTIVE"}))


@app.route("GET", "/provisioning/rest/v1/deployments", USER)
def list_deployments(
    call: Call, listing: Listing, deployment_status: str | None = None, dpm_agent_id: str | None = None
) -> Listed[DeploymentJson]:
    """List deployments without their specification."""
    columns = deployments.c
    query = of_organization(deployments).equal(columns.status, deployment_status)
    return call.page(
        listing,
        query.equal(columns.agent_id, dpm_agent_id),
        {"LAST_MODIFIED_ON": columns.last_modified_on, "NAME": columns.name, "ID": columns.id},
        lambda row: replace(_show(call, row), spec=None),
    )


@app.route("POST", "/provisioning/rest/v1/deployments/status", USER, writes=False)
def deployment_statuses(call: Call, body: list[str]) -> dict[str, DeploymentStatusJson]:
    """Return the status of several deployments, keyed by id."""
    return {row.id: _show_status(call, row) for row in call.fetch_all(deployments, body, "Deployment")}


@app.route("GET", "/provisioning/rest/v1/deployment/{deployment}", USER)
def get_deployment(call: Call, deployment: str) -> DeploymentJson:
    """Return a deployment."""
    return _show(call, DEPLOYMENT.fetch(call, deployment, "READ"))


@app.route("POST", "/provisioning/rest/v1/deployment/{deployment}", OPERATOR)
def update_deployment(call: Call, deployment: str, body: DeploymentJson) -> DeploymentJson:
    """Update a deployment."""
    DEPLOYMENT.fetch(call, deployment, "WRITE")
    DEPLOYMENT.update(call, deployment, _columns(body))
    return _show(call, DEPLOYMENT.fetch(call, deployment, "WRITE"))


@app.route("DELETE", "/provisioning/rest/v1/deployment/{deployment}", OPERATOR)
def delete_deployment(call: Call, deployment: str) -> None:
    """Delete an inactive deployment."""
    delete_deployments(call, [deployment])


@app.route("POST", "/provisioning/rest/v1/deployments/deleteDeployments", OPERATOR)
def delete_deployments(call: Call, body: list[str]) -> list[str]:
    """Delete inactive deployments."""
    for row in all_permitted(call, deployments, body, "Deployment", "WRITE"):
        if row.status == "ACTIVE":
            raise bad_request(f"deployment '{row.name}' is ACTIVE; stop it first")
    DEPLOYMENT.delete(call, body)
    return []


def _set(call: Call, row: Row, **values: object) -> DeploymentStatusJson:
    DEPLOYMENT.update(call, row.id, values)
    return _show_status(call, call.fetch(deployments, row.id, "Deployment"))


@app.route(
    "POST",
    "/provisioning/rest/v1/deployment/{deployment}/start",
    OPERATOR,
    choice="ACTIVE at once with a registered agent, INACTIVE_ERROR without; nothing is deployed anywhere",
)
def start_deployment(call: Call, deployment: str, dpm_agent_id: str | None = None) -> DeploymentStatusJson:
    """Start a deployment on an agent."""
    row = DEPLOYMENT.fetch(call, deployment, "EXECUTE")
    agent_id = dpm_agent_id or row.agent_id or ""
    agent = by_key(agents).first(call.db, key=agent_id)
    if agent is None or agent.organization != row.organization:
        message = f"PROVISIONING_01 - agent '{agent_id}' is not registered"
        return _set(call, row, status="INACTIVE_ERROR", error_message=message)
    return _set(call, row, status="ACTIVE", agent_id=agent_id, error_message=None)


@app.route("POST", "/provisioning/rest/v1/deployment/{deployment}/stop", OPERATOR)
def stop_deployment(call: Call, deployment: str) -> DeploymentStatusJson:
    """Stop a deployment."""
    return _set(call, DEPLOYMENT.fetch(call, deployment, "EXECUTE"), status="INACTIVE", error_message=None)


@app.route("POST", "/provisioning/rest/v1/deployments/stopDeployments", OPERATOR)
def stop_deployments(call: Call, body: list[str]) -> dict[str, DeploymentStatusJson]:
    """Stop several deployments."""
    return {deployment: stop_deployment(call, deployment) for deployment in body}


@app.route("POST", "/provisioning/rest/v1/deployments/acknowledgeErrors", OPERATOR)
def acknowledge_errors(call: Call, body: list[str]) -> dict[str, DeploymentStatusJson]:
    """Clear the errors of several deployments."""
    return stop_deployments(call, body)
