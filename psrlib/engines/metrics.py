"""Metrics of a running pipeline: totals since its start."""

from typing import Any

import msgspec
import orjson

from psrlib.engines.definition import Definition

BATCH_S = 0.02  # time to process one batch, seconds
REGISTRY_VERSION = "4.0.0"
# A Data Collector sent 87 gauges and 15.6 kB for a pipeline of three stages: two of the pipeline, all others
# of its process. Number and size are those; the names of the others are of the usual sets of a Java process.
_POOLS = ("Code-Cache", "Compressed-Class-Space", "Metaspace", "PS-Eden-Space", "PS-Old-Gen", "PS-Survivor")
_SIZES = ("committed", "init", "max", "usage", "used")
PROCESS_GAUGES = (
    *(f"jvm.memory.pools.{pool}.{size}.gauge" for pool in _POOLS for size in _SIZES),
    *(f"jvm.memory.{area}.{size}.gauge" for area in ("heap", "non-heap", "total") for size in _SIZES),
    *(f"jvm.buffers.{kind}.{size}.gauge" for kind in ("direct", "mapped") for size in _SIZES),
    *(
        f"jvm.gc.{kind}.{size}.gauge"
        for kind in ("PS-MarkSweep", "PS-Scavenge")
        for size in ("count", "time")
    ),
    *(
        f"jvm.threads.{state}.count.gauge"
        for state in (
            *("blocked", "daemon", "deadlock", "new", "runnable", "started", "terminated", "timed_waiting"),
            *("waiting", "all", "peak"),
        )
    ),
    *(f"jvm.classes.{kind}.count.gauge" for kind in ("loaded", "unloaded", "total")),
    *(
        f"runner.threads.{pool}.{size}.gauge"
        for pool in ("event", "preview", "runner", "stop")
        for size in ("active", "idle", "pending")
    ),
)
_STEP = 0x9E3779B1  # spreads the values of the process's gauges
HEAP_BYTES = 1 << 30


class Upload(msgspec.Struct, frozen=True):
    """What the metrics of one moment are made of."""

    definition: Definition
    batches: int
    at_ms: int


def metrics_body(upload: Upload, engine_id: str) -> bytes:
    """Return the JSON of one upload (engine-protocol, 3.5): totals never fall within a run."""
    definition = upload.definition
    metadata = {
        **definition.metadata,
        "dpm.job.id": definition.job_id,
        "dpm.pipeline.commitId": definition.commit_id,
        "timeSeriesAnalysis": "true" if definition.time_series else "false",
    }
    origin = {"timestamp": upload.at_ms, "sdcId": engine_id, "masterSdcId": None, "aggregated": False}
    return orjson.dumps([{**origin, "metadata": metadata, "metrics": _registry(upload)}])


def _registry(upload: Upload) -> dict[str, Any]:
    batches, definition = upload.batches, upload.definition
    size, period_s = definition.batch_records, definition.batch_ms / 1000
    records = batches * size
    totals = {
        "pipeline.batchCount": batches,
        "pipeline.batchInputRecords": records,
        "pipeline.batchOutputRecords": records,
        "pipeline.batchErrorRecords": 0,
        "pipeline.batchErrorMessages": 0,
    }
    sizes = {
        "pipeline.inputRecordsPerBatch": size,
        "pipeline.outputRecordsPerBatch": size,
        "pipeline.errorRecordsPerBatch": 0,
        "pipeline.errorsPerBatch": 0,
        "pipeline.runners": 1,
    }
    timers = ["pipeline.batchProcessing"]
    for stage in definition.stages:
        prefix = f"stage.{stage.name}"
        for name, number in (
            ("inputRecords", size),
            ("outputRecords", size if stage.lanes else 0),
            ("errorRecords", 0),
            ("stageErrors", 0),
        ):
            totals[f"{prefix}.{name}"] = batches * number
            sizes[f"{prefix}.{name}"] = number
        for lane in stage.lanes:
            totals[f"{prefix}:{lane}.outputRecords"] = records
        timers.append(f"{prefix}.batchProcessing")
    return {
        "version": REGISTRY_VERSION,
        "gauges": _gauges(upload),
        "counters": {f"{name}.counter": {"count": total} for name, total in totals.items()},
        "histograms": {f"{name}.histogramM5": _histogram(batches, number) for name, number in sizes.items()},
        "meters": {f"{name}.meter": _meter(total, batches * period_s) for name, total in totals.items()},
        "timers": {f"{name}.timer": _timer(batches, period_s) for name in timers},
        "slaves": None,
    }


def _gauges(upload: Upload) -> dict[str, dict[str, Any]]:
    batches, step = upload.batches, _STEP
    stats = {
        "batchCount": batches,
        "idleBatchCount": 0,
        "timeOfLastReceivedRecord": upload.at_ms if batches else 0,
        "lastBatchInputRecordsCount": upload.definition.batch_records if batches else 0,
        "currentBatchAge": 0,
        "timeInCurrentStage": 0,
        "currentSourceOffset": None,
    }
    gauges: dict[str, dict[str, Any]] = {
        "RuntimeStatsGauge.gauge": {"value": stats},
        "runner.0.gauge": {"value": {"batchCount": batches, "state": "IDLE"}},
    }
    value = upload.at_ms
    for name in PROCESS_GAUGES:
        value = (value + step) % HEAP_BYTES
        gauges[name] = {"value": value}
    return gauges


def _meter(total: int, elapsed_s: float) -> dict[str, Any]:
    rate = round(total / elapsed_s, 6) if elapsed_s else 0.0
    spans = ("m1", "m5", "m15", "m30", "h1", "h6", "h12", "h24", "mean")
    rates = [f"{span}_rate" for span in spans]
    return {"count": total, **dict.fromkeys(rates, rate), "units": "events/second"}


def _histogram(count: int, value: float) -> dict[str, Any]:
    seen = value if count else 0
    names = ("max", "mean", "min", "p50", "p75", "p95", "p98", "p99", "p999")
    return {"count": count, **dict.fromkeys(names, seen), "stddev": 0}


def _timer(batches: int, period_s: float) -> dict[str, Any]:
    rate = round(1 / period_s, 6) if batches else 0.0
    rates = dict.fromkeys(("m1_rate", "m5_rate", "m15_rate", "mean_rate"), rate)
    return {
        **_histogram(batches, BATCH_S),
        **rates,
        "duration_units": "seconds",
        "rate_units": "calls/second",
    }
