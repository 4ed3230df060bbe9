"""Timeseries app: metrics engines send, and what is read of them."""

import re
from collections.abc import Iterator

from msgspec import Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.runner.payload import RUN_KEY
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.execution import jobs, metrics, runs
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.records import show
from psrlib.hub.web.routing import COMPONENT, App, roles

app = App("timeseries")
READER = roles("timeseries:reader", "jobrunner:operator")
COUNTED = {"input": "batchInputRecords", "output": "batchOutputRecords", "error": "batchErrorRecords"}
METERS = {
    "PIPELINE_BATCH_INPUT_RECORDS_METER": "batchInputRecords",
    "PIPELINE_BATCH_OUTPUT_RECORDS_METER": "batchOutputRecords",
    "PIPELINE_BATCH_ERROR_RECORDS_METER": "batchErrorRecords",
    "PIPELINE_BATCH_COUNT_METER": "batchCount",
}
STAGE_TIMERS = "STAGE_BATCH_PROCESSING_TIMER"
# how a hub names the series that is asked for
SERIES = {wish: f"pipeline_{name}_meter" for wish, name in METERS.items()}
SERIES[STAGE_TIMERS] = "stage_batchProcessing_timer"
STAGE_TIMER = re.compile(r"stage\.(.+)\.batchProcessing\.timer")


class MetricsJson(Struct, rename="camel"):
    """Metrics of one pipeline as an engine sends them (engine-protocol.md, 3.5)."""

    metadata: Json | None = None
    metrics: Json | None = None
    sdc_id: str | None = None
    master_sdc_id: str | None = None
    aggregated: bool | None = None
    timestamp: int | float | None = None


class RecordCountsJson(Struct, rename="camel", kw_only=True):
    """Records that a run read and wrote, over all its engines."""

    job_id: str
    organization: str
    run_count: int
    sdc_id: str | None
    input_count: int
    output_count: int
    error_count: int
    stage_errors_count: int
    input_rate: float = field(name="inputM1Rate")
    output_rate: float = field(name="outputM1Rate")
    error_rate: float = field(name="errorM1Rate")
    last_updated_on: int
    stage_errors_m1_rate: float = 0.0
    pipeline_version: str | None = None
    stage_id: str | None = None


class SeriesJson(Struct):
    """Values over time; each has a value for each column, the first is the time."""

    name: str
    columns: list[str]
    values: list[list[float | None]]
    tags: dict[str, str] = {}


class SeriesListJson(Struct):
    """The answer to one question for series."""

    series: list[SeriesJson]
    error: str | None = None


class Span(Struct, rename="camel"):
    """How far back series reach."""

    time_filter_condition: str = "LAST_5M"


@app.route(
    "POST",
    "/timeseries/rest/v1/metrics",
    COMPONENT,
    choice="the latest registry per job run and engine is kept; metrics of unknown jobs, of other "
    "organizations, of pipelines the hub deleted and of earlier runs (told by the metadata entry "
    "psr.job.runId, which the hub adds to the pipeline and engines send back) are taken and dropped",
)
def take_metrics(call: Call, body: list[MetricsJson]) -> None:
    """Store the metrics of running pipelines."""
    for item in body:
        metadata = item.metadata or {}
        job_id = metadata.get("dpm.job.id")
        if isinstance(job_id, str):
            _take(call, job_id, metadata, item.metrics or {})


CURRENT_RUN = Query(
    select(jobs.c.organization, runs.c.id, runs.c.run_count, runs.c.open)
    .join(runs, runs.c.id == jobs.c.current_run)
    .where(jobs.c.id == bindparam("job"))
)


def _take(call: Call, job_id: str, metadata: Json, registry: Json) -> None:
    row = CURRENT_RUN.first(call.db, job=job_id)
    if row is None or row.organization != call.principal.organization or not row.open:
        return
    if metadata.get(RUN_KEY, row.id) != row.id:
        return  # Edge goes on uploading what finished pipelines of earlier runs counted
    key = {"job_id": job_id, "run_count": row.run_count, "engine_id": call.principal.id}
    values: Json = {
        "organization": row.organization,
        "commit_id": str(metadata.get("dpm.pipeline.commitId") or ""),
        "stage_errors_count": _count(registry, "batchErrorMessages"),
        "changed_on": call.now,
        "document": registry,
    }
    for of, name in COUNTED.items():
        values[f"{of}_count"] = _count(registry, name)
        values[f"{of}_rate"] = float(_figure(registry, "meters", f"pipeline.{name}.meter", "m1_rate"))
    same = [metrics.c[name] == value for name, value in key.items()]
    if call.db.execute(metrics.update().where(*same).values(values)).rowcount == 0:
        call.db.execute(metrics.insert().values(key | values))


