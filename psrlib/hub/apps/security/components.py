"""Security app: components (engines, agents), their tokens and their registration."""

import uuid
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.runner import engine_records
from psrlib.hub.runner.work import work_of
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema.automation import agents
from psrlib.hub.store.schema.execution import engines
from psrlib.hub.store.schema.security import components
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import new_component_token, token_hash
from psrlib.hub.web.call import Call
from psrlib.hub.web.callers import component_principal
from psrlib.hub.web.issues import IssueError, bad_request, not_found, over_limit
from psrlib.hub.web.records import Listed, Listing, show
from psrlib.hub.web.routing import ANYONE, USER, App, roles

app = App("security")
ENGINE_TYPES = ("dc", "transformer", "dc-edge")
TYPES = (*ENGINE_TYPES, "provisioning-agent")
TOKEN_ROLES = roles(
    "auth-token-admin", "datacollector:admin", "datacollector:creator", "provisioning:operator"
)
UNREGISTERED: Json = {
    "attributes": {},
    "attributes_updated_on": 0,
    "registered_on": 0,
    "last_validated_on": 0,
}
COMPONENTS = Query(
    select(components).where(components.c.organization == bindparam("org"), components.c.user_id.is_(None))
)


class NewComponentsJson(Struct, rename="camel"):
    """How many component tokens to make."""

    component_type: str
    organization: str | None = None
    number_of_components: Annotated[int, Meta(ge=1, le=10_000)] = 1
    active: bool | None = True


class ComponentJson(Struct, rename="camel"):
    """A component; its token is in the answer to its creation only."""

    id: str
    organization: str
    type: str
    active: bool
    attributes: Json
    attributes_updated_on: int
    generated_on: int = field(name="authTokenGeneratedOn")
    registered_on: int
    registered_by: str
    last_validated_on: int
    full_auth_token: str | None = None


class RegistrationJson(Struct, rename="camel"):
    """What an engine sends at start (engine-protocol.md, 3.2)."""

    auth_token: str
    component_id: Annotated[str, Meta(min_length=1, max_length=100)]
    attributes: Json | None = None


class RegisteredJson(Struct):
    """What an engine is told at start."""

    configuration: Json = {}


class ComponentVersionRangeJson(Struct, rename="camel"):
    """Which versions of a component the hub takes."""

    id: str
    min_version: str = field(default="0.0.0.0", name="componentMinVersion")
    max_version: str = field(default="999.9.9.9", name="componentMaxVersion")


@app.route(
    "PUT",
    "/security/rest/v1/organization/{org}/components",
    TOKEN_ROLES,
    status=201,
    choice="tokens are opaque and shown once; the id is made by the hub until the engine "
    "registers its own; at most 10000 in one call",
)
def create_components(call: Call, org: str, body: NewComponentsJson) -> list[ComponentJson]:
    """Make n component tokens in one call."""
    call.fetch_organization(org)
    kind, active = body.component_type, body.active is not False
    if kind not in TYPES:
        raise bad_request(f"componentType '{kind}': expected one of {', '.join(TYPES)}")
    made, rows, principals = [], [], {}
    for _ in range(body.number_of_components):
        token, component_id = new_component_token(), str(uuid.uuid4())
        digest = token_hash(token)
        row = {"token_hash": digest, "id": component_id, "organization": org, "type": kind, "active": active}
        row |= {"generated_on": call.now, "registered_by": call.principal.id} | UNREGISTERED
        rows.append(row)
        principals[digest] = component_principal(component_id, org, kind, digest)
        made.append(show(ComponentJson, row, full_auth_token=token))
    insert_rows(call.db, components, rows)
    if active:
        call.after.append(lambda: call.hub.callers.components.update(principals))
    return made


@app.route("GET", "/security/rest/v1/organization/{org}/components", USER)
def list_components(
    call: Call, org: str, listing: Listing, component_type_id: str = "dc"
) -> Listed[ComponentJson]:
    """List the components of a type, Data Collectors where none is named; tokens are never repeated."""
    call.fetch_organization(org)
    return call.page(
        listing,
        COMPONENTS.equal(components.c.type, component_type_id),
        {"ID": components.c.id, "LAST_VALIDATED_ON": components.c.last_validated_on},
        lambda row: _show(call, row),
        org=org,
    )


def _show(call: Call, row: Row) -> ComponentJson:
    last = max(row.last_validated_on, call.hub.contacts.last_poll.get(row.id, 0))
    return show(ComponentJson, row, last_validated_on=last)


