"""What one ack or status of an engine means for a pipeline instance: tables of cases, without a database."""

from typing import Any

import pytest

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import reactions, words
from psrlib.hub.runner.entities import Engine, EngineEvent, Instance
from psrlib.hub.runner.reports import Ack, PipelineStatus

NOW_MS = 1_000_000
COLLECTOR = Engine("a", "acme", "", "3.22.2", "COLLECTOR", start_up_time=500)
EDGE = Engine("edge", "acme", "", "3.22.0", "EDGE", start_up_time=500)


def event(kind: int, state: str = "DELIVERED", **more: Any) -> EngineEvent:
    return EngineEvent("e", "a", "acme", kind, state, instance=7, **more)


def instance(phase: str, status: str = "", **more: Any) -> Instance:
    return Instance(7, "run", "job", "acme", "a", "Orders:job:acme", 0, phase, status=status, **more)


@pytest.mark.parametrize(
    ("kind", "phase", "ack", "state", "follows"),
    [
        pytest.param(words.SAVE, "STARTING", Ack("SUCCESS"), "SUCCESS", [], id="saved"),
        pytest.param(words.START, "STARTING", Ack("ERROR", "no"), "ERROR", ["Failed"], id="start refused"),
        pytest.param(words.START, "RUNNING", Ack("ERROR", "no"), "ERROR", [], id="refused but running"),
        pytest.param(words.STOP, "STOPPING", Ack("SUCCESS"), "SUCCESS", [], id="stopped"),
        pytest.param(words.STOP, "STOPPING", Ack("ERROR"), "ERROR", ["Send"], id="cannot stop: is deleted"),
        pytest.param(words.STOP, "STARTING", Ack("ERROR"), "ERROR", [], id="stop before a new start"),
        pytest.param(words.DELETE, "STOPPING", Ack("SUCCESS"), "SUCCESS", ["Gone"], id="deleted"),
        pytest.param(words.DELETE, "STOPPING", Ack("ERROR"), "ERROR", ["Gone"], id="was not there"),
        pytest.param(
            words.STOP_DELETE, "STOPPING", Ack("SUCCESS"), "SUCCESS", ["Gone"], id="stopped and deleted"
        ),
        pytest.param(words.STOP_DELETE, "STOPPING", Ack("ERROR"), "ERROR", [], id="stays: row 26"),
        pytest.param(words.STOP_DELETE, "GONE", Ack("SUCCESS"), "SUCCESS", [], id="gone before"),
    ],
)
def test_an_ack_ends_an_event_and_may_move_its_instance(
    kind: int, phase: str, ack: Ack, state: str, follows: list[str]
) -> None:
    """The event's state, and what happens to the instance after it."""
    first, *others = reactions.acknowledgement(event(kind), instance(phase), ack)
    assert isinstance(first, do.Store)
    assert first.values["state"] == state
    assert [type(change).__name__ for change in others] == follows


@pytest.mark.parametrize(
    ("kind", "deliveries", "message", "state"),
    [
        pytest.param(words.SAVE, 2, "Pipeline 'x' already exists", "SUCCESS", id="saved twice"),
        pytest.param(words.SAVE, 1, "Pipeline 'x' already exists", "ERROR", id="a name that is taken"),
        pytest.param(words.START, 2, "Cannot change state from RUNNING", "SUCCESS", id="started twice"),
        pytest.param(words.START, 2, "disk full", "ERROR", id="another error"),
        pytest.param(words.STOP, 2, "Cannot change state from STOPPED", "ERROR", id="stopped twice"),
    ],
)
def test_the_error_of_an_event_that_was_repeated_does_no_harm(
    kind: int, deliveries: int, message: str, state: str
) -> None:
    """The first one did its work, and its ack was lost."""
    changes = reactions.acknowledgement(event(kind, deliveries=deliveries), None, Ack("ERROR", message))
    assert [change.values["state"] for change in changes if isinstance(change, do.Store)] == [state]


@pytest.mark.parametrize("state", ["SUCCESS", "ERROR", "DROPPED"])
def test_an_ack_counts_once(state: str) -> None:
    """Nothing follows from the ack of an event that is done or was taken back."""
    assert reactions.acknowledgement(event(words.DELETE, state), instance("STOPPING"), Ack("SUCCESS")) == []


def report(known: Instance, **more: Any) -> tuple[list[dict[str, object]], list[str], bool]:
    """Return the columns stored, the events told, and whether the run is looked at."""
    changes, settles = reactions.status_report(known, PipelineStatus(**more), "Nightly", NOW_MS)
    columns = [values for change in changes if (values := getattr(change, "values", None)) is not None]
    told = [change.event for change in changes if isinstance(change, do.Tell)]
    return columns[: len(columns) - len(told)], told, settles


def test_a_first_running_starts_the_phase_and_is_told() -> None:
    """Status, time, offset with its protocol, and the event that subscriptions hear of."""
    state = {"time_stamp": 5, "pipeline_status": "RUNNING", "offset": "42", "offset_protocol_version": 2}
    (stored,), told, settles = report(instance("STARTING"), **state)
    assert stored == {
        "status": "RUNNING",
        "status_time": 5,
        "last_reported": NOW_MS,
        "message": None,
        "title": None,
        "offset": "42",
        "offset_protocol": 2,
        "phase": "RUNNING",
    }
    assert (told, settles) == (["PIPELINE_STATUS_CHANGE"], True)


