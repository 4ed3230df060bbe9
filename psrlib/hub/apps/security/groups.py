"""Security app: groups, roles and component types."""

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from psrlib.hub.apps.security.records import (
    DELETED,
    GroupJson,
    all_group,
    audit_action,
    check_id,
    check_roles,
)
from psrlib.hub.security.roles import ROLES
from psrlib.hub.store.queries import Query, Row, any_of
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import contains, dump
from psrlib.hub.web.call import LISTING, Call
from psrlib.hub.web.issues import bad_request, duplicate, not_found
from psrlib.hub.web.routing import EITHER, ORG_ADMIN, USER, App

app = App("security", "Groups and roles")
GROUPS = Query(
    select(security.groups).where(
        security.groups.c.organization == bindparam("org"), security.groups.c.deleted == bindparam("deleted")
    )
)
EVERYONE = Query(
    select(security.users.c.id)
    .where(security.users.c.organization == bindparam("org"), ~security.users.c.deleted)
    .order_by(security.users.c.id)
)
MEMBERS = any_of(
    lambda ids: (
        select(security.group_members)
        .where(security.group_members.c.group_id.in_(ids))
        .order_by(security.group_members.c.user_id)
    )
)


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
        "external_group_ids": new.externalGroupIds,
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


def fetch_group(call: Call, group_id: str) -> Row:
    """Return a group of the call's organization."""
    row = call.fetch(security.groups, group_id, "Group")
    if row.organization != call.organization or row.deleted:
        raise not_found("Group", group_id)
    return row


def groups_json(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return groups in wire form, members read in one query."""
    users: dict[str, list[str]] = {row.id: [] for row in rows}
    for member in MEMBERS(call.db, users):
        users[member.group_id].append(member.user_id)
    return [_group_json(row, users[row.id]) for row in rows]


def _group_json(row: Row, users: list[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "roles": row.roles,
        "users": users,
        "externalGroupIds": row.external_group_ids,
        "groupDeleted": row.deleted,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def _everyone(call: Call, org: str) -> dict[str, Any]:
    organization = call.fetch_organization(org)
    return {
        "id": all_group(org),
        "organization": org,
        "name": "all",
        "roles": ["user"],
        "users": [row.id for row in EVERYONE.rows(call.db, org=org)],
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
    statement: Query = GROUPS
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
    values = {"org": org, "deleted": call.query["deleted"]}
    page = call.old_page(statement, order, lambda rows: groups_json(call, rows), **values)
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
        "external_group_ids": new.externalGroupIds,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    call.db.execute(security.groups.update().where(security.groups.c.id == row.id).values(values))
    if new.users is not None:
        members = groups_json(call, [row])[0]["users"]
        _set_members(call, row.id, org, new.users)
        audit_action(call, org, "GROUP_USER_UPDATE", row.id, "users", dump(new.users), dump(members))
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
