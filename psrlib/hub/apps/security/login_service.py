"""The login service of release 4, where users are invited, and made administrators or nothing any more.

It is another server at the vendor's and the same one here; its answers come in an envelope, its refusals in
words of their own (control-hub-4x.md, sections 2 and 4.2).
"""

import re
import uuid
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import bindparam, select

from psrlib.hub.apps.security import users
from psrlib.hub.apps.security.credentials import INVITE, Envelope, InvitationEnvelope, InvitedJson
from psrlib.hub.apps.security.platform import DEFAULT_ROLES, new_user_id
from psrlib.hub.apps.security.records import UserJson, insert_user
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.security import users as user_table
from psrlib.hub.web.access import ORG_ADMIN_ROLE
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import LOGIN_SERVICE, bad_request, check_same, not_found
from psrlib.hub.web.routing import ORG_ADMIN, USER, App

app = App(LOGIN_SERVICE)
ORG_USERS = "/api/security/v3/org-users"
ADMINISTRATOR, OPERATOR = "ADMINISTRATOR", "OPERATOR"


class OrgUserJson(Struct, rename="camel"):
    """A user as the login service knows it; ``schUser`` is the first part of the hub's user id."""

    id: str
    sch_user: str | None = None
    email: str | None = None
    role: Literal["OPERATOR", "ADMINISTRATOR"] | None = None
    active: bool | None = None


class OrgUsersPage(Struct, rename="camel"):
    """One page of a list of the login service."""

    content: list[OrgUserJson]
    total_elements: int
    number: int
    size: int


class OrgUserEnvelope(Envelope[OrgUserJson]):
    """A user in the envelope."""


class IdsEnvelope(Envelope[list[str]]):
    """Ids of users at the login service, in the envelope."""


@app.route(
    "POST",
    INVITE,
    ORG_ADMIN,
    release=4,
    choice="the user exists at once and is active, nothing is mailed, nobody accepts",
)
def invite(call: Call, body: InvitationEnvelope) -> Envelope[InvitedJson]:
    """Invite a user by mail address."""
    new, org = body.data, call.organization
    _check_role(new.role)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", new.email):
        raise bad_request(f"email '{new.email[:80]}': expected a mail address")
    if _MEMBERS.where(user_table.c.email == new.email).first(call.db, org=org) is not None:
        raise bad_request(f"'{new.email[:80]}' is in the organization already")
    made = insert_user(
        call, UserJson(id=new_user_id(org), name=new.email, roles=_roles(new.role), email=new.email), org
    )
    return Envelope(InvitedJson(new.email, made.id.partition("@")[0], new.role or OPERATOR))


def _check_role(role: str | None) -> None:
    if role not in (OPERATOR, ADMINISTRATOR):
        raise bad_request(f"role '{role}': expected {OPERATOR} or {ADMINISTRATOR}")


def _roles(role: str | None) -> list[str]:
    return [*DEFAULT_ROLES, ORG_ADMIN_ROLE] if role == ADMINISTRATOR else DEFAULT_ROLES


_MEMBERS = Query(
    select(user_table)
    .where(user_table.c.organization == bindparam("org"), ~user_table.c.deleted)
    .order_by(user_table.c.email, user_table.c.id),
    kept=False,
)


def login_id(user: str) -> str:
    """Return the id that a user has at the login service: another one than at the hub."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, user))


def _show(row: Row) -> OrgUserJson:
    role: Any = ADMINISTRATOR if ORG_ADMIN_ROLE in row.roles else OPERATOR
    return OrgUserJson(login_id(row.id), row.id.partition("@")[0], row.email, role, row.active)


def _members(call: Call, ids: list[str]) -> list[str]:
    """Return the hub's ids of users given by those of the login service."""
    known = {login_id(row.id): row.id for row in _MEMBERS.rows(call.db, org=call.organization)}
    for each in ids:
        if each not in known:
            raise not_found("User", each)
    return [known[each] for each in ids]


@app.route(
    "GET",
    ORG_USERS,
    ORG_ADMIN,
    release=4,
    choice="searches are schUser==, email== and id== one value; ids are of its own",
)
def list_members(
    call: Call, search: str | None = None, page: int = 0, size: int = 20
) -> Envelope[OrgUsersPage]:
    """List users of the organization."""
    found = [_show(row) for row in _MEMBERS.rows(call.db, org=call.organization)]
    if search:
        name, sign, wanted = search.partition("==")
        columns = {"schUser": "sch_user", "email": "email", "id": "id"}
        if not sign or name not in columns:
            raise bad_request(f"search '{search[:80]}': expected schUser, email or id == a value")
        found = [each for each in found if getattr(each, columns[name]) == wanted.strip("'\"")]
    page, size = max(page, 0), max(size, 1)
    part = found[page * size : (page + 1) * size]
    return Envelope(OrgUsersPage(part, len(found), page, size))


@app.route("GET", f"{ORG_USERS}/{{member}}", ORG_ADMIN, release=4)
def get_member(call: Call, member: str) -> Envelope[OrgUserJson]:
    """Return a user of the organization."""
    return Envelope(_show(call.fetch(user_table, _members(call, [member])[0], "User")))


@app.route(
    "POST",
    f"{ORG_USERS}/{{member}}",
    ORG_ADMIN,
    release=4,
    choice="only the role changes, and with it role org-admin at the hub",
)
def update_member(call: Call, member: str, body: OrgUserEnvelope) -> Envelope[OrgUserJson]:
    """Make a user an administrator, or one no longer."""
    check_same(body.data.id, member)
    _check_role(body.data.role)
    user = users.get_user(call, _members(call, [member])[0])
    roles = [role for role in user.roles if role != ORG_ADMIN_ROLE]
    roles += [ORG_ADMIN_ROLE] if body.data.role == ADMINISTRATOR else []
    users.update_user(call, call.organization, user.id, replace(user, roles=roles, groups=None))
    return get_member(call, member)


@app.route("POST", f"{ORG_USERS}.activate", ORG_ADMIN, release=4)
def activate_members(call: Call, body: IdsEnvelope) -> Envelope[list[str]]:
    """Activate users."""
    users.activate_users(call, _members(call, body.data))
    return Envelope(body.data)


@app.route("POST", f"{ORG_USERS}.deactivate", ORG_ADMIN, release=4)
def deactivate_members(call: Call, body: IdsEnvelope) -> Envelope[list[str]]:
    """Deactivate users; their API credentials are refused from now on."""
    users.deactivate_users(call, _members(call, body.data))
    return Envelope(body.data)


@app.route(
    "POST",
    f"{ORG_USERS}.delete",
    ORG_ADMIN,
    release=4,
    choice="refused with 400 while a user is active",
)
def delete_members(call: Call, body: IdsEnvelope) -> Envelope[list[str]]:
    """Delete deactivated users."""
    users.delete_users(call, _members(call, body.data))
    return Envelope(body.data)


@app.route("POST", f"{ORG_USERS}.leave", USER, release=4, choice="the primary one stays")
def leave(call: Call) -> Envelope[list[str]]:
    """Leave the organization."""
    me = call.principal.id
    if call.fetch_organization(call.organization).primary_admin_id == me:
        raise bad_request("the primary administrator does not leave the organization")
    users.deactivate_users(call, [me])
    users.delete_users(call, [me])
    return Envelope([login_id(me)])
