"""An engine over time: boots, shut-downs, crashes, and what it keeps."""

import json

from support.fleet_fakes import START_MS, base_event, deliver, identity, save_event

from psrlib.engines.behaviour import GHOST_TOWN, Behaviour, Transition
from psrlib.engines.engine import QUEUE_CAPACITY, Engine
from psrlib.engines.wire import ServerEvent

DAY_MS = 86_400_000


def run_pipeline(engine: Engine, now_ms: int = START_MS) -> None:
    deliver(
        engine,
        [ServerEvent("a", 1001, json.dumps(save_event())), ServerEvent("b", 1003, json.dumps(base_event()))],
        now_ms,
    )
    engine.advance(now_ms + 5000)


def states(engine: Engine) -> list[str]:
    return [change["pipelineStatus"] for change in engine.changes]


def copy(engine: Engine) -> Engine:
    """Return the engine as its next process finds it on disk."""
    later = Engine(engine.identity, engine.base_url, engine.behaviour)
    later.restore(engine.save())
    return later


def test_after_an_orderly_end_the_next_process_starts_the_same_pipelines(engine: Engine) -> None:
    """DISCONNECTED on disk; STARTING and RUNNING by themselves after the boot (9.1)."""
    run_pipeline(engine)
    engine.shut_down(START_MS + 60_000)
    later = copy(engine)
    later.boot(START_MS + DAY_MS)
    assert [report["pipelineStatus"] for report in later.reports(START_MS + DAY_MS)] == ["DISCONNECTED"]
    later.advance(START_MS + DAY_MS + 10_000)
    assert states(later) == ["STARTING", "RUNNING"]


def test_after_a_crash_the_totals_end_when_the_process_was_last_alive(engine: Engine) -> None:
    """The offset does not count the time of the outage."""
    run_pipeline(engine)
    later = copy(engine)
    later.boot(START_MS + DAY_MS, alive_ms=START_MS + 65_000)
    offset = json.loads(later.reports(START_MS + DAY_MS)[0]["offset"])["offsets"]
    assert 60 <= int(next(iter(offset.values()))) <= 65


def test_states_on_their_way_to_an_end_reach_it_by_a_restart(engine: Engine) -> None:
    """A pipeline that was stopping is stopped, and stays so."""
    run_pipeline(engine)
    deliver(engine, [ServerEvent("c", 1004, json.dumps(base_event()))], START_MS + 60_000)
    later = copy(engine)
    later.boot(START_MS + DAY_MS)
    later.advance(START_MS + 2 * DAY_MS)
    assert [report["pipelineStatus"] for report in later.reports(0)] == ["STOPPED"]


def test_a_boot_forgets_what_was_not_told(engine: Engine) -> None:
    """Queued changes and acks lived in the memory of the process before."""
    run_pipeline(engine)
    engine.shut_down(START_MS + DAY_MS)
    engine.boot(START_MS + DAY_MS)
    assert (list(engine.changes), engine.acks) == ([], [])
    assert (engine.registered, engine.info_accepted) == (False, False)


def test_the_queue_of_changes_is_bounded_and_says_what_it_dropped(engine: Engine) -> None:
    """As in Data Collector, overflow is dropped; the next full report tells the state anyway."""
    for number in range(QUEUE_CAPACITY + 5):
        engine.queue_change({"number": number})
    assert len(engine.changes) == QUEUE_CAPACITY
    assert engine.dropped_changes == 5


def test_a_crashing_engine_is_a_row_of_the_table() -> None:
    """DOWN after an hour, up again later, with its pipelines started anew."""
    rows = [*GHOST_TOWN, Transition("UP", "DOWN", delay_ms=3_600_000, subject="engine")]
    engine = Engine(identity(0), "http://hub", Behaviour(rows))
    engine.boot(START_MS)
    run_pipeline(engine)
    engine.changes.clear()
    engine.advance(START_MS + 3_600_000)
    assert engine.state == "DOWN"
    engine.advance(START_MS + 3_630_000)
    assert engine.state == "UP"
    assert engine.boots == 2
    assert states(engine) == ["STARTING", "RUNNING"]


def test_late_transitions_keep_their_own_times(engine: Engine) -> None:
    """An engine looked at after a day tells when things happened, not when it was asked."""
    run_pipeline(engine)
    deliver(engine, [ServerEvent("c", 1004, json.dumps(base_event()))], START_MS + 60_000)
    engine.advance(START_MS + DAY_MS)
    assert engine.changes[-1]["pipelineStatus"] == "STOPPED"
    assert engine.changes[-1]["timeStamp"] < START_MS + 65_000


def test_a_retrying_pipeline_keeps_its_totals(engine: Engine) -> None:
    """Totals count since the last start, over automatic retries (3.5)."""
    rows = [row for row in GHOST_TOWN if row.state != "RUNNING_ERROR"]
    rows += [
        Transition("RUNNING", "RUNNING_ERROR", delay_ms=100_000, message="gone wrong"),
        Transition("RUNNING_ERROR", "RETRY", delay_ms=100),
    ]
    engine = Engine(identity(0), "http://hub", Behaviour(rows))
    engine.boot(START_MS)
    run_pipeline(engine)
    engine.advance(START_MS + 130_000)
    (pipeline,) = engine.pipelines.values()
    assert states(engine) == ["STARTING", "RUNNING", "RUNNING_ERROR", "RETRY", "STARTING", "RUNNING"]
    assert engine.changes[2]["message"] == "gone wrong"
    assert pipeline.batches(START_MS + 130_000) >= 110
