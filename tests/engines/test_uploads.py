"""Uploads of pipeline metrics (engine-protocol, 3.5)."""

import json
from typing import Any

import cramjam
import pytest
from support.fleet_fakes import START_MS, Hand, base_event, deliver, save_event

from psrlib.engines.engine import Engine
from psrlib.engines.exchange import IO_ERROR, Answer, Request
from psrlib.engines.uploads import ATTEMPTS, UploadLane
from psrlib.engines.wire import ServerEvent


def begin(engine: Engine, **constants: Any) -> UploadLane:
    """Save and start a pipeline; return the upload lane."""
    events = [
        ServerEvent("a", 1001, json.dumps(save_event(**constants))),
        ServerEvent("b", 1003, json.dumps(base_event())),
    ]
    deliver(engine, events, START_MS)
    lane = UploadLane(engine)
    lane.refresh()
    return lane


def read(request: Request) -> dict[str, Any]:
    (record,) = json.loads(bytes(cramjam.snappy.decompress(request.body)))
    return record


def uploads(hand: Hand, lane: UploadLane, until_s: float) -> list[tuple[float, dict[str, Any]]]:
    """Return time and content of every upload until a moment, all answered 200."""
    found = []
    while lane.due_ms is not None and lane.due_ms <= START_MS + until_s * 1000:
        request = hand.step(lane, Answer(200))
        if request is not None:
            found.append(((hand.now - START_MS) / 1000, read(request)))
    return found


def test_the_first_upload_is_made_at_the_start_and_then_each_period(hand: Hand, engine: Engine) -> None:
    """At RUNNING, and every UPDATE_WAIT_TIME_MS after it."""
    times = [at for at, _ in uploads(hand, begin(engine), 200)]
    assert 0 < times[0] < 2
    assert [round(at - times[0]) for at in times] == [0, 60, 120, 180]


def test_totals_grow_with_time_and_metadata_is_all_text(hand: Hand, engine: Engine) -> None:
    """Ten records per second in, the same out; string metadata of the definition is echoed."""
    (_, first), (_, second) = uploads(hand, begin(engine), 70)
    assert first["metrics"]["counters"]["pipeline.batchCount.counter"] == {"count": 0}
    assert second["metrics"]["counters"]["pipeline.batchCount.counter"] == {"count": 60}
    assert second["metrics"]["counters"]["stage.Dev_01.outputRecords.counter"] == {"count": 600}
    assert second["metrics"]["counters"]["stage.Dev_01:lane1.outputRecords.counter"] == {"count": 600}
    assert second["metrics"]["meters"]["pipeline.batchInputRecords.meter"]["m1_rate"] == 10.0
    assert second["metadata"] == {
        "dpm.pipeline.id": "c0de:org-0001",
        "dpm.pipeline.version": "3",
        "dpm.job.id": "5b0e:org-0001",
        "dpm.pipeline.commitId": "77aa:org-0001",
        "timeSeriesAnalysis": "true",
    }


def test_a_last_upload_is_made_when_the_pipeline_stops(hand: Hand, engine: Engine) -> None:
    """At the time of STOPPED, before a poll reports it."""
    lane = begin(engine)
    uploads(hand, lane, 30)
    deliver(engine, [ServerEvent("c", 1009, json.dumps(base_event()))], START_MS + 30_000)
    lane.refresh()
    found = uploads(hand, lane, 60)
    assert [
        record["metrics"]["counters"]["pipeline.batchCount.counter"]["count"] > 25 for _, record in found
    ] == [True]
    assert 30 < found[0][0] < 32
    assert lane.due_ms is None


@pytest.mark.parametrize(
    ("constants", "expected"),
    [({"UPDATE_WAIT_TIME_MS": None}, [0, 15, 30, 45]), ({"UPDATE_WAIT_TIME_MS": 20000}, [0, 20, 40])],
    ids=["null means 15 s", "20 s"],
)
def test_the_period_is_a_constant_of_the_pipeline(
    hand: Hand, engine: Engine, constants: Any, expected: list[int]
) -> None:
    """Read from the definition."""
    times = [at for at, _ in uploads(hand, begin(engine, **constants), 55)]
    assert [round(at - times[0]) for at in times] == expected


def test_without_the_constant_only_first_and_last_upload_happen(hand: Hand, engine: Engine) -> None:
    """Data Collector's metrics thread dies after the first one (8)."""
    payload = save_event()
    config = json.loads(payload["pipelineConfigurationAndRules"]["pipelineConfig"])
    config["configuration"][1]["value"] = [{"key": "JOB_ID", "value": "5b0e:org-0001"}]
    payload["pipelineConfigurationAndRules"]["pipelineConfig"] = json.dumps(config)
    deliver(
        engine,
        [ServerEvent("a", 1001, json.dumps(payload)), ServerEvent("b", 1003, json.dumps(base_event()))],
        START_MS,
    )
    lane = UploadLane(engine)
    lane.refresh()
    assert len(uploads(hand, lane, 600)) == 1
    deliver(engine, [ServerEvent("c", 1004, json.dumps(base_event()))], START_MS + 600_000)
    lane.refresh()
    assert len(uploads(hand, lane, 700)) == 1


def test_a_pipeline_with_another_statistics_stage_uploads_nothing(hand: Hand, engine: Engine) -> None:
    """Its metric records go elsewhere."""
    payload = save_event()
    config = json.loads(payload["pipelineConfigurationAndRules"]["pipelineConfig"])
    config["statsAggregatorStage"] = {"instanceName": "stats", "stageName": "kafka"}
    payload["pipelineConfigurationAndRules"]["pipelineConfig"] = json.dumps(config)
    deliver(
        engine,
        [ServerEvent("a", 1001, json.dumps(payload)), ServerEvent("b", 1003, json.dumps(base_event()))],
        START_MS,
    )
    lane = UploadLane(engine)
    lane.refresh()
    assert uploads(hand, lane, 600) == []


@pytest.mark.parametrize("status", [503, 500, IO_ERROR])
def test_a_failed_upload_is_tried_five_times_with_growing_waits(
    hand: Hand, engine: Engine, status: int
) -> None:
    """2, 4, 8, 16 s with the same body; then it is given up."""
    lane = begin(engine)
    bodies, times = [], []
    while len(bodies) < ATTEMPTS:
        request = hand.step(lane, Answer(status))
        if request is not None:
            bodies.append(request.body)
            times.append(hand.now)
    assert [later - times[0] for later in times] == [0, 2000, 6000, 14000, 30000]
    assert len(set(bodies)) == 1
    while (request := hand.step(lane, Answer(200))) is None:
        pass
    assert request.body not in bodies


def test_a_refused_upload_is_given_up_at_once(hand: Hand, engine: Engine) -> None:
    """403 is final; the next period makes a new one."""
    lane = begin(engine)
    first = None
    while first is None:
        first = hand.step(lane, Answer(403))
    assert lane.due_ms - hand.now >= 59_000
