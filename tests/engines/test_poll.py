"""Registration and polls after engine-protocol, 3.2 and 3.3."""

import json
from itertools import pairwise

import pytest
from support.fleet_fakes import START_MS, Hand, base_event, save_event
from support.fleet_recorder import EVENTS, REGISTRATION, Recorder

from psrlib.engines.budget import EVENT_BYTES
from psrlib.engines.engine import Engine
from psrlib.engines.exchange import IO_ERROR, Answer
from psrlib.engines.poll import ATTEMPTS, PollLane

JSON = {"Content-Type": "application/json"}
UP = Answer(200, b'{"configuration":{}}', JSON)


def codes(request: object) -> list[int]:
    return [event["eventTypeId"] for event in json.loads(request.body)]


def test_the_first_exchange_is_the_registration_and_the_second_a_full_poll(
    hand: Hand, lane: PollLane
) -> None:
    """Registration, then 2001, 2002 and 2003 at once."""
    first, second = hand.step(lane), hand.step(lane)
    assert (first.path, second.path) == (REGISTRATION, EVENTS)
    assert codes(second) == [2001, 2002, 2003]
    assert hand.now == START_MS


def test_a_quiet_engine_polls_with_an_empty_list_every_five_seconds(hand: Hand, lane: PollLane) -> None:
    """The empty poll is the heartbeat; the delay counts from the answer."""
    hand.step(lane)
    hand.step(lane)
    times = []
    for _ in range(5):
        assert hand.step(lane).body == b"[]"
        times.append(hand.now)
    assert [later - sooner for sooner, later in pairwise(times)] == [5000] * 4


def test_a_full_report_follows_when_more_than_a_minute_has_passed(hand: Hand, lane: PollLane) -> None:
    """The test is greater than 60 s: the thirteenth poll at 5 s."""
    for _ in range(2):
        hand.step(lane)
    sent = [codes(hand.step(lane)) for _ in range(14)]
    assert [n for n, found in enumerate(sent, start=1) if found] == [13]
    assert sent[12] == [2002, 2003]


@pytest.mark.parametrize("status", [IO_ERROR, 503])
def test_registration_is_tried_five_times_with_growing_waits(lane: PollLane, hand: Hand, status: int) -> None:
    """Waits of 2, 4, 8 and 16 s; then the engine polls in disconnected mode."""
    times = []
    for _ in range(ATTEMPTS):
        assert hand.step(lane, Answer(status)).kind == "registration"
        times.append(hand.now - START_MS)
    assert times == [0, 2000, 6000, 14000, 30000]
    assert lane.engine.registered is False
    assert hand.step(lane, Answer(200, b"[]")).kind == "poll"


def test_a_disconnected_engine_registers_again_later(lane: PollLane, hand: Hand) -> None:
    """After any other failure it polls on, and registration is tried anew within about a minute."""
    hand.step(lane, Answer(500))
    kinds = []
    for _ in range(20):
        request = hand.step(
            lane,
            UP if lane.due_ms - START_MS >= 60_000 and "registration" not in kinds else Answer(200, b"[]"),
        )
        kinds.append(request.kind)
    assert kinds.count("registration") == 1
    assert lane.engine.registered


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_registration_stops_the_engine_and_says_why(
    lane: PollLane, hand: Hand, status: int
) -> None:
    """400 and 403 abort the start; the message includes the body."""
    hand.step(lane, Answer(status, b'{"message":"SECURITY_57 - version"}', JSON))
    assert lane.due_ms is None
    assert "SECURITY_57" in lane.engine.refusal


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (Answer(200, b""), False),
        (Answer(200, b"", JSON), False),
        (Answer(200, b'{"configuration":null}', JSON), True),
        (Answer(200, b"ok", {"Content-Type": "text/plain"}), True),
    ],
    ids=["no content type", "empty JSON", "null configuration", "plain text"],
)
def test_answers_to_registration_count_as_data_collector_takes_them(
    lane: PollLane, hand: Hand, answer: Answer, refused: bool
) -> None:
    """Fine, a failed attempt, or the end of the start (3.2)."""
    hand.step(lane, answer)
    assert (lane.engine.refusal is not None) is refused
    assert lane.engine.registered is (answer == Answer(200, b""))


def test_a_permanent_redirect_moves_the_engine_to_another_base(lane: PollLane, hand: Hand) -> None:
    """308 changes scheme, host and port; the next attempt goes there."""
    hand.step(lane, Answer(308, b"", {"Location": "https://other.example:9/security/x"}))
    assert hand.step(lane, UP).base == "https://other.example:9"


@pytest.mark.parametrize("answer", [Answer(500), Answer(IO_ERROR), Answer(200, b""), Answer(200, b"{}")])
def test_what_a_failed_poll_carried_is_told_again(
    hand: Hand, lane: PollLane, recorder: Recorder, answer: Answer
) -> None:
    """Acks, changes and the info event survive; the full report is made anew; the delay stays 5 s."""
    hand.step(lane)
    assert codes(hand.step(lane, answer)) == [2001, 2002, 2003]
    failed = hand.now
    assert codes(hand.step(lane)) == [2001, 2002, 2003]
    assert hand.now - failed <= 5000
    event = recorder.put(lane.engine.identity.id, 1001, save_event())
    hand.step(lane)
    sent = hand.step(lane, answer).body
    assert json.loads(sent)[0]["eventId"] == event
    assert hand.step(lane).body == sent
    assert hand.step(lane).body == b"[]"


