"""Sync mode: statuses and heartbeat straight to the job runner (engine-protocol, 3.4)."""

import json

import pytest
from support.fleet_fakes import START_MS, Hand, base_event, deliver, save_event
from support.fleet_recorder import EVENTS, SYNC, Recorder

from psrlib.engines.engine import Engine
from psrlib.engines.exchange import Answer
from psrlib.engines.poll import PollLane
from psrlib.engines.sync import SyncLane
from psrlib.engines.wire import ServerEvent


@pytest.fixture
def recorder(recorder: Recorder) -> Recorder:
    recorder.sync = True
    return recorder


@pytest.fixture
def sync(hand: Hand, lane: PollLane) -> SyncLane:
    """The sync lane of an engine that has just registered with a hub that wants sync mode."""
    hand.step(lane)
    hand.step(lane)
    return SyncLane(hand.engine, hand.now)


def test_the_answer_to_registration_turns_sync_mode_on(hand: Hand, lane: PollLane) -> None:
    """The poll then carries the info event and figures for timeseries only."""
    hand.step(lane)
    assert hand.engine.sync
    events = json.loads(hand.step(lane).body)
    assert [event["eventTypeId"] for event in events] == [2001, 2003]
    assert events[1]["destinations"] == ["timeseries-app"]


def test_statuses_figures_and_heartbeat_follow_their_periods(hand: Hand, sync: SyncLane) -> None:
    """Statuses and figures at once and each minute; the heartbeat after 1 s and each minute."""
    hand.run(sync, 130)
    found = [(request.path.removeprefix(SYNC), 0) for request, _ in hand.pairs if request.path != EVENTS]
    names = [name for name, _ in found if not name.startswith("/security")]
    assert names[:3] == ["job/pipelineStatusEvents", "sdc/processMetrics", "sdc/updateLastModifiedTime"]
    assert names.count("job/pipelineStatusEvents") == 3
    assert names.count("sdc/updateLastModifiedTime") == 3
    assert names.count("sdc/processMetrics") == 3


def test_each_change_is_one_call_between_full_reports(hand: Hand, sync: SyncLane, engine: Engine) -> None:
    """STARTING and RUNNING, within the 5 s of the loop."""
    hand.run(sync, 7)
    begun = len(hand.pairs)
    events = [
        ServerEvent("a", 1001, json.dumps(save_event())),
        ServerEvent("b", 1003, json.dumps(base_event())),
    ]
    deliver(engine, events, hand.now)
    hand.run(sync, 10)
    reports = [json.loads(r.body) for r, _ in hand.pairs[begun:] if r.path.endswith("pipelineStatusEvent")]
    assert [report["pipelineStatus"] for report in reports] == ["STARTING", "RUNNING"]
    assert not engine.changes


def test_a_lost_change_is_not_told_again_by_itself(hand: Hand, sync: SyncLane, engine: Engine) -> None:
    """One attempt only: the next full report tells the state."""
    hand.run(sync, 7)
    deliver(engine, [ServerEvent("a", 1001, json.dumps(save_event()))], hand.now)
    deliver(engine, [ServerEvent("b", 1003, json.dumps(base_event()))], hand.now)
    while True:
        request = hand.step(sync, Answer(500))
        if request is not None and request.kind == "sync status":
            break
    assert [change["pipelineStatus"] for change in engine.changes] in ([], ["RUNNING"])


def test_figures_are_skipped_when_the_status_call_was_slow(hand: Hand, sync: SyncLane) -> None:
    """More than 70 % of the interval used: no process metrics this time."""
    request = sync.next_request(START_MS)
    assert request.kind == "sync statuses"
    sync.take_answer(request, Answer(200), START_MS + 43_000)
    hand.now = START_MS + 43_000
    kinds = []
    for _ in range(4):
        request = hand.step(sync)
        kinds.append(request and request.kind)
    assert "sync process metrics" not in kinds


def test_sync_mode_ends_when_the_hub_takes_the_key_back(hand: Hand, sync: SyncLane, engine: Engine) -> None:
    """The lane falls silent and the polls carry statuses again."""
    engine.push({"dpm.should.send.sync.events": None})
    assert hand.step(sync) is None
    assert sync.due_ms is None
