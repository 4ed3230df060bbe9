"""Security app: login, logout, who am I, token validation for components."""

from msgspec import Struct
from sqlalchemy import Connection, bindparam, select

from psrlib.hub.security.passwords import verify_password
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import SESSION_LIFE_MS, Principal, new_token, token_hash
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.callers import user_principal
from psrlib.hub.web.issues import IssueError
from psrlib.hub.web.routing import ANYONE, COMPONENT, EITHER, USER, App

app = App("security")
COOKIE = "SS-SSO-LOGIN"
LOGIN = "/security/public-rest/v1/authentication/login"


class LoginJson(Struct, rename="camel"):
    """User name and password."""

    user_name: str
    password: str


class LoggedInJson(Struct):
    """What a login answers beside the token."""

    message: str = "Authentication succeeded"


class UserTokenJson(Struct, rename="camel"):
    """A session token to be validated."""

    auth_token: str


class ComponentTokenJson(Struct, rename="camel"):
    """A component's token to be validated."""

    auth_token: str
    component_id: str | None = None


class SSOPrincipalJson(Struct, rename="camel"):
    """A caller (control-hub-rest.md, 1.3); the token itself is not repeated."""

    principal_id: str
    principal_name: str
    organization_id: str
    organization_name: str
    email: str
    roles: list[str]
    groups: list[str]
    expires: int
    app: bool
    token_str: str | None = None
    issuer_url: str | None = None
    attributes: Json = {}


class AddOnsJson(Struct):
    """Add-on apps."""

    enabled: list[str] = []
    available: list[str] = []


def _show(principal: Principal) -> SSOPrincipalJson:
    return SSOPrincipalJson(
        principal_id=principal.id,
        principal_name=principal.name,
        organization_id=principal.organization,
        organization_name=principal.organization_name,
        email=principal.email,
        roles=sorted(principal.roles),
        groups=sorted(principal.groups),
        expires=principal.expires_on,
        app=principal.is_component,
    )


@app.route(
    "POST",
    LOGIN,
    ANYONE,
    direct=True,
    release=3,
    choice="failure: 401 SECURITY_01 with the same words for unknown user, wrong password and inactive user; "
    "after five wrong passwords in a row from one address the next attempts get 429 with Retry-After, 1 s to "
    "30 s; a generated password (the user id, as on a hub without mail) may log in through REST",
)
async def login(call: Call, body: LoginJson) -> Raw:
    """Open a session; the token is in the header and the cookie."""
    user = await call.hub.read(lambda connection: _USER.first(connection, user=body.user_name))
    stored = user.password_hash if user else None
    generated = user.id if user and user.password_hash is None else None
    right = await _verify(call, body, stored, generated)
    if user is None or not (right and user.active and not user.deleted and user.organization_active):
        if user is not None:
            details = "wrong password or inactive user"
            await call.hub.write(lambda connection: _audit(connection, call, user, False, details))
        raise IssueError(401, "SECURITY_01", "User name or password is wrong, or the user is not active")
    token = new_token(call.now)
    principal = await call.hub.write(lambda db: _open_session(db, call, user, token), short=True)
    call.hub.callers.sessions[principal.token_hash] = principal
    cookie = f"{COOKIE}={token}; Path=/; Max-Age={SESSION_LIFE_MS // 1000}; HttpOnly; SameSite=Lax"
    return Raw(LoggedInJson(), headers=[("X-SS-User-Auth-Token", token), ("Set-Cookie", cookie)])


async def _verify(call: Call, body: LoginJson, stored: str | None, generated: str | None) -> bool:
    attempts = call.hub.attempts

    def look() -> bool:
        # here, and not before: of a thousand guesses that wait for a thread only the first few are looked at
        wait_ms = attempts.wait_ms(body.user_name, call.ip, call.now)
        if wait_ms:
            raise IssueError(
                429,
                "SECURITY_04",
                f"Too many wrong passwords; try again in {wait_ms / 1000:.0f} s",
                retry_after_s=-(-wait_ms // 1000),
            )
        right = verify_password(body.password, stored, generated)
        attempts.note(body.user_name, call.ip, right=right, now_ms=call.now)
        return right

    is_generated = stored is None and generated == body.password  # no hash is computed
    return look() if is_generated else await call.hub.compute(look)


_USER = Query(
    select(
        security.users,
        security.organizations.c.name.label("organization_name"),
        security.organizations.c.active.label("organization_active"),
    )
    .join(security.organizations, security.organizations.c.id == security.users.c.organization)
    .where(security.users.c.id == bindparam("user"))
)


def _audit(connection: Connection, call: Call, user: Row, success: bool, details: str) -> int:
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


def _open_session(connection: Connection, call: Call, user: Row, token: str) -> Principal:
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


@app.route("POST", "/security/_logout", USER)
@app.route("GET", "/security/_logout", USER, writes=True)
def logout(call: Call) -> Raw:
    """End the caller's session."""
    sessions, audits = security.sessions, security.login_audits
    digest = call.principal.token_hash
    row = by_key(sessions, "token_hash").first(call.db, key=digest)
    if row is not None:
        ended = {"logout_time": call.now, "logout_user": call.principal.id, "logout_reason": "LOGOUT"}
        call.db.execute(audits.update().where(audits.c.id == row.login_audit).values(ended))
        call.db.execute(sessions.delete().where(sessions.c.token_hash == digest))
    call.after.append(lambda: call.hub.callers.sessions.pop(digest, None))
    return Raw({}, headers=[("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly")])


@app.route(
    "GET", "/security/rest/v1/currentUser", EITHER, choice="a component sees its own principal with app true"
)
def current_user(call: Call) -> SSOPrincipalJson:
    """Return the caller."""
    return _show(call.principal)


@app.route("GET", "/security/rest/v1/currentUser/availableAddOns", USER, choice="no add-ons: nothing enabled")
def available_add_ons(call: Call) -> AddOnsJson:
    """List add-on apps."""
    return AddOnsJson()


@app.route("GET", "/security/rest/v1/ldap", USER, choice="always false")
def ldap(call: Call) -> bool:
    """Say whether LDAP is in use."""
    return False


@app.route("POST", "/security/rest/v1/validateAuthToken/user", COMPONENT, writes=False)
def validate_user(call: Call, body: UserTokenJson) -> SSOPrincipalJson:
    """Return the user of a session token to a component of the same organization."""
    return _show_valid(call, call.hub.callers.user(body.auth_token, call.now))


@app.route("POST", "/security/rest/v1/validateAuthToken/component", COMPONENT, writes=False)
def validate_component(call: Call, body: ComponentTokenJson) -> SSOPrincipalJson:
    """Return the component of a token to a component of the same organization."""
    return _show_valid(call, call.hub.callers.component(body.component_id or "", body.auth_token))


def _show_valid(call: Call, principal: Principal | None) -> SSOPrincipalJson:
    if principal is None or not call.may_see(principal.organization):
        raise IssueError(403, "SECURITY_05", "The token is not valid")
    return _show(principal)