def _figure(registry: Json, family: str, name: str, key: str) -> float:
    value = _entry(registry, family, name).get(key)
    return value if isinstance(value, int | float) else 0


def _count(registry: Json, name: str) -> int:
    return int(_figure(registry, "counters", f"pipeline.{name}.counter", "count"))


RUNS_OF = Query(
    select(metrics)
    .where(metrics.c.job_id == bindparam("job"))
    .order_by(metrics.c.run_count, metrics.c.engine_id)
)


def _rows(call: Call, job_id: str, engine_id: str | None = None) -> list[Row]:
    """Return the latest registries of a job's runs, of one engine or all."""
    call.fetch(jobs, job_id, "Job")
    return [row for row in RUNS_OF.rows(call.db, job=job_id) if not engine_id or row.engine_id == engine_id]


def _counts(rows: list[Row]) -> RecordCountsJson:
    last = rows[-1]
    summed = ["stage_errors_count", *(f"{of}_{kind}" for of in COUNTED for kind in ("count", "rate"))]
    return show(
        RecordCountsJson,
        last,
        sdc_id=last.engine_id if len(rows) == 1 else None,
        last_updated_on=max(row.changed_on for row in rows),
        **{name: sum(getattr(row, name) for row in rows) for name in summed},
    )


@app.route("GET", "/timeseries/rest/v1/metrics/job/{job}/recordCountsForAllRuns", READER)
def record_counts(call: Call, job: str, sdc_id: str | None = None) -> dict[str, RecordCountsJson]:
    """Return record counts keyed by run number; key 0 is the latest run."""
    by_run: dict[int, list[Row]] = {}
    for row in _rows(call, job, sdc_id):
        by_run.setdefault(row.run_count, []).append(row)
    result = {str(run): _counts(rows) for run, rows in by_run.items()}
    if by_run:
        result["0"] = result[str(max(by_run))]
    return result


@app.route("GET", "/timeseries/rest/v1/metrics/job/{job}/latestMetrics", READER)
def latest_metrics(call: Call, job: str, sdc_id: str | None = None) -> Json:
    """Return the latest metric registry of a job."""
    rows = _rows(call, job, sdc_id)
    return rows[-1].document if rows else {}


class MetricQuery(Struct, rename="camel"):
    """One series that is asked for."""

    job_id: str
    measurement: str
    columns: list[str] | None = None
    pipeline_version: str | int | None = None
    sdc_id: str | None = None


@app.route(
    "POST",
    "/timeseries/rest/v1/metrics/query",
    READER,
    writes=False,
    choice="one point per run and engine: latest figures, in the columns asked for; stage timers give one "
    "series per stage; unknown measurements give an empty series, unknown columns null",
)
def query_metrics(call: Call, body: list[MetricQuery], span: Span, limit: int = 1000) -> list[SeriesListJson]:
    """Return series of several jobs."""
    answers = []
    for wish in body:
        columns = wish.columns or ["count", "m1_rate"]
        name = SERIES.get(wish.measurement, wish.measurement)
        points: dict[str, list[list[float | None]]] = {}
        for row in _rows(call, wish.job_id, wish.sdc_id):
            for stage, figures in _measured(row.document, wish.measurement):
                point = [row.changed_on, *(figures.get(column) for column in columns)]
                points.setdefault(stage, []).append(point)
        series = [
            SeriesJson(name, ["time", *columns], values, {"stage": stage} if stage else {})
            for stage, values in (points or {"": []}).items()
        ]
        answers.append(SeriesListJson(series))
    return answers


def _measured(registry: Json, measurement: str) -> Iterator[tuple[str, Json]]:
    """Yield stage (empty: the pipeline) and figures of a measurement in an engine's registry."""
    name = METERS.get(measurement)
    if name is not None:
        counter = _entry(registry, "counters", f"pipeline.{name}.counter")
        if figures := counter | _entry(registry, "meters", f"pipeline.{name}.meter"):
            yield "", figures
    elif measurement == STAGE_TIMERS:
        timers = registry.get("timers")
        for key in timers if isinstance(timers, dict) else ():
            found = STAGE_TIMER.fullmatch(key)
            if found is not None:
                yield found.group(1), _entry(registry, "timers", key)


def _entry(registry: Json, family: str, name: str) -> Json:
    group = registry.get(family)
    entry = group.get(name) if isinstance(group, dict) else None
    return entry if isinstance(entry, dict) else {}
