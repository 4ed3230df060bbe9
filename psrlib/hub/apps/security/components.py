"""Security app: components (engines, agents), their tokens and their registration."""

import uuid
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import func, select

from psrlib.hub.runner import engine_records
from psrlib.hub.runner.work import work_of
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema import execution, security
from psrlib.hub.store.schema.automation import agents
from psrlib.hub.web.access import new_component_token, token_hash
from psrlib.hub.web.call import PAGING, WRAPPER, Call, Raw
from psrlib.hub.web.callers import component_principal
from psrlib.hub.web.issues import IssueError, bad_request, not_found, over_limit
from psrlib.hub.web.routing import ANYONE, USER, App, Parameter, roles

app = App("security", "Components: tokens and registration")
TYPES = ("dc", "transformer", "dc-edge", "provisioning-agent")
ENGINE_TYPES = ("dc", "transformer", "dc-edge")
TOKEN_ROLES = roles(
    "auth-token-admin", "datacollector:admin", "datacollector:creator", "provisioning:operator"
)


class NewComponentsJson(Struct):
    """How many component tokens to make."""

    componentType: str
    organization: str | None = None
    numberOfComponents: Annotated[int, Meta(ge=1, le=10_000)] = 1
    active: bool | None = True


class RegistrationJson(Struct):
    """What an engine sends at start (engine-protocol.md, 3.2)."""

    authToken: str
    componentId: Annotated[str, Meta(min_length=1, max_length=100)]
    attributes: dict[str, Any] | None = None


@app.route(
    "PUT",
    "/security/rest/v1/organization/{org}/components",
    TOKEN_ROLES,
    body=NewComponentsJson,
    status=201,
    choice="tokens are opaque and shown once; componentId is made by the hub until the engine "
    "registers its own; "
    "at most 10000 in one call",
)
def create_components(call: Call) -> Any:
    """Make n component tokens in one call."""
    new, org = call.body, call.path["org"]
    call.fetch_organization(org)
    if new.componentType not in TYPES:
        raise bad_request(f"componentType '{new.componentType}': expected one of {', '.join(TYPES)}")
    tokens = [new_component_token() for _ in range(new.numberOfComponents)]
    rows = [
        {
            "token_hash": token_hash(token),
            "id": str(uuid.uuid4()),
            "organization": org,
            "type": new.componentType,
            "active": new.active is not False,
            "generated_on": call.now,
            "registered_by": call.principal.id,
        }
        for token in tokens
    ]
    call.db.execute(security.components.insert(), rows)
    if new.active is not False:
        principals = {
            row["token_hash"]: component_principal(row["id"], org, new.componentType, row["token_hash"])
            for row in rows
        }
        call.after.append(lambda: call.hub.callers.components.update(principals))
    return [
        {
            "componentId": row["id"],
            "id": row["id"],
            "organization": org,
            "componentType": new.componentType,
            "active": row["active"],
            "fullAuthToken": token,
        }
        for row, token in zip(rows, tokens, strict=True)
    ]


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}/components",
    USER,
    query=(*PAGING, WRAPPER, Parameter("componentTypeId")),
)
def list_components(call: Call) -> Any:
    """List components; tokens are never repeated."""
    table = security.components
    call.fetch_organization(call.path["org"])
    statement = select(table).where(table.c.organization == call.path["org"], table.c.user_id.is_(None))
    if kind := call.query["componentTypeId"]:
        statement = statement.where(table.c.type == kind)
    order = {"ID": table.c.id, "LAST_VALIDATED_ON": table.c.last_validated_on}
    return call.old_page(statement, order, lambda rows: [_component_json(call, row) for row in rows])


def _component_json(call: Call, row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "type": row.type,
        "active": row.active,
        "attributes": row.attributes,
        "attributesUpdatedOn": row.attributes_updated_on,
        "authTokenGeneratedOn": row.generated_on,
        "registeredOn": row.registered_on,
        "registeredBy": row.registered_by,
        "lastValidatedOn": max(row.last_validated_on, call.hub.contacts.last_poll.get(row.id, 0)),
    }


