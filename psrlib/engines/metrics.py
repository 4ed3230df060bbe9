"""Metrics of a running pipeline: totals since its start."""

from typing import Any

import orjson

from psrlib.engines.pipeline import BATCH_MS, Pipeline

RECORDS_PER_BATCH = 10  # a quiet pipeline
BATCH_S = 0.02  # time to process one batch, seconds


def metrics_body(pipeline: Pipeline, engine_id: str, now_ms: int) -> bytes:
    """Return the JSON of one upload (engine-protocol, 3.5): totals never fall within a run."""
    definition = pipeline.definition
    metadata = {
        **definition.metadata,
        "dpm.job.id": definition.job_id,
        "dpm.pipeline.commitId": definition.commit_id,
        "timeSeriesAnalysis": "true" if definition.time_series else "false",
    }
    metrics = _registry(pipeline, pipeline.batches(now_ms))
    origin = {"timestamp": now_ms, "sdcId": engine_id, "masterSdcId": None, "aggregated": False}
    return orjson.dumps([{**origin, "metadata": metadata, "metrics": metrics}])


def _registry(pipeline: Pipeline, batches: int) -> dict[str, Any]:
    records = batches * RECORDS_PER_BATCH
    totals = {
        "pipeline.batchCount": batches,
        "pipeline.batchInputRecords": records,
        "pipeline.batchOutputRecords": records,
        "pipeline.batchErrorRecords": 0,
        "pipeline.batchErrorMessages": 0,
    }
    sizes = {
        "pipeline.inputRecordsPerBatch": RECORDS_PER_BATCH,
        "pipeline.outputRecordsPerBatch": RECORDS_PER_BATCH,
        "pipeline.errorRecordsPerBatch": 0,
        "pipeline.errorsPerBatch": 0,
        "pipeline.runners": 1,
    }
    timers = ["pipeline.batchProcessing"]
    for stage in pipeline.definition.stages:
        prefix = f"stage.{stage.name}"
        for name, size in (
            ("inputRecords", RECORDS_PER_BATCH),
            ("outputRecords", RECORDS_PER_BATCH if stage.lanes else 0),
            ("errorRecords", 0),
            ("stageErrors", 0),
        ):
            totals[f"{prefix}.{name}"] = batches * size
            sizes[f"{prefix}.{name}"] = size
        for lane in stage.lanes:
            totals[f"{prefix}:{lane}.outputRecords"] = records
        timers.append(f"{prefix}.batchProcessing")
    return {
        "version": "3.0.0",
        "gauges": {
            "RuntimeStatsGauge.gauge": {"value": {"batchCount": batches, "timeOfLastReceivedRecord": 0}}
        },
        "counters": {f"{name}.counter": {"count": total} for name, total in totals.items()},
        "histograms": {f"{name}.histogramM5": _histogram(batches, size) for name, size in sizes.items()},
        "meters": {f"{name}.meter": _meter(total, batches) for name, total in totals.items()},
        "timers": {f"{name}.timer": _timer(batches) for name in timers},
        "slaves": None,
    }


def _meter(total: int, batches: int) -> dict[str, Any]:
    rate = round(total / (batches * BATCH_MS / 1000), 6) if batches else 0.0
    spans = ("m1", "m5", "m15", "m30", "h1", "h6", "h12", "h24", "mean")
    rates = [f"{span}_rate" for span in spans]
    return {"count": total, **dict.fromkeys(rates, rate), "units": "events/second"}


def _histogram(count: int, value: float) -> dict[str, Any]:
    seen = value if count else 0
    names = ("max", "mean", "min", "p50", "p75", "p95", "p98", "p99", "p999")
    return {"count": count, **dict.fromkeys(names, seen), "stddev": 0}


def _timer(batches: int) -> dict[str, Any]:
    rate = 1000 / BATCH_MS if batches else 0.0
    rates = dict.fromkeys(("m1_rate", "m5_rate", "m15_rate", "mean_rate"), rate)
    return {
        **_histogram(batches, BATCH_S),
        **rates,
        "duration_units": "seconds",
        "rate_units": "calls/second",
    }
