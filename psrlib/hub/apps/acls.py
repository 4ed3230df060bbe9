"""ACLs of all kinds of objects: one pattern, eleven paths (control-hub-rest.md, section 8)."""

from msgspec import Struct, convert
from msgspec.structs import replace
from sqlalchemy import Table

from psrlib.hub.security.acl import ACTIONS, PermissionJson, all_permitted, permitted
from psrlib.hub.store.queries import Row, by_key, insert_rows
from psrlib.hub.store.schema import automation, design, execution, security
from psrlib.hub.store.schema.design import acl_audits, acls
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_same
from psrlib.hub.web.records import Millis, show, stored
from psrlib.hub.web.routing import USER, App

app = App("acl")

# path below which acl and permissions/{subject} are served, table, resourceType
RESOURCES: tuple[tuple[str, Table, str], ...] = (
    ("/jobrunner/rest/v1/job", execution.jobs, "JOB"),
    ("/jobrunner/rest/v1/sdc", execution.engines, "SDC"),
    ("/pipelinestore/rest/v1/pipeline", design.pipelines, "PIPELINE"),
    ("/topology/rest/v1/topology", design.topologies, "TOPOLOGY"),
    ("/connection/rest/v1/connection", design.connections, "CONNECTION"),
    ("/reporting/rest/v1/report", design.report_definitions, "REPORT_DEFINITION"),
    ("/notification/rest/v1/eventsub", automation.subscriptions, "EVENT_SUBSCRIPTION"),
    ("/notification/rest/v1/alerts", automation.alerts, "ALERT"),
    ("/scheduler/rest/v1/jobs", automation.tasks, "SCHEDULER_JOB"),
    ("/provisioning/rest/v1/deployment", automation.deployments, "DEPLOYMENT"),
    ("/provisioning/rest/v1/dpmAgent", automation.agents, "DPM_AGENT"),
)
RESOURCES_4 = (
    ("/provisioning/rest/v1/csp/environment", automation.csp_environments, "CSP_ENVIRONMENT"),
    ("/provisioning/rest/v1/csp/deployment", automation.csp_deployments, "CSP_DEPLOYMENT"),
    ("/sequencing/rest/v1/sequencing", automation.sequences, "JOB_SEQUENCE"),
)
NO_PERMISSIONS = ("JOB_SEQUENCE",)  # kinds of objects without the path for one subject


class AclJson(Struct, rename="camel"):
    """The access control list of an object."""

    permissions: list[PermissionJson] | None = None
    resource_id: str | None = None
    resource_type: str | None = None
    organization: str | None = None
    resource_owner: str | None = None
    resource_created_time: Millis | None = None
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None


def _acl_of(call: Call, resource: Row, kind: str) -> AclJson:
    """Return the ACL that is stored, or that of an object that came without one, such as an engine."""
    row = by_key(acls, "resource_id").first(call.db, key=resource.id)
    if row is not None:
        return show(AclJson, row, permissions=convert(row.permissions, list[PermissionJson]))
    owner = getattr(resource, "creator", None)
    owner = owner or call.fetch_organization(resource.organization).primary_admin_id
    created = getattr(resource, "created_on", None) or getattr(resource, "start_up_time", 0) or 0
    return AclJson([], resource.id, kind, resource.organization, owner, created, owner, created)


def _permission(call: Call, new: PermissionJson, resource: Row) -> PermissionJson:
    unknown = [action for action in new.actions if action not in ACTIONS]
    if unknown:
        raise bad_request(f"action '{unknown[0]}': expected READ, WRITE or EXECUTE")
    kind = new.subject_type or "USER"
    if kind not in ("USER", "GROUP"):
        raise bad_request(f"subjectType '{kind}': expected USER or GROUP")
    _check_subject(call, kind, new.subject_id, resource.organization)
    actions = [action for action in ACTIONS if action in new.actions]
    return PermissionJson(new.subject_id, actions, kind, resource.id, call.principal.id, call.now)


def _check_subject(call: Call, kind: str, subject: str, organization: str) -> None:
    if kind == "GROUP" and subject == f"all@{organization}":
        return
    table = security.users if kind == "USER" else security.groups
    row = by_key(table).first(call.db, key=subject)
    if row is None or row.organization != organization or row.deleted:
        raise bad_request(f"{kind.lower()} '{subject}' does not exist in organization '{organization}'")


def _save(call: Call, acl: AclJson) -> AclJson:
    acl = replace(acl, last_modified_by=call.principal.id, last_modified_on=call.now)
    call.db.execute(acls.delete().where(acls.c.resource_id == acl.resource_id))
    insert_rows(call.db, acls, [stored(acl, acls)])
    insert_rows(call.db, acl_audits, [stored(acl, acl_audits, user_id=call.principal.id, time=call.now)])
    return acl


def _serve(base: str, table: Table, kind: str, release: int = 0) -> None:
    def fetch(call: Call, resource_id: str, action: str) -> tuple[Row, AclJson]:
        resource = permitted(call, table, resource_id, kind, action)
        return resource, _acl_of(call, resource, kind)

    def get(call: Call, id: str) -> AclJson:
        return fetch(call, id, "READ")[1]

    def update(call: Call, id: str, body: AclJson) -> AclJson:
        resource, acl = fetch(call, id, "WRITE")
        if body.permissions is not None:
            acl.permissions = [_permission(call, each, resource) for each in body.permissions]
        if body.resource_owner:
            _check_subject(call, "USER", body.resource_owner, resource.organization)
            acl.resource_owner = body.resource_owner
        return _save(call, acl)

    def set_one(call: Call, id: str, subject: str, body: PermissionJson) -> AclJson:
        resource, acl = fetch(call, id, "WRITE")
        check_same(body.subject_id, subject, "subjectId")
        acl.permissions = [each for each in acl.permissions or [] if each.subject_id != subject]
        if body.actions:
            acl.permissions.append(_permission(call, body, resource))
        return _save(call, acl)

    get.__doc__ = f"Return the ACL of an object of type {kind}."
    update.__doc__ = f"Replace the ACL of an object of type {kind}."
    set_one.__doc__ = f"Set what one subject may do with an object of type {kind}."
    app.route("GET", f"{base}/{{id}}/acl", USER, release=release)(get)
    choice = "a list of permissions replaces the whole list; a new owner must be a user of the organization"
    app.route("POST", f"{base}/{{id}}/acl", USER, choice=choice, release=release)(update)
    if kind in NO_PERMISSIONS:
        return
    choice = "no actions removes the entry"
    app.route("POST", f"{base}/{{id}}/permissions/{{subject}}", USER, choice=choice, release=release)(set_one)


for _base, _table, _kind in RESOURCES:
    _serve(_base, _table, _kind)
for _base, _table, _kind in RESOURCES_4:
    _serve(_base, _table, _kind, release=4)


@app.route("POST", "/provisioning/rest/v1/csp/deployments/acls", USER, writes=False, release=4)
def deployment_acls(call: Call, body: list[str]) -> list[AclJson]:
    """Return the ACLs of deployments."""
    table, kind = automation.csp_deployments, "CSP_DEPLOYMENT"
    return [_acl_of(call, row, kind) for row in all_permitted(call, table, body, kind, "READ")]
