"""Security app: groups, roles and component types."""

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from psrlib.hub.apps.security import records
from psrlib.hub.apps.security.records import all_group, audit_action, fetch_own
from psrlib.hub.security.roles import ROLES
from psrlib.hub.store.queries import Query, Row, any_of, by_keys, insert_rows
from psrlib.hub.store.schema.security import group_members, groups, users
from psrlib.hub.store.text import dump
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import check_same, duplicate, not_found
from psrlib.hub.web.records import Audited, Listed, Listing, Millis, Page, show, stored
from psrlib.hub.web.routing import EITHER, ORG_ADMIN, USER, App

app = App("security")
GROUPS = Query(
    select(groups).where(groups.c.organization == bindparam("org"), groups.c.deleted == bindparam("deleted"))
)
EVERYONE = Query(
    select(users.c.id).where(users.c.organization == bindparam("org"), ~users.c.deleted).order_by(users.c.id)
)
MEMBERS = any_of(
    lambda ids: (
        select(group_members).where(group_members.c.group_id.in_(ids)).order_by(group_members.c.user_id)
    )
)
COMPONENT_TYPES = {
    "dc": "Data Collector",
    "transformer": "Transformer",
    "dc-edge": "Data Collector Edge",
    "provisioning-agent": "Provisioning Agent",
}


class GroupJson(Audited):
    """A group (control-hub-rest.md, 3.3)."""

    id: str
    name: str
    organization: str | None = None
    roles: list[str] | None = None
    users: list[str] | None = None
    external_group_ids: list[str] | None = None
    deleted: bool | None = field(default=False, name="groupDeleted")
    delete_time: Millis | None = 0
    destroyer: str | None = None


class RoleJson(Struct):
    """A role."""

    id: str
    label: str


class ComponentTypeJson(Struct):
    """A kind of component."""

    id: str
    label: str


@app.route("GET", "/security/rest/v1/roles", USER)
def list_roles(call: Call) -> list[RoleJson]:
    """List role ids with their labels."""
    return [RoleJson(key, label) for key, label in ROLES.items()]


@app.route(
    "PUT",
    "/security/rest/v1/organization/{org}/groups",
    ORG_ADMIN,
    status=201,
    choice="409 for a taken id; all@<organization> is always taken",
)
def create_group(call: Call, org: str, body: GroupJson) -> GroupJson:
    """Create a group, with members when given."""
    call.fetch_organization(org)
    call.check_body_organization(body.organization)
    records.check_id(body.id, org, "group")
    if body.id == all_group(org):
        raise duplicate("Group", body.id)
    roles = records.check_roles(call, body.roles or ["user"], org)
    row = stored(
        body,
        groups,
        organization=org,
        roles=roles,
        deleted=False,
        delete_time=0,
        destroyer=None,
        **call.created,
    )
    try:
        insert_rows(call.db, groups, [row])
    except IntegrityError as error:
        raise duplicate("Group", body.id) from error
    _set_members(call, body.id, org, body.users or [])
    audit_action(call, org, "GROUP_CREATE", body.id)
    return get_group(call, org, body.id)


def _set_members(call: Call, group: str, organization: str, members: list[str]) -> None:
    wanted = list(dict.fromkeys(members))
    found = {
        row.id
        for row in by_keys(users)(call.db, wanted)
        if row.organization == organization and not row.deleted
    }
    for user_id in wanted:
        if user_id not in found:
            raise not_found("User", user_id)
    call.db.execute(group_members.delete().where(group_members.c.group_id == group))
    insert_rows(call.db, group_members, [{"group_id": group, "user_id": user_id} for user_id in wanted])


def _show(call: Call, rows: list[Row]) -> list[GroupJson]:
    """Return groups in wire form, members read in one query."""
    members: dict[str, list[str]] = {row.id: [] for row in rows}
    for member in MEMBERS(call.db, members):
        members[member.group_id].append(member.user_id)
    return [show(GroupJson, row, users=members[row.id]) for row in rows]


def _everyone(call: Call, org: str) -> GroupJson:
    return show(
        GroupJson,
        call.fetch_organization(org),
        id=all_group(org),
        organization=org,
        name="all",
        roles=["user"],
        users=[row.id for row in EVERYONE.rows(call.db, org=org)],
    )


@app.route(
    "GET",
    "/security/rest/v1/organization/{org}/groups",
    USER,
    choice="all@<organization> stands first on the first page",
)
def list_groups(call: Call, org: str, listing: Listing, deleted: bool = False) -> Listed[GroupJson]:
    """List groups of an organization."""
    everyone = _everyone(call, org)
    text, offset, length = listing.filter_text, max(listing.offset, 0), listing.length
    counted = not deleted and (not text or text.lower() in everyone.id)
    shown = [everyone] if counted and offset == 0 and length != 0 else []
    others = listing
    if counted:  # the hub's own group takes place 0 of the listing, so the others move up by one
        room = length - 1 if shown and length > 0 else length
        others = replace(listing, offset=max(offset - 1, 0), length=room)
    page = call.page(
        others,
        GROUPS.matching(text, groups.c.id, groups.c.name),
        {"ID": groups.c.id, "NAME": groups.c.name},
        show_all=lambda rows: _show(call, rows),
        org=org,
        deleted=deleted,
    )
    if isinstance(page, list):
        return shown + page
    return Page(page.total_count + int(counted), offset, length, shown + page.data)


@app.route("GET", "/security/rest/v1/organization/{org}/group/{group}", USER)
def get_group(call: Call, org: str, group: str) -> GroupJson:
    """Return a group."""
    if group == all_group(org):
        return _everyone(call, org)
    return _show(call, [fetch_own(call, groups, group, "Group")])[0]


@app.route("POST", "/security/rest/v1/organization/{org}/group/{group}", ORG_ADMIN)
def update_group(call: Call, org: str, group: str, body: GroupJson) -> GroupJson:
    """Update a group; members are replaced when given."""
    row = fetch_own(call, groups, group, "Group")
    check_same(body.id, row.id)
    values = {
        "name": body.name,
        "roles": row.roles if body.roles is None else records.check_roles(call, body.roles, org),
        "external_group_ids": body.external_group_ids,
    }
    call.db.execute(groups.update().where(groups.c.id == row.id).values(values | call.changed))
    if body.users is not None:
        members = _show(call, [row])[0].users
        _set_members(call, row.id, org, body.users)
        audit_action(call, org, "GROUP_USER_UPDATE", row.id, "users", dump(body.users), dump(members))
    return get_group(call, org, group)


@app.route("DELETE", "/security/rest/v1/organization/{org}/group/{group}", ORG_ADMIN)
def delete_group(call: Call, group: str) -> None:
    """Delete a group."""
    delete_groups(call, [group])


@app.route("POST", "/security/rest/v1/organization/{org}/groups/delete", ORG_ADMIN)
def delete_groups(call: Call, body: list[str]) -> list[str]:
    """Delete groups."""
    for group_id in body:
        fetch_own(call, groups, group_id, "Group")
        audit_action(call, call.organization, "GROUP_DELETE", group_id)
    records.mark_deleted(call, groups, body)
    call.db.execute(group_members.delete().where(group_members.c.group_id.in_(body)))
    return []


@app.route("GET", "/security/rest/v1/componentTypes", EITHER)
def component_types(call: Call) -> list[ComponentTypeJson]:
    """List component types."""
    return [ComponentTypeJson(key, label) for key, label in COMPONENT_TYPES.items()]
