"""Security app: login and action audits (control-hub-rest.md, 3.6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct, field
from sqlalchemy import ColumnElement

from psrlib.hub.store.queries import Query, Row, of_organization
from psrlib.hub.store.schema.security import action_audits, login_audits, users
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import not_found
from psrlib.hub.web.records import AuditPaging, Listed, show
from psrlib.hub.web.routing import ORG_ADMIN, App

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
