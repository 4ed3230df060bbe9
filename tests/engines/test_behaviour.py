"""The table of transitions."""

import json
from collections import Counter
from pathlib import Path

import pytest

from psrlib.engines.behaviour import GHOST_TOWN, Behaviour, Draws, Transition, load_behaviour
from psrlib.engines.statuses import ACTIVE, AFTER_RESTART, ALLOWED
from psrlib.errors import InputError


def choose(behaviour: Behaviour, state: str, draws: Draws, pipeline: str = "p") -> tuple[str, int] | None:
    found = behaviour.choose("pipeline", state, "org-0001", "engine-0001", pipeline, draws)
    return None if found is None else (found[0].next, found[1])


def test_a_state_without_a_row_lasts() -> None:
    """In the ghost town a running pipeline runs for ever."""
    assert choose(Behaviour(), "RUNNING", Draws(1)) is None


def test_every_passing_state_is_left_by_itself() -> None:
    """Only RUNNING, and states that nothing enters by itself, last in the default table."""
    left = {row.state for row in GHOST_TOWN if row.subject == "pipeline"}
    assert left >= ACTIVE - {"RUNNING", "DISCONNECTING", "CONNECT_ERROR"}


def test_delay_and_jitter_span_their_range() -> None:
    """From delay to delay plus jitter, both reached."""
    behaviour, draws = Behaviour([Transition("STARTING", "RUNNING", delay_ms=100, jitter_ms=9)]), Draws(7)
    found = {choose(behaviour, "STARTING", draws)[1] for _ in range(500)}
    assert found == set(range(100, 110))


def test_rows_compete_by_weight() -> None:
    """Three to one, within four standard deviations of 4,000 draws."""
    rows = [Transition("STARTING", "RUNNING", weight=3), Transition("STARTING", "STARTING_ERROR", weight=1)]
    behaviour, draws = Behaviour(rows), Draws(11)
    found = Counter(choose(behaviour, "STARTING", draws)[0] for _ in range(4000))
    assert abs(found["RUNNING"] - 3000) < 4 * (4000 * 0.75 * 0.25) ** 0.5


def test_patterns_choose_organization_engine_and_pipeline() -> None:
    """A row counts only where all its patterns fit."""
    rows = [Transition("RUNNING", "FINISHING", organization="org-0*", engine="*1", pipeline="Ord*")]
    behaviour = Behaviour(rows)
    assert choose(behaviour, "RUNNING", Draws(1), "Orders") == ("FINISHING", 0)
    assert choose(behaviour, "RUNNING", Draws(1), "Invoices") is None


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Transition("RUNNING", "STARTING"), "RUNNING goes to"),
        (Transition("NOWHERE", "STARTING"), "no pipeline state 'NOWHERE'"),
        (Transition("UP", "RUNNING", subject="engine"), "engine state UP goes to DOWN, SILENT"),
        (Transition("STARTING", "RUNNING", delay_ms=-1), "at least 0"),
        (Transition("STARTING", "RUNNING", weight=0), "at least 1"),
    ],
)
def test_a_row_that_data_collector_cannot_follow_is_refused(row: Transition, text: str) -> None:
    """The message names the row and what it may be."""
    with pytest.raises(InputError, match=text):
        Behaviour([row])


def test_rows_from_a_file_replace_the_default_of_their_state(tmp_path: Path) -> None:
    """All other states keep the default rows."""
    path = tmp_path / "slow.json"
    path.write_text(json.dumps([{"state": "STARTING", "next": "RUNNING", "delay_ms": 60000}]))
    behaviour = load_behaviour(path)
    assert choose(behaviour, "STARTING", Draws(1)) == ("RUNNING", 60000)
    assert choose(behaviour, "STOPPING", Draws(1)) is not None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "slow.json"),
        ('[{"state": "STARTING"}]', "next"),
        ('[{"state": "STARTING", "next": "RUNNING", "speed": 1}]', "speed"),
        ('[{"state": "RUNNING", "next": "EDITED"}]', "slow.json: transition"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, match: str) -> None:
    """File and field are in the message."""
    path = tmp_path / "slow.json"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        load_behaviour(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No table, no fleet."""
    with pytest.raises(InputError, match="no such behaviour table"):
        load_behaviour(tmp_path / "absent.json")


def test_active_states_are_those_that_a_restart_resolves() -> None:
    """Every active state has an outcome, and every outcome is disconnected or inactive."""
    assert set(AFTER_RESTART) == ACTIVE
    assert all(state == "DISCONNECTED" or state not in ACTIVE for state in AFTER_RESTART.values())
    assert {"STOPPED", "FINISHED"} <= set(ALLOWED)


def test_draws_are_even() -> None:
    """10,000 draws of six values: the chi-square statistic stays below its 99.99 % quantile of 25.7."""
    draws = Draws(3)
    found = Counter(draws.below(6) for _ in range(10_000))
    assert sum((found[n] - 10_000 / 6) ** 2 / (10_000 / 6) for n in range(6)) < 25.7
