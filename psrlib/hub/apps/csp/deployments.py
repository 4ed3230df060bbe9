"""Deployments of release 4, of the self-managed kind: states, configuration and tokens of engines."""

import base64
import json
import secrets
import shlex
import uuid
from typing import ClassVar, Literal

from msgspec import Struct, convert, field, to_builtins
from msgspec.structs import replace

from psrlib.hub.apps.csp.engine_versions import EngineVersionJson, fetch_version
from psrlib.hub.apps.csp.environments import BASE, ENVIRONMENT, Finding
from psrlib.hub.apps.csp.states import CHOICE, Label, State, check_kind, in_state, set_state, shown_state
from psrlib.hub.apps.jobrunner.engines import ENGINES, ORDER, EngineJson, show_engines
from psrlib.hub.apps.security.components import (
    ComponentJson,
    NewComponentsJson,
    create_components,
)
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.security.acl import all_permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, of_organization
from psrlib.hub.store.schema.automation import csp_deployments, csp_environments
from psrlib.hub.store.schema.execution import engines
from psrlib.hub.store.text import Json, has_item
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import bad_request, check_name, check_same, duplicate
from psrlib.hub.web.records import Listed, Listing, Millis, show
from psrlib.hub.web.routing import EITHER, USER, App, roles

app = App("provisioning")
DEPLOYMENT = Owned(csp_deployments, "Deployment", "CSP_DEPLOYMENT")
MANAGER = roles("csp:deployment-manager")
TAGS = "CSP_DEPLOYMENT"
COMPONENT_TYPES = {"DC": "dc", "TF": "transformer"}
ONE = f"{BASE}/deployment/{{deployment}}"
TOKENS = "/security/rest/v1/organization/deployment/{org}/{deployment}"


class EngineJvmConfigJson(Struct, rename="camel"):
    """Memory of a deployment's engines, in MB and in percent."""

    id: str | None = None
    memory_config_strategy: Literal["ABSOLUTE", "PERCENTAGE"] | None = "PERCENTAGE"
    jvm_min_memory: int | None = 1024
    jvm_max_memory: int | None = 1024
    jvm_min_memory_percent: int | None = 50
    jvm_max_memory_percent: int | None = 50
    extra_jvm_opts: str | None = ""


class EngineConfigurationJson(Struct, rename="camel"):
    """What a deployment's engines are like."""

    id: str | None = None
    organization: str | None = None
    engine_type: str | None = None
    engine_version: str | None = None
    engine_version_id: str | None = None
    scala_binary_version: str | None = None
    java_version: int | None = None
    labels: list[str] | None = None
    stage_libs: list[str] | None = None
    stage_lib_mode: Literal["MANAGED", "USER_PROVIDED"] | None = "MANAGED"
    max_cpu_load: float | None = 80.0
    max_memory_used: float | None = 100.0
    max_pipelines_running: int | None = 1_000_000
    jvm_config: EngineJvmConfigJson | None = None
    advanced_configuration: str | None = None
    external_resources_uri: str | None = None
    engine_heartbeat_frequency: int | None = None
    custom_truststore_ca_cert: str | None = None
    last_staleness_timestamp: Millis | None = None
    stale_message: str | None = None
    creator: str | None = None
    create_time: Millis | None = None
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


class CreateCspDeploymentJson(Struct, rename="camel"):
    """A deployment to be created."""

    name: str
    env_id: str
    kind: str = field(default="SELF", name="type")
    engine_type: str | None = None
    engine_version_id: str | None = None
    engine_version: str | None = None
    scala_binary_version: str | None = None
    java_version: int | None = None
    raw_deployment_tags: list[str] | None = None


