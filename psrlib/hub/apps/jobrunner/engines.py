"""Jobrunner app: engines, their labels, thresholds and pipelines; the endpoints of sync mode."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import bindparam, select

from psrlib.hub.apps.jobrunner.records import OPERATOR
from psrlib.hub.apps.jobrunner.status import instance_json
from psrlib.hub.apps.messaging import take_figures
from psrlib.hub.runner import engine_records, lifecycle
from psrlib.hub.runner.intake import take_statuses
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.selection import engine_labels, pipelines_running
from psrlib.hub.runner.words import GONE
from psrlib.hub.runner.work import Work, work_of
from psrlib.hub.security.acl import check_permission, drop_acls
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.execution import engines, instances
from psrlib.hub.store.text import contains, has_item
from psrlib.hub.web.call import LISTING, ORGANIZATION, PAGING, Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import COMPONENT, EITHER, USER, App, Parameter, roles

app = App("jobrunner", "Engines")
MANAGER = roles("datacollector:admin", "datacollector:manager", "jobrunner:operator")
Percent = Annotated[float, Meta(ge=0)]
KIND = (Parameter("executorType"), Parameter("edge", "boolean"))


class EngineJson(Struct):
    """An engine, as sent back for a change."""

    id: str | None = None
    organization: str | None = None
    labels: list[str] | None = None
    maxCpuLoad: Percent | None = None
    maxMemoryUsed: Percent | None = None
    maxPipelinesRunning: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


def engines_json(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return engines in wire form (control-hub-rest.md, 6.3)."""
    organizations = {row.organization for row in rows}
    work = work_of(call)
    load_of: dict[str, int] = {}
    names: dict[str, list[str]] = {row.id: [] for row in rows}
    heartbeat = {}
    for organization in organizations:
        load_of |= pipelines_running(work, organization)
        heartbeat[organization] = work.heartbeat_ms(organization)
        for instance in LIVE.rows(call.db, org=organization):
            names.setdefault(instance.engine_id, []).append(instance.name)
    return [_engine_json(call, row, load_of.get(row.id, 0), names[row.id], heartbeat) for row in rows]


def _engine_json(
    call: Call, row: Row, n_pipelines: int, names: list[str], heartbeat: dict[str, int]
) -> dict[str, Any]:
    figures = call.hub.contacts.figures.get(row.id)
    last = max(row.last_reported_time, call.hub.contacts.last_poll.get(row.id, 0))
    responding = call.hub.contacts.is_responding(
        row.id, call.now, heartbeat[row.organization], row.last_reported_time
    )
    return {
        "id": row.id,
        "organization": row.organization,
        "httpUrl": row.http_url,
        "version": row.version,
        "labels": row.labels,
        "reportedLabels": row.reported_labels,
        "pipelinesCommitted": names,
        "lastReportedTime": last,
        "startUpTime": row.start_up_time,
        "responding": responding,
        "executorType": row.executor_type,
        "edge": row.executor_type == "EDGE",
        "offsetProtocolVersion": row.offset_protocol,
        "idSeparator": "__",
        "cpuLoad": figures.cpu_load if figures else row.cpu_load,
        "totalMemory": row.total_memory,
        "usedMemory": figures.used_memory if figures else row.used_memory,
        "pipelinesCount": n_pipelines,
        "maxCpuLoad": row.max_cpu_load,
        "maxMemoryUsed": row.max_memory_used,
        "maxPipelinesRunning": row.max_pipelines,
        "deploymentId": row.deployment_id,
        "cspDeploymentId": None,
        "buildInfo": row.build,
    }


ENGINES = Query(select(engines).where(engines.c.organization == bindparam("org")))
LIVE = Query(
    select(instances.c.engine_id, instances.c.name).where(
        instances.c.organization == bindparam("org"), instances.c.phase != GONE
    )
)


def _finding(call: Call) -> Query:
    query = call.query
    statement: Query = ENGINES
    if query.get("executorType"):
        statement = statement.where(engines.c.executor_type == query["executorType"])
    if query.get("edge"):
        statement = statement.where(engines.c.executor_type == "EDGE")
    if query.get("version"):
        statement = statement.where(engines.c.version == query["version"])
    if query.get("label"):
        label = query["label"]
        statement = statement.where(
            has_item(engines.c.labels, label) | has_item(engines.c.reported_labels, label)
        )
    if query.get("filterText"):
        text = query["filterText"]
        statement = statement.where(contains(engines.c.http_url, text) | contains(engines.c.id, text))
    return statement


