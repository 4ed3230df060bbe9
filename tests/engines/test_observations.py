"""What a real Data Collector 3.23 was seen to do: one test, or a few, for each row of the observations."""

import asyncio
import json
from typing import Any

import cramjam
import pytest
from support.fleet_fakes import (
    START_MS,
    Hand,
    JumpingClock,
    RecorderSender,
    base_event,
    definition,
    deliver,
    identity,
    save_event,
)
from support.fleet_recorder import SYNC, Recorder

from psrlib.engines.behaviour import GHOST_TOWN, Behaviour, Transition
from psrlib.engines.definition import read_definition
from psrlib.engines.engine import Engine
from psrlib.engines.exchange import Answer
from psrlib.engines.fleet import Fleet
from psrlib.engines.metrics import Upload, metrics_body
from psrlib.engines.poll import PollLane
from psrlib.engines.wire import ServerEvent

NAME = "Orders:5b0e:org-0001"
LOCAL = "Orders__5b0e__org-0001"
DAY_MS = 86_400_000
QUIET = Answer(200, b"[]")


def name(number: int) -> str:
    return f"Orders {number}:{number}:org-0001"


def event(code: int, payload: Any, *, id: str | None = None, ack: bool = True) -> ServerEvent:
    text = payload if isinstance(payload, str) or payload is None else json.dumps(payload)
    return ServerEvent(id or f"event-{code}", code, text, ack)


def answer(*events: ServerEvent) -> Answer:
    rows = [
        {
            "eventId": e.event_id,
            "eventTypeId": e.event_type_id,
            "payload": e.payload,
            "requiresAck": e.requires_ack,
        }
        for e in events
    ]
    return Answer(200, json.dumps(rows).encode())


def acks(engine: Engine) -> list[tuple[str, str | None]]:
    """Return status and message of all acknowledgements that wait, and forget them."""
    found = [json.loads(ack["payload"]) for ack in (*engine.acks, *engine.deletion_acks)]
    engine.acks.clear()
    engine.deletion_acks.clear()
    return [(ack["ackEventStatus"], ack["message"]) for ack in found]


def sent(request: Any) -> list[tuple[int, str, Any]]:
    """Return code, id and payload of the events of a poll."""
    return [(e["eventTypeId"], e["eventId"], json.loads(e["payload"])) for e in json.loads(request.body)]


@pytest.fixture
def running(engine: Engine) -> Engine:
    """An engine that has told of its running pipeline."""
    deliver(engine, [event(1001, save_event()), event(1003, base_event())], START_MS)
    engine.advance(START_MS + 5000)
    assert engine.pipelines[LOCAL].state == "RUNNING"
    engine.acks.clear()
    engine.changes.clear()
    return engine


# -- 28 ---------------------------------------------------------------------------------------------------


def test_the_twenty_third_pipeline_finds_no_threads() -> None:
    """Row 28: START is acknowledged with CONTAINER_0166, the pipeline stays EDITED."""
    engine = Engine(identity(0), "http://hub", Behaviour(), event_ms=0, max_pipelines=22)
    engine.boot(START_MS)
    for number in range(23):
        events = [event(1001, save_event(name(number))), event(1003, base_event(name(number)))]
        deliver(engine, events, START_MS)
    *good, (status, message) = acks(engine)
    assert good == [("SUCCESS", None)] * 45
    assert status == "ERROR"
    assert message == (
        "Remote event type: 'START_PIPELINE' encountered exception 'CONTAINER_0166 - Cannot start pipeline "
        "'Orders 22__22__org-0001' as there are not enough threads available.'"
    )
    assert [p.state for p in engine.pipelines.values()] == ["STARTING"] * 22 + ["EDITED"]


def test_a_pipeline_that_ends_makes_room() -> None:
    """Row 28: the limit counts what is active."""
    engine = Engine(identity(0), "http://hub", Behaviour(), event_ms=0, max_pipelines=1)
    engine.boot(START_MS)
    for number in range(2):
        deliver(engine, [event(1001, save_event(name(number)))], START_MS)
    deliver(engine, [event(1003, base_event(name(0)))], START_MS)
    engine.advance(START_MS + 5000)
    deliver(engine, [event(1004, base_event(name(0)))], START_MS + 5000)
    engine.advance(START_MS + 10_000)
    acks(engine)
    deliver(engine, [event(1003, base_event(name(1)))], START_MS + 10_000)
    assert acks(engine) == [("SUCCESS", None)]


