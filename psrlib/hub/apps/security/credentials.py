"""Security app: API credentials, and what clients of the 4.x line ask before the first call."""

import base64
import secrets
import uuid
from typing import Any

import orjson
from msgspec import Struct
from sqlalchemy import select

from psrlib.hub.apps.security.records import UserJson, insert_user
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema import security
from psrlib.hub.web.access import SYSTEM_ORGANIZATION, token_hash
from psrlib.hub.web.call import Call
from psrlib.hub.web.callers import user_principal
from psrlib.hub.web.issues import bad_request, forbidden, not_found
from psrlib.hub.web.routing import ANYONE, ORG_ADMIN, USER, App

app = App("security", "API credentials and the entry points of the 4.x client line")
API_USER = "api-user"  # component type of API credentials; the hub's choice
LANDING = "/security/public-rest/v1/aster/landing"
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


class ApiCredentialsJson(Struct):
    """An API credential; the token is in the answer to its creation only."""

    label: str | None = None
    componentId: str | None = None
    authToken: str | None = None
    userId: str | None = None
    active: bool | None = None
    generateAuthToken: bool | None = None
    registeredBy: str | None = None


def new_credential_token(organization: str) -> str:
    """Return a token of the shape clients expect: three parts, the middle one JSON with key ``o``.

    Clients read the organization from it; the hub recognises the token by its digest, so the third part
    is 256 random bits and no signature.
    """
    parts = [{"alg": "none", "typ": "JWT"}, {"o": organization, "n": uuid.uuid4().hex}]
    texts = [base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in parts]
    return ".".join([*texts, secrets.token_urlsafe(32)])


def _credential_json(row: Row, token: str | None = None) -> dict[str, Any]:
    return {
        "componentId": row.id,
        "label": row.name,
        "userId": row.user_id,
        "organization": row.organization,
        "active": row.active,
        "authToken": token,
        "registeredBy": row.registered_by,
        "registeredOn": row.registered_on,
        "authTokenGeneratedOn": row.generated_on,
    }


def _remember(call: Call, row: Row) -> None:
    principal = user_principal(call.db, row.user_id, row.token_hash)
    if not row.active or principal is None:
        call.after.append(lambda: call.hub.callers.credentials.pop(row.token_hash, None))
        return
    known = {row.token_hash: (row.id, principal)}
    call.after.append(lambda: call.hub.callers.credentials.update(known))


def _fetch(call: Call) -> Row:
    row = call.fetch(security.components, call.path["credential"], "API credential")
    mine = row.user_id == call.principal.id or call.principal.is_org_admin
    if row.user_id is None or row.organization != call.path["org"] or not mine:
        raise not_found("API credential", row.id)
    return row


@app.route(
    "POST",
    f"{BASE}/api-user-credentials",
    USER,
    body=ApiCredentialsJson,
    returns=ApiCredentialsJson,
    choice="not in 3.x; for clients of the 4.x line. Roles are those of the user when the credential is made",
)
def create_credential(call: Call) -> Any:
    """Create an API credential for the caller, or as administrator for another user."""
    new, org = call.body, call.path["org"]
    user_id = new.userId or call.principal.id
    if user_id != call.principal.id and not call.principal.is_org_admin:
        raise forbidden("credentials of another user are made by an administrator")
    user = call.fetch(security.users, user_id, "User")
    if user.organization != org or user.deleted:
        raise not_found("User", user_id)
    token, credential_id = new_credential_token(org), str(uuid.uuid4())
    call.db.execute(
        security.components.insert().values(
            token_hash=token_hash(token),
            id=credential_id,
            organization=org,
            type=API_USER,
            user_id=user_id,
            name=new.label or "",
            active=new.active is not False,
            registered=True,
            generated_on=call.now,
            registered_on=call.now,
            registered_by=call.principal.id,
        )
    )
    row = call.fetch(security.components, credential_id, "API credential")
    _remember(call, row)
    return _credential_json(row, token)


def _listing(call: Call, condition: Any) -> list[dict[str, Any]]:
    table = security.components
    wanted = (table.c.organization == call.path["org"]) & table.c.user_id.is_not(None) & condition
    rows = call.db.execute(select(table).where(wanted).order_by(table.c.name, table.c.id))
    return [_credential_json(row) for row in rows]


