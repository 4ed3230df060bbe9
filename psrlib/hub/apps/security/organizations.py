"""Security app: organizations and their configuration."""

from typing import Annotated

from msgspec import Meta, Struct, field
from sqlalchemy import select

from psrlib.hub.apps.security.records import UserJson, insert_user
from psrlib.hub.security import configuration
from psrlib.hub.security.bootstrap import PASSWORD_LIFE_MS
from psrlib.hub.store.queries import Query, by_key, insert_rows
from psrlib.hub.store.schema.security import organizations, sessions
from psrlib.hub.web.access import SYSTEM_ORGANIZATION
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_same, duplicate, forbidden
from psrlib.hub.web.records import Audited, Listed, Listing, Millis, show, stored
from psrlib.hub.web.routing import ORG_ADMIN, SYSTEM, USER, App

app = App("security")
OrganizationId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class OrganizationJson(Audited):
    """An organization (control-hub-rest.md, 2.2)."""

    id: OrganizationId
    name: str
    primary_admin_id: str
    active: bool | None = True
    password_expiry_ms: Millis | None = field(default=PASSWORD_LIFE_MS, name="passwordExpiryTimeInMillis")
    valid_domains: str | None = "*"
    external_auth_enabled: bool | None = False


class NewOrganizationJson(Struct, rename="camel"):
    """An organization with its first administrator."""

    organization: OrganizationJson
    organization_admin_user: UserJson


class ConfigJson(Struct):
    """A configuration entry; only id and value are read."""

    id: str
    value: str | int | bool | None = None
    name: str | None = None
    type: str | None = None


@app.route(
    "PUT",
    "/security/rest/v1/organizations",
    SYSTEM,
    release=3,
    choice="200; 409 APP_ISSUES_04 when the id is taken; the id has letters, digits and . _ -",
)
def create_organization(call: Call, body: NewOrganizationJson) -> OrganizationJson:
    """Create an organization with its first administrator and group all@<organization>."""
    new, admin = body.organization, body.organization_admin_user
    if admin.id != new.primary_admin_id:
        message = "organization.primaryAdminId is '%s', organizationAdminUser.id is '%s'; they must be equal"
        raise bad_request(message % (new.primary_admin_id, admin.id))
    if by_key(organizations).first(call.db, key=new.id):
        raise duplicate("Organization", new.id)
    row = stored(
        new,
        organizations,
        active=new.active is not False,
        password_expiry_ms=new.password_expiry_ms or PASSWORD_LIFE_MS,
        valid_domains=new.valid_domains or "*",
        external_auth_enabled=bool(new.external_auth_enabled),
        **call.created,
    )
    insert_rows(call.db, organizations, [row])
    call.forget()
    insert_user(call, admin, new.id)
    return show(OrganizationJson, row)


@app.route("GET", "/security/rest/v1/organizations", USER)
def list_organizations(call: Call, listing: Listing, active: bool | None = None) -> Listed[OrganizationJson]:
    """List organizations, the system organization included; users of one see theirs alone."""
    columns = organizations.c
    query = Query(select(organizations), kept=False).equal(columns.active, active)
    if not call.principal.is_system_admin:
        query = query.where(columns.id == call.principal.organization)
    return call.page(
        listing,
        query.matching(listing.filter_text, columns.id, columns.name),
        {"ID": columns.id, "NAME": columns.name},
        lambda row: show(OrganizationJson, row),
    )


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}",
    USER,
    choice="not in the reference; gives the organization's record to its users",
)
def get_organization(call: Call, org: str) -> OrganizationJson:
    """Return an organization."""
    return show(OrganizationJson, call.fetch_organization(org))


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}",
    SYSTEM,
    choice="the id cannot change; making an organization inactive ends its sessions",
)
def update_organization(call: Call, org: str, body: OrganizationJson) -> OrganizationJson:
    """Update an organization."""
    row = call.fetch_organization(org)
    check_same(body.id, org)
    if org == SYSTEM_ORGANIZATION and body.active is False:
        raise forbidden("the system organization stays active")
    active = row.active if body.active is None else body.active
    values = stored(
        body,
        organizations,
        active=active,
        password_expiry_ms=body.password_expiry_ms or row.password_expiry_ms,
        valid_domains=body.valid_domains or row.valid_domains,
        external_auth_enabled=bool(body.external_auth_enabled),
        creator=row.creator,
        created_on=row.created_on,
        **call.changed,
    )
    call.db.execute(organizations.update().where(organizations.c.id == org).values(values))
    call.forget()
    if not active:
        call.db.execute(sessions.delete().where(sessions.c.organization == org))
        call.after.append(lambda: call.hub.callers.drop_organization(org))
    return show(OrganizationJson, values)


def _entries(call: Call, organization: str) -> list[ConfigJson]:
    values = configuration.values(call.db, organization)
    return [ConfigJson(e.id, values[e.id], e.label, e.kind) for e in configuration.ENTRIES]


def _changes(body: list[ConfigJson]) -> dict[str, str]:
    changes = {}
    for item in body:
        entry = configuration.BY_ID.get(item.id)
        if entry is None:
            raise bad_request(f"configuration '{item.id}' is unknown")
        value = entry.default if item.value is None else item.value
        changes[item.id] = _checked(entry, str(value).lower() if isinstance(value, bool) else str(value))
    return changes


def _checked(entry: configuration.Entry, text: str) -> str:
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
    release=3,
    choice="ids of limits and all defaults are the hub's (psrlib/hub/security/configuration.py)",
)
def get_configs(call: Call, org: str) -> list[ConfigJson]:
    """Return an organization's configuration."""
    call.fetch_organization(org)
    return _entries(call, org)


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/configs",
    ORG_ADMIN,
    release=3,
    choice="answers the new configuration; an organization administrator who changes a system entry gets 403",
)
def set_configs(call: Call, org: str, body: list[ConfigJson]) -> list[ConfigJson]:
    """Change an organization's configuration."""
    call.fetch_organization(org)
    changes = _changes(body)
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


@app.route("GET", "/security/rest/v1/organizations/globalConfigs", SYSTEM, release=3)
def get_global_configs(call: Call) -> list[ConfigJson]:
    """Return the global configuration."""
    return _entries(call, configuration.GLOBAL)


@app.route("POST", "/security/rest/v1/organizations/globalConfigs", SYSTEM, release=3)
def set_global_configs(call: Call, body: list[ConfigJson]) -> list[ConfigJson]:
    """Change the global configuration; organizations with one of their own keep it."""
    configuration.save(call.db, configuration.GLOBAL, _changes(body))
    call.forget()
    return _entries(call, configuration.GLOBAL)