class CspDeploymentJson(Struct, rename="camel", kw_only=True):
    """A deployment."""

    id: str | None = None
    organization: str | None = None
    name: str
    kind: str = field(default="SELF", name="type")
    environment: str | None = None
    state: State | None = None
    status: str | None = None
    state_display_label: Label | None = None
    status_detail: str | None = None
    status_last_updated: Millis | None = None
    engine_configuration: EngineConfigurationJson | None = None
    raw_deployment_tags: list[str] | None = None
    deployment_tags: list[TagJson] | None = None
    desired_instances: int | None = 1
    engine_shutdown_timeout: int | None = None
    engine_shutdown_timeout_timestamp: Millis | None = None
    locked: bool | None = False
    lock_reference: str | None = None
    lock_changed_by: str | None = None
    lock_changed_at: Millis | None = None
    show_cloned_config_diff: bool | None = False
    hosted: bool | None = False
    creator: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


class SelfManagedCspDeploymentJson(CspDeploymentJson, kw_only=True):
    """A deployment whose engines somebody starts."""

    EXTENDS: ClassVar = CspDeploymentJson
    install_type: Literal["TARBALL", "DOCKER"] | None = None


class DeploymentFinding(Finding):
    """Which deployments a listing is about."""

    environment: str | None = None
    engine_type: str | None = None


class CspCloneDeploymentJson(Struct, rename="camel"):
    """What is otherwise in a copy of a deployment."""

    name: str
    engine_labels: list[str] | None = None
    engine_version_id: str | None = None
    java_version: int | None = None
    deployment_tags: list[str] | None = None


class CspDeploymentWithIssuesJson(Struct):
    """A deployment, and what is wrong with it."""

    deployment: SelfManagedCspDeploymentJson
    issues: list[Json] = []


def _show(call: Call, row: Row) -> SelfManagedCspDeploymentJson:
    return show(
        SelfManagedCspDeploymentJson,
        row,
        engine_configuration=_configuration(row),
        raw_deployment_tags=row.tags,
        deployment_tags=[label_tree.show_tag(tag, row.organization) for tag in row.tags],
        **shown_state(row, call.now),
    )


def _configuration(row: Row) -> EngineConfigurationJson:
    audit = {name: getattr(row, name) for name in ("organization", "creator", "last_modified_by")}
    audit |= {"create_time": row.created_on, "last_modified_on": row.last_modified_on, "id": row.id}
    return replace(convert(row.engine_configuration, EngineConfigurationJson), **audit)


def _stored(configuration: EngineConfigurationJson, version: EngineVersionJson) -> Json:
    """Return a configuration as it is kept; what kind of engine it is about is told by the version alone."""
    return {
        "engine_configuration": to_builtins(
            replace(
                configuration,
                engine_type=version.engine_type,
                engine_version=version.engine_version,
                engine_version_id=version.id,
                scala_binary_version=version.scala_binary_version,
            )
        ),
        "engine_type": version.engine_type,
    }


def _tags(call: Call, tags: list[str] | None) -> list[str]:
    found = list(dict.fromkeys(tags or []))
    label_tree.remember(call, TAGS, found, call.organization)
    return found


def _check_name(call: Call, name: str) -> None:
    check_name(name, "deployment name")
    same = of_organization(csp_deployments).where(csp_deployments.c.name == name)
    if same.first(call.db, org=call.organization) is not None:
        raise duplicate("Deployment", name)


@app.route("GET", f"{BASE}/deployments", USER, release=4, choice="engineConfiguration is null in lists")
def list_deployments(call: Call, finding: DeploymentFinding) -> Listed[SelfManagedCspDeploymentJson]:
    """List deployments; wrapped when withTotalCount is true."""
    table = csp_deployments
    conditions = in_state(table, call.now, finding.state, finding.status, finding.label)
    if finding.tag:
        conditions.append(has_item(table.c.tags, finding.tag))
    query = of_organization(table).equal(table.c.kind, finding.kind)
    query = query.equal(table.c.environment, finding.environment)
    query = query.equal(table.c.engine_type, finding.engine_type).where(*conditions)
    return call.page(
        finding,
        query.matching(finding.filter_text, table.c.name, table.c.id),
        {"NAME": table.c.name, "ID": table.c.id, "LAST_MODIFIED_TIME": table.c.last_modified_on},
        lambda row: replace(_show(call, row), engine_configuration=None),
        wrap=finding.with_total_count or finding.with_wrapper,
    )