def test_without_a_limit_any_number_runs(engine: Engine) -> None:
    """Row 28: the default of a mock engine, as populating needs it."""
    for number in range(100):
        events = [event(1001, save_event(name(number))), event(1003, base_event(name(number)))]
        deliver(engine, events, START_MS)
    assert engine.n_active == 100


# -- 29 ---------------------------------------------------------------------------------------------------


def test_events_take_their_time_and_the_next_poll_waits_for_it(recorder: Recorder) -> None:
    """Row 29: at a real engine's quarter of a second, 22 SAVE and START make the next poll 11 s later."""
    engine = Engine(identity(0), "http://hub", Behaviour(), event_ms=250)
    engine.boot(START_MS)
    lane, hand = PollLane(engine, phase_ms=0, start_ms=START_MS), Hand(engine, recorder)
    for _ in range(2):
        hand.step(lane)
    for number in range(22):
        recorder.put(identity(0).id, 1001, save_event(name(number)))
        recorder.put(identity(0).id, 1003, base_event(name(number)))
    hand.step(lane)
    answered, request = hand.now, None
    while request is None:
        request = hand.step(lane)
    assert hand.now - answered == 44 * 250 + 5000
    started = [c["timeStamp"] for _, _, c in sent(request) if c.get("pipelineStatus") == "STARTING"]
    assert [at - answered for at in started] == [500 * n for n in range(1, 23)]


def test_metrics_go_on_while_events_are_worked_off(clock: JumpingClock) -> None:
    """Row 29: only the poll waits; the engine's other calls do not."""
    recorder = Recorder({identity(0).id: identity(0).token})
    for number in range(80):
        recorder.put(identity(0).id, 1001, save_event(name(number), UPDATE_WAIT_TIME_MS=10_000))
        recorder.put(identity(0).id, 1003, base_event(name(number)))
    fleet = Fleet([identity(0)], "http://hub", RecorderSender(recorder, clock), clock=clock, event_ms=250)
    asyncio.run(fleet.run(START_MS + 60_000))
    assert recorder.violations == []
    polls = [r.at_ms - START_MS for r in recorder.requests if r.path.endswith("/events")]
    uploads = [
        r for r in recorder.requests if r.path.endswith("/metrics") and 6_000 < r.at_ms - START_MS < 45_000
    ]
    assert polls[:2] == [0, 160 * 250 + 5000]
    assert len(uploads) > 80


# -- 30 ---------------------------------------------------------------------------------------------------


def test_after_a_crash_a_full_report_comes_first_and_then_four_changes(running: Engine) -> None:
    """Row 30: DISCONNECTING, DISCONNECTED, STARTING, RUNNING, the first two stamped with the restart."""
    later = Engine(running.identity, running.base_url, running.behaviour)
    later.restore(running.save())
    boot_ms = START_MS + DAY_MS
    later.boot(boot_ms, alive_ms=START_MS + 65_000)
    lane = PollLane(later, phase_ms=0, start_ms=boot_ms)
    hand = Hand(later, Recorder({identity(0).id: identity(0).token}), boot_ms)
    hand.step(lane)
    first = sent(hand.step(lane))
    assert [code for code, _, _ in first] == [2001, 2002, 2003]
    changes = [payload for code, _, payload in sent(hand.step(lane)) if code == 2000]
    assert [c["pipelineStatus"] for c in changes] == ["DISCONNECTING", "DISCONNECTED", "STARTING", "RUNNING"]
    assert [c["timeStamp"] for c in changes[:2]] == [boot_ms, boot_ms]
    assert boot_ms <= changes[2]["timeStamp"] < changes[3]["timeStamp"] < boot_ms + 5000
    forced = "Pipeline was in RUNNING state, forcing it to DISCONNECTING"
    assert [c["message"] for c in changes] == [forced, forced, None, None]


# -- 31 ---------------------------------------------------------------------------------------------------


def test_stop_delete_of_a_missing_pipeline_succeeds(engine: Engine) -> None:
    """Row 31: nothing is left to do; nothing is reported."""
    deliver(engine, [event(1009, base_event(), ack=False)], START_MS)
    assert (acks(engine), list(engine.changes)) == ([("SUCCESS", None)], [])