@app.route("GET", f"{BASE}/api-user-credentials", USER, choice="not in 3.x")
def list_credentials(call: Call) -> Any:
    """List the caller's API credentials, without tokens."""
    return _listing(call, security.components.c.user_id == call.principal.id)


@app.route("GET", f"{BASE}/api-user-credentials-for-org", ORG_ADMIN, choice="not in 3.x")
def list_all_credentials(call: Call) -> Any:
    """List the API credentials of an organization, without tokens."""
    return _listing(call, security.components.c.id != "")


@app.route(
    "POST",
    f"{BASE}/api-user-credentials/{{credential}}",
    USER,
    body=ApiCredentialsJson,
    returns=ApiCredentialsJson,
    choice="not in 3.x",
)
def update_credential(call: Call) -> Any:
    """Rename, activate, deactivate an API credential, or give it a new token."""
    row, new, table = _fetch(call), call.body, security.components
    values: dict[str, Any] = {}
    if new.label is not None:
        values["name"] = new.label
    if new.active is not None:
        values["active"] = new.active
    token = new_credential_token(row.organization) if new.generateAuthToken else None
    if token is not None:
        values |= {"token_hash": token_hash(token), "generated_on": call.now}
        call.after.append(lambda: call.hub.callers.credentials.pop(row.token_hash, None))
    if values:
        call.db.execute(table.update().where(table.c.id == row.id).values(values))
    fresh = _fetch(call)
    _remember(call, fresh)
    return _credential_json(fresh, token)


@app.route("DELETE", f"{BASE}/api-user-credentials/{{credential}}", USER, choice="not in 3.x")
def delete_credential(call: Call) -> Any:
    """Delete an API credential: its token is refused from now on."""
    row, table = _fetch(call), security.components
    call.db.execute(table.delete().where(table.c.id == row.id))
    call.after.append(lambda: call.hub.callers.credentials.pop(row.token_hash, None))


@app.route(
    "GET",
    "/api/security/public/v3/orgs/{organization}/info",
    ANYONE,
    choice="the 4.x login service; the same answer for every organization: this hub",
)
def organization_info(call: Call) -> Any:
    """Tell a client of the 4.x line where its organization's hub is."""
    return {"data": {"id": call.path["organization"], "landingUrl": call.hub.url + LANDING}}


class InvitationJson(Struct):
    """Who is invited, and as what."""

    email: str
    role: str | None = "OPERATOR"


class InvitationEnvelope(Struct):
    """An invitation in the login service's envelope."""

    data: InvitationJson


@app.route(
    "POST",
    "/api/security/v3/org-users.invite",
    ORG_ADMIN,
    body=InvitationEnvelope,
    choice="the 4.x login service; the user exists at once, named after the mail address, nothing is mailed",
)
def invite_user(call: Call) -> Any:
    """Create a user by mail address, as the 4.x line does."""
    new, org = call.body.data, call.organization
    if new.role not in ("OPERATOR", "ADMINISTRATOR"):
        raise bad_request(f"role '{new.role}': expected OPERATOR or ADMINISTRATOR")
    if org == SYSTEM_ORGANIZATION:
        raise forbidden("nobody is invited into the system organization")
    name = _free_name(call, new.email.partition("@")[0], org)
    roles = [*MEMBER_ROLES, "org-admin"] if new.role == "ADMINISTRATOR" else MEMBER_ROLES
    user = UserJson(id=f"{name}@{org}", name=new.email, roles=roles, email=new.email, groups=[f"all@{org}"])
    insert_user(call, user, org)
    return {"data": {"email": new.email, "schUser": name, "role": new.role}}


def _free_name(call: Call, wanted: str, org: str) -> str:
    base = "".join(c for c in wanted if c.isascii() and (c.isalnum() or c in "._-"))[:64] or "user"
    table = security.users
    name, number = base, 1
    while call.db.execute(select(table.c.id).where(table.c.id == f"{name}@{org}")).first():
        number += 1
        name = f"{base}{number}"
    return name