@pytest.mark.parametrize(
    ("known", "more", "stored"),
    [
        pytest.param(
            instance("RUNNING", "RUNNING", status_time=9),
            {"time_stamp": 8, "pipeline_status": "STARTING", "offset": "1"},
            [],
            id="older than what is known",
        ),
        pytest.param(
            instance("RUNNING", "RUNNING", status_time=9, offset="1"),
            {"time_stamp": 9, "pipeline_status": "RUNNING", "offset": "1"},
            [],
            id="known already",
        ),
        pytest.param(
            instance("RUNNING", "RUNNING", status_time=9, offset="1"),
            {"time_stamp": 9, "pipeline_status": "RUNNING", "offset": "2"},
            [{"offset": "2", "last_reported": NOW_MS}],
            id="only the offset is new",
        ),
        pytest.param(
            instance("STARTING", created_on=90_000),
            {"time_stamp": 29_999, "pipeline_status": "STOPPED"},
            [],
            id="left over from an earlier run",
        ),
        pytest.param(
            instance("STARTING"),
            {"time_stamp": 5, "pipeline_status": "DELETED"},
            [],
            id="an earlier run's pipeline is deleted",
        ),
    ],
)
def test_a_status_that_is_no_news_moves_no_run(
    known: Instance, more: dict[str, Any], stored: list[dict[str, object]]
) -> None:
    """Statuses are ordered by the engine's time, not by arrival (engine-protocol.md, 9.2)."""
    assert report(known, **more) == (stored, [], False)


@pytest.mark.parametrize(
    ("engine", "phase", "start", "again"),
    [
        pytest.param(COLLECTOR, "RUNNING", None, True, id="it ran"),
        pytest.param(COLLECTOR, "STARTING", event(words.START, "SUCCESS"), False, id="it has not begun"),
        pytest.param(EDGE, "STARTING", event(words.START, "SUCCESS"), True, id="edge confirmed the start"),
        pytest.param(EDGE, "STARTING", event(words.START), False, id="edge has not confirmed the start"),
        pytest.param(EDGE, "STOPPING", event(words.START, "SUCCESS"), False, id="it is being stopped"),
        pytest.param(COLLECTOR, "GONE", None, False, id="it is gone"),
    ],
)
def test_a_pipeline_that_a_full_report_lacks_is_sent_again_when_it_was_there(
    engine: Engine, phase: str, start: EngineEvent | None, again: bool
) -> None:
    """SAVE and START, from STARTING on."""
    changes = reactions.absence(instance(phase), engine, start, NOW_MS)
    assert [type(change).__name__ for change in changes] == (["Store", "SendAgain"] if again else [])


def test_a_pipeline_that_was_to_be_removed_is_gone_when_a_full_report_lacks_it() -> None:
    """The ack may be lost, or have been an error; Edge leaves out what never started, and proves nothing."""
    (change,) = reactions.absence(instance("STOPPING"), COLLECTOR, None, NOW_MS)
    assert isinstance(change, do.Gone)
    assert reactions.absence(instance("STOPPING"), EDGE, None, NOW_MS) == []


@pytest.mark.parametrize("before", ["FINISHED", "RUN_ERROR", "STOPPED"])
def test_how_a_removed_pipeline_ended_is_remembered(before: str) -> None:
    """DELETED says only that it is gone: one that finished is not replaced, one that failed stays away."""
    known = instance("STOPPING", before)
    changes, settles = reactions.status_report(
        known, PipelineStatus(time_stamp=5, pipeline_status="DELETED"), "Nightly", NOW_MS
    )
    (stored,) = [change.values for change in changes if isinstance(change, do.Store)]
    assert ("status" in stored, isinstance(changes[-1], do.Gone), settles) == (False, True, True)


@pytest.mark.parametrize(
    ("state", "delivered_on", "stops"),
    [
        pytest.param("RUNNING", 499, [True], id="after a crash: STOP and START"),
        pytest.param("STOPPED", 499, [False], id="after an orderly end: START"),
        pytest.param("RUNNING", 500, [], id="started by this process"),
        pytest.param("RUNNING", 0, [], id="START has not left the hub"),
    ],
)
def test_an_edge_starts_again_what_it_ran_before_its_process_began(
    state: str, delivered_on: int, stops: list[bool]
) -> None:
    """What it reports of its own later counts: the time is moved on by a millisecond."""
    status, start = PipelineStatus(time_stamp=8, pipeline_status=state), event(words.START, "SUCCESS")
    start.delivered_on = delivered_on
    changes = reactions.resumption(instance("RUNNING", state), EDGE, start, status, NOW_MS)
    assert [change.stop for change in changes if isinstance(change, do.StartAgain)] == stops
    times = [change.values["status_time"] for change in changes if isinstance(change, do.Store)]
    assert times == [9] * len(stops)


@pytest.mark.parametrize(
    ("engine", "more", "kind"),
    [
        pytest.param(COLLECTOR, {}, words.STOP_DELETE, id="failed over"),
        pytest.param(EDGE, {}, words.STOP, id="on edge it is stopped"),
        pytest.param(EDGE, {"pipeline_status": "STOPPED"}, words.DELETE, id="on edge it has stopped"),
        pytest.param(COLLECTOR, {"remote": False}, None, id="the engine's own"),
        pytest.param(COLLECTOR, {"remote": None, "is_remote": True}, words.STOP_DELETE, id="the older word"),
        pytest.param(COLLECTOR, {"pipeline_status": "DELETED"}, None, id="deleted"),
        pytest.param(COLLECTOR, {"name": "Orders:acme"}, None, id="no name of a job's pipeline"),
    ],
)
def test_a_pipeline_that_no_run_has_is_removed(
    engine: Engine, more: dict[str, Any], kind: int | None
) -> None:
    """Failed over while its engine was silent, or force stopped."""
    status = {"name": "Orders:job:acme", "remote": True, "pipeline_status": "RUNNING"} | more
    assert reactions.stray_removal(engine, PipelineStatus(**status)) == kind