@app.route(
    "PUT",
    f"{BASE}/deployments",
    MANAGER,
    release=4,
    choice="type SELF only, others 501; 400 while the environment is not ENABLED, 409 for a taken name",
)
def create_deployment(call: Call, body: CreateCspDeploymentJson) -> SelfManagedCspDeploymentJson:
    """Create a deployment, to be completed by an update."""
    check_kind(body.kind)
    _check_name(call, body.name)
    environment = ENVIRONMENT.fetch(call, body.env_id, "READ")
    if environment.state != "ENABLED":
        raise bad_request(f"environment '{environment.name}' is not active")
    configuration = EngineConfigurationJson(
        java_version=body.java_version, labels=[body.name], stage_libs=[], jvm_config=EngineJvmConfigJson()
    )
    columns = _stored(configuration, fetch_version(body.engine_version_id))
    columns |= {"name": body.name, "environment": environment.id, "state": "INCOMPLETE"}
    return _show(call, DEPLOYMENT.create(call, columns | {"tags": _tags(call, body.raw_deployment_tags)}))


@app.route("GET", ONE, USER, release=4)
def get_deployment(call: Call, deployment: str) -> SelfManagedCspDeploymentJson:
    """Return a deployment."""
    return _show(call, DEPLOYMENT.fetch(call, deployment, "READ"))


@app.route(
    "POST",
    ONE,
    MANAGER,
    release=4,
    choice="a configuration of null stays as it is; complete=true without installType is refused with 400",
)
def update_deployment(
    call: Call, deployment: str, body: SelfManagedCspDeploymentJson, complete: bool = False
) -> SelfManagedCspDeploymentJson:
    """Update a deployment, and complete it when complete is true."""
    row = _unlocked(call, deployment)
    check_same(body.id or row.id, row.id)
    if body.name != row.name:
        _check_name(call, body.name)
    columns: Json = {"name": body.name, "tags": _tags(call, body.raw_deployment_tags)}
    columns["install_type"] = body.install_type or row.install_type
    if body.engine_configuration is not None:
        version = body.engine_configuration.engine_version_id or _configuration(row).engine_version_id
        columns |= _stored(body.engine_configuration, fetch_version(version))
    if complete and row.state == "INCOMPLETE":
        if columns["install_type"] is None:
            raise bad_request("installType: expected TARBALL or DOCKER, to complete the deployment")
        columns["state"] = "DISABLED"
    DEPLOYMENT.update(call, row.id, columns)
    return get_deployment(call, deployment)


def _unlocked(call: Call, deployment: str) -> Row:
    row = DEPLOYMENT.fetch(call, deployment, "WRITE")
    if row.locked:
        raise bad_request(f"deployment '{row.name}' is locked")
    return row


def _set(call: Call, ids: list[str], state: State) -> None:
    for row in all_permitted(call, csp_deployments, ids, "Deployment", "EXECUTE"):
        environment = call.fetch(csp_environments, row.environment, "Environment")
        if state == "ENABLED" and environment.state != "ENABLED":
            raise bad_request(f"environment '{environment.name}' is not active")
        set_state(call, csp_deployments, row, state)


def _serve_state(word: str, words: str, state: State) -> None:
    def set_one(call: Call, deployment: str) -> SelfManagedCspDeploymentJson:
        _set(call, [deployment], state)
        return get_deployment(call, deployment)

    def set_all(call: Call, body: list[str]) -> None:
        _set(call, body, state)

    set_one.__doc__ = f"{word.title()} a deployment."
    set_all.__doc__ = f"{word.title()} deployments."
    path = f"{ONE}/{word}"
    app.route("POST", path, MANAGER, release=4, choice=CHOICE)(set_one)
    app.route("POST", f"{BASE}/deployments/{words}", MANAGER, release=4, choice=CHOICE)(set_all)