def test_stop_delete_while_stopping_is_an_error_and_the_pipeline_stays(running: Engine) -> None:
    """Row 31: whether a STOP or another STOP_DELETE began it."""
    deliver(running, [event(1004, base_event()), event(1009, base_event())], START_MS + 60_000)
    stop, (status, message) = acks(running)
    assert stop == ("SUCCESS", None)
    assert status == "ERROR"
    assert message.startswith("Remote event type STOP_DELETE_PIPELINE encountered error CONTAINER_0102")
    running.advance(START_MS + 70_000)
    assert running.pipelines[LOCAL].state == "STOPPED"


def test_a_missing_object_is_deleted_with_success(engine: Engine) -> None:
    """Row 31: 1013."""
    deliver(engine, [event(1013, {"namespace": "n", "id": "i"})], START_MS)
    assert acks(engine) == [("SUCCESS", None)]


@pytest.mark.parametrize(
    ("code", "payload", "text"),
    [
        (
            1001,
            {
                **save_event(),
                "pipelineConfigurationAndRules": {"pipelineConfig": "{}", "pipelineRules": "{}"},
            },
            "Remote event type: 'SAVE_PIPELINE' encountered exception 'uuid cannot be null'",
        ),
        (1012, {"namespace": "n", "id": "i", "version": 1, "content": "x"}, "BLOB_STORE_0003"),
        (1014, {"namespace": "n", "id": "i", "version": 9}, "BLOB_STORE_0007"),
        (1016, base_event(), "Unrecognized event: 'PREVIEW_PIPELINE'"),
    ],
    ids=["save nothing", "object again", "version missing", "preview"],
)
def test_what_a_real_engine_refuses_is_refused_in_its_words(
    engine: Engine, code: int, payload: Any, text: str
) -> None:
    """Row 31: the codes of the messages."""
    deliver(engine, [event(1012, {"namespace": "n", "id": "i", "version": 1, "content": "x"})], START_MS)
    acks(engine)
    deliver(engine, [event(code, payload)], START_MS)
    ((status, message),) = acks(engine)
    assert status == "ERROR"
    assert text in message


# -- 32 ---------------------------------------------------------------------------------------------------


def failing() -> Engine:
    rows = [row for row in GHOST_TOWN if row.state != "STARTING_ERROR"]
    rows = [row for row in rows if row.state != "STARTING"]
    rows += [Transition("STARTING", "STARTING_ERROR", delay_ms=1000), Transition("STARTING_ERROR", "RETRY")]
    engine = Engine(identity(0), "http://hub", Behaviour(rows), event_ms=0)
    engine.boot(START_MS)
    deliver(engine, [event(1001, save_event()), event(1003, base_event())], START_MS)
    return engine


def retry_waits_s(engine: Engine) -> list[float]:
    since: dict[str, int] = {}
    waits = []
    for change in engine.changes:
        if change["pipelineStatus"] == "STARTING" and "RETRY" in since:
            waits.append((change["timeStamp"] - since["RETRY"]) / 1000)
        since[change["pipelineStatus"]] = change["timeStamp"]
    return waits


def test_the_waits_before_a_retry_double_up_to_five_minutes() -> None:
    """Row 32: 15, 30, 60, 120, 240, 300, 300 s and so on."""
    engine = failing()
    engine.advance(START_MS + 1_500_000)
    assert retry_waits_s(engine)[:8] == [15, 30, 60, 120, 240, 300, 300, 300]


def test_a_new_start_begins_with_the_shortest_wait() -> None:
    """Row 32: retries are counted per run."""
    engine = failing()
    engine.advance(START_MS + 100_000)
    deliver(engine, [event(1004, base_event())], START_MS + 110_000)
    engine.advance(START_MS + 115_000)
    engine.changes.clear()
    deliver(engine, [event(1003, base_event())], START_MS + 120_000)
    engine.advance(START_MS + 180_000)
    assert retry_waits_s(engine) == [15, 30]


# -- 33 ---------------------------------------------------------------------------------------------------


