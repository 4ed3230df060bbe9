"""Jobrunner app: job status, history, counts."""

from collections import defaultdict

from msgspec import Struct, field
from sqlalchemy import bindparam, case, func, select

from psrlib.hub.runner import words
from psrlib.hub.security.acl import check_permission, permitted
from psrlib.hub.store.queries import Query, Row, any_of, by_keys
from psrlib.hub.store.schema.execution import engine_events, instances, jobs, metrics, run_events, runs
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.records import Listed, Listing, Paging, show
from psrlib.hub.web.routing import USER, App

app = App("jobrunner")
EVENTS = ("SAVE", "START", "STOP", "DELETE", "STOP_DELETE")
EVENT_NAMES = {getattr(words, event): f"{event}_PIPELINE" for event in EVENTS}

ID_SEPARATOR = "__"  # of engines; events keep the colons (engine-protocol.md, 8)


class AckTrackerJson(Struct, rename="camel"):
    """What an engine answered to an event."""

    sdc_id: str
    create_time: int
    ack_status: str
    message: str | None
    event_type: str


class PipelineOffsetJson(Struct, rename="camel"):
    """How far the pipeline of a job got on one engine."""

    sdc_id: str
    pipeline_id: str
    offset: str


class PipelineStatusJson(Struct, rename="camel", kw_only=True):
    """The pipeline of a job on one engine."""

    engine_id: str = field(name="sdcId")
    name: str
    title: str
    job_id: str
    local_pipeline: bool = False
    status: str
    last_reported_time: int
    worker: list[Json] = []
    message: str | None
    cluster_mode: bool = False


class CurrentStatusJson(Struct, rename="camel", kw_only=True):
    """What a job that never ran has of a status, too."""

    id: str | None = None
    job_id: str
    status: str | None = None
    color: str | None = None
    run_count: int = 0
    sdc_ids: list[str] = []


class JobStatusJson(CurrentStatusJson, rename="camel", kw_only=True):
    """A run of a job (control-hub-rest.md, 5.4)."""

    commit_id: str = field(name="pipelineCommitId")
    commit_label: str = field(name="pipelineCommitLabel")
    user_id: str = field(name="user")
    start_time: int
    finish_time: int
    error_message: str | None
    error_infos: list[Json] = []
    warnings: list[str]
    ack_trackers: list[AckTrackerJson]
    pipeline_offsets: list[PipelineOffsetJson]
    pipeline_status: list[PipelineStatusJson]
    upgrade_status: Json | None = None
    edge: bool = False
    input_record_count: int = 0
    output_record_count: int = 0
    error_record_count: int = 0
    last_reported_metric_time: int = 0


class RunEventJson(Struct, rename="camel"):
    """One line of a run's history."""

    run_id: str = field(name="jobStatusId")
    user_id: str = field(name="user")
    time: int
    status: str


class StatusCountJson(Struct):
    """How many jobs have a status."""

    status: str
    count: int


class StatusCountsJson(Struct):
    """How many jobs have each status."""

    data: list[StatusCountJson]


INSTANCES = any_of(lambda ids: select(instances).where(instances.c.run_id.in_(ids)).order_by(instances.c.id))
_ACK = [engine_events.c[name] for name in ("instance", "engine_id", "created_on", "state", "message", "type")]
ACKS = any_of(
    lambda numbers: (
        select(*_ACK).where(engine_events.c.instance.in_(numbers)).order_by(engine_events.c.number)
    )
)
COUNTED = ("input_record_count", "output_record_count", "error_record_count")
COUNTS = any_of(
    lambda ids: (
        select(metrics.c.job_id, metrics.c.run_count, func.max(metrics.c.changed_on).label("changed_on"))
        .add_columns(*(func.sum(metrics.c[name.replace("_record", "")]).label(name) for name in COUNTED))
        .where(metrics.c.job_id.in_(ids))
        .group_by(metrics.c.job_id, metrics.c.run_count)
    )
)


def show_runs(call: Call, rows: list[Row]) -> list[JobStatusJson]:
    """Return runs in wire form; everything is read in bulk."""
    parts: dict[str, list[Row]] = {row.id: [] for row in rows}
    for instance in INSTANCES(call.db, list(parts)):
        parts[instance.run_id].append(instance)
    run_of = {part.id: run.id for run in rows if run.open for part in parts[run.id]}
    acks: dict[str, list[AckTrackerJson]] = defaultdict(list)
    for row in ACKS(call.db, run_of):
        if row.state in ("SUCCESS", "ERROR"):
            name = EVENT_NAMES.get(row.type, str(row.type))
            ack = AckTrackerJson(row.engine_id, row.created_on, row.state, row.message, name)
            acks[run_of[row.instance]].append(ack)
    counts = {(row.job_id, row.run_count): row for row in COUNTS(call.db, [run.job_id for run in rows])}
    return [
        _show(call, run, parts[run.id], acks[run.id], counts.get((run.job_id, run.run_count))) for run in rows
    ]


def _show(
    call: Call, run: Row, parts: list[Row], acks: list[AckTrackerJson], counts: Row | None
) -> JobStatusJson:
    live = [i for i in parts if i.phase != words.GONE] if run.open else []
    latest = live or list({i.slot: i for i in parts}.values())  # without live ones the last of each slot
    status = show(
        JobStatusJson,
        run,
        sdc_ids=[i.engine_id for i in latest],
        ack_trackers=acks,
        pipeline_offsets=[_offset(i) for i in latest if i.offset],
        pipeline_status=[show_instance(call, i) for i in live],
    )
    if counts is not None:
        for name in COUNTED:
            setattr(status, name, int(getattr(counts, name)))
        status.last_reported_metric_time = counts.changed_on
    return status