# the vendor's SDK and documents have two words for each change of state
_serve_state("start", "startDeployments", "ENABLED")
_serve_state("enable", "enableDeployments", "ENABLED")
_serve_state("stop", "stopDeployments", "DISABLED")
_serve_state("disable", "disableDeployments", "DISABLED")


@app.route(
    "POST",
    f"{BASE}/deployments/deleteDeployments",
    MANAGER,
    release=4,
    choice="gone at once; refused with 400 while one is active and stop is not true, or locked",
)
def delete_deployments(call: Call, body: list[str], stop: bool = False) -> None:
    """Delete deployments."""
    for row in all_permitted(call, csp_deployments, body, "Deployment", "WRITE"):
        _unlocked(call, row.id)
        if row.state == "ENABLED" and not stop:
            raise bad_request(f"deployment '{row.name}' is active; stop it first")
    DEPLOYMENT.delete(call, body)


@app.route("DELETE", ONE, MANAGER, release=4)
def delete_deployment(call: Call, deployment: str, stop: bool = False) -> None:
    """Delete a deployment."""
    delete_deployments(call, [deployment], stop)


@app.route("GET", f"{ONE}/canDelete", MANAGER, release=4)
def can_delete(call: Call, deployment: str) -> bool:
    """Tell whether a deployment may be deleted."""
    row = DEPLOYMENT.fetch(call, deployment, "READ")
    return row.state != "ENABLED" and not row.locked


@app.route("POST", f"{ONE}/clone", MANAGER, release=4)
def clone(call: Call, deployment: str, body: CspCloneDeploymentJson) -> CspDeploymentWithIssuesJson:
    """Make a copy of a deployment."""
    row = DEPLOYMENT.fetch(call, deployment, "READ")
    _check_name(call, body.name)
    old = _configuration(row)
    labels = old.labels if body.engine_labels is None else body.engine_labels
    configuration = replace(old, labels=labels, java_version=body.java_version or old.java_version)
    columns = _stored(configuration, fetch_version(body.engine_version_id or old.engine_version_id))
    columns |= {"name": body.name, "tags": _tags(call, body.deployment_tags)}
    columns |= {"environment": row.environment, "install_type": row.install_type, "state": "DISABLED"}
    return CspDeploymentWithIssuesJson(_show(call, DEPLOYMENT.create(call, columns)))


def _lock(call: Call, deployment: str, locked: bool, reference: str | None) -> None:
    row = DEPLOYMENT.fetch(call, deployment, "WRITE")
    values = {"locked": locked, "lock_reference": reference, "lock_changed_by": call.principal.id}
    DEPLOYMENT.update(call, row.id, values | {"lock_changed_at": call.now})


@app.route("POST", f"{ONE}/lock", MANAGER, release=4)
def lock(call: Call, deployment: str, reference: str | None = None) -> None:
    """Keep a deployment from being changed."""
    _lock(call, deployment, True, reference)


@app.route("POST", f"{ONE}/unlock", MANAGER, release=4)
def unlock(call: Call, deployment: str) -> None:
    """Let a deployment be changed again."""
    _lock(call, deployment, False, None)


