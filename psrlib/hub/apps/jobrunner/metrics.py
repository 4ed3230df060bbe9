"""Jobrunner app: metrics of runs, problematic jobs, ACL audits."""

from typing import Any

from sqlalchemy import select

from psrlib.hub.apps.jobrunner.jobs import FINDING, ORDER, finding
from psrlib.hub.apps.jobrunner.records import jobs_json
from psrlib.hub.runner.words import RED
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.schema.design import acl_audits
from psrlib.hub.store.schema.execution import jobs, metrics, runs
from psrlib.hub.web.call import ORGANIZATION, WRAPPER, Call
from psrlib.hub.web.routing import ORG_ADMIN, USER, App, Parameter

app = App("jobrunner", "Metrics of runs and ACL audits")


@app.route(
    "GET",
    "/jobrunner/rest/v1/metrics/job/{job}",
    USER,
    query=(Parameter("runCount", "integer"), Parameter("sdcId"), Parameter("jobId")),
    choice="counters of several engines are added up, other figures are of the last one",
)
def job_metrics(call: Call) -> Any:
    """Return the metric registry of a run."""
    job = call.fetch(jobs, call.path["job"], "Job")
    check_permission(call, job.id, "READ")
    statement = select(metrics).where(metrics.c.job_id == job.id).order_by(metrics.c.engine_id)
    wanted = call.query["runCount"]
    if not wanted and job.current_run:
        wanted = call.db.execute(select(runs.c.run_count).where(runs.c.id == job.current_run)).scalar()
    statement = statement.where(metrics.c.run_count == (wanted or 0))
    if engine_id := call.query["sdcId"]:
        statement = statement.where(metrics.c.engine_id == engine_id)
    merged: dict[str, Any] = {}
    for row in call.db.execute(statement):
        _add(merged, row.document)
    return merged


def _add(merged: dict[str, Any], registry: dict[str, Any]) -> None:
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


@app.route("GET", "/jobrunner/rest/v1/metrics/problematicJobs", USER, query=FINDING)
def problematic_jobs(call: Call) -> Any:
    """List jobs whose current status is red."""
    if not call.query["jobStatus"]:
        call.query["jobStatus"] = "INACTIVE"
    statement = finding(call).where(runs.c.color == RED)
    return call.old_page(statement, ORDER, lambda rows: jobs_json(call, rows), org=call.organization)


@app.route(
    "GET",
    "/jobrunner/rest/v1/metrics/listAclAudits",
    ORG_ADMIN,
    query=(
        ORGANIZATION,
        Parameter("offset", "integer", 0),
        Parameter("len", "integer", -1),
        Parameter("sortField"),
        Parameter("sortOrder", "text", "DESC"),
        WRAPPER,
    ),
)
def list_acl_audits(call: Call) -> Any:
    """List changes of access control lists."""
    call.query["order"] = call.query["sortOrder"]
    statement = select(acl_audits).where(acl_audits.c.organization == call.organization)
    return call.old_page(
        statement,
        {"TIME": acl_audits.c.id},
        lambda rows: [
            {
                "id": str(row.id),
                "organization": row.organization,
                "resourceId": row.resource_id,
                "resourceType": row.resource_type,
                "userId": row.user_id,
                "time": row.time,
                "permissions": row.permissions,
            }
            for row in rows
        ],
    )
