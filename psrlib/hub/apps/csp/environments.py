"""Environments of release 4, of the self-managed kind."""

from typing import Any

from msgspec import Struct, field
from sqlalchemy import func, select

from psrlib.hub.apps.csp.states import CHOICE, Label, State, check_kind, in_state, set_state, shown_state
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs.labels import TagJson
from psrlib.hub.security.acl import acl_row, all_permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, insert_rows, of_organization
from psrlib.hub.store.schema import design
from psrlib.hub.store.schema.automation import csp_deployments, csp_environments
from psrlib.hub.store.text import Json, has_item
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name, check_same
from psrlib.hub.web.records import Listed, Listing, Millis, show
from psrlib.hub.web.routing import USER, App, roles

app = App("provisioning")
BASE = "/provisioning/rest/v1/csp"
ENVIRONMENT = Owned(csp_environments, "Environment", "CSP_ENVIRONMENT")
MANAGER = roles("csp:environment-manager")
TAGS = "CSP_ENVIRONMENT"
DEFAULT_NAME = "Default Self-Managed Environment"


class CreateCspEnvironmentJson(Struct, rename="camel"):
    """An environment to be created."""

    name: str
    kind: str = field(default="SELF", name="type")
    allow_snapshot_engine_versions: bool | None = False
    raw_environment_tags: list[str] | None = None
    feature_version: str | None = None


class CspEnvironmentJson(Struct, rename="camel", kw_only=True):
    """An environment."""

    id: str | None = None
    organization: str | None = None
    name: str
    kind: str = field(default="SELF", name="type")
    state: State | None = None
    status: str | None = None
    state_display_label: Label | None = None
    status_detail: str | None = None
    status_last_updated: Millis | None = None
    allow_snapshot_engine_versions: bool | None = False
    raw_environment_tags: list[str] | None = None
    environment_tags: list[TagJson] | None = None
    credentials_type: str | None = None
    credentials: str | None = None
    hosted: bool | None = False
    user_provided: bool | None = False
    creator: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


class Finding(Listing):
    """Which environments or deployments a listing is about."""

    kind: str | None = field(default=None, name="type")
    state: str | None = None
    status: str | None = None
    label: str | None = field(default=None, name="stateDisplayLabel")
    tag: str | None = None
    with_total_count: bool = False


def _show(call: Call, row: Row) -> CspEnvironmentJson:
    return show(
        CspEnvironmentJson,
        row,
        raw_environment_tags=row.tags,
        environment_tags=[label_tree.show_tag(tag, row.organization) for tag in row.tags],
        **shown_state(row, call.now),
    )


def _columns(call: Call, new: CreateCspEnvironmentJson | CspEnvironmentJson) -> Json:
    check_name(new.name, "environment name")
    check_kind(new.kind)
    tags = list(dict.fromkeys(new.raw_environment_tags or []))
    label_tree.remember(call, TAGS, tags, call.organization)
    is_allowed = bool(new.allow_snapshot_engine_versions)
    return {"name": new.name, "allow_snapshot_engine_versions": is_allowed, "tags": tags}


def create_default(call: Call, organization: str, owner: str) -> None:
    """Give a new organization the environment that every one has, active."""
    environment = call.new_id(organization)
    audit = {
        "creator": owner,
        "created_on": call.now,
        "last_modified_by": owner,
        "last_modified_on": call.now,
    }
    row = {"id": environment, "organization": organization, "name": DEFAULT_NAME, "state": "ENABLED"}
    insert_rows(call.db, csp_environments, [row | {"tags": []} | audit])
    access = acl_row(owner, call.now, environment, ENVIRONMENT.resource_type, organization)
    insert_rows(call.db, design.acls, [access])


@app.route("GET", f"{BASE}/environments", USER, release=4, choice="every organization has one from the start")
def list_environments(call: Call, finding: Finding) -> Listed[CspEnvironmentJson]:
    """List environments; wrapped when withTotalCount is true."""
    table = csp_environments
    conditions = in_state(table, call.now, finding.state, finding.status, finding.label)
    if finding.tag:
        conditions.append(has_item(table.c.tags, finding.tag))
    query = of_organization(table).equal(table.c.kind, finding.kind).where(*conditions)
    return call.page(
        finding,
        query.matching(finding.filter_text, table.c.name, table.c.id),
        {"NAME": table.c.name, "ID": table.c.id, "LAST_MODIFIED_TIME": table.c.last_modified_on},
        lambda row: _show(call, row),
        wrap=finding.with_total_count or finding.with_wrapper,
    )


