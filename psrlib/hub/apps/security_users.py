"""Security app: users, groups and roles."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError

from psrlib.hub import configuration
from psrlib.hub.access import SYSTEM_ORGANIZATION
from psrlib.hub.call import LISTING, Call, contains, dump, load
from psrlib.hub.issues import bad_request, duplicate, forbidden, not_found
from psrlib.hub.passwords import MAX_LENGTH, MIN_LENGTH, hash_password, verify_password
from psrlib.hub.role_names import ROLES, SYSTEM_ROLES
from psrlib.hub.routing import EITHER, ORG_ADMIN, USER, App, Query
from psrlib.hub.schema import security

app = App("security", "Users, groups and roles")
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]
DELETED = Query("deleted", "boolean", False)


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


def check_roles(call: Call, names: Iterable[str], organization: str) -> str:
    """Return the roles as stored, refusing unknown ones and system roles outside the system organization."""
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in ROLES]
    if unknown:
        raise bad_request(f"role '{unknown[0]}' is unknown")
    if SYSTEM_ROLES.intersection(wanted) and not (
        call.principal.is_system_admin and organization == SYSTEM_ORGANIZATION
    ):
        raise forbidden("system roles are given by a system administrator, in the system organization")
    return dump(wanted)


def audit_action(
    call: Call, organization: str, action: str, affects: str, field: str = "", new: str = ""
) -> None:
    """Write one row of the action audit."""
    row = {
        "organization": organization,
        "action": action,
        "affects_user": affects,
        "requester_id": call.principal.id,
        "field_type": field,
        "new_value": new,
        "time": call.now,
        "ip_address": call.ip,
    }
    call.db.execute(security.action_audits.insert(), row)


def insert_user(call: Call, user: UserJson, organization: str) -> dict[str, Any]:
    """Create a user, checking id, roles, groups and the organization's limit; return its row."""
    check_id(user.id, organization, "user")
    roles = check_roles(call, user.roles, organization)
    if "user" not in user.roles:
        raise bad_request(f"user '{user.id}': roles must contain 'user'")
    configuration.check_room(
        call.hub.memory, call.db, organization, configuration.MAX_USERS, security.users, "users"
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
        call.db.execute(security.users.insert(), row)
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
    if wanted:
        rows = [{"group_id": g, "user_id": user_id} for g in wanted]
        call.db.execute(security.group_members.insert(), rows)


def check_groups(call: Call, groups: list[str], organization: str) -> None:
    """Refuse groups that do not exist in the organization."""
    if not groups:
        return
    table = security.groups
    found = set(
        call.db.execute(
            select(table.c.id).where(
                table.c.id.in_(groups), table.c.organization == organization, ~table.c.deleted
            )
        ).scalars()
    )
    for group in groups:
        if group not in found:
            raise not_found("Group", group)


def users_json(call: Call, rows: list[Row[Any]]) -> list[dict[str, Any]]:
    """Return users in wire form, memberships read in one query."""
    members = security.group_members
    groups: dict[str, list[str]] = {row.id: [all_group(row.organization)] for row in rows}
    ids = list(groups)
    for start in range(0, len(ids), 500):
        part = members.c.user_id.in_(ids[start : start + 500])
        for member in call.db.execute(select(members).where(part).order_by(members.c.group_id)):
            groups[member.user_id].append(member.group_id)
    return [_user_json(row, groups[row.id]) for row in rows]


def _user_json(row: Any, groups: list[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "email": row.email,
        "roles": load(row.roles),
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


def fetch_user(call: Call, user_id: str) -> Row[Any]:
    """Return a user of the call's organization."""
    row = call.fetch(security.users, user_id, "User")
    if row.organization != call.organization or row.deleted:
        raise not_found("User", user_id)
    return row


@app.route(
    "PUT",
    "/security/rest/v1/organization/{org}/users",
    ORG_ADMIN,
    body=UserJson,
    status=201,
    returns=UserJson,
    choice="409 APP_ISSUES_04 for a taken id, also of a deleted user; 404 for a group that does not exist; "
    "the generated password is the user id and expires after the organization's password life",
)
def create_user(call: Call) -> Any:
    """Create a user."""
    org = call.path["org"]
    call.fetch_organization(org)
    call.check_body_organization(call.body.organization)
    row = insert_user(call, call.body, org)
    groups = dict.fromkeys([all_group(org), *(call.body.groups or [])])
    return _user_json(SimpleNamespace(**row), list(groups))


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}/users",
    USER,
    query=(*LISTING, Query("active", "boolean"), DELETED),
)
def list_users(call: Call) -> Any:
    """List users of an organization."""
    call.fetch_organization(call.path["org"])
    table = security.users
    statement = select(table).where(table.c.organization == call.path["org"])
    statement = statement.where(table.c.deleted == call.query["deleted"])
    if call.query["active"] is not None:
        statement = statement.where(table.c.active == call.query["active"])
    if text := call.query["filterText"]:
        statement = statement.where(contains(table.c.id, text) | contains(table.c.name, text))
    order = {"ID": table.c.id, "NAME": table.c.name, "EMAIL": table.c.email}
    return call.page(statement, order, lambda rows: users_json(call, rows))


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}", USER, returns=UserJson)
def get_user(call: Call) -> Any:
    """Return a user."""
    return users_json(call, [fetch_user(call, call.path["user"])])[0]


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/user/{user}",
    ORG_ADMIN,
    body=UserJson,
    returns=UserJson,
    choice="passwordGenerated false keeps the generated password valid until it is changed, "
    "as the public bootstrap script relies on",
)
def update_user(call: Call) -> Any:
    """Update a user; roles and groups take effect at the next login."""
    row, new, org = fetch_user(call, call.path["user"]), call.body, call.path["org"]
    if new.id != row.id:
        raise bad_request(f"the body's id is '{new.id}', the path's '{row.id}'")
    if "user" not in new.roles:
        raise bad_request(f"user '{new.id}': roles must contain 'user'")
    values: dict[str, Any] = {
        "name": new.name,
        "email": row.email if new.email is None else new.email,
        "name_in_org": new.nameInOrg,
        "roles": check_roles(call, new.roles, org),
        "active": row.active if new.active is None else new.active,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    if new.passwordGenerated is not None:
        values["password_generated"] = new.passwordGenerated
    if new.passwordExpiryTime is not None:
        values["password_expiry_time"] = new.passwordExpiryTime
    call.db.execute(security.users.update().where(security.users.c.id == row.id).values(values))
    if new.groups is not None:
        set_memberships(call, row.id, org, new.groups)
    if not values["active"]:
        end_sessions(call, [row.id])
    audit_action(call, org, "USER_UPDATE", row.id)
    return users_json(call, [fetch_user(call, row.id)])[0]


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/user/{user}/updatePassword",
    USER,
    body=PasswordsJson,
    choice=f"fields oldPassword and newPassword ({MIN_LENGTH} characters or more); users change "
    f"their own with the "
    "old one, administrators that of others without it; other sessions of the user end",
)
def update_password(call: Call) -> Any:
    """Set a password."""
    row = fetch_user(call, call.path["user"])
    own = row.id == call.principal.id
    if not own and not call.principal.is_org_admin:
        raise forbidden("the password of another user is changed by an administrator")
    new = call.body.newPassword
    if not MIN_LENGTH <= len(new) <= MAX_LENGTH:
        raise bad_request(f"the new password must have {MIN_LENGTH} to {MAX_LENGTH} characters")
    if own and not verify_password(call.body.oldPassword or "", row.password_hash, row.id):
        raise forbidden("the old password is wrong")
    life = call.fetch_organization(row.organization).password_expiry_ms
    values = {
        "password_hash": hash_password(new),
        "password_generated": False,
        "password_expiry_time": call.now + life,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    call.db.execute(security.users.update().where(security.users.c.id == row.id).values(values))
    end_sessions(call, [row.id], keep=call.principal.token_hash)
    audit_action(call, row.organization, "USER_SET_PASSWORD", row.id)
    return None


def end_sessions(call: Call, users: list[str], keep: str = "") -> None:
    """End the sessions of users, in the database and in memory."""
    table = security.sessions
    call.db.execute(table.delete().where(table.c.user_id.in_(users), table.c.token_hash != keep))

    call.after.append(lambda: call.hub.callers.drop_users(set(users), keep))


def _fetch_users(call: Call, ids: list[str]) -> list[Row[Any]]:
    return [fetch_user(call, user_id) for user_id in ids]


@app.route("POST", "/security/rest/v1/organization/{org}/users/deactivate", ORG_ADMIN, body=list[str])
def deactivate_users(call: Call) -> Any:
    """Deactivate users and end their sessions."""
    _set_active(call, call.body, False)
    return []


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/users/activate",
    ORG_ADMIN,
    body=list[str],
    choice="not in the reference; the counterpart of deactivate",
)
def activate_users(call: Call) -> Any:
    """Activate users."""
    _set_active(call, call.body, True)
    return []