def _offset(instance: Row) -> PipelineOffsetJson:
    return PipelineOffsetJson(instance.engine_id, name_on_engine(instance.name), instance.offset)


def name_on_engine(name: str) -> str:
    """Return the id a pipeline has on its engine, where colons are no part of ids.

    Examples
    --------
    >>> name_on_engine("Simplepip:5b0e:acme")
    'Simplepip__5b0e__acme'
    """
    return name.replace(":", ID_SEPARATOR)


def current_runs(call: Call, rows: list[Row]) -> dict[str, JobStatusJson]:
    """Return the newest runs of jobs in wire form, by job."""
    found = by_keys(runs)(call.db, [row.current_run for row in rows if row.current_run])
    return {run.job_id: run for run in show_runs(call, found)}


def show_instance(call: Call, instance: Row) -> PipelineStatusJson:
    """Return a pipeline instance in wire form."""
    reported = call.hub.contacts.last_statuses.get(instance.engine_id, 0)
    return show(
        PipelineStatusJson,
        instance,
        name=name_on_engine(instance.name),
        title=instance.title or instance.name.split(":")[0],
        status=instance.status or "STARTING",
        last_reported_time=max(instance.last_reported, reported),
    )


def _current(call: Call, rows: list[Row]) -> list[CurrentStatusJson]:
    """Return the current status of jobs; of one that never ran, one with null status."""
    found = current_runs(call, rows)
    return [found.get(row.id) or CurrentStatusJson(job_id=row.id) for row in rows]


@app.route(
    "GET",
    "/jobrunner/rest/v1/job/{job}/currentStatus",
    USER,
    choice="a job that never ran has status null and runCount 0",
)
def current_status(call: Call, job: str) -> CurrentStatusJson:
    """Return a job's current status."""
    return _current(call, [permitted(call, jobs, job, "Job", "READ")])[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/status", USER, writes=False)
def statuses(call: Call, body: list[str]) -> dict[str, CurrentStatusJson]:
    """Return the current status of several jobs, keyed by job id."""
    return dict(zip(body, _current(call, call.fetch_all(jobs, body, "Job")), strict=True))


CURRENT_RUNS = Query(
    select(runs).join(jobs, jobs.c.current_run == runs.c.id).where(runs.c.organization == bindparam("org"))
)
RUNS = Query(select(runs).where(runs.c.job_id == bindparam("job")))
RUN_EVENTS = Query(select(run_events).where(run_events.c.run_id == bindparam("run")))


@app.route("GET", "/jobrunner/rest/v1/jobs/status", USER)
def all_statuses(call: Call, listing: Listing) -> Listed[JobStatusJson]:
    """List the current status of every job that ran."""
    return call.page(
        listing,
        CURRENT_RUNS,
        {"START_TIME": runs.c.start_time, "ID": runs.c.id},
        show_all=lambda rows: show_runs(call, rows),
    )


@app.route("GET", "/jobrunner/rest/v1/job/{job}/history", USER, choice="newest first")
def history(call: Call, job: str, paging: Paging, with_wrapper: bool = False) -> Listed[JobStatusJson]:
    """List the runs of a job."""
    return call.page(
        paging,
        RUNS,
        {"RUN_COUNT": runs.c.run_count},
        show_all=lambda rows: show_runs(call, rows),
        wrap=with_wrapper,
        newest_first=True,
        job=permitted(call, jobs, job, "Job", "READ").id,
    )


@app.route("GET", "/jobrunner/rest/v1/job/{run}/jobStatusHistory", USER)
def run_history(call: Call, run: str, paging: Paging, with_wrapper: bool = False) -> Listed[RunEventJson]:
    """List what happened in one run."""
    row = call.fetch(runs, run, "Job status")
    check_permission(call, row.job_id, "READ")
    return call.page(
        paging,
        RUN_EVENTS,
        {"TIME": run_events.c.id},
        lambda row: show(RunEventJson, row),
        wrap=with_wrapper,
        run=row.id,
    )


_WORD = case(
    (runs.c.status == words.ACTIVE, runs.c.status + "_" + runs.c.color),
    else_=func.coalesce(runs.c.status, ""),
).label("status")
STATUS_COUNTS = Query(
    select(_WORD, func.count().label("count"))
    .select_from(jobs.outerjoin(runs, runs.c.id == jobs.c.current_run))
    .where(jobs.c.organization == bindparam("org"), ~jobs.c.template)
    .group_by(_WORD)
    .order_by(_WORD),
    kept=False,
)


@app.route(
    "GET",
    "/jobrunner/rest/v1/metrics/jobCountByStatus",
    USER,
    choice="templates are not counted; jobs that never ran have status ''",
)
def job_count_by_status(
    call: Call, organization: str | None = None, executor_type: str | None = None
) -> StatusCountsJson:
    """Count jobs per status, ACTIVE split by color."""
    rows = STATUS_COUNTS.rows(call.db, org=call.organization)
    return StatusCountsJson([show(StatusCountJson, row) for row in rows])
