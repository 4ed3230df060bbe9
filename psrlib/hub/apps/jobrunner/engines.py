"""Jobrunner app: engines, their labels, thresholds and pipelines; the endpoints of sync mode."""

from collections import defaultdict
from functools import partial
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.apps.jobrunner.records import OPERATOR
from psrlib.hub.apps.jobrunner.status import (
    ID_SEPARATOR,
    PipelineStatusJson,
    name_on_engine,
    show_instance,
)
from psrlib.hub.runner import engine_records, intake, lifecycle, words
from psrlib.hub.runner.decisions import engine_labels
from psrlib.hub.runner.entities import Engine, Job
from psrlib.hub.runner.reports import PipelineStatus, ProcessFigures, StatusListJson, read
from psrlib.hub.runner.work import RunnerWork, heartbeat_ms, work_of
from psrlib.hub.security.acl import drop_acls, permitted
from psrlib.hub.store.queries import Query, Row, by_key
from psrlib.hub.store.schema.execution import engine_events, engines, instances
from psrlib.hub.store.text import Json, contains, has_item
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import Listed, Listing, show
from psrlib.hub.web.routing import COMPONENT, EITHER, USER, App, roles

app = App("jobrunner")
MANAGER = roles("datacollector:admin", "datacollector:manager", "jobrunner:operator")
Percent = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
ENGINES = Query(select(engines).where(engines.c.organization == bindparam("org")))
ORDER = {
    name.upper(): engines.c[name] for name in ("id", "last_reported_time", "http_url", "version", "cpu_load")
}
PRESENT = select(instances).where(instances.c.phase != words.GONE).order_by(instances.c.id)
NAMES = PRESENT.with_only_columns(instances.c.engine_id, instances.c.name, instances.c.status)
PRESENT_IN = Query(NAMES.where(instances.c.organization == bindparam("org")))
PRESENT_ON = Query(PRESENT.where(instances.c.engine_id == bindparam("engine")))


class EngineJson(Struct, rename="camel", kw_only=True):
    """An engine (control-hub-rest.md, 6.3).

    ``pipelines_committed`` are those about to start, without a status yet; ``pipelines_count`` the others.
    """

    id: str
    organization: str
    http_url: str
    version: str
    labels: list[str]
    reported_labels: list[str]
    pipelines_committed: list[str]
    last_reported_time: int
    start_up_time: int
    responding: bool
    executor_type: str
    edge: bool
    offset_protocol: int = field(name="offsetProtocolVersion")
    cpu_load: float
    total_memory: int
    used_memory: float
    pipelines_count: int
    max_cpu_load: float
    max_memory_used: float
    max_pipelines: int = field(name="maxPipelinesRunning")
    deployment_id: str | None
    id_separator: str = ID_SEPARATOR
    csp_deployment_id: str | None = None


class EngineUpdateJson(Struct, rename="camel"):
    """What is changed of an engine, or the whole engine; thresholds of None stay."""

    WHOLE: ClassVar = EngineJson
    id: str | None = None
    organization: str | None = None
    labels: list[str] | None = None
    max_cpu_load: Percent | None = None
    max_memory_used: Percent | None = None
    max_pipelines: Count | None = field(default=None, name="maxPipelinesRunning")


class Finding(Listing, rename="camel"):
    """Which engines a listing is about."""

    executor_type: str | None = None
    edge: bool | None = None
    label: str | None = None
    version: str | None = None


class LoadFinding(Finding, rename="camel"):
    """Which engines a listing of load figures is about."""

    executor_type: str | None = "COLLECTOR"


def show_engines(call: Call, rows: list[Row]) -> list[EngineJson]:
    """Return engines in wire form, with what the hub remembers of their polls."""
    present: dict[str, list[Row]] = defaultdict(list)
    heartbeat = {}
    for organization in {row.organization for row in rows}:
        heartbeat[organization] = heartbeat_ms(call.hub, call.db, organization)
        for instance in PRESENT_IN.rows(call.db, org=organization):
            present[instance.engine_id].append(instance)
    return [_show(call, row, present[row.id], heartbeat[row.organization]) for row in rows]