def _set_active(call: Call, ids: list[str], active: bool) -> None:
    _fetch_users(call, ids)
    table = security.users
    values = {"active": active, "last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(table.update().where(table.c.id.in_(ids)).values(values))
    if not active:
        end_sessions(call, ids)
    for user_id in ids:
        audit_action(call, call.organization, "USER_ACTIVATE" if active else "USER_DEACTIVATE", user_id)


def _delete_users(call: Call, ids: list[str]) -> None:
    for row in _fetch_users(call, ids):
        if row.active:
            raise bad_request(f"user '{row.id}' is active; deactivate it first")
        audit_action(call, call.organization, "USER_DELETE", row.id)
    table = security.users
    values = {"deleted": True, "delete_time": call.now, "destroyer": call.principal.id}
    call.db.execute(table.update().where(table.c.id.in_(ids)).values(values))
    members = security.group_members
    call.db.execute(members.delete().where(members.c.user_id.in_(ids)))


@app.route(
    "DELETE",
    "/security/rest/v1/organization/{org}/user/{user}",
    ORG_ADMIN,
    choice="refused with 400 while the user is active; soft delete, the id stays taken",
)
def delete_user(call: Call) -> Any:
    """Delete a deactivated user."""
    _delete_users(call, [call.path["user"]])
    return None


@app.route("POST", "/security/rest/v1/organization/{org}/users/delete", ORG_ADMIN, body=list[str])
def delete_users(call: Call) -> Any:
    """Delete deactivated users."""
    _delete_users(call, call.body)
    return []


@app.route("GET", "/security/rest/v1/roles", USER)
def list_roles(call: Call) -> Any:
    """List role ids with their labels."""
    return [{"id": key, "label": label, "description": label} for key, label in ROLES.items()]


@app.route(
    "PUT",
    "/security/rest/v1/organization/{org}/groups",
    ORG_ADMIN,
    body=GroupJson,
    status=201,
    returns=GroupJson,
    choice="409 for a taken id; all@<organization> is always taken",
)
def create_group(call: Call) -> Any:
    """Create a group, with members when given."""
    new, org = call.body, call.path["org"]
    call.fetch_organization(org)
    call.check_body_organization(new.organization)
    check_id(new.id, org, "group")
    if new.id == all_group(org):
        raise duplicate("Group", new.id)
    row = {
        "id": new.id,
        "organization": org,
        "name": new.name,
        "roles": check_roles(call, new.roles or ["user"], org),
        "external_group_ids": None if new.externalGroupIds is None else dump(new.externalGroupIds),
        "creator": call.principal.id,
        "created_on": call.now,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    try:
        call.db.execute(security.groups.insert().values(row))
    except IntegrityError as error:
        raise duplicate("Group", new.id) from error
    _set_members(call, new.id, org, new.users or [])
    audit_action(call, org, "GROUP_CREATE", new.id)
    return groups_json(call, [fetch_group(call, new.id)])[0]


def _set_members(call: Call, group: str, organization: str, users: list[str]) -> None:
    table, members = security.users, security.group_members
    wanted = list(dict.fromkeys(users))
    found = set(
        call.db.execute(
            select(table.c.id).where(
                table.c.id.in_(wanted), table.c.organization == organization, ~table.c.deleted
            )
        ).scalars()
    )
    for user_id in wanted:
        if user_id not in found:
            raise not_found("User", user_id)
    call.db.execute(members.delete().where(members.c.group_id == group))
    if wanted:
        call.db.execute(members.insert(), [{"group_id": group, "user_id": u} for u in wanted])


def fetch_group(call: Call, group_id: str) -> Row[Any]:
    """Return a group of the call's organization."""
    row = call.fetch(security.groups, group_id, "Group")
    if row.organization != call.organization or row.deleted:
        raise not_found("Group", group_id)
    return row


def groups_json(call: Call, rows: list[Row[Any]]) -> list[dict[str, Any]]:
    """Return groups in wire form, members read in one query."""
    members = security.group_members
    users: dict[str, list[str]] = {row.id: [] for row in rows}
    ids = list(users)
    for start in range(0, len(ids), 500):
        part = members.c.group_id.in_(ids[start : start + 500])
        for member in call.db.execute(select(members).where(part).order_by(members.c.user_id)):
            users[member.group_id].append(member.user_id)
    return [_group_json(row, users[row.id]) for row in rows]


def _group_json(row: Row[Any], users: list[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "roles": load(row.roles),
        "users": users,
        "externalGroupIds": load(row.external_group_ids),
        "groupDeleted": row.deleted,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def _everyone(call: Call, org: str) -> dict[str, Any]:
    table = security.users
    users = call.db.execute(
        select(table.c.id).where(table.c.organization == org, ~table.c.deleted).order_by(table.c.id)
    ).scalars()
    organization = call.fetch_organization(org)
    return {
        "id": all_group(org),
        "organization": org,
        "name": "all",
        "roles": ["user"],
        "users": list(users),
        "externalGroupIds": None,
        "groupDeleted": False,
        "creator": organization.creator,
        "createdOn": organization.created_on,
        "lastModifiedBy": organization.last_modified_by,
        "lastModifiedOn": organization.last_modified_on,
    }


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}/groups",
    USER,
    query=(*LISTING, DELETED),
    choice="all@<organization> stands first on the first page",
)
def list_groups(call: Call) -> Any:
    """List groups of an organization."""
    org = call.path["org"]
    everyone = _everyone(call, org)
    table = security.groups
    statement = select(table).where(table.c.organization == org, table.c.deleted == call.query["deleted"])
    text = call.query["filterText"]
    if text:
        statement = statement.where(contains(table.c.id, text) | contains(table.c.name, text))
    first = not call.query["deleted"] and (not text or text.lower() in everyone["id"])
    offset, length = max(call.query["offset"] or 0, 0), call.query["len"]
    show = first and offset == 0 and length != 0
    if first:
        # the hub's own group takes place 0 of the listing, so the others move up by one
        call.query["offset"] = max(offset - 1, 0)
        call.query["len"] = length - 1 if show and length is not None and length > 0 else length
    order = {"ID": table.c.id, "NAME": table.c.name}
    page = call.page(statement, order, lambda rows: groups_json(call, rows))
    if isinstance(page, list):
        return [everyone, *page] if show else page
    page["totalCount"] += 1 if first else 0
    page["offset"], page["len"] = offset, length
    page["data"] = [everyone, *page["data"]] if show else page["data"]
    return page


@app.route("GET", "/security/rest/v1/organization/{org}/group/{group}", USER, returns=GroupJson)
def get_group(call: Call) -> Any:
    """Return a group."""
    if call.path["group"] == all_group(call.path["org"]):
        return _everyone(call, call.path["org"])
    return groups_json(call, [fetch_group(call, call.path["group"])])[0]


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/group/{group}",
    ORG_ADMIN,
    body=GroupJson,
    returns=GroupJson,
)
def update_group(call: Call) -> Any:
    """Update a group; members are replaced when given."""
    new, org = call.body, call.path["org"]
    row = fetch_group(call, call.path["group"])
    if new.id != row.id:
        raise bad_request(f"the body's id is '{new.id}', the path's '{row.id}'")
    values = {
        "name": new.name,
        "roles": row.roles if new.roles is None else check_roles(call, new.roles, org),
        "external_group_ids": None if new.externalGroupIds is None else dump(new.externalGroupIds),
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    call.db.execute(security.groups.update().where(security.groups.c.id == row.id).values(values))
    if new.users is not None:
        _set_members(call, row.id, org, new.users)
        audit_action(call, org, "GROUP_USER_UPDATE", row.id, "users", dump(new.users))
    return groups_json(call, [fetch_group(call, row.id)])[0]


def _delete_groups(call: Call, ids: list[str]) -> None:
    for group_id in ids:
        row = fetch_group(call, group_id)
        audit_action(call, call.organization, "GROUP_DELETE", row.id)
    table, members = security.groups, security.group_members
    values = {"deleted": True, "delete_time": call.now, "destroyer": call.principal.id}
    call.db.execute(table.update().where(table.c.id.in_(ids)).values(values))
    call.db.execute(members.delete().where(members.c.group_id.in_(ids)))


@app.route("DELETE", "/security/rest/v1/organization/{org}/group/{group}", ORG_ADMIN)
def delete_group(call: Call) -> Any:
    """Delete a group."""
    _delete_groups(call, [call.path["group"]])
    return None


@app.route("POST", "/security/rest/v1/organization/{org}/groups/delete", ORG_ADMIN, body=list[str])
def delete_groups(call: Call) -> Any:
    """Delete groups."""
    _delete_groups(call, call.body)
    return []


@app.route("GET", "/security/rest/v1/componentTypes", EITHER)
def component_types(call: Call) -> Any:
    """List component types."""
    names = {
        "dc": "Data Collector",
        "transformer": "Transformer",
        "dc-edge": "Data Collector Edge",
        "provisioning-agent": "Provisioning Agent",
    }
    return [{"id": key, "label": label} for key, label in names.items()]
