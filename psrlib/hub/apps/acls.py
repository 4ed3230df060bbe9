"""ACLs of all kinds of objects: one pattern, eleven paths (control-hub-rest.md, section 8)."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Table, select

from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Row, by_key, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.store.schema.automation import agents, alerts, deployments, subscriptions, tasks
from psrlib.hub.store.schema.design import (
    acl_audits,
    acls,
    connections,
    pipelines,
    report_definitions,
    topologies,
)
from psrlib.hub.store.schema.execution import engines, jobs
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App

app = App("acl", "Access control lists of all kinds of objects")
ACTIONS = ("READ", "WRITE", "EXECUTE")
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]

# path below which acl and permissions/{subject} are served, table, resourceType
RESOURCES: tuple[tuple[str, Table, str], ...] = (
    ("/jobrunner/rest/v1/job", jobs, "JOB"),
    ("/jobrunner/rest/v1/sdc", engines, "SDC"),
    ("/pipelinestore/rest/v1/pipeline", pipelines, "PIPELINE"),
    ("/topology/rest/v1/topology", topologies, "TOPOLOGY"),
    ("/connection/rest/v1/connection", connections, "CONNECTION"),
    ("/reporting/rest/v1/report", report_definitions, "REPORT_DEFINITION"),
    ("/notification/rest/v1/eventsub", subscriptions, "EVENT_SUBSCRIPTION"),
    ("/notification/rest/v1/alerts", alerts, "ALERT"),
    ("/scheduler/rest/v1/jobs", tasks, "SCHEDULER_JOB"),
    ("/provisioning/rest/v1/deployment", deployments, "DEPLOYMENT"),
    ("/provisioning/rest/v1/dpmAgent", agents, "PROVISIONING_AGENT"),
)


class PermissionJson(Struct):
    """What one subject may do with an object."""

    subjectId: str
    actions: list[str]
    subjectType: str | None = "USER"
    resourceId: str | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: Millis | None = None


class AclJson(Struct):
    """The access control list of an object."""

    permissions: list[PermissionJson] | None = None
    resourceId: str | None = None
    resourceType: str | None = None
    organization: str | None = None
    resourceOwner: str | None = None
    resourceCreatedTime: Millis | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: Millis | None = None


def _stored(call: Call, resource: Row, kind: str) -> dict[str, Any]:
    row = by_key(acls, "resource_id").first(call.db, key=resource.id)
    if row is not None:
        return row._asdict()
    owner = getattr(resource, "creator", None) or f"admin@{resource.organization}"
    created = getattr(resource, "created_on", None) or getattr(resource, "start_up_time", 0)
    return {
        "resource_id": resource.id,
        "organization": resource.organization,
        "resource_type": kind,
        "resource_owner": owner,
        "resource_created_time": created or 0,
        "permissions": [],
        "last_modified_by": owner,
        "last_modified_on": created or 0,
    }


def _acl_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceId": row["resource_id"],
        "resourceType": row["resource_type"],
        "organization": row["organization"],
        "resourceOwner": row["resource_owner"],
        "resourceCreatedTime": row["resource_created_time"],
        "lastModifiedBy": row["last_modified_by"],
        "lastModifiedOn": row["last_modified_on"],
        "permissions": row["permissions"],
    }


def _permission(call: Call, new: PermissionJson, resource: Row) -> dict[str, Any]:
    unknown = [action for action in new.actions if action not in ACTIONS]
    if unknown:
        raise bad_request(f"action '{unknown[0]}': expected READ, WRITE or EXECUTE")
    kind = new.subjectType or "USER"
    if kind not in ("USER", "GROUP"):
        raise bad_request(f"subjectType '{kind}': expected USER or GROUP")
    _check_subject(call, kind, new.subjectId, resource.organization)
    return {
        "resourceId": resource.id,
        "subjectId": new.subjectId,
        "subjectType": kind,
        "actions": [action for action in ACTIONS if action in new.actions],
        "lastModifiedBy": call.principal.id,
        "lastModifiedOn": call.now,
    }


def _check_subject(call: Call, kind: str, subject: str, organization: str) -> None:
    if kind == "GROUP" and subject == f"all@{organization}":
        return
    table = security.users if kind == "USER" else security.groups
    condition = (table.c.id == subject) & (table.c.organization == organization) & ~table.c.deleted
    if call.db.execute(select(table.c.id).where(condition)).first() is None:
        raise bad_request(f"{kind.lower()} '{subject}' does not exist in organization '{organization}'")


def _save(call: Call, resource: Row, kind: str, values: dict[str, Any]) -> Any:
    row = _stored(call, resource, kind) | values
    row |= {"last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(acls.delete().where(acls.c.resource_id == resource.id))
    insert_rows(call.db, acls, [row])
    audit = {
        "organization": resource.organization,
        "resource_id": resource.id,
        "resource_type": kind,
        "user_id": call.principal.id,
        "time": call.now,
        "permissions": row["permissions"],
    }
    insert_rows(call.db, acl_audits, [audit])
    return _acl_json(row)


def _serve(base: str, table: Table, kind: str) -> None:
    def get(call: Call) -> Any:
        resource = call.fetch(table, call.path["id"], kind)
        check_permission(call, resource.id, "READ")
        return _acl_json(_stored(call, resource, kind))

    def replace(call: Call) -> Any:
        resource, new = call.fetch(table, call.path["id"], kind), call.body
        check_permission(call, resource.id, "WRITE")
        values: dict[str, Any] = {}
        if new.permissions is not None:
            values["permissions"] = [_permission(call, p, resource) for p in new.permissions]
        if new.resourceOwner:
            _check_subject(call, "USER", new.resourceOwner, resource.organization)
            values["resource_owner"] = new.resourceOwner
        return _save(call, resource, kind, values)

    def set_one(call: Call) -> Any:
        resource, new = call.fetch(table, call.path["id"], kind), call.body
        check_permission(call, resource.id, "WRITE")
        if new.subjectId != call.path["subject"]:
            raise bad_request(
                f"the body's subjectId is '{new.subjectId}', the path's '{call.path['subject']}'"
            )
        others = [p for p in _stored(call, resource, kind)["permissions"] if p["subjectId"] != new.subjectId]
        if new.actions:
            others.append(_permission(call, new, resource))
        return _save(call, resource, kind, {"permissions": others})

    get.__doc__ = f"Return the ACL of an object of type {kind}."
    replace.__doc__ = f"Replace the ACL of an object of type {kind}."
    set_one.__doc__ = f"Set what one subject may do with an object of type {kind}."
    app.route("GET", f"{base}/{{id}}/acl", USER, returns=AclJson)(get)
    choice = "a list of permissions replaces the whole list; a new owner must be a user of the organization"
    app.route("POST", f"{base}/{{id}}/acl", USER, body=AclJson, returns=AclJson, choice=choice)(replace)
    path = f"{base}/{{id}}/permissions/{{subject}}"
    app.route(
        "POST", path, USER, body=PermissionJson, returns=AclJson, choice="no actions removes the entry"
    )(set_one)


for _base, _table, _kind in RESOURCES:
    _serve(_base, _table, _kind)