def _show(call: Call, row: Row, present: list[Row], heartbeat_ms: int) -> EngineJson:
    contacts = call.hub.contacts
    figures = contacts.figures.get(row.id)
    return show(
        EngineJson,
        row,
        pipelines_committed=[name_on_engine(i.name) for i in present if not i.status],
        pipelines_count=sum(bool(i.status) for i in present),
        last_reported_time=max(row.last_reported_time, contacts.last_poll.get(row.id, 0)),
        responding=contacts.is_responding(row.id, call.now, heartbeat_ms, row.last_reported_time),
        edge=row.executor_type == "EDGE",
        cpu_load=figures.cpu_load if figures else row.cpu_load,
        used_memory=figures.used_memory if figures else row.used_memory,
    )


def _finding(finding: Finding) -> Query:
    query = ENGINES
    for name in ("executor_type", "version"):
        if value := getattr(finding, name):
            query = query.where(engines.c[name] == value)
    if finding.edge:
        query = query.where(engines.c.executor_type == "EDGE")
    if label := finding.label:
        query = query.where(has_item(engines.c.labels, label) | has_item(engines.c.reported_labels, label))
    if text := finding.filter_text:
        query = query.where(contains(engines.c.http_url, text) | contains(engines.c.id, text))
    return query


def _found(call: Call, finding: Finding) -> list[Row]:
    return _finding(finding).rows(call.db, org=call.organization)


def _page(call: Call, finding: Finding, wrap: bool) -> Listed[EngineJson]:
    return call.page(
        finding, _finding(finding), ORDER, show_all=lambda rows: show_engines(call, rows), wrap=wrap
    )


@app.route("GET", "/jobrunner/rest/v1/sdcs", USER)
def list_engines(call: Call, finding: Finding) -> Listed[EngineJson]:
    """List engines."""
    return _page(call, finding, finding.with_wrapper)


@app.route("GET", "/jobrunner/rest/v1/metrics/executors", USER)
def executors(call: Call, finding: LoadFinding) -> Listed[EngineJson]:
    """List engines with load figures, always wrapped."""
    return _page(call, finding, True)


@app.route("GET", "/jobrunner/rest/v1/sdcs/labels", USER)
def list_engine_labels(call: Call, finding: Finding) -> list[str]:
    """List the labels of all engines."""
    labels = {label for row in _found(call, finding) for label in engine_labels(row)}
    return call.slice(finding, sorted(labels))


@app.route("GET", "/jobrunner/rest/v1/sdcs/versions", USER)
def list_engine_versions(call: Call, finding: Finding) -> list[str]:
    """List the versions of all engines."""
    return call.slice(finding, sorted({row.version for row in _found(call, finding)}))


@app.route("GET", "/jobrunner/rest/v1/sdc/{engine}", EITHER)
def get_engine(call: Call, engine: str) -> EngineJson:
    """Return an engine."""
    return show_engines(call, [_fetch(call, engine)])[0]


def _fetch(call: Call, engine: str) -> Row:
    return call.fetch(engines, engine, "Engine")


def _fetch_own(call: Call, engine: str) -> Row:
    return permitted(call, engines, engine, "Engine", "WRITE")


@app.route("GET", "/jobrunner/rest/v1/sdc/{engine}/labels", USER)
def get_engine_labels(call: Call, engine: str) -> list[str]:
    """Return the labels assigned to an engine in the hub."""
    return list(_fetch(call, engine).labels)


@app.route(
    "POST",
    "/jobrunner/rest/v1/sdc/{engine}/updateLabels",
    MANAGER,
    choice="an engine answers to assigned and reported labels together; running jobs move at the next sync",
)
def update_labels(call: Call, engine: str, body: EngineUpdateJson) -> EngineJson:
    """Replace the labels assigned in the hub."""
    row = _fetch_own(call, engine)
    if body.id is not None and body.id != row.id:
        raise bad_request(f"the body's id is '{body.id}', the path's '{row.id}'")
    return _update(call, row, {"labels": list(dict.fromkeys(body.labels or []))})


def _update(call: Call, row: Row, values: dict[str, object]) -> EngineJson:
    if values:
        call.db.execute(engines.update().where(engines.c.id == row.id).values(values))
    return get_engine(call, row.id)


@app.route(
    "POST",
    "/jobrunner/rest/v1/sdc/{engine}/updateSdcResourceThresholds",
    MANAGER,
    choice="maxMemoryUsed in percent of the reported total memory",
)
def update_thresholds(call: Call, engine: str, body: EngineUpdateJson) -> EngineJson:
    """Change the thresholds above which an engine gets no more pipelines."""
    row = _fetch_own(call, engine)
    given = {name: getattr(body, name) for name in ("max_cpu_load", "max_memory_used", "max_pipelines")}
    return _update(call, row, {name: value for name, value in given.items() if value is not None})


