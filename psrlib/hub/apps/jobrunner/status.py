"""Jobrunner app: job status, history, counts."""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from psrlib.hub.runner.words import ACTIVE, GONE
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Row, any_of, by_keys
from psrlib.hub.store.schema.execution import engine_events, instances, jobs, metrics, run_events, runs
from psrlib.hub.web.call import LISTING, ORGANIZATION, PAGING, WRAPPER, Call
from psrlib.hub.web.routing import USER, App, Parameter

app = App("jobrunner", "Job status and history")
EVENT_NAMES = {1001: "SAVE_PIPELINE", 1003: "START_PIPELINE", 1004: "STOP_PIPELINE", 1006: "DELETE_PIPELINE"}
EVENT_NAMES[1009] = "STOP_DELETE_PIPELINE"


def empty_status_filter() -> ColumnElement[bool]:
    """Return the condition of jobs that never ran."""
    return jobs.c.current_run.is_(None)


def run_json_of(call: Call, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return runs in wire form by run id; everything is read in bulk."""
    result: dict[str, dict[str, Any]] = {}
    rows = by_keys(runs)(call.db, ids)
    by_run: dict[str, list[Row]] = {row.id: [] for row in rows}
    numbers = {}
    for instance in INSTANCES(call.db, ids):
        by_run[instance.run_id].append(instance)
        numbers[instance.id] = instance.run_id
    acks = _acks(call, [row.id for row in rows if row.open], numbers)
    counts = _counts(call, rows)
    for row in rows:
        result[row.id] = run_json(call, row, by_run[row.id], acks.get(row.id, []), counts.get(row.id))
    return result


INSTANCES = any_of(lambda ids: select(instances).where(instances.c.run_id.in_(ids)).order_by(instances.c.id))
ACKS = any_of(
    lambda numbers: (
        select(
            engine_events.c.instance,
            engine_events.c.engine_id,
            engine_events.c.created_on,
            engine_events.c.state,
            engine_events.c.message,
            engine_events.c.type,
        )
        .where(engine_events.c.instance.in_(numbers))
        .order_by(engine_events.c.number)
    )
)
COUNTS = any_of(
    lambda ids: (
        select(
            metrics.c.job_id,
            metrics.c.run_count,
            func.sum(metrics.c.input_count).label("input_count"),
            func.sum(metrics.c.output_count).label("output_count"),
            func.sum(metrics.c.error_count).label("error_count"),
            func.max(metrics.c.changed_on).label("changed_on"),
        )
        .where(metrics.c.job_id.in_(ids))
        .group_by(metrics.c.job_id, metrics.c.run_count)
    )
)


def _acks(call: Call, open_runs: list[str], numbers: dict[int, str]) -> dict[str, list[dict[str, Any]]]:
    still_open = set(open_runs)
    acks: dict[str, list[dict[str, Any]]] = {}
    for row in ACKS(call.db, [number for number, run_id in numbers.items() if run_id in still_open]):
        if row.state in ("SUCCESS", "ERROR"):
            ack = {
                "sdcId": row.engine_id,
                "createTime": row.created_on,
                "ackStatus": row.state,
                "message": row.message,
                "eventType": EVENT_NAMES.get(row.type, str(row.type)),
            }
            acks.setdefault(numbers[row.instance], []).append(ack)
    return acks


def _counts(call: Call, rows: list[Row]) -> dict[str, Row]:
    by_key = {(row.job_id, row.run_count): row.id for row in rows}
    found: list[Row] = COUNTS(call.db, [row.job_id for row in rows])
    return {by_key[(m.job_id, m.run_count)]: m for m in found if (m.job_id, m.run_count) in by_key}


def run_json(
    call: Call, run: Row, parts: list[Row], acks: list[dict[str, Any]], counts: Row | None
) -> dict[str, Any]:
    """Return a job status in wire form (control-hub-rest.md, 5.4)."""
    live = [i for i in parts if i.phase != GONE] if run.open else []
    latest = live or _last_of_each_slot(parts)
    return {
        "id": run.id,
        "jobId": run.job_id,
        "pipelineCommitId": run.commit_id,
        "pipelineCommitLabel": run.commit_label,
        "user": run.user_id,
        "runCount": run.run_count,
        "startTime": run.start_time,
        "finishTime": run.finish_time,
        "status": run.status,
        "color": run.color,
        "errorMessage": run.error_message,
        "errorInfos": [],
        "warnings": run.warnings,
        "sdcIds": [i.engine_id for i in latest],
        "ackTrackers": acks,
        "pipelineOffsets": [
            {"sdcId": i.engine_id, "pipelineId": i.name, "offset": i.offset} for i in latest if i.offset
        ],
        "pipelineStatus": [instance_json(call, i) for i in live],
        "upgradeStatus": None,
        "edge": False,
        "inputRecordCount": int(counts.input_count) if counts else 0,
        "outputRecordCount": int(counts.output_count) if counts else 0,
        "errorRecordCount": int(counts.error_count) if counts else 0,
        "lastReportedMetricTime": counts.changed_on if counts else 0,
    }


def _last_of_each_slot(parts: list[Row]) -> list[Row]:
    return list({i.slot: i for i in parts}.values())


def instance_json(call: Call, i: Row) -> dict[str, Any]:
    """Return a pipeline instance in wire form."""
    return {
        "sdcId": i.engine_id,
        "name": i.name,
        "title": i.title or i.name.split(":")[0],
        "jobId": i.job_id,
        "localPipeline": False,
        "status": i.status or "STARTING",
        "lastReportedTime": max(i.last_reported, call.hub.contacts.last_statuses.get(i.engine_id, 0)),
        "worker": [],
        "message": i.message,
        "clusterMode": False,
    }


def current_json(call: Call, job: Row) -> dict[str, Any]:
    """Return a job's current status; of a job that never ran, one with null status."""
    if job.current_run:
        return run_json_of(call, [job.current_run])[job.current_run]
    return {"id": None, "jobId": job.id, "status": None, "color": None, "runCount": 0, "sdcIds": []}


@app.route(
    "GET",
    "/jobrunner/rest/v1/job/{job}/currentStatus",
    USER,
    choice="a job that never ran has status null and runCount 0",
)
def current_status(call: Call) -> Any:
    """Return a job's current status."""
    job = call.fetch(jobs, call.path["job"], "Job")
    check_permission(call, job.id, "READ")
    return current_json(call, job)


@app.route("POST", "/jobrunner/rest/v1/jobs/status", USER, body=list[str], writes=False)
def statuses(call: Call) -> Any:
    """Return the current status of several jobs, keyed by job id."""
    rows = call.fetch_all(jobs, call.body, "Job")
    found = run_json_of(call, [row.current_run for row in rows if row.current_run])
    return {row.id: found[row.current_run] if row.current_run else current_json(call, row) for row in rows}


@app.route("GET", "/jobrunner/rest/v1/jobs/status", USER, query=LISTING)
def all_statuses(call: Call) -> Any:
    """List the current status of every job that ran."""
    statement = (
        select(runs)
        .join(jobs, jobs.c.current_run == runs.c.id)
        .where(runs.c.organization == call.organization)
    )

    def show(rows: list[Row]) -> list[Any]:
        found = run_json_of(call, [row.id for row in rows])
        return [found[row.id] for row in rows]

    return call.old_page(statement, {"START_TIME": runs.c.start_time, "ID": runs.c.id}, show)


@app.route(
    "GET", "/jobrunner/rest/v1/job/{job}/history", USER, query=(*PAGING, WRAPPER), choice="newest first"
)
def history(call: Call) -> Any:
    """List the runs of a job."""
    job = call.fetch(jobs, call.path["job"], "Job")
    check_permission(call, job.id, "READ")
    statement = select(runs).where(runs.c.job_id == job.id)

    def show(rows: list[Row]) -> list[Any]:
        found = run_json_of(call, [row.id for row in rows])
        return [found[row.id] for row in rows]

    if "order" not in call.raw_query:
        call.query["order"] = "DESC"
    return call.old_page(statement, {"RUN_COUNT": runs.c.run_count}, show)


@app.route("GET", "/jobrunner/rest/v1/job/{run}/jobStatusHistory", USER, query=(*PAGING, WRAPPER))
def run_history(call: Call) -> Any:
    """List what happened in one run."""
    run = call.fetch(runs, call.path["run"], "Job status")
    check_permission(call, run.job_id, "READ")
    statement = select(run_events).where(run_events.c.run_id == run.id)
    return call.old_page(
        statement,
        {"TIME": run_events.c.id},
        lambda rows: [
            {"jobStatusId": run.id, "user": r.user_id, "time": r.time, "status": r.status, "color": r.color}
            for r in rows
        ],
    )


@app.route(
    "GET",
    "/jobrunner/rest/v1/metrics/jobCountByStatus",
    USER,
    query=(ORGANIZATION, Parameter("executorType")),
    choice="templates are not counted; jobs that never ran have status ''",
)
def job_count_by_status(call: Call) -> Any:
    """Count jobs per status, ACTIVE split by color."""
    word = case(
        (runs.c.status == ACTIVE, runs.c.status + "_" + runs.c.color),
        else_=func.coalesce(runs.c.status, ""),
    ).label("word")
    statement = (
        select(word, func.count().label("n"))
        .select_from(jobs.outerjoin(runs, runs.c.id == jobs.c.current_run))
        .where(jobs.c.organization == call.organization, ~jobs.c.template)
        .group_by(word)
        .order_by(word)
    )
    return {"data": [{"status": row.word, "count": row.n} for row in call.db.execute(statement)]}
