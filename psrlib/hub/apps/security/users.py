"""Security app: users."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, select

from psrlib.hub.apps.security.records import (
    DELETED,
    PasswordsJson,
    UserJson,
    all_group,
    audit_action,
    audit_changes,
    check_roles,
    end_sessions,
    fetch_user,
    insert_user,
    set_memberships,
    user_json,
    users_json,
)
from psrlib.hub.security.passwords import MAX_LENGTH, MIN_LENGTH, hash_password, verify_password
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import contains
from psrlib.hub.web.call import LISTING, Call
from psrlib.hub.web.issues import bad_request, forbidden
from psrlib.hub.web.routing import ORG_ADMIN, USER, App, Parameter

app = App("security", "Users, groups and roles")
USERS = Query(
    select(security.users).where(
        security.users.c.organization == bindparam("org"), security.users.c.deleted == bindparam("deleted")
    )
)


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
    return user_json(SimpleNamespace(**row), list(groups))


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}/users",
    USER,
    query=(*LISTING, Parameter("active", "boolean"), DELETED),
)
def list_users(call: Call) -> Any:
    """List users of an organization."""
    call.fetch_organization(call.path["org"])
    table = security.users
    statement: Query = USERS
    if call.query["active"] is not None:
        statement = statement.where(table.c.active == call.query["active"])
    if text := call.query["filterText"]:
        statement = statement.where(contains(table.c.id, text) | contains(table.c.name, text))
    order = {"ID": table.c.id, "NAME": table.c.name, "EMAIL": table.c.email}
    values = {"org": call.path["org"], "deleted": call.query["deleted"]}
    return call.old_page(statement, order, lambda rows: users_json(call, rows), **values)


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
    before = users_json(call, [row])[0]
    call.db.execute(security.users.update().where(security.users.c.id == row.id).values(values))
    if new.groups is not None:
        set_memberships(call, row.id, org, new.groups)
    if not values["active"]:
        end_sessions(call, [row.id])
    after = users_json(call, [fetch_user(call, row.id)])[0]
    audit_changes(call, org, before, after)
    return after


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


def _fetch_users(call: Call, ids: list[str]) -> list[Row]:
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
