"""Timeseries app: metrics engines send, and what is read of them."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from psrlib.hub.runner.payload import RUN_KEY
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.execution import engine_metrics, engines, jobs, metrics, runs
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import not_found
from psrlib.hub.web.routing import COMPONENT, App, Parameter, roles

app = App("timeseries", "Metrics of jobs and engines")
READER = roles("timeseries:reader", "jobrunner:operator")
TIME_FILTER = Parameter("timeFilterCondition", "text", "LAST_5M")
SDC = Parameter("sdcId")
SPANS_S = {
    "LAST_5M": 300,
    "LAST_15M": 900,
    "LAST_1H": 3600,
    "LAST_6H": 6 * 3600,
    "LAST_12H": 12 * 3600,
    "LAST_24H": 86_400,
    "LAST_2D": 2 * 86_400,
    "LAST_7D": 7 * 86_400,
    "LAST_30D": 30 * 86_400,
}


METERS = {
    "PIPELINE_BATCH_INPUT_RECORDS_METER": "batchInputRecords",
    "PIPELINE_BATCH_OUTPUT_RECORDS_METER": "batchOutputRecords",
    "PIPELINE_BATCH_ERROR_RECORDS_METER": "batchErrorRecords",
    "PIPELINE_BATCH_COUNT_METER": "batchCount",
}
STAGE_TIMER = re.compile(r"stage\.(.+)\.batchProcessing\.timer")


class MetricsJson(Struct):
    """Metrics of one pipeline as an engine sends them (engine-protocol.md, 3.5)."""

    metadata: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    sdcId: str | None = None
    timestamp: int | float | None = None


@app.route(
    "POST",
    "/timeseries/rest/v1/metrics",
    COMPONENT,
    body=list[MetricsJson],
    choice="the latest registry per job run and engine is kept; metrics of unknown jobs, of other "
    "organizations, of pipelines the hub deleted and of earlier runs (told by the metadata entry "
    "psr.job.runId, which the hub adds to the pipeline and engines send back) are taken and dropped",
)
def take_metrics(call: Call) -> Any:
    """Store the metrics of running pipelines."""
    for item in call.body:
        job_id = (item.metadata or {}).get("dpm.job.id")
        if isinstance(job_id, str):
            _take(call, job_id, item)
    return Raw(b"")


def _take(call: Call, job_id: str, item: MetricsJson) -> None:
    row = call.db.execute(
        select(jobs.c.organization, runs.c.id, runs.c.run_count, runs.c.open)
        .join(runs, runs.c.id == jobs.c.current_run)
        .where(jobs.c.id == job_id)
    ).first()
    if row is None or row.organization != call.principal.organization or not row.open:
        return
    if (item.metadata or {}).get(RUN_KEY, row.id) != row.id:
        return  # Edge goes on uploading what finished pipelines of earlier runs counted
    registry = item.metrics or {}
    values = {
        "job_id": job_id,
        "run_count": row.run_count,
        "engine_id": call.principal.id,
        "organization": row.organization,
        "commit_id": str((item.metadata or {}).get("dpm.pipeline.commitId") or ""),
        "input_count": _count(registry, "batchInputRecords"),
        "output_count": _count(registry, "batchOutputRecords"),
        "error_count": _count(registry, "batchErrorRecords"),
        "stage_errors_count": _count(registry, "batchErrorMessages"),
        "input_rate": _rate(registry, "batchInputRecords"),
        "output_rate": _rate(registry, "batchOutputRecords"),
        "error_rate": _rate(registry, "batchErrorRecords"),
        "changed_on": call.now,
        "document": registry,
    }
    key = (
        (metrics.c.job_id == job_id)
        & (metrics.c.run_count == row.run_count)
        & (metrics.c.engine_id == call.principal.id)
    )
    if call.db.execute(metrics.update().where(key).values(values)).rowcount == 0:
        call.db.execute(metrics.insert().values(values))


def _figure(registry: dict[str, Any], family: str, name: str, key: str) -> float:
    value = _entry(registry, family, name).get(key)
    return value if isinstance(value, int | float) else 0


def _count(registry: dict[str, Any], name: str) -> int:
    return int(_figure(registry, "counters", f"pipeline.{name}.counter", "count"))


def _rate(registry: dict[str, Any], name: str) -> float:
    return float(_figure(registry, "meters", f"pipeline.{name}.meter", "m1_rate"))


def _rows(call: Call, job_id: str) -> list[Row]:
    call.fetch(jobs, job_id, "Job")
    statement = (
        select(metrics).where(metrics.c.job_id == job_id).order_by(metrics.c.run_count, metrics.c.engine_id)
    )
    if engine_id := call.query.get("sdcId"):
        statement = statement.where(metrics.c.engine_id == engine_id)
    return list(call.db.execute(statement))


def _counts_json(rows: list[Row]) -> dict[str, Any]:
    last = rows[-1]
    return {
        "jobId": last.job_id,
        "organization": last.organization,
        "runCount": last.run_count,
        "pipelineVersion": None,
        "sdcId": last.engine_id if len(rows) == 1 else None,
        "stageId": None,
        "inputCount": sum(r.input_count for r in rows),
        "outputCount": sum(r.output_count for r in rows),
        "errorCount": sum(r.error_count for r in rows),
        "stageErrorsCount": sum(r.stage_errors_count for r in rows),
        "inputM1Rate": sum(r.input_rate for r in rows),
        "outputM1Rate": sum(r.output_rate for r in rows),
        "errorM1Rate": sum(r.error_rate for r in rows),
        "stageErrorsM1Rate": 0.0,
        "lastUpdatedOn": max(r.changed_on for r in rows),
    }


@app.route("GET", "/timeseries/rest/v1/metrics/job/{job}/recordCountsForAllRuns", READER, query=(SDC,))
def record_counts(call: Call) -> Any:
    """Return record counts keyed by run number; key 0 is the latest run."""
    by_run: dict[int, list[Row]] = {}
    for row in _rows(call, call.path["job"]):
        by_run.setdefault(row.run_count, []).append(row)
    result = {str(run): _counts_json(rows) for run, rows in by_run.items()}
    if by_run:
        result["0"] = _counts_json(by_run[max(by_run)])
    return result


@app.route("GET", "/timeseries/rest/v1/metrics/job/{job}/latestMetrics", READER, query=(SDC,))
def latest_metrics(call: Call) -> Any:
    """Return the latest metric registry of a job."""
    rows = _rows(call, call.path["job"])
    return rows[-1].document if rows else {}


def _series(name: str, columns: list[str], values: list[list[Any]]) -> dict[str, Any]:
    return {"series": [{"name": name, "columns": columns, "tags": {}, "values": values}], "error": None}


@app.route(
    "GET",
    "/timeseries/rest/v1/metrics/job/{job}/{figure}",
    READER,
    query=(
        SDC,
        TIME_FILTER,
        Parameter("limit", "integer", 1000),
        Parameter("metricType"),
        Parameter("pipelineVersion"),
    ),
    choice="recordCount, recordThroughput and sankey: one point per run, the latest figures",
)
def job_figure(call: Call) -> Any:
    """Return record counts or rates of a job as series."""
    figure = call.path["figure"]
    if figure not in ("recordCount", "recordThroughput", "sankey"):
        raise not_found("Metric", figure)
    rate = figure == "recordThroughput"
    columns = ["time", "input", "output", "error"]
    values = [
        [r.changed_on, r.input_rate, r.output_rate, r.error_rate]
        if rate
        else [r.changed_on, r.input_count, r.output_count, r.error_count]
        for r in _rows(call, call.path["job"])
    ]
    return _series(figure, columns, values)


class MetricQuery(Struct):
    """One series that is asked for."""

    jobId: str
    measurement: str
    columns: list[str] | None = None
    pipelineVersion: str | int | None = None
    sdcId: str | None = None


@app.route(
    "POST",
    "/timeseries/rest/v1/metrics/query",
    READER,
    body=list[MetricQuery],
    query=(TIME_FILTER, Parameter("limit", "integer", 1000)),
    writes=False,
    choice="one point per run and engine: latest figures, in the columns asked for; stage timers give one "
    "series per stage; unknown measurements give an empty series, unknown columns null",
)
def query_metrics(call: Call) -> Any:
    """Return series of several jobs."""
    answers = []
    for wish in call.body:
        rows = [r for r in _rows(call, wish.jobId) if wish.sdcId in (None, r.engine_id)]
        columns = wish.columns or ["count", "m1_rate"]
        points: dict[str, list[list[Any]]] = {}
        for row in rows:
            for stage, figures in _measured(row.document, wish.measurement):
                point = [row.changed_on, *(figures.get(column) for column in columns)]
                points.setdefault(stage, []).append(point)
        series = [
            {
                "name": wish.measurement,
                "columns": ["time", *columns],
                "tags": {"stage": stage} if stage else {},
                "values": values,
            }
            for stage, values in (points or {"": []}).items()
        ]
        answers.append({"series": series, "error": None})
    return answers


def _measured(registry: dict[str, Any], measurement: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield stage (empty: the pipeline) and figures of a measurement in an engine's registry."""
    name = METERS.get(measurement)
    if name is not None:
        counter = _entry(registry, "counters", f"pipeline.{name}.counter")
        figures = counter | _entry(registry, "meters", f"pipeline.{name}.meter")
        if figures:
            yield "", figures
    elif measurement == "STAGE_BATCH_PROCESSING_TIMER":
        timers = registry.get("timers")
        for key in timers if isinstance(timers, dict) else ():
            found = STAGE_TIMER.fullmatch(key)
            if found is not None:
                yield found.group(1), _entry(registry, "timers", key)


