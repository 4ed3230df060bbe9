"""Security app: records of users and groups, and what their routes share."""

from collections.abc import Iterable

from msgspec import field
from msgspec.structs import replace
from sqlalchemy import Table, bindparam, select
from sqlalchemy.exc import IntegrityError

from psrlib.hub.security import configuration
from psrlib.hub.security.roles import ROLES, SYSTEM_ROLES
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.web.access import SYSTEM_ORGANIZATION
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, duplicate, forbidden, not_found
from psrlib.hub.web.records import Audited, Millis, show, stored


class UserJson(Audited):
    """A user (control-hub-rest.md, 3.2)."""

    id: str
    name: str
    roles: list[str]
    organization: str | None = None
    email: str | None = None
    groups: list[str] | None = None
    active: bool | None = True
    name_in_org: str | None = None
    password_generated: bool | None = True
    password_expiry_time: Millis | None = None
    deleted: bool | None = field(default=False, name="userDeleted")
    delete_time: Millis | None = None
    destroyer: str | None = None


def all_group(organization: str) -> str:
    """Return the id of the group that holds every user."""
    return f"all@{organization}"


def check_id(entity_id: str, organization: str, kind: str) -> None:
    """Refuse an id that is not ``<name>@<organization>``."""
    name, at, tail = entity_id.rpartition("@")
    wrong = not at or not name or tail != organization or len(entity_id) > 255
    if wrong or any(ord(c) < 33 or c in '/"\\' for c in entity_id):
        raise bad_request(f"{kind} id '{entity_id}': expected <name>@{organization}")


def check_roles(call: Call, names: Iterable[str], organization: str) -> list[str]:
    """Return the roles, each once, refusing unknown ones and system roles outside the system organization."""
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in ROLES]
    if unknown:
        raise bad_request(f"role '{unknown[0]}' is unknown")
    if SYSTEM_ROLES.intersection(wanted) and not (
        call.principal.is_system_admin and organization == SYSTEM_ORGANIZATION
    ):
        raise forbidden("system roles are given by a system administrator, in the system organization")
    return wanted


def check_user_roles(call: Call, user: UserJson, organization: str) -> list[str]:
    """Return the roles of a user as `check_roles` does; "user" must be one of them."""
    if "user" not in user.roles:
        raise bad_request(f"user '{user.id}': roles must contain 'user'")
    return check_roles(call, user.roles, organization)


def audit_action(
    call: Call,
    organization: str,
    action: str,
    affects: str,
    field_type: str = "",
    new: str = "",
    old: str | None = None,
) -> None:
    """Write one row of the action audit."""
    row = {
        "organization": organization,
        "action": action,
        "affects_user": affects,
        "requester_id": call.principal.id,
        "field_type": field_type,
        "old_value": old,
        "new_value": new,
        "time": call.now,
        "ip_address": call.ip,
    }
    insert_rows(call.db, security.action_audits, [row])


def insert_user(call: Call, user: UserJson, organization: str) -> UserJson:
    """Create a user, checking id, roles, groups and the organization's limit; return it as it was made."""
    check_id(user.id, organization, "user")
    roles = check_user_roles(call, user, organization)
    configuration.check_room(
        call.hub.cache, call.db, organization, configuration.MAX_USERS, security.users, "users"
    )
    groups = list(dict.fromkeys([all_group(organization), *(user.groups or [])]))
    made = replace(
        user,
        organization=organization,
        email=user.email or "",
        roles=roles,
        groups=groups,
        active=user.active is not False,
        password_generated=True,
        password_expiry_time=call.now + call.fetch_organization(organization).password_expiry_ms,
        deleted=False,
        delete_time=0,
        destroyer=None,
        **call.created,
    )
    try:
        insert_rows(call.db, security.users, [stored(made, security.users)])
    except IntegrityError as error:
        raise duplicate("User", user.id) from error
    insert_memberships(call, user.id, organization, groups)
    audit_action(call, organization, "USER_CREATE", user.id)
    return made


_GROUPS = any_of(
    lambda ids: select(security.groups.c.id).where(
        security.groups.c.id.in_(ids),
        security.groups.c.organization == bindparam("org"),
        ~security.groups.c.deleted,
    )
)


def insert_memberships(call: Call, user_id: str, organization: str, groups: list[str]) -> None:
    """Make a user a member of groups, beside those it has; 404 for one the organization does not have."""
    wanted = [group for group in dict.fromkeys(groups) if group != all_group(organization)]
    found = {row.id for row in _GROUPS(call.db, wanted, org=organization)}
    for group in wanted:
        if group not in found:
            raise not_found("Group", group)
    rows = [{"group_id": group, "user_id": user_id} for group in wanted]
    insert_rows(call.db, security.group_members, rows)


MEMBERSHIPS = any_of(
    lambda ids: (
        select(security.group_members)
        .where(security.group_members.c.user_id.in_(ids))
        .order_by(security.group_members.c.group_id)
    )
)


def show_users(call: Call, rows: list[Row]) -> list[UserJson]:
    """Return users in wire form, memberships read in one query."""
    groups: dict[str, list[str]] = {row.id: [all_group(row.organization)] for row in rows}
    for member in MEMBERSHIPS(call.db, groups):
        groups[member.user_id].append(member.group_id)
    return [show(UserJson, row, groups=groups[row.id]) for row in rows]


def fetch_own(call: Call, table: Table, entity_id: str, kind: str) -> Row:
    """Return a user or group of the call's organization; 404 for one that is deleted or of another one."""
    row = call.fetch(table, entity_id, kind)
    if row.organization != call.organization or row.deleted:
        raise not_found(kind, entity_id)
    return row


def mark_deleted(call: Call, table: Table, ids: list[str]) -> None:
    """Delete users or groups; their ids stay taken."""
    gone = {"deleted": True, "delete_time": call.now, "destroyer": call.principal.id}
    call.db.execute(table.update().where(table.c.id.in_(ids)).values(gone))


def end_sessions(call: Call, users: list[str], keep: str = "") -> None:
    """End the sessions of users, in the database and in memory."""
    table = security.sessions
    call.db.execute(table.delete().where(table.c.user_id.in_(users), table.c.token_hash != keep))
    call.after.append(lambda: call.hub.callers.drop_users(set(users), keep))
