"""The fleet: even spread, bounded pool, and faults that lose nothing, in simulated time."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fleet_fakes import START_MS, JumpingClock, RecorderSender, base_event, identity, save_event
from support.fleet_recorder import EVENTS, METRICS, REGISTRATION, Recorder

from psrlib.engines.behaviour import GHOST_TOWN, Behaviour, Transition
from psrlib.engines.exchange import Answer, Request
from psrlib.engines.fleet import CONNECTIONS, Fleet
from psrlib.engines.status import describe
from psrlib.engines.store import FleetStore

HOUR_S = 3600


def build(recorder: Recorder, clock: JumpingClock, number: int, **options: object) -> Fleet:
    """Return a fleet of some engines over a recorder."""
    return Fleet(
        [identity(n) for n in range(number)],
        "http://hub",
        RecorderSender(recorder, clock),
        clock=clock,
        **options,
    )


def run(fleet: Fleet, clock: JumpingClock, seconds: float) -> None:
    asyncio.run(fleet.run(until_ms=clock.now + int(seconds * 1000)))


def recorder_of(number: int) -> Recorder:
    return Recorder({identity(n).id: identity(n).token for n in range(number)})


def start_job(recorder: Recorder, number: int, job: str) -> None:
    """Queue SAVE and START of a job on an engine."""
    name = f"Orders:{job}:org-0001"
    recorder.put(identity(number).id, 1001, save_event(name))
    recorder.put(identity(number).id, 1003, base_event(name))


def last_states(recorder: Recorder) -> Counter[str]:
    return Counter(state for seen in recorder.engines.values() for state in seen.states.values())


def test_every_request_of_a_fleet_obeys_the_protocol_reference(clock: JumpingClock) -> None:
    """Ten minutes, jobs started and one deleted: the strict recorder finds nothing to object to."""
    recorder = recorder_of(5)
    fleet = build(recorder, clock, 5)
    for number in range(5):
        for job in range(3):
            start_job(recorder, number, f"{number}{job}")
    clock_events = {300: lambda: recorder.put(identity(0).id, 1009, base_event("Orders:00:org-0001"))}
    drive(fleet, clock, 600, clock_events)
    assert recorder.violations == []
    assert last_states(recorder) == {"RUNNING": 14, "DELETED": 1}
    counts = Counter(request.path for request in recorder.requests)
    assert counts[REGISTRATION] == 5
    assert counts[EVENTS] >= 5 * 118
    assert counts[METRICS] >= 14 * 9
    acks = [ack for seen in recorder.engines.values() for ack in seen.acks.values()]
    assert len(acks) == 31
    assert {ack["ackEventStatus"] for ack in acks} == {"SUCCESS"}


def drive(fleet: Fleet, clock: JumpingClock, seconds: float, events: dict[int, Callable[[], object]]) -> None:
    """Run a fleet and call functions at given seconds."""
    begun, waiting = clock.now, dict(sorted(events.items()))

    def look(request: Request) -> None:
        for at in [at for at in waiting if clock.now - begun >= at * 1000]:
            waiting.pop(at)()

    fleet.sender.after = look
    run(fleet, clock, seconds)


def test_polls_are_spread_evenly_over_the_interval(clock: JumpingClock) -> None:
    """Of 1,000 engines each tenth of the interval has a tenth of the polls."""
    recorder = recorder_of(1000)
    run(build(recorder, clock, 1000), clock, 30)
    polls = [r for r in recorder.requests if r.path == EVENTS and r.at_ms >= START_MS + 15_000]
    places = Counter((request.at_ms % 5000) // 500 for request in polls)
    assert len(places) == 10
    assert max(places.values()) - min(places.values()) <= 0.02 * len(polls)


def test_no_more_exchanges_are_under_way_than_there_are_connections(clock: JumpingClock) -> None:
    """Some more engines at the same time."""
    n_engines = CONNECTIONS + 50
    recorder = recorder_of(n_engines)
    recorder.interval_ms = 5
    fleet = build(recorder, clock, n_engines, interval_ms=5)
    sender, under_way, most = fleet.sender, 0, 0
    send = sender.send

    async def slow(request: Request) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return await send(request)

    sender.send = slow
    run(fleet, clock, 1)
    assert most == CONNECTIONS


def test_faults_lose_nothing(clock: JumpingClock) -> None:
    """Every third answer of an hour is a reset, a 500, a 429 or a 503: all jobs run, all acks arrive once."""
    recorder = recorder_of(4)
    recorder.keep = False
    faults = [0, 200, 200, 500, 200, 429, 200, 200, 503, 200, 200, 401, 200]
    for path in (REGISTRATION, EVENTS, METRICS):
        recorder.faults[path].extend(faults * 400 if path != REGISTRATION else [0, 503, 0])
    for number in range(4):
        for job in range(3):
            start_job(recorder, number, f"{number}{job}")
    fleet = build(recorder, clock, 4)
    run(fleet, clock, HOUR_S)
    assert recorder.violations == []
    assert last_states(recorder) == {"RUNNING": 12}
    assert sum(len(seen.acks) for seen in recorder.engines.values()) == 24
    status = describe(fleet)
    assert status["refused"] == 0
    assert status["unreported_changes"] == 0
    assert set(status["errors"]) >= {"poll: no answer", "poll: HTTP 500", "poll: HTTP 429", "poll: HTTP 503"}


def test_an_outage_of_the_hub_is_survived_and_the_spread_with_it(clock: JumpingClock) -> None:
    """Ten minutes without answers: the same engines poll on, in their places, registered once."""
    recorder = recorder_of(100)
    fleet = build(recorder, clock, 100)
    outage = {60: lambda: recorder.faults[EVENTS].extend([0] * 12_000)}
    drive(fleet, clock, 900, outage)
    after = [
        r for r in recorder.requests if r.path == EVENTS and r.status == 200 and r.at_ms > START_MS + 600_000
    ]
    places = Counter((request.at_ms % 5000) // 1000 for request in after)
    assert len({request.component for request in after}) == 100
    assert max(places.values()) < 1.2 * min(places.values())
    assert sum(request.path == REGISTRATION for request in recorder.requests) == 100


def test_a_revoked_token_stops_its_engine_alone_and_says_so(clock: JumpingClock) -> None:
    """The others poll on; status names organization, engine and reason."""
    recorder = recorder_of(3)
    fleet = build(recorder, clock, 3)
    drive(fleet, clock, 300, {100: lambda: recorder.revoked.add(identity(1).id)})
    status = describe(fleet)
    assert (status["polling"], status["refused"]) == (2, 1)
    assert status["refusals"] == [
        "org-0001 engine-0002: poll: HTTP 401 3 times in a row; the token is revoked"
    ]
    late = {r.component for r in recorder.requests if r.at_ms > START_MS + 200_000}
    assert late == {identity(0).id, identity(2).id}


def test_a_restarted_fleet_is_the_same_engines_with_the_same_pipelines(
    clock: JumpingClock, tmp_path: Path
) -> None:
    """The next process registers with the same ids and reports what it was running."""
    recorder = recorder_of(2)
    store = FleetStore(tmp_path)
    start_job(recorder, 0, "one")
    run(build(recorder, clock, 2, store=store), clock, 60)
    store.close()
    clock.now += 3_600_000
    before = len(recorder.requests)
    store = FleetStore(tmp_path)
    run(build(recorder, clock, 2, store=store), clock, 60)
    store.close()
    assert recorder.violations == []
    later = recorder.requests[before:]
    assert {r.component for r in later if r.path == REGISTRATION} == {identity(0).id, identity(1).id}
    assert recorder.engines[identity(0).id].history[-2:] == [
        ("Orders:one:org-0001", "STARTING"),
        ("Orders:one:org-0001", "RUNNING"),
    ]


def test_a_fleet_killed_without_warning_forgets_nothing_it_acknowledged(
    clock: JumpingClock, tmp_path: Path
) -> None:
    """The state is on disk before the acks leave: a copy taken at the moment of the ack has the pipeline."""
    recorder = recorder_of(1)
    (tmp_path / "run").mkdir()
    store = FleetStore(tmp_path / "run")
    fleet = build(recorder, clock, 1, store=store)
    start_job(recorder, 0, "one")
    found: list[int] = []

    def look(request: Request) -> None:
        if request.body and b'"eventTypeId":5000' in request.body:
            copy = shutil.copytree(tmp_path / "run", tmp_path / "copy")
            other = FleetStore(copy)
            (engine,) = build(recorder, JumpingClock(), 1, store=other).engines()
            found.append(len(engine.pipelines))
            other.close()

    fleet.sender.after = look
    run(fleet, clock, 60)
    store.close()
    assert found == [1]


def test_a_flaky_table_stays_within_the_protocol(clock: JumpingClock) -> None:
    """Crashing engines, start errors, retries and silences, six hours: still no broken rule."""
    rows = [
        *GHOST_TOWN,
        Transition("STARTING", "STARTING_ERROR", delay_ms=500, message="no space"),
        Transition("STARTING_ERROR", "RETRY", delay_ms=100, weight=3),
        Transition(
            "RUNNING", "RUNNING_ERROR", delay_ms=600_000, jitter_ms=600_000, message="lost connection"
        ),
        Transition("RUNNING_ERROR", "RETRY", delay_ms=100, weight=9),
        Transition("UP", "DOWN", delay_ms=1_800_000, jitter_ms=600_000, subject="engine", engine="*1"),
        Transition("UP", "SILENT", delay_ms=900_000, jitter_ms=600_000, subject="engine", engine="*2"),
    ]
    recorder = recorder_of(3)
    recorder.keep = False
    for number in range(3):
        for job in range(4):
            start_job(recorder, number, f"{number}{job}")
    fleet = build(recorder, clock, 3, behaviour=Behaviour(rows))
    run(fleet, clock, 6 * HOUR_S)
    assert recorder.violations == []
    assert [engine.boots > 5 for engine in fleet.engines()] == [True, False, False]
    assert {s for seen in recorder.engines.values() for _, s in seen.history} >= {
        "RETRY",
        "RUNNING",
        "RUNNING_ERROR",
    }


def test_sync_mode_obeys_the_reference_too(clock: JumpingClock) -> None:
    """A hub that pushes sync mode gets statuses by direct calls and none by messaging."""
    recorder = recorder_of(2)
    recorder.sync = True
    start_job(recorder, 0, "one")
    run(build(recorder, clock, 2), clock, 600)
    assert recorder.violations == []
    assert [state for _, state in recorder.engines[identity(0).id].history] == [
        *("STARTING", "RUNNING"),
        *("DISCONNECTING", "DISCONNECTED"),  # told at the end
    ]
    kinds = Counter(request.path.rsplit("/", 1)[1] for request in recorder.requests)
    assert kinds["updateLastModifiedTime"] == 20
    assert kinds["pipelineStatusEvents"] in (21, 22)  # each engine once more at the end
    assert kinds["pipelineStatusEvent"] == 4


def test_an_unexpected_failure_of_one_engine_leaves_the_others_alone(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and counted, and the engine tries again after its interval."""
    recorder = recorder_of(2)
    fleet = build(recorder, clock, 2)
    send = fleet.sender.send

    async def fail_for_the_first(request: Request) -> Answer:
        if request.headers["X-SS-App-Component-Id"] == identity(0).id and request.kind == "poll":
            raise RuntimeError("not foreseen")
        return await send(request)

    fleet.sender.send = fail_for_the_first
    run(fleet, clock, 60)
    assert "not foreseen" in caplog.text
    assert fleet.counters.errors["internal"] >= 11
    assert fleet.members[1].poll.last_status == 200
