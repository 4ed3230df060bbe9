"""Security app: users."""

from msgspec import Struct
from msgspec.structs import fields, replace
from sqlalchemy import bindparam, select

from psrlib.hub.apps.security import records
from psrlib.hub.apps.security.records import UserJson, audit_action, end_sessions, fetch_own
from psrlib.hub.security.passwords import MAX_LENGTH, MIN_LENGTH, hash_password, verify_password
from psrlib.hub.store.queries import Query
from psrlib.hub.store.schema.security import group_members, users
from psrlib.hub.store.text import dump
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_same, forbidden
from psrlib.hub.web.records import Listed, Listing, stored
from psrlib.hub.web.routing import ORG_ADMIN, USER, App

app = App("security")
USERS = Query(
    select(users).where(users.c.organization == bindparam("org"), users.c.deleted == bindparam("deleted"))
)
OPTIONAL = ("email", "active", "password_generated", "password_expiry_time")  # stay where none is given


class PasswordsJson(Struct, rename="camel"):
    """Old and new password; the field names are this hub's choice."""

    old_password: str | None = None
    new_password: str = ""


@app.route(
    "PUT",
    "/security/rest/v1/organization/{org}/users",
    ORG_ADMIN,
    release=3,
    status=201,
    choice="409 APP_ISSUES_04 for a taken id, also of a deleted user; 404 for a group that does not exist; "
    "the generated password is the user id and expires after the organization's password life",
)
def create_user(call: Call, org: str, body: UserJson) -> UserJson:
    """Create a user."""
    call.fetch_organization(org)
    call.check_body_organization(body.organization)
    return records.insert_user(call, body, org)


@app.route("GET", "/security/rest/v1/organization/{org}/users", USER)
def list_users(
    call: Call, org: str, listing: Listing, active: bool | None = None, deleted: bool = False
) -> Listed[UserJson]:
    """List users of an organization."""
    call.fetch_organization(org)
    return call.page(
        listing,
        USERS.equal(users.c.active, active).matching(listing.filter_text, users.c.id, users.c.name),
        {"ID": users.c.id, "NAME": users.c.name, "EMAIL": users.c.email},
        show_all=lambda rows: records.show_users(call, rows),
        org=org,
        deleted=deleted,
    )


@app.route("GET", "/security/rest/v1/organization/{org}/user/{user}", USER)
def get_user(call: Call, user: str) -> UserJson:
    """Return a user."""
    return records.show_users(call, [fetch_own(call, users, user, "User")])[0]


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/user/{user}",
    ORG_ADMIN,
    choice="passwordGenerated false keeps the generated password valid until it is changed, "
    "as the public bootstrap script relies on",
)
def update_user(call: Call, org: str, user: str, body: UserJson) -> UserJson:
    """Update a user; roles and groups take effect at the next login."""
    before = get_user(call, user)
    check_same(body.id, before.id)
    after = replace(
        before,
        name=body.name,
        name_in_org=body.name_in_org,
        roles=records.check_user_roles(call, body, org),
        **{name: given for name in OPTIONAL if (given := getattr(body, name)) is not None},
        **call.changed,
    )
    call.db.execute(users.update().where(users.c.id == before.id).values(stored(after, users)))
    if body.groups is not None:
        call.db.execute(group_members.delete().where(group_members.c.user_id == before.id))
        records.insert_memberships(call, before.id, org, body.groups)
    if not after.active:
        end_sessions(call, [before.id])
    after = get_user(call, user)
    for each in fields(UserJson):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if old != new and each.name not in call.changed:
            texts = [value if isinstance(value, str) else dump(value) for value in (new, old)]
            audit_action(call, org, "USER_UPDATE", user, each.encode_name, *texts)
    return after


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/user/{user}/updatePassword",
    USER,
    release=3,
    choice=f"fields oldPassword and newPassword ({MIN_LENGTH} characters or more); users change their own "
    "with the old one, administrators that of others without it; other sessions of the user end",
)
def update_password(call: Call, user: str, body: PasswordsJson) -> None:
    """Set a password."""
    row = fetch_own(call, users, user, "User")
    own = row.id == call.principal.id
    if not own and not call.principal.is_org_admin:
        raise forbidden("the password of another user is changed by an administrator")
    if not MIN_LENGTH <= len(body.new_password) <= MAX_LENGTH:
        raise bad_request(f"the new password must have {MIN_LENGTH} to {MAX_LENGTH} characters")
    if own and not verify_password(body.old_password or "", row.password_hash, row.id):
        raise forbidden("the old password is wrong")
    values = {
        "password_hash": hash_password(body.new_password),
        "password_generated": False,
        "password_expiry_time": call.now + call.fetch_organization(row.organization).password_expiry_ms,
    }
    call.db.execute(users.update().where(users.c.id == row.id).values(values | call.changed))
    end_sessions(call, [row.id], keep=call.principal.token_hash)
    audit_action(call, row.organization, "USER_SET_PASSWORD", row.id)


@app.route("POST", "/security/rest/v1/organization/{org}/users/deactivate", ORG_ADMIN, release=3)
def deactivate_users(call: Call, body: list[str]) -> list[str]:
    """Deactivate users and end their sessions."""
    _set_active(call, body, False)
    end_sessions(call, body)
    return []


@app.route(
    "POST",
    "/security/rest/v1/organization/{org}/users/activate",
    ORG_ADMIN,
    release=3,
    choice="not in the reference; the counterpart of deactivate",
)
def activate_users(call: Call, body: list[str]) -> list[str]:
    """Activate users."""
    _set_active(call, body, True)
    return []


def _set_active(call: Call, ids: list[str], active: bool) -> None:
    for user_id in ids:
        fetch_own(call, users, user_id, "User")
        audit_action(call, call.organization, "USER_ACTIVATE" if active else "USER_DEACTIVATE", user_id)
    call.db.execute(users.update().where(users.c.id.in_(ids)).values(active=active, **call.changed))


@app.route(
    "DELETE",
    "/security/rest/v1/organization/{org}/user/{user}",
    ORG_ADMIN,
    release=3,
    choice="refused with 400 while the user is active; soft delete, the id stays taken",
)
def delete_user(call: Call, user: str) -> None:
    """Delete a deactivated user."""
    delete_users(call, [user])


@app.route("POST", "/security/rest/v1/organization/{org}/users/delete", ORG_ADMIN, release=3)
def delete_users(call: Call, body: list[str]) -> list[str]:
    """Delete deactivated users."""
    for user_id in body:
        if fetch_own(call, users, user_id, "User").active:
            raise bad_request(f"user '{user_id}' is active; deactivate it first")
        audit_action(call, call.organization, "USER_DELETE", user_id)
    records.mark_deleted(call, users, body)
    call.db.execute(group_members.delete().where(group_members.c.user_id.in_(body)))
    return []
