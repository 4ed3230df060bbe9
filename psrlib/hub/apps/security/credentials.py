"""Security app: API credentials, and what clients of the 4.x line ask before the first call."""

import base64
import secrets
import uuid
from typing import Generic, TypeVar

import orjson
from msgspec import Struct, field
from sqlalchemy import ColumnElement, bindparam, select

from psrlib.hub.apps.security.records import UserJson, fetch_own, insert_user
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema.security import components, users
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import SYSTEM_ORGANIZATION, token_hash
from psrlib.hub.web.call import Call
from psrlib.hub.web.callers import user_principal
from psrlib.hub.web.issues import bad_request, forbidden, not_found, over_limit
from psrlib.hub.web.records import show
from psrlib.hub.web.routing import ANYONE, ORG_ADMIN, USER, App

app = App("security")
API_USER = "api-user"  # component type of API credentials; the hub's choice
INVITE = "/api/security/v3/org-users.invite"
LANDING = "/security/public-rest/v1/aster/landing"
MAX_CREDENTIALS = 10  # of a user (control-hub-4x.md, section 2)
BASE = "/security/rest/v1/organization/{org}"
MEMBER_ROLES = [
    "user",
    "org-user",
    "timeseries:reader",
    "datacollector:manager",
    "datacollector:creator",
    "jobrunner:operator",
    "pipelinestore:pipelineEditor",
    "topology:editor",
    "sla:editor",
    "provisioning:operator",
    "notification:user",
    "connection:user",
]
CREDENTIALS = Query(
    select(components)
    .where(components.c.organization == bindparam("org"), components.c.user_id.is_not(None))
    .order_by(components.c.name, components.c.id)
)
T = TypeVar("T")


class ApiCredentialsRequestJson(Struct, rename="camel"):
    """What is wished of an API credential."""

    name: str | None = field(default=None, name="label")
    active: bool | None = None
    generate_auth_token: bool | None = None
    user_id: str | None = None


class ApiCredentialsJson(Struct, rename="camel"):
    """An API credential; the token is in the answer to its creation only."""

    name: str | None = field(default=None, name="label")
    id: str | None = field(default=None, name="componentId")
    auth_token: str | None = None
    user_id: str | None = None
    active: bool | None = None
    registered_by: str | None = None


class Envelope(Struct, Generic[T]):
    """The envelope of the 4.x login service."""

    data: T


class OrganizationInfoJson(Struct, rename="camel"):
    """Where an organization's hub is."""

    id: str
    landing_url: str


class InvitationJson(Struct):
    """Who is invited, and as what."""

    email: str
    role: str | None = "OPERATOR"


class InvitationEnvelope(Envelope[InvitationJson]):
    """An invitation in the envelope."""


class InvitedJson(Struct, rename="camel"):
    """Who was invited, and the name of the user."""

    email: str
    sch_user: str
    role: str


def new_credential_token(organization: str) -> str:
    """Return a token of the shape clients expect: three parts, the middle one JSON with key ``o``.

    Clients read the organization from it; the hub recognises the token by its digest, so the third part
    is 256 random bits and no signature.
    """
    parts = [{"alg": "none", "typ": "JWT"}, {"o": organization, "n": uuid.uuid4().hex}]
    texts = [base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in parts]
    return ".".join([*texts, secrets.token_urlsafe(32)])


def _remember(call: Call, row: Row) -> None:
    principal = user_principal(call.db, row.user_id, row.token_hash)
    if not row.active or principal is None:
        _forget(call, row)
    else:
        known = {row.token_hash: (row.id, principal)}
        call.after.append(lambda: call.hub.callers.credentials.update(known))


def _forget(call: Call, row: Row) -> None:
    call.after.append(lambda: call.hub.callers.credentials.pop(row.token_hash, None))


def _fetch(call: Call, org: str, credential: str) -> Row:
    row = call.fetch(components, credential, "API credential")
    mine = row.user_id == call.principal.id or call.principal.is_org_admin
    if row.user_id is None or row.organization != org or not mine:
        raise not_found("API credential", row.id)
    return row


