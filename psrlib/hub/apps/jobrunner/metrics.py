"""Jobrunner app: metrics of runs, problematic jobs, ACL audits."""

from msgspec import Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.apps.jobrunner.jobs import Finding, find_jobs
from psrlib.hub.apps.jobrunner.records import JobJson
from psrlib.hub.runner import words
from psrlib.hub.security.acl import permitted
from psrlib.hub.store.queries import Query, by_key, of_organization
from psrlib.hub.store.schema.design import acl_audits
from psrlib.hub.store.schema.execution import jobs, metrics, runs
from psrlib.hub.store.text import Json, dump
from psrlib.hub.web.call import Call
from psrlib.hub.web.records import AuditPaging, Listed, show
from psrlib.hub.web.routing import ORG_ADMIN, USER, App

app = App("jobrunner")
METRICS = Query(
    select(metrics)
    .where(metrics.c.job_id == bindparam("job"), metrics.c.run_count == bindparam("run_count"))
    .order_by(metrics.c.engine_id)
)


class AclAuditJson(Struct, rename="camel"):
    """A change of an access control list; the new value is the JSON text of its permissions."""

    organization: str = field(name="orgId")
    resource_id: str
    resource_type: str
    user_id: str = field(name="requesterId")
    time: int
    new_value: str


@app.route(
    "GET",
    "/jobrunner/rest/v1/metrics/job/{job}",
    USER,
    choice="counters of several engines are added up, other figures are of the last one",
)
def job_metrics(call: Call, job: str, run_count: int | None = None, sdc_id: str | None = None) -> Json:
    """Return the metric registry of a run."""
    row = permitted(call, jobs, job, "Job", "READ")
    current = by_key(runs).first(call.db, key=row.current_run) if row.current_run else None
    wanted = run_count or (current.run_count if current is not None else 0)
    merged: Json = {}
    for found in METRICS.rows(call.db, job=row.id, run_count=wanted):
        if sdc_id in (None, found.engine_id):
            _add(merged, found.document)
    return merged


def _add(merged: Json, registry: Json) -> None:
    for family, entries in registry.items():
        if not isinstance(entries, dict):
            merged[family] = entries
            continue
        group = merged.setdefault(family, {})
        for name, figure in entries.items():
            old = group.get(name)
            if family == "counters" and isinstance(old, dict) and isinstance(figure, dict):
                group[name] = {"count": (old.get("count") or 0) + (figure.get("count") or 0)}
            else:
                group[name] = figure


@app.route("GET", "/jobrunner/rest/v1/metrics/problematicJobs", USER)
def problematic_jobs(call: Call, finding: Finding) -> Listed[JobJson]:
    """List jobs whose current status is red."""
    return find_jobs(call, finding, runs.c.color == words.RED, status="INACTIVE")


@app.route("GET", "/jobrunner/rest/v1/metrics/listAclAudits", ORG_ADMIN)
def list_acl_audits(call: Call, paging: AuditPaging, organization: str | None = None) -> Listed[AclAuditJson]:
    """List changes of access control lists."""
    return call.page(
        paging,
        of_organization(acl_audits),
        {"TIME": acl_audits.c.id},
        lambda row: show(AclAuditJson, row, new_value=dump(row.permissions)),
    )
