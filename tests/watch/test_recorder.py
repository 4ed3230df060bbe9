"""What a recorder asks of a hub, how fast, and what it notes."""

import time
from collections.abc import Iterator
from itertools import islice
from threading import Event

import pytest
from support.scripted_hub import LOGIN, Reply, ScriptedHub

from psrlib.client import ControlHub
from psrlib.errors import AuthenticationError
from psrlib.watch import watch_hub
from psrlib.watch.recorder import FIRST_ROUND_PER_S, default_rate, look, round_of
from psrlib.watch.recording import Engine, Sample

FAST = 1000.0  # calls a second
INFO, COUNTS, ENGINES = (
    "/rest/v1/server/info",
    "/jobrunner/rest/v1/metrics/jobCountByStatus",
    "/jobrunner/rest/v1/sdcs",
)


def engine(started_at_ms: int = 5, responding: bool = True) -> dict[str, object]:
    """Return an engine as a hub lists it."""
    return {"id": "e-1", "responding": responding, "pipelinesCount": 7, "startUpTime": started_at_ms}


@pytest.fixture
def scripted() -> Iterator[ScriptedHub]:
    """Eight green jobs, two that never ran, one engine."""
    hub = ScriptedHub()
    hub.script(INFO, Reply(body={"version": "3.22.2"}))
    counts = [{"status": "ACTIVE_GREEN", "count": 8}, {"status": "", "count": 2}]
    hub.script(COUNTS, Reply(body={"data": counts}))
    hub.script(ENGINES, Reply(body=[engine()]))
    yield hub
    hub.close()


@pytest.fixture
def session(scripted: ScriptedHub) -> Iterator[ControlHub]:
    with ControlHub(scripted.url, "admin@admin", "secret", timeout_s=0.5, deadline_s=0.5) as hub:
        yield hub


def watch(session: ControlHub, n: int, organizations: tuple[str, ...] = ("org-0001",)) -> list[Sample]:
    return list(islice(watch_hub(session, organizations, FAST, Event()), n))


def test_a_round_asks_each_organization_for_jobs_and_engines(
    scripted: ScriptedHub, session: ControlHub
) -> None:
    """And the hub for its version before each; then it begins again."""
    samples = watch(session, 7, ("org-0001", "org-0002"))
    assert [(s.call, s.organization) for s in samples] == [
        ("server info", ""),
        ("count jobs", "org-0001"),
        ("list engines", "org-0001"),
        ("server info", ""),
        ("count jobs", "org-0002"),
        ("list engines", "org-0002"),
        ("server info", ""),
    ]
    assert samples[1].jobs == {"ACTIVE_GREEN": 8, "NEVER_STARTED": 2}
    assert samples[2].engines == {"e-1": Engine(responding=True, pipelines=7, started_at_ms=5)}
    assert scripted.count(LOGIN) == 3
    assert len(scripted.seen) == 3 + 7


def test_what_a_call_costs_is_noted(scripted: ScriptedHub, session: ControlHub) -> None:
    """Requests, bytes and seconds; a call with a login has no answer time of its own."""
    scripted.script(ENGINES, Reply(body=[], delay_s=0.1))
    info, first_count, engines, _, count, _ = watch(session, 6)
    assert (info.requests, info.bytes) == (1, len('{"version": "3.22.2"}'))
    assert (first_count.requests, first_count.answer_s, first_count.repeats) == (2, None, 0)
    assert (count.requests, count.answer_s) == (1, count.waited_s)
    assert 0.1 <= (engines.answer_s or 0) < 0.4
    assert engines.took_s >= engines.waited_s >= 0.1


def test_a_hub_that_is_away_is_a_sample_and_no_end(scripted: ScriptedHub, session: ControlHub) -> None:
    """The reason is noted; the next call finds the hub again."""
    watch(session, 3)
    scripted.script(INFO, *[Reply(drop=True)] * 4, Reply(body={"version": "3.22.2"}))
    away, *_ = watch(session, 1)
    assert "GET /rest/v1/server/info" in away.outage
    assert (away.answer_s, away.jobs) == (None, None)
    scripted.script(INFO, Reply(body={"version": "3.22.2"}))
    assert [sample.outage for sample in watch(session, 3)] == ["", "", ""]


def test_a_lost_answer_that_came_at_the_second_try_is_told(
    scripted: ScriptedHub, session: ControlHub
) -> None:
    """It has no answer time."""
    scripted.script(INFO, Reply(503), Reply(body={"version": "3.22.2"}))
    (sample,) = watch(session, 1)
    assert (sample.outage, sample.repeats, sample.answer_s) == ("", 1, None)


def test_a_refused_call_is_noted_and_the_round_goes_on(scripted: ScriptedHub, session: ControlHub) -> None:
    """An organization may be taken away while it is watched."""
    scripted.script(COUNTS, Reply(403, {"ISSUES": [{"code": "X_01", "message": "no"}]}))
    samples = watch(session, 3)
    assert "X_01: no" in samples[1].refused
    assert samples[2].engines


def test_a_wrong_password_ends_the_first_round(scripted: ScriptedHub, session: ControlHub) -> None:
    """Later it is a sample: passwords may be changed while a PSR runs."""
    scripted.script(LOGIN, Reply(401))
    with pytest.raises(AuthenticationError, match="admin@org-0001"):
        watch(session, 2)
    visit = round_of(session, ["org-0001"])[1]
    assert "refused user admin@org-0001" in look(visit).refused


def test_calls_are_evenly_spaced(session: ControlHub) -> None:
    """At the rate asked for, after a first round that is not slower than its own."""
    watched = watch_hub(session, ["org-0001"], 20.0, Event())
    for _ in range(3):
        next(watched)
    begun = time.monotonic()
    for _ in range(10):
        next(watched)
    assert 0.45 <= time.monotonic() - begun <= 1.5


def test_the_first_round_is_fast_and_the_rest_as_the_engines_decide(session: ControlHub) -> None:
    """One engine is a call every ten seconds."""
    stop = Event()
    times = []
    for sample in watch_hub(session, ["org-0001"], None, stop):
        times.append(sample.at)
        if len(times) == 3:
            stop.set()
    assert times[2] - times[0] == pytest.approx(2 / FIRST_ROUND_PER_S, abs=0.3)
    assert default_rate(1) == 0.1


def test_it_ends_while_it_waits(session: ControlHub) -> None:
    """Not only after the next call."""
    stop = Event()
    watched = watch_hub(session, ["org-0001"], 0.001, stop)
    next(watched)
    stop.set()
    begun = time.monotonic()
    assert list(watched) == []
    assert time.monotonic() - begun < 1
