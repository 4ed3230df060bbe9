"""A recording is put together again: levels, outages, restarts."""

import pytest
from support.simulated_background import Faults, simulate

from psrlib.watch import background_of
from psrlib.watch.background import GRID, State
from psrlib.watch.recording import FORMAT, Engine, Line, Sample, Start

START = Start(FORMAT, 0.0, "http://hub", "3.22.2", ["a", "b"], 1.0)


def count(at: float, organization: str, n: int) -> Sample:
    return Sample(at, "count jobs", 0.01, organization, answer_s=0.01, jobs={"ACTIVE_GREEN": n})


def engines(at: float, organization: str, started_at_ms: int = 1, responding: bool = True) -> Sample:
    found = {organization: Engine(responding, 3, started_at_ms)}
    return Sample(at, "list engines", 0.01, organization, answer_s=0.01, engines=found)


ROUND: list[Line] = [count(1, "a", 5), engines(2, "a"), count(3, "b", 2), engines(4, "b")]


def test_levels_begin_when_all_organizations_were_seen_and_follow_each_look() -> None:
    """The sums over organizations are of the last look at each."""
    found = background_of([START, *ROUND, count(50, "a", 9), engines(100, "a")], "x")
    green = found.levels["ACTIVE_GREEN"]
    assert len(green) == GRID
    assert green.loc[:3.9].isna().all()
    assert set(green.loc[4.1:49]) == {7}
    assert set(green.loc[51:]) == {11}
    assert set(found.level("responding").loc[4.1:]) == {2}
    assert set(found.level("INACTIVE").loc[4.1:]) == {0}
    assert found.n_rounds == 6 / 4


def test_an_engine_that_was_started_again_counts_once() -> None:
    """When it was first seen; another organization's engine is another one."""
    later = [engines(10, "a", 9), engines(11, "b"), engines(20, "a", 9)]
    assert background_of([START, *ROUND, *later], "x").restarts == [10]


def test_an_outage_lies_midway_between_the_calls_around_it() -> None:
    """Its length is known to the time between two calls; levels are unknown meanwhile."""
    away = [Sample(at, "server info", 2.0, outage="gone") for at in (20.0, 30.0)]
    found = background_of([START, *ROUND, *away, count(40, "a", 5)], "x")
    (outage,) = found.outages
    assert (outage.begin_s, outage.end_s, outage.reason) == (12, 36, "gone")
    assert found.levels["engines"].loc[13:35].isna().all()
    assert found.levels["engines"].loc[37:].notna().all()


def test_a_recording_that_ends_in_an_outage_has_it() -> None:
    """Until the last try was given up."""
    found = background_of([START, *ROUND, Sample(10.0, "server info", 5.0, outage="gone")], "x")
    assert [(outage.begin_s, outage.end_s) for outage in found.outages] == [(7, 15)]


def test_a_short_restart_of_the_hub_is_an_outage() -> None:
    """Of one call, whose repeats were answered; a connection just closed is none."""
    restart = Sample(10.0, "server info", 2.5, repeats=4)
    closed = Sample(20.0, "server info", 0.2, repeats=1)
    found = background_of([START, *ROUND, restart, closed], "x")
    assert [outage.duration_s for outage in found.outages] == [2.5]


def test_the_time_between_two_stretches_is_not_watched() -> None:
    """What is known before says nothing of what is after."""
    again = Start(FORMAT, 500.0, "http://hub", "3.22.2", ["a", "b"], 1.0)
    later = [engines(501, "a", 9), count(502, "a", 5), count(503, "b", 2), engines(504, "b", 9)]
    found = background_of([START, *ROUND, again, *later], "x")
    assert found.watched_s == pytest.approx(4 + 4, abs=0.1)
    assert found.levels["engines"].loc[5:503].isna().all()
    assert found.restarts == []


def test_a_recording_without_a_sample_has_nothing_to_say() -> None:
    """It was ended before the first answer."""
    found = background_of([START], "x")
    assert found.levels.isna().all().all()
    assert (found.watched_s, found.cost["calls"], found.outage_s) == (0, 0, 0)


def test_sums_follow_what_changes() -> None:
    """A status that no job has any more is not named."""
    state = State()
    state.take(count(1, "a", 5))
    state.take(Sample(2, "count jobs", 0.01, "a", jobs={"ACTIVE_RED": 4}))
    state.take(count(3, "b", 1))
    assert state.totals() == {
        "ACTIVE_RED": 4,
        "ACTIVE_GREEN": 1,
        "engines": 0,
        "responding": 0,
        "pipelines": 0,
    }


def test_an_outage_of_a_simulated_hub_is_measured(rng: object) -> None:
    """30 s, seen with a call every 7.5 s."""
    lines = simulate(rng, faults=Faults(outage_s=30))  # type: ignore[arg-type]
    found = background_of(lines, "x")
    assert len(found.outages) == 1
    assert found.outage_s == pytest.approx(30, abs=8)
