"""Security app: login, logout, who am I, token validation for components."""

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, select

from psrlib.hub.security.passwords import verify_password
from psrlib.hub.store.queries import Query, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.web.access import SESSION_LIFE_MS, Principal, new_token, token_hash
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.callers import user_principal
from psrlib.hub.web.issues import IssueError
from psrlib.hub.web.routing import ANYONE, COMPONENT, EITHER, USER, App

app = App("security", "Login, sessions and the caller's own record")
COOKIE = "SS-SSO-LOGIN"


class LoginJson(Struct):
    """User name and password."""

    userName: str
    password: str


class TokenJson(Struct):
    """A token to be validated; ``componentId`` for component tokens."""

    authToken: str
    componentId: str | None = None


@app.route(
    "POST",
    "/security/public-rest/v1/authentication/login",
    ANYONE,
    body=LoginJson,
    direct=True,
    choice="failure: 401 SECURITY_01 with the same words for unknown user, wrong password and inactive user; "
    "a generated password (the user id, as on a hub without mail) may log in through REST",
)
async def login(call: Call) -> Any:
    """Open a session; the token is in the header and the cookie."""
    name, password = call.body.userName, call.body.password
    user = await call.hub.read(lambda connection: _find_user(connection, name))
    stored = user.password_hash if user else None
    generated = user.id if user and user.password_hash is None else None
    right = await _verify(call, password, stored, generated)
    allowed = right and user is not None and user.active and not user.deleted and user.organization_active
    if not allowed:
        if user is not None:
            await call.hub.write(lambda connection: _audit_failure(connection, call, user))
        raise IssueError(401, "SECURITY_01", "User name or password is wrong, or the user is not active")
    token = new_token(call.now)
    principal = await call.hub.write(lambda db: _open_session(db, call, user, token), short=True)
    call.hub.callers.sessions[principal.token_hash] = principal
    cookie = f"{COOKIE}={token}; Path=/; Max-Age={SESSION_LIFE_MS // 1000}; HttpOnly; SameSite=Lax"
    return Raw(principal_json(principal), headers=[("X-SS-User-Auth-Token", token), ("Set-Cookie", cookie)])


async def _verify(call: Call, password: str, stored: str | None, generated: str | None) -> bool:
    if stored is None and generated == password:
        return verify_password(password, stored, generated)
    return await call.hub.compute(lambda: verify_password(password, stored, generated))


_USER = Query(
    select(
        security.users,
        security.organizations.c.name.label("organization_name"),
        security.organizations.c.active.label("organization_active"),
    )
    .join(security.organizations, security.organizations.c.id == security.users.c.organization)
    .where(security.users.c.id == bindparam("user"))
)


def _find_user(connection: Connection, user_id: str) -> Any:
    return _USER.first(connection, user=user_id)


def _audit(connection: Connection, call: Call, user: Any, success: bool, details: str) -> int:
    row = {
        "organization": user.organization,
        "user_id": user.id,
        "ip_address": call.ip,
        "user_agent": call.headers.get("user-agent", "")[:500],
        "login_time": call.now,
        "success": success,
        "details": details,
    }
    table = security.login_audits
    return int(connection.execute(table.insert().values(row).returning(table.c.id)).scalar_one())


def _audit_failure(connection: Connection, call: Call, user: Any) -> None:
    _audit(connection, call, user, False, "wrong password or inactive user")


def _open_session(connection: Connection, call: Call, user: Any, token: str) -> Principal:
    principal = user_principal(connection, user.id, token_hash(token), call.now + SESSION_LIFE_MS)
    if principal is None:
        raise IssueError(401, "SECURITY_01", "User name or password is wrong, or the user is not active")
    row = {
        "token_hash": principal.token_hash,
        "user_id": user.id,
        "organization": user.organization,
        "user_name": user.name,
        "email": user.email,
        "organization_name": user.organization_name,
        "roles": sorted(principal.roles),
        "groups": sorted(principal.groups),
        "created_on": call.now,
        "expires_on": principal.expires_on,
        "login_audit": _audit(connection, call, user, True, ""),
    }
    insert_rows(connection, security.sessions, [row])
    return principal


def _log_out(call: Call) -> Any:
    sessions, audits = security.sessions, security.login_audits
    digest = call.principal.token_hash
    row = call.db.execute(select(sessions.c.login_audit).where(sessions.c.token_hash == digest)).first()
    if row is not None:
        ended = {"logout_time": call.now, "logout_user": call.principal.id, "logout_reason": "LOGOUT"}
        call.db.execute(audits.update().where(audits.c.id == row.login_audit).values(ended))
        call.db.execute(sessions.delete().where(sessions.c.token_hash == digest))
    call.after.append(lambda: call.hub.callers.sessions.pop(digest, None))
    return Raw({}, headers=[("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly")])


@app.route("GET", "/security/_logout", USER, writes=True)
def logout(call: Call) -> Any:
    """End the caller's session."""
    return _log_out(call)


@app.route("POST", "/security/_logout", USER)
def logout_post(call: Call) -> Any:
    """End the caller's session."""
    return _log_out(call)


@app.route(
    "GET", "/security/rest/v1/currentUser", EITHER, choice="a component sees its own principal with app true"
)
def current_user(call: Call) -> Any:
    """Return the caller."""
    return principal_json(call.principal)


@app.route("GET", "/security/rest/v1/currentUser/availableAddOns", USER, choice="no add-ons: nothing enabled")
def available_add_ons(call: Call) -> Any:
    """List add-on apps."""
    return {"enabled": [], "available": []}


@app.route("GET", "/security/rest/v1/ldap", USER, choice="always false")
def ldap(call: Call) -> Any:
    """Say whether LDAP is in use."""
    return False


@app.route("POST", "/security/rest/v1/validateAuthToken/user", COMPONENT, body=TokenJson, writes=False)
def validate_user(call: Call) -> Any:
    """Return the user of a session token to a component of the same organization."""
    principal = call.hub.callers.user(call.body.authToken, call.now)
    if principal is None or not call.may_see(principal.organization):
        raise IssueError(403, "SECURITY_05", "The token is not valid")
    return principal_json(principal)


@app.route("POST", "/security/rest/v1/validateAuthToken/component", COMPONENT, body=TokenJson, writes=False)
def validate_component(call: Call) -> Any:
    """Return the component of a token to a component of the same organization."""
    principal = call.hub.callers.component(call.body.componentId or "", call.body.authToken)
    if principal is None or not call.may_see(principal.organization):
        raise IssueError(403, "SECURITY_05", "The token is not valid")
    return principal_json(principal)


def principal_json(principal: Principal) -> dict[str, Any]:
    """Return a principal in wire form (control-hub-rest.md, 1.3); the token itself is not repeated."""
    return {
        "tokenStr": None,
        "expires": principal.expires_on,
        "issuerUrl": None,
        "principalId": principal.id,
        "principalName": principal.name,
        "organizationId": principal.organization,
        "organizationName": principal.organization_name,
        "email": principal.email,
        "roles": sorted(principal.roles),
        "groups": sorted(principal.groups),
        "app": principal.is_component,
        "attributes": {},
    }