@app.route(
    "POST",
    f"{BASE}/api-user-credentials",
    USER,
    release=3,
    choice="not in 3.x; for clients of the 4.x line. Roles are those of the user when the credential is made",
)
def create_credential(call: Call, org: str, body: ApiCredentialsRequestJson) -> ApiCredentialsJson:
    """Create an API credential for the caller, or as administrator for another user."""
    user_id = body.user_id or call.principal.id
    if user_id != call.principal.id and not call.principal.is_org_admin:
        raise forbidden("credentials of another user are made by an administrator")
    fetch_own(call, users, user_id, "User")
    if len(_list(call, org, components.c.user_id == user_id)) >= MAX_CREDENTIALS:
        raise over_limit("API credentials of a user", MAX_CREDENTIALS)
    token, credential_id = new_credential_token(org), str(uuid.uuid4())
    values = {
        "token_hash": token_hash(token),
        "id": credential_id,
        "organization": org,
        "type": API_USER,
        "user_id": user_id,
        "name": body.name or "",
        "active": body.active is not False,
        "registered": True,
        "generated_on": call.now,
        "registered_on": call.now,
        "registered_by": call.principal.id,
    }
    insert_rows(call.db, components, [values])
    row = _fetch(call, org, credential_id)
    _remember(call, row)
    return show(ApiCredentialsJson, row, auth_token=token)


def _list(call: Call, org: str, *which: ColumnElement[bool]) -> list[ApiCredentialsJson]:
    return [show(ApiCredentialsJson, row) for row in CREDENTIALS.where(*which).rows(call.db, org=org)]


@app.route("GET", f"{BASE}/api-user-credentials", USER, choice="not in 3.x")
def list_credentials(call: Call, org: str) -> list[ApiCredentialsJson]:
    """List the caller's API credentials, without tokens."""
    return _list(call, org, components.c.user_id == call.principal.id)


@app.route("GET", f"{BASE}/api-user-credentials-for-org", ORG_ADMIN, choice="not in 3.x")
def list_all_credentials(call: Call, org: str) -> list[ApiCredentialsJson]:
    """List the API credentials of an organization, without tokens."""
    return _list(call, org)


@app.route("POST", f"{BASE}/api-user-credentials/{{credential}}", USER, choice="not in 3.x")
def update_credential(
    call: Call, org: str, credential: str, body: ApiCredentialsRequestJson
) -> ApiCredentialsJson:
    """Rename, activate, deactivate an API credential, or give it a new token."""
    row = _fetch(call, org, credential)
    given: Json = {"name": body.name, "active": body.active}
    values = {name: value for name, value in given.items() if value is not None}
    token = new_credential_token(org) if body.generate_auth_token is True else None
    if token is not None:
        values |= {"token_hash": token_hash(token), "generated_on": call.now}
        _forget(call, row)
    if values:
        call.db.execute(components.update().where(components.c.id == row.id).values(values))
    fresh = _fetch(call, org, credential)
    _remember(call, fresh)
    return show(ApiCredentialsJson, fresh, auth_token=token)


@app.route("DELETE", f"{BASE}/api-user-credentials/{{credential}}", USER, choice="not in 3.x")
def delete_credential(call: Call, org: str, credential: str) -> None:
    """Delete an API credential: its token is refused from now on."""
    row = _fetch(call, org, credential)
    call.db.execute(components.delete().where(components.c.id == row.id))
    _forget(call, row)


@app.route(
    "GET",
    "/api/security/public/v3/orgs/{organization}/info",
    ANYONE,
    choice="the 4.x login service; the same answer for every organization: this hub",
)
def organization_info(call: Call, organization: str) -> Envelope[OrganizationInfoJson]:
    """Tell a client of the 4.x line where its organization's hub is."""
    return Envelope(OrganizationInfoJson(organization, call.hub.url + LANDING))


@app.route(
    "POST",
    INVITE,
    ORG_ADMIN,
    release=3,
    choice="the 4.x login service; the user exists at once, named after the mail address, nothing is mailed",
)
def invite_user(call: Call, body: InvitationEnvelope) -> Envelope[InvitedJson]:
    """Create a user by mail address, as the 4.x line does."""
    new, org = body.data, call.organization
    if new.role not in ("OPERATOR", "ADMINISTRATOR"):
        raise bad_request(f"role '{new.role}': expected OPERATOR or ADMINISTRATOR")
    if org == SYSTEM_ORGANIZATION:
        raise forbidden("nobody is invited into the system organization")
    name = _free_name(call, new.email.partition("@")[0], org)
    roles = [*MEMBER_ROLES, "org-admin"] if new.role == "ADMINISTRATOR" else MEMBER_ROLES
    insert_user(call, UserJson(id=f"{name}@{org}", name=new.email, roles=roles, email=new.email), org)
    return Envelope(InvitedJson(new.email, name, new.role))


def _free_name(call: Call, wanted: str, org: str) -> str:
    base = "".join(c for c in wanted if c.isascii() and (c.isalnum() or c in "._-"))[:64] or "user"
    name, number = base, 1
    while by_key(users).first(call.db, key=f"{name}@{org}"):
        number += 1
        name = f"{base}{number}"
    return name