@app.route(
    "PUT",
    f"{BASE}/environments",
    MANAGER,
    release=4,
    choice="type SELF only, others 501; complete=true makes it DISABLED, otherwise it is INCOMPLETE",
)
def create_environment(
    call: Call, body: CreateCspEnvironmentJson, complete: bool = False
) -> CspEnvironmentJson:
    """Create an environment."""
    columns = _columns(call, body) | {"state": "DISABLED" if complete else "INCOMPLETE"}
    return _show(call, ENVIRONMENT.create(call, columns))


@app.route("GET", f"{BASE}/environment/{{environment}}", USER, release=4)
def get_environment(call: Call, environment: str) -> CspEnvironmentJson:
    """Return an environment."""
    return _show(call, ENVIRONMENT.fetch(call, environment, "READ"))


@app.route("POST", f"{BASE}/environment/{{environment}}", MANAGER, release=4)
def update_environment(
    call: Call, environment: str, body: CspEnvironmentJson, complete: bool = False
) -> CspEnvironmentJson:
    """Update an environment, and complete it when complete is true."""
    row = ENVIRONMENT.fetch(call, environment, "WRITE")
    check_same(body.id or row.id, row.id)
    columns = _columns(call, body)
    if complete and row.state == "INCOMPLETE":
        columns["state"] = "DISABLED"
    ENVIRONMENT.update(call, row.id, columns)
    return get_environment(call, environment)


def _set(call: Call, ids: list[str], state: State) -> None:
    for row in all_permitted(call, csp_environments, ids, "Environment", "WRITE"):
        if state == "DISABLED":
            _check_unused(call, row, "state", "ENABLED")
        set_state(call, csp_environments, row, state)


def _check_unused(call: Call, row: Row, column: str = "", value: Any = None) -> None:
    mine = csp_deployments.c.environment == row.id
    if column:
        mine &= csp_deployments.c[column] == value
    n = call.db.execute(select(func.count()).select_from(csp_deployments).where(mine)).scalar_one()
    if n:
        what = "active deployments" if column else "deployments"
        raise bad_request(f"environment '{row.name}' has {n} {what}")


def _serve_state(word: str, words: str, state: State) -> None:
    def set_one(call: Call, environment: str) -> CspEnvironmentJson:
        _set(call, [environment], state)
        return get_environment(call, environment)

    def set_all(call: Call, body: list[str]) -> None:
        _set(call, body, state)

    set_one.__doc__ = f"{word.title()} an environment."
    set_all.__doc__ = f"{word.title()} environments."
    path = f"{BASE}/environment/{{environment}}/{word}"
    app.route("POST", path, MANAGER, release=4, choice=CHOICE)(set_one)
    app.route("POST", f"{BASE}/environments/{words}", MANAGER, release=4, choice=CHOICE)(set_all)


# the vendor's SDK and documents have two words for each change of state
_serve_state("activate", "activateEnvironments", "ENABLED")
_serve_state("enable", "enableEnvironments", "ENABLED")
_serve_state("deactivate", "deactivateEnvironments", "DISABLED")
_serve_state("disable", "disableEnvironments", "DISABLED")


@app.route(
    "POST",
    f"{BASE}/environments/deleteEnvironments",
    MANAGER,
    release=4,
    choice="refused with 400 while it has deployments, or is active and stop is not true",
)
def delete_environments(call: Call, body: list[str], stop: bool = False) -> None:
    """Delete environments."""
    for row in all_permitted(call, csp_environments, body, "Environment", "WRITE"):
        _check_unused(call, row)
        if row.state == "ENABLED" and not stop:
            raise bad_request(f"environment '{row.name}' is active; deactivate it first")
    ENVIRONMENT.delete(call, body)


@app.route("DELETE", f"{BASE}/environment/{{environment}}", MANAGER, release=4)
def delete_environment(call: Call, environment: str, stop: bool = False) -> None:
    """Delete an environment."""
    delete_environments(call, [environment], stop)


@app.route("GET", f"{BASE}/environments/tags", USER, release=4)
def environment_tags(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[TagJson]:
    """List environment tags."""
    return label_tree.list_labels(call, TAGS, listing, parent_id, label_tree.show_tag)
