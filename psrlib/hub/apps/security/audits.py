"""Security app: login and action audits, metrics of users, sessions (control-hub-rest.md, 3.6)."""

from typing import Any

from sqlalchemy import Select, Table, select

from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.security import action_audits, group_members, login_audits, sessions, users
from psrlib.hub.web.call import WRAPPER, Call
from psrlib.hub.web.issues import not_found
from psrlib.hub.web.routing import ORG_ADMIN, SYSTEM, App, Parameter

app = App("security", "Audits, user metrics and sessions")
PAGE = (
    Parameter("offset", "integer", 0),
    Parameter("len", "integer", -1),
    Parameter("sortField"),
    Parameter("sortOrder", "text", "DESC"),
    WRAPPER,
)
SPAN = (Parameter("startTime", "integer", 0), Parameter("endTime", "integer", -1), Parameter("group"))


def _page(call: Call, statement: Select[Any], order: dict[str, Any], show: Any) -> Any:
    call.query["orderBy"], call.query["order"] = call.query["sortField"], call.query["sortOrder"]
    return call.old_page(statement, order, lambda rows: [show(row) for row in rows])


def _between(call: Call, statement: Select[Any], column: Any) -> Select[Any]:
    statement = statement.where(column >= (call.query["startTime"] or 0))
    end = call.query["endTime"]
    return statement if end is None or end < 0 else statement.where(column <= end)


def _login_json(row: Row) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "userId": row.user_id,
        "ipAddress": row.ip_address,
        "loginTimestamp": row.login_time,
        "logoutTimestamp": row.logout_time,
        "logoutUser": row.logout_user,
        "logoutReason": row.logout_reason,
        "success": row.success,
        "details": row.details,
        "userAgent": row.user_agent,
        "org_id": row.organization,
    }


def _action_json(row: Row) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "action": row.action,
        "affectsUser": row.affects_user,
        "requesterId": row.requester_id,
        "fieldType": row.field_type,
        "oldValue": row.old_value,
        "newValue": row.new_value,
        "time": row.time,
        "ipAddress": row.ip_address,
        "org_id": row.organization,
    }


LOGIN_ORDER = {"LOGIN_TIMESTAMP": login_audits.c.login_time, "USER_ID": login_audits.c.user_id}
ACTION_ORDER = {"TIME": action_audits.c.id, "ACTION": action_audits.c.action}


def _of(call: Call, table: Table) -> Select[Any]:
    return select(table).where(table.c.organization == call.path["org"])


def _user(call: Call) -> str:
    row = call.fetch(users, call.path["user"], "User")
    if row.organization != call.path["org"]:
        raise not_found("User", call.path["user"])
    return str(row.id)


@app.route("GET", "/security/rest/v1/organization/{org}/users/listLogins", ORG_ADMIN, query=PAGE)
def list_logins(call: Call) -> Any:
    """List logins of an organization."""
    return _page(call, _of(call, login_audits), LOGIN_ORDER, _login_json)


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listLogins", ORG_ADMIN, query=PAGE)
def list_logins_of(call: Call) -> Any:
    """List logins of a user."""
    statement = _of(call, login_audits).where(login_audits.c.user_id == _user(call))
    return _page(call, statement, LOGIN_ORDER, _login_json)


@app.route("GET", "/security/rest/v1/organization/{org}/users/listActions", ORG_ADMIN, query=PAGE)
def list_actions(call: Call) -> Any:
    """List changes of users and groups."""
    return _page(call, _of(call, action_audits), ACTION_ORDER, _action_json)


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}/listActions", ORG_ADMIN, query=PAGE)
def list_actions_of(call: Call) -> Any:
    """List changes of a user."""
    statement = _of(call, action_audits).where(action_audits.c.affects_user == _user(call))
    return _page(call, statement, ACTION_ORDER, _action_json)


@app.route(
    "GET", "/security/rest/v1/organization/{org}/user/{user}/listActionsRequested", ORG_ADMIN, query=PAGE
)
def list_actions_by(call: Call) -> Any:
    """List changes made by a user."""
    statement = _of(call, action_audits).where(action_audits.c.requester_id == _user(call))
    return _page(call, statement, ACTION_ORDER, _action_json)