@app.route(
    "POST",
    "/security/public-rest/v1/components/registration",
    ANYONE,
    choice="403 for an unknown or deactivated token and for a token bound to another id; no version range is "
    "checked; configuration is always empty (no sync mode)",
)
def register(call: Call, body: RegistrationJson) -> RegisteredJson:
    """Bind a component token to the engine's own id; repeated at every start of the engine."""
    digest, attributes = token_hash(body.auth_token), body.attributes or {}
    row = by_key(components, "token_hash").first(call.db, key=digest)
    if row is None or not row.active or row.user_id is not None:
        raise IssueError(403, "SECURITY_57", "The component token is not valid")
    if row.registered and row.id != body.component_id:
        raise IssueError(403, "SECURITY_58", "The component token belongs to another component")
    if not row.registered:
        _bind(call, row, body.component_id)
    values = {
        "id": body.component_id,
        "registered": True,
        "registered_on": row.registered_on or call.now,
        "attributes": attributes,
        "attributes_updated_on": call.now,
        "last_validated_on": call.now,
    }
    call.db.execute(components.update().where(components.c.token_hash == digest).values(values))
    if row.type == "provisioning-agent":
        _note_agent(call, row.organization, body.component_id, attributes)
    if row.type == "dc-edge":
        engine_records.take_registration(work_of(call), body.component_id, attributes)
    principal = component_principal(body.component_id, row.organization, row.type, digest)
    call.after.append(lambda: call.hub.callers.components.update({digest: principal}))
    return RegisteredJson()


def _bind(call: Call, row: Row, component_id: str) -> None:
    """Check the id is free or belonged to the same organization (re-enabled engine), and the engine limit."""
    old = by_key(components).first(call.db, key=component_id)
    engine = by_key(engines).first(call.db, key=component_id)
    if any(known is not None and known.organization != row.organization for known in (old, engine)):
        raise IssueError(403, "SECURITY_58", "The component id belongs to another organization")
    if old is not None:
        call.db.execute(components.delete().where(components.c.token_hash == old.token_hash))
        call.after.append(lambda: call.hub.callers.components.pop(old.token_hash, None))
    elif row.type in ENGINE_TYPES:
        allowed = configuration.limit(call.hub.cache, call.db, row.organization, configuration.MAX_ENGINES)
        registered = COMPONENTS.where(components.c.registered, components.c.type.in_(ENGINE_TYPES))
        if 0 <= allowed <= registered.count().scalar(call.db, org=row.organization):
            raise over_limit("engines", allowed)


def _note_agent(call: Call, organization: str, component_id: str, attributes: Json) -> None:
    values = {
        "id": component_id,
        "organization": organization,
        "name": str(attributes.get("name") or component_id),
        "version": str(attributes.get("version") or ""),
        "url": str(attributes.get("baseHttpUrl") or ""),
        "last_reported_time": call.now,
    }
    call.db.execute(agents.delete().where(agents.c.id == component_id))
    insert_rows(call.db, agents, [values])


def _fetch(call: Call, ids: list[str]) -> list[Row]:
    rows = call.fetch_all(components, ids, "Component")
    for row in rows:
        if row.organization != call.organization or row.user_id is not None:
            raise not_found("Component", row.id)
    return rows


@app.route("POST", "/security/rest/v1/organization/{org}/components/activate", TOKEN_ROLES)
def activate_components(call: Call, body: list[str]) -> list[str]:
    """Activate components."""
    known = {
        row.token_hash: component_principal(row.id, row.organization, row.type, row.token_hash)
        for row in _fetch(call, body)
    }
    call.db.execute(components.update().where(components.c.id.in_(body)).values(active=True))
    call.after.append(lambda: call.hub.callers.components.update(known))
    return []


@app.route("POST", "/security/rest/v1/organization/{org}/components/deactivate", TOKEN_ROLES)
def deactivate_components(call: Call, body: list[str]) -> list[ComponentJson]:
    """Deactivate components: their tokens are refused."""
    for row in _fetch(call, body):
        call.after.append(partial(call.hub.callers.components.pop, row.token_hash, None))
    call.db.execute(components.update().where(components.c.id.in_(body)).values(active=False))
    return [_show(call, row) for row in _fetch(call, body)]


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/components/delete",
    TOKEN_ROLES,
    choice="refused with 400 while the component is active; the job runner keeps the engine until "
    "DELETE sdc, the next call of an engine that is disabled",
)
def delete_components(call: Call, body: list[str]) -> list[str]:
    """Delete deactivated components."""
    for row in _fetch(call, body):
        if row.active:
            raise bad_request(f"component '{row.id}' is active; deactivate it first")
    call.db.execute(components.delete().where(components.c.id.in_(body)))
    return []


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/components/deleteNonRegistered/{executor}",
    TOKEN_ROLES,
    release=4,
    choice="DATACOLLECTOR or TRANSFORMER: tokens that no engine registered with",
)
def delete_unused_components(call: Call, org: str, executor: str) -> None:
    """Delete the tokens of a kind that nobody has used."""
    kinds = {"DATACOLLECTOR": "dc", "TRANSFORMER": "transformer"}
    if executor not in kinds:
        raise bad_request(f"'{executor}': expected {' or '.join(kinds)}")
    rows = COMPONENTS.where(components.c.type == kinds[executor], ~components.c.registered)
    unused = [row.token_hash for row in rows.rows(call.db, org=org)]
    call.db.execute(components.delete().where(components.c.token_hash.in_(unused)))
    for digest in unused:
        call.after.append(partial(call.hub.callers.components.pop, digest, None))


@app.route("GET", "/security/rest/v1/componentVersionRange", USER, choice="every version")
def component_version_range(call: Call, id: str = "dc") -> ComponentVersionRangeJson:
    """Return the range of engine versions the hub takes."""
    return ComponentVersionRangeJson(id)