@app.route("GET", f"{BASE}/deployments/tags", USER, release=4)
def deployment_tags(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[TagJson]:
    """List deployment tags."""
    return label_tree.list_labels(call, TAGS, listing, parent_id, label_tree.show_tag)


@app.route("GET", f"{ONE}/engineConfigs", EITHER, release=4)
def engine_configuration(call: Call, deployment: str) -> EngineConfigurationJson:
    """Return the configuration of a deployment's engines, to users and to the engines."""
    return _configuration(_fetch(call, deployment))


def _fetch(call: Call, deployment: str) -> Row:
    if call.principal.is_component:
        return call.fetch(csp_deployments, deployment, "Deployment")
    return DEPLOYMENT.fetch(call, deployment, "READ")


@app.route(
    "GET",
    f"{BASE}/deployment/self/{{deployment}}/installCommand",
    MANAGER,
    release=4,
    choice="the command has the form of a real one; its token is made up, as what a real engine asks with it "
    "is not known",
)
def install_command(
    call: Call, deployment: str, install_mechanism: str = "DEFAULT", install_type: str = "DEFAULT"
) -> Raw:
    """Return the command that installs and starts an engine of a deployment."""
    row = DEPLOYMENT.fetch(call, deployment, "READ")
    configuration = _configuration(row)
    version = f"{configuration.engine_type}:{configuration.engine_version}"
    settings = {
        "STREAMSETS_DEPLOYMENT_SCH_URL": call.hub.url,
        "STREAMSETS_DEPLOYMENT_ID": row.id,
        "STREAMSETS_DEPLOYMENT_TOKEN": _deployment_token(row.organization),
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    if (row.install_type if install_type == "DEFAULT" else install_type) == "DOCKER":
        words = ["docker", "run", "-d", *(word for each in given for word in ("-e", each)), version]
    else:
        mechanism = {"DEFAULT": [], "BACKGROUND": ["--background"], "FOREGROUND": ["--foreground"]}
        if install_mechanism not in mechanism:
            raise bad_request(f"installMechanism '{install_mechanism}': expected {', '.join(mechanism)}")
        words = ["env", *given, "./install.sh", version, "--no-prompt", *mechanism[install_mechanism]]
    return Raw(shlex.join(words).encode(), content_type="text/plain; charset=utf-8")


def _deployment_token(organization: str) -> str:
    """Return a token of the form that notes of users show: two parts, and nothing after the second dot."""
    payload = {"s": secrets.token_hex(64), "v": 1, "iss": "embedded", "jti": str(uuid.uuid4())}
    parts = ({"alg": "none"}, payload | {"o": organization})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, ""])


# ---- engines of a deployment ----


def _new_token(call: Call, row: Row, kind: str) -> ComponentJson:
    return create_components(call, row.organization, NewComponentsJson(kind))[0]


@app.route(
    "POST",
    f"{ONE}/engineToken",
    MANAGER,
    release=4,
    choice="also while it is not active; the engine registers with it as with any other, and is the "
    "deployment's when it reports cspDeploymentId",
)
def engine_token(call: Call, deployment: str) -> ComponentJson:
    """Make the token of an engine of a deployment."""
    row = DEPLOYMENT.fetch(call, deployment, "EXECUTE")
    return _new_token(call, row, COMPONENT_TYPES[row.engine_type])


@app.route("POST", f"{TOKENS}/engineToken", MANAGER, release=4)
def engine_token_of_type(call: Call, org: str, deployment: str, type: str = "dc") -> ComponentJson:
    """Make the token of an engine of a deployment, by the path of app security."""
    return _new_token(call, DEPLOYMENT.fetch(call, deployment, "EXECUTE"), type)


@app.route("GET", "/jobrunner/rest/v1/sdcs/cspDeployment/{deployment}", USER, release=4)
def deployment_engines(call: Call, deployment: str, listing: Listing) -> Listed[EngineJson]:
    """List the engines of a deployment."""
    row = DEPLOYMENT.fetch(call, deployment, "READ")
    return call.page(
        listing,
        ENGINES.where(engines.c.csp_deployment_id == row.id),
        ORDER,
        show_all=lambda rows: show_engines(call, rows),
        org=row.organization,
    )


@app.route("GET", f"{ONE}/events", USER, release=4, choice="none: engines tell nothing of their installation")
def list_events(call: Call, deployment: str) -> list[Json]:
    """List what engines said of their installation."""
    DEPLOYMENT.fetch(call, deployment, "READ")
    return []