def with_origin(**configuration: Any) -> dict[str, Any]:
    config = json.loads(definition()["pipelineConfig"])
    config["stages"][0]["configuration"] = [{"name": k, "value": v} for k, v in configuration.items()]
    return config


def test_metrics_are_of_real_size() -> None:
    """Row 33: 15,640 bytes of a three-stage pipeline, 3,816 compressed, 87 gauges, version 4.0.0."""
    config = with_origin(batchSize=1000, delay=1000)
    config["metadata"]["labels"] = "text"
    lane = "DevDataGenerator_01OutputLane15463008000000"
    config["stages"] = [
        {**config["stages"][0], "instanceName": "DevDataGenerator_01", "outputLanes": [lane]},
        {"instanceName": "ExpressionEvaluator_01", "outputLanes": [lane.replace("Dev", "Ex")]},
        {"instanceName": "Trash_01", "outputLanes": []},
    ]
    body = metrics_body(Upload(read_definition(json.dumps(config)), 86_400, START_MS), identity(0).id)
    (record,) = json.loads(body)
    assert 0.9 * 15_640 < len(body) < 1.1 * 15_640
    assert 0.85 * 3_816 < len(cramjam.snappy.compress(body)) < 1.15 * 3_816
    assert len(record["metrics"]["gauges"]) == 87
    assert record["metrics"]["version"] == "4.0.0"


@pytest.mark.parametrize(
    ("configuration", "batches", "records"),
    [
        ({"batchSize": 50, "delay": 5000}, 12, 600),
        ({"batchSize": 1000, "delay": 1000}, 60, 60_000),
        ({"batchSize": 7, "delay": 0}, 3000, 21_000),
        ({"batchSize": "${size}", "delay": "${delay}"}, 60, 600),
        ({}, 60, 600),
    ],
    ids=["seed", "vendor's default", "no delay", "parameters", "unknown origin"],
)
def test_counts_follow_the_definition(configuration: Any, batches: int, records: int) -> None:
    """Row 33: ``batchSize`` records every ``delay``, at most fifty batches a second."""
    payload = save_event()
    payload["pipelineConfigurationAndRules"]["pipelineConfig"] = json.dumps(with_origin(**configuration))
    engine = Engine(identity(0), "http://hub", Behaviour([]), event_ms=0)
    deliver(engine, [event(1001, payload)], START_MS)
    pipeline = engine.pipelines[LOCAL]
    pipeline.enter("RUNNING", START_MS)
    upload = Upload(pipeline.definition, pipeline.batches(START_MS + 60_000), START_MS + 60_000)
    (record,) = json.loads(metrics_body(upload, engine.identity.id))
    counters = record["metrics"]["counters"]
    assert counters["pipeline.batchCount.counter"] == {"count": batches}
    assert counters["pipeline.batchInputRecords.counter"] == {"count": records}
    assert counters["stage.Trash_01.inputRecords.counter"] == {"count": records}
    rate = record["metrics"]["meters"]["pipeline.batchInputRecords.meter"]["mean_rate"]
    assert rate == pytest.approx(records / 60)


def test_a_missing_time_series_constant_means_true() -> None:
    """Row 33: only a false one is false."""
    config = json.loads(definition(TIME_SERIES_ANALYSIS=False)["pipelineConfig"])
    assert read_definition(json.dumps(config)).time_series is False
    constants = config["configuration"][1]["value"]
    constants[:] = [entry for entry in constants if entry["key"] != "TIME_SERIES_ANALYSIS"]
    assert read_definition(json.dumps(config)).time_series is True


# -- 34 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "payload"), [(1017, {}), (1003, None)], ids=["preview", "null payload"])
def test_an_answer_that_breaks_off_sends_old_acks_again_and_loses_its_own(
    hand: Hand, lane: PollLane, code: int, payload: Any
) -> None:
    """Row 34: events before the broken one were carried out, later ones were not."""
    for _ in range(2):
        hand.step(lane)
    hand.step(lane, answer(event(1012, {"namespace": "n", "id": "i", "version": 1}, id="old")))
    broken = [
        event(1001, save_event(), id="before"),
        event(code, payload, id="broken"),
        event(1003, base_event(), id="after"),
    ]
    assert [id for _, id, _ in sent(hand.step(lane, answer(*broken)))] == ["old"]
    assert [id for _, id, _ in sent(hand.step(lane, QUIET))] == ["old"]
    assert hand.step(lane, QUIET).body == b"[]"
    assert [p.state for p in hand.engine.pipelines.values()] == ["EDITED"]


