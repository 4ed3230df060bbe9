"""Security app: login and action audits, metrics of users, sessions (control-hub-rest.md, 3.6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct, field
from sqlalchemy import ColumnElement, Select, select

from psrlib.hub.apps.security.records import UserJson, show_users
from psrlib.hub.store.queries import Query, Row, of_organization
from psrlib.hub.store.schema.security import action_audits, group_members, login_audits, sessions, users
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import not_found
from psrlib.hub.web.records import AuditPaging, Listed, Span, show
from psrlib.hub.web.routing import ORG_ADMIN, SYSTEM, App

app = App("security")
T = TypeVar("T")


class LoginAuditJson(Struct, rename="camel"):
    """A login, or an attempt at one."""

    user_id: str
    ip_address: str
    login_time: int = field(name="loginTimestamp")
    logout_time: int = field(name="logoutTimestamp")
    logout_user: str | None
    logout_reason: str | None
    success: bool
    details: str
    user_agent: str
    organization: str = field(name="org_id")


class UserActionAuditJson(Struct, rename="camel"):
    """A change of a user or group."""

    id: str
    action: str
    affects_user: str
    requester_id: str
    field_type: str
    old_value: str | None
    new_value: str | None
    time: int
    ip_address: str
    organization: str = field(name="orgId")


class UserSessionJson(Struct, rename="camel"):
    """A session."""

    user_id: str
    organization: str = field(name="orgId")
    expires_on: int = field(name="expiryTime")


@dataclass(frozen=True)
class Table(Generic[T]):
    """What is listed of a table, in which orders."""

    rows: Query
    order: dict[str, ColumnElement[object]]
    show: Callable[[Row], T]

    def page(self, call: Call, paging: AuditPaging, *which: ColumnElement[bool]) -> Listed[T]:
        """Return one page of the rows under some conditions."""
        return call.page(paging, self.rows.where(*which), self.order, self.show)


LOGINS = Table(
    of_organization(login_audits),
    {"LOGIN_TIMESTAMP": login_audits.c.login_time, "USER_ID": login_audits.c.user_id},
    lambda row: show(LoginAuditJson, row),
)
ACTIONS = Table(
    of_organization(action_audits),
    {"TIME": action_audits.c.id, "ACTION": action_audits.c.action},
    lambda row: show(UserActionAuditJson, row, id=str(row.id)),
)
SESSIONS = Table(
    Query(select(sessions), kept=False),
    {"EXPIRY_TIME": sessions.c.expires_on, "USER_ID": sessions.c.user_id},
    lambda row: show(UserSessionJson, row),
)


def _users(call: Call, paging: AuditPaging, *which: ColumnElement[bool]) -> Listed[UserJson]:
    """Return one page of the users under some conditions."""
    return call.page(
        paging,
        of_organization(users).where(~users.c.deleted, *which),
        {"ID": users.c.id, "CREATED_ON": users.c.created_on, "NAME": users.c.name},
        show_all=lambda rows: show_users(call, rows),
    )


def _user(call: Call, org: str, user: str) -> str:
    row = call.fetch(users, user, "User")
    if row.organization != org:
        raise not_found("User", user)
    return user


@app.route("GET", "/security/rest/v1/organization/{org}/users/listLogins", ORG_ADMIN)
def list_logins(call: Call, org: str, paging: AuditPaging) -> Listed[LoginAuditJson]:
    """List logins of an organization."""
    return LOGINS.page(call, paging)


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listLogins", ORG_ADMIN)
def list_logins_of(call: Call, org: str, user: str, paging: AuditPaging) -> Listed[LoginAuditJson]:
    """List logins of a user."""
    return LOGINS.page(call, paging, login_audits.c.user_id == _user(call, org, user))


@app.route("GET", "/security/rest/v1/organization/{org}/users/listActions", ORG_ADMIN)
def list_actions(call: Call, org: str, paging: AuditPaging) -> Listed[UserActionAuditJson]:
    """List changes of users and groups."""
    return ACTIONS.page(call, paging)


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listActions", ORG_ADMIN)
def list_actions_of(call: Call, org: str, user: str, paging: AuditPaging) -> Listed[UserActionAuditJson]:
    """List changes of a user."""
    return ACTIONS.page(call, paging, action_audits.c.affects_user == _user(call, org, user))


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listActionsRequested", ORG_ADMIN)
def list_actions_by(call: Call, org: str, user: str, paging: AuditPaging) -> Listed[UserActionAuditJson]:
    """List changes made by a user."""
    return ACTIONS.page(call, paging, action_audits.c.requester_id == _user(call, org, user))


@app.route("GET", "/security/rest/v1/metrics/{org}/loginAudits", ORG_ADMIN)
def login_metrics(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[LoginAuditJson]:
    """List logins of a time range."""
    return LOGINS.page(call, paging, span.holds(login_audits.c.login_time))


@app.route("GET", "/security/rest/v1/metrics/{org}/actionAudits", ORG_ADMIN)
def action_metrics(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserActionAuditJson]:
    """List changes of a time range."""
    return ACTIONS.page(call, paging, span.holds(action_audits.c.time))


@app.route("GET", "/security/rest/v1/metrics/{org}/usersCreated", ORG_ADMIN)
def users_created(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserJson]:
    """List users created in a time range."""
    return _users(call, paging, span.holds(users.c.created_on))


def _logged_in(org: str, span: Span) -> Select[tuple[str]]:
    mine = login_audits.c.organization == org
    return select(login_audits.c.user_id).where(
        mine, login_audits.c.success, span.holds(login_audits.c.login_time)
    )


@app.route("GET", "/security/rest/v1/metrics/{org}/loggedInUsers", ORG_ADMIN)
def logged_in_users(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserJson]:
    """List users who logged in within a time range."""
    return _users(call, paging, users.c.id.in_(_logged_in(org, span)))


@app.route("GET", "/security/rest/v1/metrics/{org}/notLoggedInUsers", ORG_ADMIN)
def not_logged_in_users(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserJson]:
    """List users who did not log in within a time range."""
    return _users(call, paging, users.c.id.not_in(_logged_in(org, span)))


@app.route("GET", "/security/rest/v1/metrics/{org}/usersNotInGroup", ORG_ADMIN)
def users_not_in_group(
    call: Call, org: str, paging: AuditPaging, group: str | None = None
) -> Listed[UserJson]:
    """List users who are not in a group."""
    if group == f"all@{org}":
        return _users(call, paging, users.c.id == "")
    members = select(group_members.c.user_id).where(group_members.c.group_id == (group or ""))
    return _users(call, paging, users.c.id.not_in(members))


@app.route("GET", "/security/rest/v1/sessions/{org}/active", ORG_ADMIN, choice="without tokens")
def active_sessions_of(call: Call, org: str, paging: AuditPaging) -> Listed[UserSessionJson]:
    """List the sessions of an organization."""
    return SESSIONS.page(call, paging, sessions.c.organization == org, sessions.c.expires_on > call.now)


@app.route("GET", "/security/rest/v1/sessions/active", SYSTEM, choice="without tokens")
def active_sessions(call: Call, paging: AuditPaging) -> Listed[UserSessionJson]:
    """List all sessions."""
    return SESSIONS.page(call, paging, sessions.c.expires_on > call.now)