def _found(call: Call) -> list[Row]:
    return _finding(call).rows(call.db, org=call.organization)


ORDER = {
    "ID": engines.c.id,
    "LAST_REPORTED_TIME": engines.c.last_reported_time,
    "HTTP_URL": engines.c.http_url,
    "VERSION": engines.c.version,
    "CPU_LOAD": engines.c.cpu_load,
}


@app.route(
    "GET", "/jobrunner/rest/v1/sdcs", USER, query=(*LISTING, *KIND, Parameter("label"), Parameter("version"))
)
def list_engines(call: Call) -> Any:
    """List engines."""
    return call.old_page(_finding(call), ORDER, lambda rows: engines_json(call, rows), org=call.organization)


@app.route(
    "GET",
    "/jobrunner/rest/v1/metrics/executors",
    USER,
    query=(
        *LISTING,
        Parameter("executorType", "text", "COLLECTOR"),
        Parameter("label"),
        Parameter("edge", "boolean"),
    ),
)
def executors(call: Call) -> Any:
    """List engines with load figures, always wrapped."""
    return call.old_page(
        _finding(call), ORDER, lambda rows: engines_json(call, rows), wrap=True, org=call.organization
    )


@app.route("GET", "/jobrunner/rest/v1/sdcs/labels", USER, query=(ORGANIZATION, *KIND, *PAGING))
def list_engine_labels(call: Call) -> Any:
    """List the labels of all engines."""
    return call.part(sorted({label for row in _found(call) for label in engine_labels(row)}))


@app.route("GET", "/jobrunner/rest/v1/sdcs/versions", USER, query=(ORGANIZATION, *KIND, *PAGING))
def list_engine_versions(call: Call) -> Any:
    """List the versions of all engines."""
    return call.part(sorted({row.version for row in _found(call)}))


@app.route("GET", "/jobrunner/rest/v1/sdc/{engine}", EITHER)
def get_engine(call: Call) -> Any:
    """Return an engine."""
    return engines_json(call, [_fetch(call)])[0]


def _fetch(call: Call) -> Row:
    return call.fetch(engines, call.path["engine"], "Engine")


@app.route("GET", "/jobrunner/rest/v1/sdc/{engine}/labels", USER)
def get_engine_labels(call: Call) -> Any:
    """Return the labels of an engine, assigned and reported."""
    return sorted(engine_labels(_fetch(call)))


@app.route(
    "POST",
    "/jobrunner/rest/v1/sdc/{engine}/updateLabels",
    MANAGER,
    body=EngineJson,
    choice="an engine answers to assigned and reported labels together; running jobs move at the next sync",
)
def update_labels(call: Call) -> Any:
    """Replace the labels assigned in the hub."""
    row = _fetch(call)
    check_permission(call, row.id, "WRITE")
    if call.body.id is not None and call.body.id != row.id:
        raise bad_request(f"the body's id is '{call.body.id}', the path's '{row.id}'")
    labels = list(dict.fromkeys(call.body.labels or []))
    call.db.execute(engines.update().where(engines.c.id == row.id).values(labels=labels))
    return engines_json(call, [_fetch(call)])[0]


@app.route(
    "POST",
    "/jobrunner/rest/v1/sdc/{engine}/updateSdcResourceThresholds",
    MANAGER,
    body=EngineJson,
    choice="maxMemoryUsed in percent of the reported total memory",
)
def update_thresholds(call: Call) -> Any:
    """Change the thresholds above which an engine gets no more pipelines."""
    row, new = _fetch(call), call.body
    check_permission(call, row.id, "WRITE")
    values = {
        "max_cpu_load": row.max_cpu_load if new.maxCpuLoad is None else new.maxCpuLoad,
        "max_memory_used": row.max_memory_used if new.maxMemoryUsed is None else new.maxMemoryUsed,
        "max_pipelines": row.max_pipelines if new.maxPipelinesRunning is None else new.maxPipelinesRunning,
    }
    call.db.execute(engines.update().where(engines.c.id == row.id).values(values))
    return engines_json(call, [_fetch(call)])[0]