# -- 35 ---------------------------------------------------------------------------------------------------


def test_changes_of_a_deleted_pipeline_have_no_title_and_no_runner(running: Engine) -> None:
    """Row 35: all that are still queued; the text of STOPPED ends in a blank."""
    deliver(running, [event(1009, base_event(forceTimeoutMillis=120_000))], START_MS + 60_000)
    assert [(c["title"], c["runnerCount"]) for c in running.changes] == [("Orders", 1)]
    running.advance(START_MS + 70_000)
    assert [(c["pipelineStatus"], c["title"], c["runnerCount"]) for c in running.changes] == [
        ("STOPPING", None, 0),
        ("STOPPED", None, 0),
        ("DELETED", None, 0),
    ]
    assert running.changes[1]["message"] == "The pipeline was stopped. "


def test_offsets_are_printed_over_several_lines(running: Engine) -> None:
    """Row 35: as text inside the report."""
    (report,) = running.reports(START_MS + 60_000)
    assert report["offset"].count("\n") >= 3
    assert set(json.loads(report["offset"])) == {"version", "offsets"}


def test_a_validation_is_told_in_full_reports_only(running: Engine) -> None:
    """Row 35: validationStatus and issues."""
    deliver(running, [event(1000, base_event()), event(1004, base_event())], START_MS + 60_000)
    (report,) = running.reports(START_MS + 60_000)
    assert (report["validationStatus"], json.loads(report["issues"])["issueCount"]) == ("VALID", 0)
    assert [(c["validationStatus"], c["issues"]) for c in running.changes] == [(None, "null")]


def test_the_info_event_says_what_a_real_one_says(hand: Hand, lane: PollLane) -> None:
    """Row 35: RandomDataGenerator 5, Expression 2, and date and builder the wrong way round."""
    hand.step(lane)
    (_, _, info), *_ = sent(hand.step(lane))
    versions = {
        stage["stageName"].rpartition("_")[2]: stage["stageVersion"] for stage in info["stageInfoList"]
    }
    assert (versions["RandomDataGeneratorSource"], versions["ExpressionDProcessor"]) == (5, 2)
    assert info["sdcBuildInfo"]["builtBy"].startswith("2021-")
    assert not info["sdcBuildInfo"]["builtDate"].startswith("2021-")


# -- 36 ---------------------------------------------------------------------------------------------------


def test_in_sync_mode_an_orderly_end_is_told(clock: JumpingClock) -> None:
    """Row 36: one last report of all pipelines, then each one's DISCONNECTING and DISCONNECTED."""
    recorder = Recorder({identity(0).id: identity(0).token}, sync=True)
    for number in range(2):
        recorder.put(identity(0).id, 1001, save_event(name(number)))
        recorder.put(identity(0).id, 1003, base_event(name(number)))
    sender = RecorderSender(recorder, clock)
    fleet = Fleet([identity(0)], "http://hub", sender, clock=clock)
    asyncio.run(fleet.run(START_MS + 90_000))
    assert recorder.violations == []
    full, *changes = recorder.requests[-5:]
    assert full.path == SYNC + "job/pipelineStatusEvents"
    assert [s["pipelineStatus"] for s in full.body["pipelineStatusEventList"]] == ["RUNNING"] * 2
    assert [(c.body["name"], c.body["pipelineStatus"]) for c in changes] == [
        (name(number), state) for number in range(2) for state in ("DISCONNECTING", "DISCONNECTED")
    ]
    assert sender.closed


def test_in_classic_mode_an_orderly_end_is_silent(clock: JumpingClock) -> None:
    """Row 36: there is no poll any more that could carry it."""
    recorder = Recorder({identity(0).id: identity(0).token})
    recorder.put(identity(0).id, 1001, save_event())
    recorder.put(identity(0).id, 1003, base_event())
    fleet = Fleet([identity(0)], "http://hub", RecorderSender(recorder, clock), clock=clock)
    asyncio.run(fleet.run(START_MS + 61_000))
    assert "DISCONNECTED" not in {state for _, state in recorder.engines[identity(0).id].history}
