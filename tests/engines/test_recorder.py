"""The strict recorder objects to what a real engine would not send."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.fleet_fakes import START_MS, Hand, base_event, identity, save_event
from support.fleet_recorder import EVENTS, REGISTRATION, BrokenProtocolError, Recorder

from psrlib.engines.poll import PollLane

Events = list[dict[str, Any]]


def payload(events: Events, code: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the payload of the first event of a code."""
    event = next(event for event in events if event["eventTypeId"] == code)
    opened = json.loads(event["payload"])
    change(opened)
    event["payload"] = json.dumps(opened)


BROKEN: dict[str, Callable[[Events], object]] = {
    "extra envelope field": lambda events: events[0].update(isAckEvent=False),
    "payload not text": lambda events: events[0].update(payload={}),
    "wrong destination": lambda events: events[0].update(destinations=["timeseries-app"]),
    "order": lambda events: events.reverse(),
    "no full report": lambda events: events.__delitem__(slice(1, None)),
    "info without labels": lambda events: payload(events, 2001, lambda info: info.pop("labels")),
    "figures of another engine": lambda events: payload(events, 2003, lambda found: found.update(sdcId="x")),
    "unknown code": lambda events: events.append({**events[0], "eventTypeId": 2004}),
    "ack of nothing": lambda events: events.insert(
        0,
        {
            **events[0],
            "eventTypeId": 5000,
            "ackEvent": True,
            "payload": '{"ackEventStatus":"SUCCESS","message":null}',
        },
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_first_poll_is_noticed(
    hand: Hand, lane: PollLane, recorder: Recorder, broken: Callable[[Events], object]
) -> None:
    """Each with one rule broken; the unchanged one passes."""
    hand.step(lane)
    request = lane.next_request(START_MS)
    events = json.loads(request.body)
    changed = copy.deepcopy(events)
    broken(changed)
    assert copy.deepcopy(recorder).take(EVENTS, request.headers, request.body, START_MS)[0] == 200
    with pytest.raises(BrokenProtocolError):
        recorder.take(EVENTS, request.headers, json.dumps(changed).encode(), START_MS)
    assert recorder.violations


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Orders__5b0e__org-0001"),
        ("pipelineStatus", "RUNNIN"),
        ("offset", "{}"),
        ("issues", ""),
        ("acl", {}),
    ],
)
def test_a_broken_status_is_noticed(
    hand: Hand, lane: PollLane, recorder: Recorder, name: str, value: Any
) -> None:
    """One field of a state change."""
    hand.step(lane)
    hand.step(lane)
    recorder.put(identity(0).id, 1001, save_event())
    recorder.put(identity(0).id, 1003, base_event())
    hand.step(lane)
    hand.now += 5000
    request = lane.next_request(hand.now)
    events = json.loads(request.body)
    payload(events, 2000, lambda status: status.update({name: value}))
    with pytest.raises((BrokenProtocolError, KeyError, ValueError)):
        recorder.take(EVENTS, request.headers, json.dumps(events).encode(), hand.now)


def test_polls_before_their_time_are_noticed(hand: Hand, lane: PollLane, recorder: Recorder) -> None:
    """Five seconds after the poll before, no sooner."""
    for _ in range(3):
        hand.step(lane)
    request = lane.next_request(hand.now + 4000)
    with pytest.raises(BrokenProtocolError, match="poll period"):
        recorder.take(EVENTS, request.headers, request.body, hand.now + 4000)


def test_a_registration_with_a_trailing_slash_is_noticed(lane: PollLane, recorder: Recorder) -> None:
    """The attribute has none, whatever the configuration says."""
    request = lane.next_request(START_MS)
    body = json.loads(request.body)
    body["attributes"]["baseHttpUrl"] += "/"
    with pytest.raises(BrokenProtocolError, match="trailing slash"):
        recorder.take(REGISTRATION, request.headers, json.dumps(body).encode(), START_MS)


def test_a_missing_marker_is_noticed(lane: PollLane, recorder: Recorder) -> None:
    """X-Requested-By must be there on every call."""
    request = lane.next_request(START_MS)
    headers = {name: value for name, value in request.headers.items() if name != "X-Requested-By"}
    with pytest.raises(BrokenProtocolError, match="headers"):
        recorder.take(REGISTRATION, headers, request.body, START_MS)