@app.route("GET", "/security/rest/v1/metrics/{org}/loginAudits", ORG_ADMIN, query=(*PAGE, *SPAN))
def login_metrics(call: Call) -> Any:
    """List logins of a time range."""
    statement = _between(call, _of(call, login_audits), login_audits.c.login_time)
    return _page(call, statement, LOGIN_ORDER, _login_json)


@app.route("GET", "/security/rest/v1/metrics/{org}/actionAudits", ORG_ADMIN, query=(*PAGE, *SPAN))
def action_metrics(call: Call) -> Any:
    """List changes of a time range."""
    statement = _between(call, _of(call, action_audits), action_audits.c.time)
    return _page(call, statement, ACTION_ORDER, _action_json)


USER_ORDER = {"ID": users.c.id, "CREATED_ON": users.c.created_on, "NAME": users.c.name}


def _brief(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "organization": row.organization,
        "creator": row.creator,
        "createdOn": row.created_on,
    }


def _users(call: Call) -> Select[Any]:
    return _of(call, users).where(~users.c.deleted)


@app.route("GET", "/security/rest/v1/metrics/{org}/usersCreated", ORG_ADMIN, query=(*PAGE, *SPAN))
def users_created(call: Call) -> Any:
    """List users created in a time range."""
    return _page(call, _between(call, _users(call), users.c.created_on), USER_ORDER, _brief)


def _logged_in(call: Call) -> Select[Any]:
    logins = select(login_audits.c.user_id).where(
        login_audits.c.organization == call.path["org"], login_audits.c.success
    )
    return _between(call, logins, login_audits.c.login_time)


@app.route("GET", "/security/rest/v1/metrics/{org}/loggedInUsers", ORG_ADMIN, query=(*PAGE, *SPAN))
def logged_in_users(call: Call) -> Any:
    """List users who logged in within a time range."""
    return _page(call, _users(call).where(users.c.id.in_(_logged_in(call))), USER_ORDER, _brief)


@app.route("GET", "/security/rest/v1/metrics/{org}/notLoggedInUsers", ORG_ADMIN, query=(*PAGE, *SPAN))
def not_logged_in_users(call: Call) -> Any:
    """List users who did not log in within a time range."""
    return _page(call, _users(call).where(users.c.id.not_in(_logged_in(call))), USER_ORDER, _brief)


@app.route("GET", "/security/rest/v1/metrics/{org}/usersNotInGroup", ORG_ADMIN, query=(*PAGE, *SPAN))
def users_not_in_group(call: Call) -> Any:
    """List users who are not in a group."""
    group = call.query["group"] or ""
    if group == f"all@{call.path['org']}":
        return _page(call, _users(call).where(users.c.id == ""), USER_ORDER, _brief)
    members = select(group_members.c.user_id).where(group_members.c.group_id == group)
    return _page(call, _users(call).where(users.c.id.not_in(members)), USER_ORDER, _brief)


def _session_json(row: Row) -> dict[str, Any]:
    return {
        "userId": row.user_id,
        "organization": row.organization,
        "createdOn": row.created_on,
        "expiryTime": row.expires_on,
    }


SESSION_ORDER = {"EXPIRY_TIME": sessions.c.expires_on, "USER_ID": sessions.c.user_id}


@app.route("GET", "/security/rest/v1/sessions/{org}/active", ORG_ADMIN, query=PAGE, choice="without tokens")
def active_sessions_of(call: Call) -> Any:
    """List the sessions of an organization."""
    statement = _of(call, sessions).where(sessions.c.expires_on > call.now)
    return _page(call, statement, SESSION_ORDER, _session_json)


@app.route("GET", "/security/rest/v1/sessions/active", SYSTEM, query=PAGE, choice="without tokens")
def active_sessions(call: Call) -> Any:
    """List all sessions."""
    statement = select(sessions).where(sessions.c.expires_on > call.now)
    return _page(call, statement, SESSION_ORDER, _session_json)
