"""Access control lists: written with every object, read where permissions are enforced."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import Connection, Table

from psrlib.hub.security import configuration
from psrlib.hub.store.queries import Row, by_key, insert_rows
from psrlib.hub.store.schema import design
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import Principal
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import forbidden
from psrlib.hub.web.records import Millis

ACTIONS = ["READ", "WRITE", "EXECUTE"]


class PermissionJson(Struct, rename="camel"):
    """What one subject may do with an object; kept as it is on the wire."""

    subject_id: str
    actions: list[str]
    subject_type: str | None = "USER"
    resource_id: str | None = None
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


def acl_row(owner: str, now_ms: int, resource_id: str, resource_type: str, organization: str) -> Json:
    """Return the row of a new object's ACL: its owner holds every action."""
    return {
        "resource_id": resource_id,
        "organization": organization,
        "resource_type": resource_type,
        "resource_owner": owner,
        "resource_created_time": now_ms,
        "permissions": [PermissionJson(owner, ACTIONS, "USER", resource_id, owner, now_ms)],
        "last_modified_by": owner,
        "last_modified_on": now_ms,
    }


def insert_acls(call: Call, resource_type: str, ids: Iterable[str], organization: str) -> None:
    """Write the ACLs of new objects, which the caller owns."""
    rows = [acl_row(call.principal.id, call.now, each, resource_type, organization) for each in ids]
    insert_rows(call.db, design.acls, rows)


def drop_acls(call: Call, ids: list[str]) -> None:
    """Delete the ACLs of deleted objects."""
    call.db.execute(design.acls.delete().where(design.acls.c.resource_id.in_(ids)))


def check_permission(call: Call, resource_id: str, action: str) -> None:
    """Refuse the caller an action on an object (403), where the organization enforces permissions.

    Organization administrators are exempt (control-hub-rest.md, section 8).
    """
    principal = call.principal
    if principal.is_org_admin:
        return
    enforced = configuration.is_on(call.hub.cache, call.db, principal.organization, configuration.PERMISSIONS)
    if enforced and not is_permitted(call.db, principal, resource_id, action):
        raise forbidden(f"'{principal.id}' has no {action} permission on '{resource_id}'")


def permitted(call: Call, table: Table, entity_id: str, kind: str, action: str) -> Row:
    """Return the row of an object on which the caller may act; 404 and 403 otherwise."""
    row = call.fetch(table, entity_id, kind)
    check_permission(call, row.id, action)
    return row


def all_permitted(call: Call, table: Table, ids: Sequence[str], kind: str, action: str) -> list[Row]:
    """Return the rows of objects on all of which the caller may act, in the order of their ids."""
    rows = call.fetch_all(table, ids, kind)
    for row in rows:
        check_permission(call, row.id, action)
    return rows


def is_permitted(connection: Connection, principal: Principal, resource_id: str, action: str) -> bool:
    """Whether an object's ACL gives a user an action; objects without one are open."""
    row = by_key(design.acls, "resource_id").first(connection, key=resource_id)
    if row is None or row.resource_owner == principal.id:
        return True
    subjects = {principal.id, *principal.groups}
    return any(
        permission["subjectId"] in subjects and action in permission["actions"]
        for permission in row.permissions
    )
