"""Creations happen exactly once though answers get lost."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psrlib.client import LostAnswerError
from psrlib.errors import HubError, HubUnreachableError
from psrlib.state import create_once

NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Any:
    before, create_once.PAUSE_S = create_once.PAUSE_S, 0.0
    yield
    create_once.PAUSE_S = before


class Shelf:
    """Stands for a hub: keeps what is created, loses answers by a schedule of (how many were done)."""

    def __init__(self, schedule: Sequence[int | None]) -> None:
        self.held: list[str] = []
        self._schedule = list(schedule)

    def create(self, names: Sequence[str]) -> list[dict[str, Any]]:
        done = self._schedule.pop(0) if self._schedule else None
        self.held += list(names)[:done]
        if done is not None:
            raise LostAnswerError("lost")
        return [{"name": name} for name in names]

    def find(self) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.held]


def name_of(row: dict[str, Any]) -> str:
    return str(row["name"])


def run(shelf: Shelf) -> dict[str, Any]:
    return create_once.create_named({n: n for n in NAMES}, shelf.create, shelf.find, name_of)


@given(st.lists(st.integers(0, 5), max_size=create_once.ATTEMPTS - 1))
def test_whatever_part_was_done_before_the_answer_was_lost(schedule: list[int]) -> None:
    """Nothing is missing and nothing is there twice, for every schedule of losses."""
    shelf = Shelf(schedule)
    assert sorted(run(shelf)) == NAMES
    assert sorted(shelf.held) == NAMES


def test_losses_without_end_are_an_error() -> None:
    """After the attempts are used up, the error says what is missing."""
    with pytest.raises(HubUnreachableError, match="5 of 5 entities"):
        run(Shelf([0] * 100))


def test_a_refusal_is_not_taken_for_a_loss() -> None:
    """A hub that says no at the first attempt is believed."""

    def refuse(_: Sequence[str]) -> list[dict[str, Any]]:
        raise HubError("limit reached", 403)

    with pytest.raises(HubError, match="limit"):
        create_once.create_named({"a": "a"}, refuse, list, name_of)


def test_a_refused_repeat_of_something_done_late_is_success() -> None:
    """The lost request was carried out after the look; the repeat is refused because the id is taken."""
    held: list[str] = []
    attempts = 0

    def create(_: Sequence[str]) -> list[dict[str, Any]]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise LostAnswerError("lost")
        held.append("a")
        raise HubError("taken", 409)

    found = create_once.create_named({"a": "a"}, create, lambda: [{"name": n} for n in held], name_of)
    assert list(found) == ["a"]


def test_losses_are_counted() -> None:
    """An organization with a lost answer is looked at once more in the end."""
    losses: list[int] = []
    shelf = Shelf([2, 0])
    create_once.create_named(
        {n: n for n in NAMES},
        shelf.create,
        shelf.find,
        name_of,
        lambda: losses.append(1),
    )
    assert len(losses) == 2