def _entry(registry: dict[str, Any], family: str, name: str) -> dict[str, Any]:
    group = registry.get(family)
    entry = group.get(name) if isinstance(group, dict) else None
    return entry if isinstance(entry, dict) else {}


def _engine_series(call: Call, column: Any, name: str) -> Any:
    engine = call.fetch(engines, call.path["engine"], "Engine")
    span_ms = SPANS_S.get(call.query["timeFilterCondition"], 300) * 1000
    statement = (
        select(engine_metrics.c.time, column)
        .where(engine_metrics.c.engine_id == engine.id, engine_metrics.c.time >= call.now - span_ms)
        .order_by(engine_metrics.c.time)
    )
    return _series(name, ["time", "value"], [list(row) for row in call.db.execute(statement)])


@app.route("GET", "/timeseries/rest/v1/metrics/executor/{engine}/cpu", READER, query=(TIME_FILTER,))
def engine_cpu(call: Call) -> Any:
    """Return the CPU load of an engine as a series."""
    return _engine_series(call, engine_metrics.c.cpu_load, "cpu")


@app.route("GET", "/timeseries/rest/v1/metrics/executor/{engine}/memory", READER, query=(TIME_FILTER,))
def engine_memory(call: Call) -> Any:
    """Return the used memory of an engine as a series."""
    return _engine_series(call, engine_metrics.c.used_memory, "memory")
