"""Security app: organizations and their configuration."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import select

from psrlib.hub.apps.security.records import UserJson, insert_user
from psrlib.hub.security import configuration
from psrlib.hub.security.bootstrap import PASSWORD_LIFE_MS
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import contains
from psrlib.hub.web.call import LISTING, Call
from psrlib.hub.web.issues import bad_request, duplicate, forbidden
from psrlib.hub.web.routing import ORG_ADMIN, SYSTEM, USER, App, Parameter

app = App("security", "Organizations and their configuration")
OrganizationId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]


class OrganizationJson(Struct):
    """An organization (control-hub-rest.md, 2.2)."""

    id: OrganizationId
    name: str
    primaryAdminId: str
    active: bool | None = True
    passwordExpiryTimeInMillis: Millis | None = PASSWORD_LIFE_MS
    validDomains: str | None = "*"
    externalAuthEnabled: bool | None = False


class NewOrganizationJson(Struct):
    """An organization with its first administrator."""

    organization: OrganizationJson
    organizationAdminUser: UserJson


class ConfigJson(Struct):
    """A configuration entry; only id and value are read."""

    id: str
    value: str | int | bool | None = None
    name: str | None = None
    type: str | None = None


def organization_json(row: Row) -> dict[str, Any]:
    """Return an organization in wire form."""
    return {
        "id": row.id,
        "name": row.name,
        "primaryAdminId": row.primary_admin_id,
        "active": row.active,
        "passwordExpiryTimeInMillis": row.password_expiry_ms,
        "validDomains": row.valid_domains,
        "externalAuthEnabled": row.external_auth_enabled,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


@app.route(
    "PUT",
    "/security/rest/v1/organizations",
    SYSTEM,
    body=NewOrganizationJson,
    returns=OrganizationJson,
    choice="200; 409 APP_ISSUES_04 when the id is taken; the id has letters, digits and . _ -",
)
def create_organization(call: Call) -> Any:
    """Create an organization with its first administrator and group all@<organization>."""
    new, admin = call.body.organization, call.body.organizationAdminUser
    if admin.id != new.primaryAdminId:
        raise bad_request(
            f"organization.primaryAdminId is '{new.primaryAdminId}', organizationAdminUser.id "
            f"is '{admin.id}'; "
            "they must be equal"
        )
    table = security.organizations
    if call.db.execute(select(table.c.id).where(table.c.id == new.id)).first():
        raise duplicate("Organization", new.id)
    row = {
        "id": new.id,
        "name": new.name,
        "primary_admin_id": new.primaryAdminId,
        "active": new.active is not False,
        "password_expiry_ms": new.passwordExpiryTimeInMillis or PASSWORD_LIFE_MS,
        "valid_domains": new.validDomains or "*",
        "external_auth_enabled": bool(new.externalAuthEnabled),
        "creator": call.principal.id,
        "created_on": call.now,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    call.db.execute(table.insert(), row)
    call.forget()
    insert_user(call, admin, new.id)
    return organization_json(call.fetch(table, new.id, "Organization", own="id"))


@app.route("GET", "/security/rest/v1/organizations", SYSTEM, query=(*LISTING, Parameter("active", "boolean")))
def list_organizations(call: Call) -> Any:
    """List organizations, the system organization included."""
    table = security.organizations
    statement = select(table)
    if call.query["active"] is not None:
        statement = statement.where(table.c.active == call.query["active"])
    if text := call.query["filterText"]:
        statement = statement.where(contains(table.c.id, text) | contains(table.c.name, text))
    order = {"ID": table.c.id, "NAME": table.c.name}
    return call.old_page(statement, order, lambda rows: [organization_json(row) for row in rows])


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}",
    USER,
    choice="not in the reference; gives the organization's record to its users",
)
def get_organization(call: Call) -> Any:
    """Return an organization."""
    return organization_json(call.fetch_organization(call.path["org"]))


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}",
    SYSTEM,
    body=OrganizationJson,
    returns=OrganizationJson,
    choice="the id cannot change; making an organization inactive ends its sessions",
)
def update_organization(call: Call) -> Any:
    """Update an organization."""
    new, org = call.body, call.path["org"]
    row = call.fetch_organization(org)
    if new.id != org:
        raise bad_request(f"the body's id is '{new.id}', the path's '{org}'")
    if org == "admin" and new.active is False:
        raise forbidden("the system organization stays active")
    table = security.organizations
    values = {
        "name": new.name,
        "primary_admin_id": new.primaryAdminId,
        "active": row.active if new.active is None else new.active,
        "password_expiry_ms": new.passwordExpiryTimeInMillis or row.password_expiry_ms,
        "valid_domains": new.validDomains or row.valid_domains,
        "external_auth_enabled": bool(new.externalAuthEnabled),
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    call.db.execute(table.update().where(table.c.id == org).values(values))
    call.forget()
    if not values["active"]:
        call.db.execute(security.sessions.delete().where(security.sessions.c.organization == org))
        call.after.append(lambda: call.hub.callers.drop_organization(org))
    return organization_json(call.fetch(table, org, "Organization", own="id"))


def _entries(call: Call, organization: str) -> list[dict[str, Any]]:
    values = configuration.values(call.db, organization)
    return [
        {"id": e.id, "name": e.label, "value": values[e.id], "type": e.kind} for e in configuration.ENTRIES
    ]


def _changes(call: Call) -> dict[str, str]:
    changes = {}
    for item in call.body:
        entry = configuration.BY_ID.get(item.id)
        if entry is None:
            raise bad_request(f"configuration '{item.id}' is unknown")
        changes[item.id] = _checked(entry, item.value)
    return changes


def _checked(entry: configuration.Entry, value: Any) -> str:
    text = (
        str(value).lower() if isinstance(value, bool) else str(value if value is not None else entry.default)
    )
    if entry.kind == "boolean" and text.lower() not in ("true", "false"):
        raise bad_request(f"configuration '{entry.id}': expected true or false, received {text[:40]!r}")
    if entry.kind == "integer":
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise bad_request(f"configuration '{entry.id}': expected an integer, received {text[:40]!r}")
    return text.lower() if entry.kind == "boolean" else text


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}/configs",
    USER,
    choice="ids of limits and all defaults are the hub's (psrlib/hub/security/configuration.py)",
)
def get_configs(call: Call) -> Any:
    """Return an organization's configuration."""
    call.fetch_organization(call.path["org"])
    return _entries(call, call.path["org"])


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/configs",
    ORG_ADMIN,
    body=list[ConfigJson],
    choice="answers the new configuration; an organization administrator who changes a system entry gets 403",
)
def set_configs(call: Call) -> Any:
    """Change an organization's configuration."""
    org = call.path["org"]
    call.fetch_organization(org)
    changes = _changes(call)
    if not call.principal.is_system_admin:
        now = configuration.values(call.db, org)
        for key, value in changes.items():
            if configuration.BY_ID[key].system and value != now[key]:
                raise forbidden(f"configuration '{key}' is changed by the system administrator only")
        _check_heartbeat(now | changes)
    configuration.save(call.db, org, changes)
    call.forget()
    return _entries(call, org)


def _check_heartbeat(entries: dict[str, str]) -> None:
    limit, wanted = (int(entries[key]) for key in (configuration.MAX_HEARTBEAT_S, configuration.HEARTBEAT_S))
    if 0 <= limit < wanted:
        raise bad_request(
            f"configuration '{configuration.HEARTBEAT_S}' is {wanted} s; the system's limit is {limit} s"
        )


@app.route("GET", "/security/rest/v1/organizations/globalConfigs", SYSTEM)
def get_global_configs(call: Call) -> Any:
    """Return the global configuration."""
    return _entries(call, configuration.GLOBAL)


@app.route("POST", "/security/rest/v1/organizations/globalConfigs", SYSTEM, body=list[ConfigJson])
def set_global_configs(call: Call) -> Any:
    """Change the global configuration; organizations with one of their own keep it."""
    configuration.save(call.db, configuration.GLOBAL, _changes(call))
    call.forget()
    return _entries(call, configuration.GLOBAL)