@app.route(
    "POST",
    "/security/public-rest/v1/components/registration",
    ANYONE,
    body=RegistrationJson,
    choice="403 for an unknown or deactivated token and for a token bound to another id; no "
    "version range is checked; "
    "configuration is always empty (no sync mode)",
)
def register(call: Call) -> Any:
    """Bind a component token to the engine's own id; repeated at every start of the engine."""
    new, components = call.body, security.components
    digest = token_hash(new.authToken)
    row = call.db.execute(
        select(components).where(components.c.token_hash == digest, components.c.user_id.is_(None))
    ).first()
    if row is None or not row.active:
        raise IssueError(403, "SECURITY_57", "The component token is not valid")
    if row.registered and row.id != new.componentId:
        raise IssueError(403, "SECURITY_58", "The component token belongs to another component")
    if not row.registered:
        _bind(call, row, new.componentId)
    values = {
        "id": new.componentId,
        "registered": True,
        "registered_on": row.registered_on or call.now,
        "attributes": new.attributes or {},
        "attributes_updated_on": call.now,
        "last_validated_on": call.now,
    }
    call.db.execute(components.update().where(components.c.token_hash == digest).values(values))
    if row.type == "provisioning-agent":
        _note_agent(call, row.organization, new)
    if row.type == "dc-edge":
        engine_records.take_registration(work_of(call), new.componentId, new.attributes or {})
    principal = component_principal(new.componentId, row.organization, row.type, digest)
    call.after.append(lambda: call.hub.callers.components.update({digest: principal}))
    return Raw({"configuration": {}})


def _bind(call: Call, row: Row, component_id: str) -> None:
    """Check the id is free or belonged to the same organization (re-enabled engine), and the engine limit."""
    components = security.components
    old = call.db.execute(select(components).where(components.c.id == component_id)).first()
    engines = execution.engines
    engine = call.db.execute(select(engines.c.organization).where(engines.c.id == component_id)).first()
    if any(known is not None and known.organization != row.organization for known in (old, engine)):
        raise IssueError(403, "SECURITY_58", "The component id belongs to another organization")
    if old is not None:
        call.db.execute(components.delete().where(components.c.token_hash == old.token_hash))
        call.after.append(lambda: call.hub.callers.components.pop(old.token_hash, None))
    elif row.type in ENGINE_TYPES:
        _check_room(call, row.organization)


def _note_agent(call: Call, organization: str, new: RegistrationJson) -> None:
    attributes = new.attributes or {}
    values = {
        "id": new.componentId,
        "organization": organization,
        "name": str(attributes.get("name") or new.componentId),
        "version": str(attributes.get("version") or ""),
        "url": str(attributes.get("baseHttpUrl") or ""),
        "last_reported_time": call.now,
    }
    call.db.execute(agents.delete().where(agents.c.id == new.componentId))
    call.db.execute(agents.insert().values(values))


def _check_room(call: Call, organization: str) -> None:
    table = security.components
    entries = configuration.remembered(call.hub.cache, call.db, organization)
    allowed = int(entries[configuration.MAX_ENGINES])
    condition = (table.c.organization == organization) & table.c.registered & table.c.type.in_(ENGINE_TYPES)
    present = call.db.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
    if 0 <= allowed <= present:
        raise over_limit("engines", allowed)


def _fetch(call: Call, ids: list[str]) -> list[Row]:
    table = security.components
    rows = call.fetch_all(table, ids, "Component")
    for row in rows:
        if row.organization != call.organization or row.user_id is not None:
            raise not_found("Component", row.id)
    return rows


def _set_active(call: Call, active: bool) -> None:
    table, rows = security.components, _fetch(call, call.body)
    call.db.execute(table.update().where(table.c.id.in_(call.body)).values(active=active))

    def remember() -> None:
        for row in rows:
            if active:
                principal = component_principal(row.id, row.organization, row.type, row.token_hash)
                call.hub.callers.components[row.token_hash] = principal
            else:
                call.hub.callers.components.pop(row.token_hash, None)

    call.after.append(remember)


@app.route("POST", "/security/rest/v1/organization/{org}/components/activate", TOKEN_ROLES, body=list[str])
def activate_components(call: Call) -> Any:
    """Activate components."""
    _set_active(call, True)
    return []


@app.route("POST", "/security/rest/v1/organization/{org}/components/deactivate", TOKEN_ROLES, body=list[str])
def deactivate_components(call: Call) -> Any:
    """Deactivate components: their tokens are refused."""
    _set_active(call, False)
    return []


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/components/delete",
    TOKEN_ROLES,
    body=list[str],
    choice="refused with 400 while the component is active; the job runner keeps the engine until "
    "DELETE sdc, the next call of an engine that is disabled",
)
def delete_components(call: Call) -> Any:
    """Delete deactivated components."""
    table = security.components
    for row in _fetch(call, call.body):
        if row.active:
            raise bad_request(f"component '{row.id}' is active; deactivate it first")
    call.db.execute(table.delete().where(table.c.id.in_(call.body)))
    return []


@app.route(
    "GET", "/security/rest/v1/componentVersionRange", USER, query=(Parameter("id"),), choice="every version"
)
def component_version_range(call: Call) -> Any:
    """Return the range of engine versions the hub takes."""
    return {"id": call.query["id"] or "dc", "minVersion": "0.0.0.0", "maxVersion": "999.9.9.9"}
