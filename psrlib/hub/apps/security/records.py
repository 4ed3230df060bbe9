"""Security app: records of users and groups, and what their routes share."""

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from psrlib.hub.security import configuration
from psrlib.hub.security.roles import ROLES, SYSTEM_ROLES
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import dump
from psrlib.hub.web.access import SYSTEM_ORGANIZATION
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, duplicate, forbidden, not_found
from psrlib.hub.web.routing import Parameter

Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]
# fields of a user whose changes are audited
AUDITED = (
    "name",
    "email",
    "roles",
    "groups",
    "active",
    "nameInOrg",
    "passwordGenerated",
    "passwordExpiryTime",
)
DELETED = Parameter("deleted", "boolean", False)


class UserJson(Struct):
    """A user (control-hub-rest.md, 3.2)."""

    id: str
    name: str
    roles: list[str]
    organization: str | None = None
    email: str | None = None
    groups: list[str] | None = None
    active: bool | None = True
    nameInOrg: str | None = None
    passwordGenerated: bool | None = True
    passwordExpiryTime: Millis | None = None
    userDeleted: bool | None = False
    deleteTime: Millis | None = None
    destroyer: str | None = None
    creator: str | None = None
    createdOn: Millis | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: Millis | None = None


class GroupJson(Struct):
    """A group (control-hub-rest.md, 3.3)."""

    id: str
    name: str
    organization: str | None = None
    roles: list[str] | None = None
    users: list[str] | None = None
    externalGroupIds: list[str] | None = None
    groupDeleted: bool | None = False
    creator: str | None = None
    createdOn: Millis | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: Millis | None = None


class PasswordsJson(Struct):
    """Old and new password; the field names are this hub's choice."""

    oldPassword: str | None = None
    newPassword: str = ""


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


def audit_action(
    call: Call,
    organization: str,
    action: str,
    affects: str,
    field: str = "",
    new: str = "",
    old: str | None = None,
) -> None:
    """Write one row of the action audit."""
    row = {
        "organization": organization,
        "action": action,
        "affects_user": affects,
        "requester_id": call.principal.id,
        "field_type": field,
        "old_value": old,
        "new_value": new,
        "time": call.now,
        "ip_address": call.ip,
    }
    insert_rows(call.db, security.action_audits, [row])


def audit_changes(call: Call, organization: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Write a row of the action audit per field of a user that was changed."""
    for field in AUDITED:
        if before[field] != after[field]:
            old, new = (_audited(user[field]) for user in (before, after))
            audit_action(call, organization, "USER_UPDATE", after["id"], field, new, old)


def _audited(value: Any) -> str:
    return value if isinstance(value, str) else dump(value)


def insert_user(call: Call, user: UserJson, organization: str) -> dict[str, Any]:
    """Create a user, checking id, roles, groups and the organization's limit; return its row."""
    check_id(user.id, organization, "user")
    roles = check_roles(call, user.roles, organization)
    if "user" not in user.roles:
        raise bad_request(f"user '{user.id}': roles must contain 'user'")
    configuration.check_room(
        call.hub.cache, call.db, organization, configuration.MAX_USERS, security.users, "users"
    )
    life = call.fetch_organization(organization).password_expiry_ms
    row = {
        "id": user.id,
        "organization": organization,
        "name": user.name,
        "email": user.email or "",
        "name_in_org": user.nameInOrg,
        "roles": roles,
        "active": user.active is not False,
        "password_hash": None,
        "password_generated": True,
        "password_expiry_time": call.now + life,
        "deleted": False,
        "delete_time": 0,
        "destroyer": None,
        "creator": call.principal.id,
        "created_on": call.now,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    try:
        insert_rows(call.db, security.users, [row])
    except IntegrityError as error:
        raise duplicate("User", user.id) from error
    insert_memberships(call, user.id, organization, user.groups or [])
    audit_action(call, organization, "USER_CREATE", user.id)
    return row


def set_memberships(call: Call, user_id: str, organization: str, groups: list[str]) -> None:
    """Make a user a member of exactly these groups."""
    members = security.group_members
    call.db.execute(members.delete().where(members.c.user_id == user_id))
    insert_memberships(call, user_id, organization, groups)


def insert_memberships(call: Call, user_id: str, organization: str, groups: list[str]) -> None:
    """Make a user a member of groups, beside those it has."""
    wanted = [g for g in dict.fromkeys(groups) if g != all_group(organization)]
    check_groups(call, wanted, organization)
    insert_rows(call.db, security.group_members, [{"group_id": g, "user_id": user_id} for g in wanted])


_GROUPS = any_of(
    lambda ids: select(security.groups.c.id).where(
        security.groups.c.id.in_(ids),
        security.groups.c.organization == bindparam("org"),
        ~security.groups.c.deleted,
    )
)


def check_groups(call: Call, groups: list[str], organization: str) -> None:
    """Refuse groups that do not exist in the organization."""
    if not groups:
        return
    found = {row.id for row in _GROUPS(call.db, groups, org=organization)}
    for group in groups:
        if group not in found:
            raise not_found("Group", group)


MEMBERSHIPS = any_of(
    lambda ids: (
        select(security.group_members)
        .where(security.group_members.c.user_id.in_(ids))
        .order_by(security.group_members.c.group_id)
    )
)


def users_json(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return users in wire form, memberships read in one query."""
    groups: dict[str, list[str]] = {row.id: [all_group(row.organization)] for row in rows}
    for member in MEMBERSHIPS(call.db, groups):
        groups[member.user_id].append(member.group_id)
    return [user_json(row, groups[row.id]) for row in rows]


def user_json(row: Any, groups: list[str]) -> dict[str, Any]:
    """Return a user in wire form."""
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "email": row.email,
        "roles": row.roles,
        "groups": groups,
        "active": row.active,
        "nameInOrg": row.name_in_org,
        "passwordGenerated": row.password_generated,
        "passwordExpiryTime": row.password_expiry_time,
        "userDeleted": row.deleted,
        "deleteTime": row.delete_time,
        "destroyer": row.destroyer,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def fetch_user(call: Call, user_id: str) -> Row:
    """Return a user of the call's organization."""
    row = call.fetch(security.users, user_id, "User")
    if row.organization != call.organization or row.deleted:
        raise not_found("User", user_id)
    return row


def end_sessions(call: Call, users: list[str], keep: str = "") -> None:
    """End the sessions of users, in the database and in memory."""
    table = security.sessions
    call.db.execute(table.delete().where(table.c.user_id.in_(users), table.c.token_hash != keep))

    call.after.append(lambda: call.hub.callers.drop_users(set(users), keep))
