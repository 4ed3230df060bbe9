"""Access control lists: written with every object, read where permissions are enforced."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from psrlib.hub.security import configuration
from psrlib.hub.store.queries import by_key, insert_rows
from psrlib.hub.store.schema import design
from psrlib.hub.web.access import Principal
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import forbidden


def new_acl(call: Call, resource_id: str, resource_type: str, organization: str) -> dict[str, Any]:
    """Return the row of a new object's ACL: the caller owns it and holds every action."""
    return acl_row(call.principal.id, call.now, resource_id, resource_type, organization)


def acl_row(
    owner: str, now_ms: int, resource_id: str, resource_type: str, organization: str
) -> dict[str, Any]:
    """Return the row of an ACL whose owner holds every action."""
    permission = {
        "resourceId": resource_id,
        "subjectId": owner,
        "subjectType": "USER",
        "actions": ["READ", "WRITE", "EXECUTE"],
        "lastModifiedBy": owner,
        "lastModifiedOn": now_ms,
    }
    return {
        "resource_id": resource_id,
        "organization": organization,
        "resource_type": resource_type,
        "resource_owner": owner,
        "resource_created_time": now_ms,
        "permissions": [permission],
        "last_modified_by": owner,
        "last_modified_on": now_ms,
    }


def insert_acls(call: Call, resource_type: str, ids: Iterable[str], organization: str) -> None:
    """Write the ACLs of new objects."""
    rows = [new_acl(call, resource_id, resource_type, organization) for resource_id in ids]
    insert_rows(call.db, design.acls, rows)


def drop_acls(call: Call, ids: list[str]) -> None:
    """Delete the ACLs of deleted objects."""
    call.db.execute(design.acls.delete().where(design.acls.c.resource_id.in_(ids)))


def check_permission(call: Call, resource_id: str, action: str) -> None:
    """Refuse the caller an action on an object where the organization enforces permissions.

    Organization administrators are exempt (control-hub-rest.md, section 8).

    Raises
    ------
    IssueError
        403 naming the action and the object.
    """
    principal = call.principal
    if principal.is_org_admin:
        return
    entries = configuration.remembered(call.hub.cache, call.db, principal.organization)
    if entries[configuration.PERMISSIONS].lower() != "true":
        return
    if not is_permitted(call.db, principal, resource_id, action):
        raise forbidden(f"'{principal.id}' has no {action} permission on '{resource_id}'")


def is_permitted(connection: Connection, principal: Principal, resource_id: str, action: str) -> bool:
    """Whether an object's ACL gives a user an action; objects without one are open."""
    row = by_key(design.acls, "resource_id").first(connection, key=resource_id)
    if row is None or row.resource_owner == principal.id:
        return True
    subjects = {principal.id, *principal.groups}
    return any(
        permission.get("subjectId") in subjects and action in permission.get("actions", ())
        for permission in row.permissions
    )
