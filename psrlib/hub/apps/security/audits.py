"""Security app: login and action audits, metrics of users, sessions (control-hub-rest.md, 3.6)."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct, field
from sqlalchemy import Column, ColumnElement, Select, select

from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.security import action_audits, group_members, login_audits, sessions, users
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import not_found
from psrlib.hub.web.records import Listed, Paging, show
from psrlib.hub.web.routing import ORG_ADMIN, SYSTEM, App

app = App("security", "Audits, user metrics and sessions")
T = TypeVar("T")
Order = Mapping[str, ColumnElement[object]]


class AuditPaging(Paging, rename="camel"):
    """Which part of a list is wanted; the newest first."""

    order_by: str | None = field(default=None, name="sortField")
    order: str | None = field(default="DESC", name="sortOrder")
    with_wrapper: bool = False


class Span(Struct, rename="camel"):
    """A range of time, epoch milliseconds, both ends included; a negative end means until now."""

    start_time: int = 0
    end_time: int = -1

    def holds(self, column: Column[int]) -> ColumnElement[bool]:
        """Return whether a time lies in the range."""
        after = column >= self.start_time
        return after if self.end_time < 0 else after & (column <= self.end_time)


class LoginAuditJson(Struct, rename="camel"):
    """A login, or an attempt at one."""

    id: str
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
    organization: str = field(name="org_id")


class UserSummaryJson(Struct, rename="camel"):
    """A user in the metrics of an organization."""

    id: str
    name: str
    email: str
    organization: str
    creator: str
    created_on: int


class UserSessionJson(Struct, rename="camel"):
    """A session."""

    user_id: str
    organization: str
    created_on: int
    expires_on: int = field(name="expiryTime")


def _page(
    call: Call,
    paging: AuditPaging,
    statement: Select[tuple[object, ...]],
    order: Order,
    make: Callable[[Row], T],
) -> Listed[T]:
    query = Query(statement, kept=False)
    return call.page(paging, query, order, make)


def _logins(call: Call, paging: AuditPaging, org: str, *which: ColumnElement[bool]) -> Listed[LoginAuditJson]:
    return _page(
        call,
        paging,
        select(login_audits).where(login_audits.c.organization == org, *which),
        {"LOGIN_TIMESTAMP": login_audits.c.login_time, "USER_ID": login_audits.c.user_id},
        lambda row: show(LoginAuditJson, row, id=str(row.id)),
    )


def _actions(
    call: Call, paging: AuditPaging, org: str, *which: ColumnElement[bool]
) -> Listed[UserActionAuditJson]:
    return _page(
        call,
        paging,
        select(action_audits).where(action_audits.c.organization == org, *which),
        {"TIME": action_audits.c.id, "ACTION": action_audits.c.action},
        lambda row: show(UserActionAuditJson, row, id=str(row.id)),
    )


def _users(call: Call, paging: AuditPaging, org: str, which: ColumnElement[bool]) -> Listed[UserSummaryJson]:
    return _page(
        call,
        paging,
        select(users).where(users.c.organization == org, ~users.c.deleted, which),
        {"ID": users.c.id, "CREATED_ON": users.c.created_on, "NAME": users.c.name},
        lambda row: show(UserSummaryJson, row),
    )


def _user(call: Call, org: str, user: str) -> str:
    row = call.fetch(users, user, "User")
    if row.organization != org:
        raise not_found("User", user)
    return user


@app.route("GET", "/security/rest/v1/organization/{org}/users/listLogins", ORG_ADMIN)
def list_logins(call: Call, org: str, paging: AuditPaging) -> Listed[LoginAuditJson]:
    """List logins of an organization."""
    return _logins(call, paging, org)


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listLogins", ORG_ADMIN)
def list_logins_of(call: Call, org: str, user: str, paging: AuditPaging) -> Listed[LoginAuditJson]:
    """List logins of a user."""
    return _logins(call, paging, org, login_audits.c.user_id == _user(call, org, user))


@app.route("GET", "/security/rest/v1/organization/{org}/users/listActions", ORG_ADMIN)
def list_actions(call: Call, org: str, paging: AuditPaging) -> Listed[UserActionAuditJson]:
    """List changes of users and groups."""
    return _actions(call, paging, org)


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listActions", ORG_ADMIN)
def list_actions_of(call: Call, org: str, user: str, paging: AuditPaging) -> Listed[UserActionAuditJson]:
    """List changes of a user."""
    return _actions(call, paging, org, action_audits.c.affects_user == _user(call, org, user))


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listActionsRequested", ORG_ADMIN)
def list_actions_by(call: Call, org: str, user: str, paging: AuditPaging) -> Listed[UserActionAuditJson]:
    """List changes made by a user."""
    return _actions(call, paging, org, action_audits.c.requester_id == _user(call, org, user))


@app.route("GET", "/security/rest/v1/metrics/{org}/loginAudits", ORG_ADMIN)
def login_metrics(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[LoginAuditJson]:
    """List logins of a time range."""
    return _logins(call, paging, org, span.holds(login_audits.c.login_time))


@app.route("GET", "/security/rest/v1/metrics/{org}/actionAudits", ORG_ADMIN)
def action_metrics(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserActionAuditJson]:
    """List changes of a time range."""
    return _actions(call, paging, org, span.holds(action_audits.c.time))


@app.route("GET", "/security/rest/v1/metrics/{org}/usersCreated", ORG_ADMIN)
def users_created(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserSummaryJson]:
    """List users created in a time range."""
    return _users(call, paging, org, span.holds(users.c.created_on))


def _logged_in(org: str, span: Span) -> Select[tuple[str]]:
    table = login_audits
    return select(table.c.user_id).where(
        table.c.organization == org, table.c.success, span.holds(table.c.login_time)
    )


@app.route("GET", "/security/rest/v1/metrics/{org}/loggedInUsers", ORG_ADMIN)
def logged_in_users(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserSummaryJson]:
    """List users who logged in within a time range."""
    return _users(call, paging, org, users.c.id.in_(_logged_in(org, span)))


@app.route("GET", "/security/rest/v1/metrics/{org}/notLoggedInUsers", ORG_ADMIN)
def not_logged_in_users(call: Call, org: str, paging: AuditPaging, span: Span) -> Listed[UserSummaryJson]:
    """List users who did not log in within a time range."""
    return _users(call, paging, org, users.c.id.not_in(_logged_in(org, span)))


@app.route("GET", "/security/rest/v1/metrics/{org}/usersNotInGroup", ORG_ADMIN)
def users_not_in_group(
    call: Call, org: str, paging: AuditPaging, group: str | None = None
) -> Listed[UserSummaryJson]:
    """List users who are not in a group."""
    if group == f"all@{org}":
        return _users(call, paging, org, users.c.id == "")
    members = select(group_members.c.user_id).where(group_members.c.group_id == (group or ""))
    return _users(call, paging, org, users.c.id.not_in(members))


def _sessions(call: Call, paging: AuditPaging, *which: ColumnElement[bool]) -> Listed[UserSessionJson]:
    return _page(
        call,
        paging,
        select(sessions).where(sessions.c.expires_on > call.now, *which),
        {"EXPIRY_TIME": sessions.c.expires_on, "USER_ID": sessions.c.user_id},
        lambda row: show(UserSessionJson, row),
    )


@app.route("GET", "/security/rest/v1/sessions/{org}/active", ORG_ADMIN, choice="without tokens")
def active_sessions_of(call: Call, org: str, paging: AuditPaging) -> Listed[UserSessionJson]:
    """List the sessions of an organization."""
    return _sessions(call, paging, sessions.c.organization == org)


@app.route("GET", "/security/rest/v1/sessions/active", SYSTEM, choice="without tokens")
def active_sessions(call: Call, paging: AuditPaging) -> Listed[UserSessionJson]:
    """List all sessions."""
    return _sessions(call, paging)