def test_three_refused_polls_in_a_row_are_a_revoked_token(
    hand: Hand, lane: PollLane, recorder: Recorder
) -> None:
    """One 401 may be a hub's bad moment; three stop the engine, which says so."""
    hand.step(lane)
    hand.step(lane)
    for answer in (Answer(401), Answer(401), None, Answer(401), Answer(401)):
        hand.step(lane, answer)
        assert lane.engine.refusal is None
    hand.step(lane, Answer(401))
    assert lane.due_ms is None
    assert "revoked" in lane.engine.refusal
    assert lane.engine.identity.token not in lane.engine.refusal


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "Expected `array`, got `object`"),
        (b'[{"eventId":5,"eventTypeId":1001}]', "Expected `str`, got `int`"),
        (b'[{"eventId":"e","x":' + b"[" * 5000, "nested too deeply"),
    ],
    ids=["object", "number for an id", "deep"],
)
def test_answers_of_a_wrong_type_stop_the_engine_and_say_so(
    hand: Hand, lane: PollLane, body: bytes, said: str
) -> None:
    """One may be an accident; after three in a row this is no hub."""
    hand.step(lane)
    hand.step(lane)
    for answer in (Answer(200, body), Answer(200, body), None, Answer(200, body), Answer(200, body)):
        hand.step(lane, answer)
        assert lane.engine.refusal is None
    assert lane.fault == "wrong type of answer"
    hand.step(lane, Answer(200, body))
    assert lane.due_ms is None
    assert said in lane.engine.refusal


def test_a_page_in_place_of_an_answer_is_a_failed_poll(hand: Hand, lane: PollLane) -> None:
    """A proxy's page may stand there for hours: the engine polls on, as a real one does."""
    hand.step(lane)
    for _ in range(100):
        hand.step(lane, Answer(200, b"<html>maintenance</html>"))
    assert (lane.engine.refusal, lane.fault) == (None, "unreadable answer")


def test_more_than_the_fleet_can_hold_is_a_failed_poll(hand: Hand, lane: PollLane) -> None:
    """What an answer makes an engine hold is counted until the next answer."""
    hand.step(lane)
    hand.step(lane)
    lane.engine.budget.limit = 10_000
    many = json.dumps(
        [{"eventId": "e", "eventTypeId": 1999, "payload": "{}", "requiresAck": True}] * 5
    ).encode()
    hand.step(lane, Answer(200, many))
    assert lane.fault == "more than the fleet can hold"
    few = json.dumps(
        [{"eventId": "e", "eventTypeId": 1999, "payload": "{}", "requiresAck": True}] * 4
    ).encode()
    for _ in range(5):
        hand.step(lane, Answer(200, few))
        assert lane.fault is None
        assert lane.engine.budget.used > 4 * EVENT_BYTES
    hand.step(lane, Answer(200, b"[]"))
    assert lane.engine.budget.used == 2


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [("²", 5000), ("9" * 5000, 5000), ("20", 20_000), ("1", 5000), ("3600", 60_000), ("soon", 5000)],
)
def test_a_busy_hub_is_left_alone_for_as_long_as_it_asks(
    hand: Hand, lane: PollLane, text: str, wait_ms: int
) -> None:
    """Retry-After lengthens the delay, up to a minute, and never shortens it."""
    hand.step(lane)
    hand.step(lane)
    hand.step(lane)
    hand.step(lane, Answer(429, b"", {"Retry-After": text}))
    assert lane.due_ms - hand.now == wait_ms


def test_a_job_is_started_by_save_and_start_and_reported_by_single_changes(
    hand: Hand, lane: PollLane, recorder: Recorder
) -> None:
    """Two acks, STARTING and RUNNING, each with the time it happened."""
    engine = lane.engine
    hand.step(lane)
    hand.step(lane)
    recorder.put(engine.identity.id, 1001, save_event())
    recorder.put(engine.identity.id, 1003, base_event(interceptorConfiguration=None, groups=None))
    hand.step(lane)
    started = hand.now
    request = hand.step(lane)
    assert codes(request) == [5000, 5000, 2000, 2000]
    reports = [json.loads(event["payload"]) for event in json.loads(request.body)[2:]]
    assert [report["pipelineStatus"] for report in reports] == ["STARTING", "RUNNING"]
    assert started == reports[0]["timeStamp"] < reports[1]["timeStamp"] <= hand.now
    assert {ack["ackEventStatus"] for ack in recorder.engines[engine.identity.id].acks.values()} == {
        "SUCCESS"
    }


def test_changes_wait_while_a_full_report_is_sent(
    hand: Hand, lane: PollLane, recorder: Recorder, engine: Engine
) -> None:
    """A 2002 poll does not flush the queue: an older change may follow a newer report (9.2)."""
    for _ in range(13):
        hand.step(lane)
    recorder.put(engine.identity.id, 1001, save_event())
    recorder.put(engine.identity.id, 1003, base_event())
    hand.step(lane)
    assert codes(hand.step(lane)) == [5000, 5000, 2002, 2003]
    assert codes(hand.step(lane)) == [2000, 2000]


def test_the_first_wait_leads_to_the_place_of_the_engine_in_the_interval(
    engine: Engine, recorder: Recorder
) -> None:
    """So a fleet's polls spread evenly whatever the moment its engines registered."""
    lane = PollLane(engine, phase_ms=1234, start_ms=START_MS)
    hand = Hand(engine, recorder)
    hand.step(lane)
    hand.step(lane)
    assert lane.due_ms % 5000 == 1234
    assert 0 < lane.due_ms - hand.now <= 5000


def test_a_late_engine_returns_to_its_place(hand: Hand, lane: PollLane) -> None:
    """After a backlog the wait is longer, once, by less than an interval."""
    for _ in range(3):
        hand.step(lane)
    hand.now += 7777
    lane.was_late = True
    hand.step(lane)
    assert lane.due_ms % 5000 == lane.phase_ms
    assert 5000 <= lane.due_ms - hand.now < 10_000