@app.route(
    "GET", "/jobrunner/rest/v1/sdc/{engine}/pipelines", USER, choice="pipelines of jobs; local ones unknown"
)
def engine_pipelines(call: Call, engine: str) -> list[PipelineStatusJson]:
    """List the pipelines of an engine."""
    return [show_instance(call, i) for i in PRESENT_ON.rows(call.db, engine=_fetch(call, engine).id)]


@app.route(
    "DELETE",
    "/jobrunner/rest/v1/sdc/{engine}",
    MANAGER,
    choice="its pipelines are given up; the engine appears again when it polls with a valid token; one that "
    "never polled, or was deleted before, leaves nothing to do",
)
def delete_engine(call: Call, engine: str) -> None:
    """Forget an engine."""
    delete_engines(call, [engine])


@app.route("POST", "/jobrunner/rest/v1/sdcs/delete", MANAGER, choice="all or nothing")
def delete_engines(call: Call, body: list[str]) -> None:
    """Forget several engines."""
    known = [engine for engine in dict.fromkeys(body) if by_key(engines).first(call.db, key=engine)]
    for engine in known:
        row = _fetch_own(call, engine)
        _give_up(call, row.id)
        call.db.execute(engines.delete().where(engines.c.id == row.id))
        call.db.execute(engine_events.delete().where(engine_events.c.engine_id == row.id))
        call.after.append(partial(call.hub.contacts.forget, row.id))
    drop_acls(call, known)


def _give_up(call: Call, engine_id: str) -> None:
    work = work_of(call)
    for instance in work.instances_on(engine_id):
        lifecycle.give_up(work, instance)
    work.flush()


@app.route("POST", "/jobrunner/rest/v1/sdc/clearPipelinesCommitted/{engine}", MANAGER)
def clear_pipelines(call: Call, engine: str) -> EngineJson:
    """Give up the pipelines of an engine."""
    _give_up(call, _fetch(call, engine).id)
    return get_engine(call, engine)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/balanceSDCs",
    OPERATOR,
    choice="balances every running job with a pipeline on one of the engines",
)
def balance_engines(call: Call, body: list[str]) -> list[str]:
    """Redistribute the jobs of engines."""
    work = work_of(call)
    call.fetch_all(engines, body, "Engine")
    found = select(instances.c.job_id).where(instances.c.engine_id.in_(body), instances.c.phase != words.GONE)
    for job_id in sorted(set(call.db.execute(found).scalars())):
        job = work.get(Job, job_id)
        if job is not None:
            lifecycle.balance(work, job)
    return []


def _record(call: Call) -> tuple[RunnerWork, Engine]:
    work = work_of(call)
    call.hub.contacts.note(call.principal.id, call.now)
    return work, engine_records.find_or_insert(work, call.principal)


@app.route("POST", "/jobrunner/rest/v1/sdc/updateLastModifiedTime", COMPONENT)
def heartbeat(call: Call) -> None:
    """Take the heartbeat of an engine in sync mode."""
    _record(call)


@app.route("POST", "/jobrunner/rest/v1/job/pipelineStatusEvents", COMPONENT)
def statuses_of_engine(call: Call, body: StatusListJson) -> None:
    """Take the statuses of all pipelines of an engine in sync mode."""
    work, engine = _record(call)
    intake.take_all_statuses(work, engine, body.statuses())


@app.route("POST", "/jobrunner/rest/v1/job/pipelineStatusEvent", COMPONENT)
def status_of_pipeline(call: Call, body: Json) -> None:
    """Take one status change in sync mode."""
    work, engine = _record(call)
    intake.take_status(work, engine, [read(PipelineStatus, body)])


@app.route("POST", "/jobrunner/rest/v1/sdc/processMetrics", COMPONENT)
def process_metrics(call: Call, body: Json) -> None:
    """Take CPU and memory figures in sync mode."""
    work, _ = _record(call)
    intake.take_figures(work, call.principal, read(ProcessFigures, body))


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/metrics",
    COMPONENT,
    choice="taken and dropped: timeseries has the same figures",
)
def job_metrics(call: Call, body: list[Json]) -> None:
    """Take job metrics (off by default in engines)."""