def _live(call: Call, engine_id: str) -> list[Row]:
    statement = select(instances).where(instances.c.engine_id == engine_id, instances.c.phase != GONE)
    return list(call.db.execute(statement.order_by(instances.c.id)))


@app.route(
    "GET", "/jobrunner/rest/v1/sdc/{engine}/pipelines", USER, choice="pipelines of jobs; local ones unknown"
)
def engine_pipelines(call: Call) -> Any:
    """List the pipelines of an engine."""
    return [instance_json(call, i) for i in _live(call, _fetch(call).id)]


@app.route(
    "DELETE",
    "/jobrunner/rest/v1/sdc/{engine}",
    MANAGER,
    choice="its pipelines are given up; the engine appears again when it polls with a valid token",
)
def delete_engine(call: Call) -> Any:
    """Forget an engine."""
    row = _fetch(call)
    check_permission(call, row.id, "WRITE")
    _give_up(call, row.id)
    call.db.execute(engines.delete().where(engines.c.id == row.id))
    drop_acls(call, [row.id])
    call.after.append(lambda: call.hub.contacts.last_poll.pop(row.id, None))
    return None


def _give_up(call: Call, engine_id: str) -> None:
    work = work_of(call)
    for instance in work.instances_on(engine_id, instances.c.phase != GONE):
        lifecycle.give_up(work, instance)


@app.route("POST", "/jobrunner/rest/v1/sdc/clearPipelinesCommitted/{engine}", MANAGER)
def clear_pipelines(call: Call) -> Any:
    """Give up the pipelines of an engine."""
    row = _fetch(call)
    _give_up(call, row.id)
    return engines_json(call, [_fetch(call)])[0]


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/balanceSDCs",
    OPERATOR,
    body=list[str],
    choice="balances every running job with a pipeline on one of the engines",
)
def balance_engines(call: Call) -> Any:
    """Redistribute the jobs of engines."""
    work = work_of(call)
    call.fetch_all(engines, call.body, "Engine")
    found = select(instances.c.job_id).where(instances.c.engine_id.in_(call.body), instances.c.phase != GONE)
    for job_id in sorted(set(call.db.execute(found).scalars())):
        job = work.job(job_id)
        run = work.run(job.current_run) if job is not None and job.current_run else None
        if job is not None and run is not None and run.open:
            lifecycle.balance(work, run, job)
    return []


class StatusListJson(Struct):
    """Statuses of all pipelines of an engine (sync mode)."""

    pipelineStatusEventList: list[dict[str, Any]] | None = None


def _record(call: Call) -> tuple[Work, Record]:
    work = work_of(call)
    call.hub.contacts.note_poll(call.principal.id, call.now)
    return work, engine_records.find_or_insert(work, call.principal)


@app.route("POST", "/jobrunner/rest/v1/sdc/updateLastModifiedTime", COMPONENT)
def heartbeat(call: Call) -> Any:
    """Take the heartbeat of an engine in sync mode."""
    _record(call)
    return Raw(b"")


@app.route("POST", "/jobrunner/rest/v1/job/pipelineStatusEvents", COMPONENT, body=StatusListJson)
def statuses_of_engine(call: Call) -> Any:
    """Take the statuses of all pipelines of an engine in sync mode."""
    work, engine = _record(call)
    take_statuses(work, engine, call.body.pipelineStatusEventList or [], full=True)
    return Raw(b"")


@app.route("POST", "/jobrunner/rest/v1/job/pipelineStatusEvent", COMPONENT, body=dict[str, Any])
def status_of_pipeline(call: Call) -> Any:
    """Take one status change in sync mode."""
    work, engine = _record(call)
    take_statuses(work, engine, [call.body], full=False)
    return Raw(b"")


@app.route("POST", "/jobrunner/rest/v1/sdc/processMetrics", COMPONENT, body=dict[str, Any])
def process_metrics(call: Call) -> Any:
    """Take CPU and memory figures in sync mode."""
    work, _ = _record(call)
    take_figures(work, call.principal, call.body)
    return Raw(b"")


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/metrics",
    COMPONENT,
    body=list[dict[str, Any]],
    choice="taken and dropped: timeseries has the same figures",
)
def job_metrics(call: Call) -> Any:
    """Take job metrics (off by default in engines)."""
    return Raw(b"")
