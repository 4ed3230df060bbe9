"""Archetypes found in data."""

import numpy as np
import pandas as pd
import pytest

from psrlib.arrays import IntArray
from psrlib.model.fit.clustering import _most_likely, find_archetypes


@pytest.fixture
def two_kinds(rng: np.random.Generator) -> pd.DataFrame:
    """Small and large organizations, far apart."""
    large = np.arange(1000) < 450
    return pd.DataFrame(
        {
            "users": np.where(large, rng.poisson(60, 1000), rng.poisson(4, 1000)),
            "jobs": np.where(large, rng.poisson(200, 1000), rng.poisson(6, 1000)),
            "pipelines": np.where(large, rng.poisson(150, 1000), rng.poisson(9, 1000)),
        }
    )


def test_separate_kinds_are_found_and_ordered_by_size(two_kinds: pd.DataFrame) -> None:
    """Every organization is told apart from the other kind; the first archetype is the small one."""
    clustering = find_archetypes(two_kinds)
    large = np.arange(1000) < 450
    assert len(clustering.names) >= 2
    assert two_kinds["jobs"].groupby(clustering.label).mean().is_monotonic_increasing
    assert not set(clustering.label[large]) & set(clustering.label[~large])


def test_the_choice_is_explained(two_kinds: pd.DataFrame) -> None:
    """Each number tried has a verdict, one of them chosen."""
    choice = find_archetypes(two_kinds).choice
    assert sum(entry["verdict"].startswith("chosen") for entry in choice) == 1
    assert all({"n_archetypes", "verdict"} <= set(entry) for entry in choice)


@pytest.mark.parametrize("wanted", [1, 2])
def test_the_likelihood_of_held_out_organizations_decides(two_kinds: pd.DataFrame, wanted: int) -> None:
    """Among the possible numbers the one with the largest likelihood is chosen, and the figure is kept."""

    def prefer_wanted(labels: list[IntArray]) -> list[float]:
        return [-abs(int(label.max()) + 1 - wanted) for label in labels]

    clustering = find_archetypes(two_kinds, likelihoods=prefer_wanted)
    assert len(clustering.names) == wanted
    chosen = [entry for entry in clustering.choice if entry["verdict"].startswith("chosen")]
    assert [entry["held_out_log_likelihood"] for entry in chosen] == [0]


def test_a_number_given_by_the_user_is_taken(two_kinds: pd.DataFrame) -> None:
    """Three archetypes when three are asked for."""
    assert len(find_archetypes(two_kinds, 3).names) == 3


@pytest.mark.parametrize("n", [2, 5, 30])
def test_few_or_equal_organizations_are_one_archetype(n: int) -> None:
    """Nothing to tell apart, or too few to try."""
    frame = pd.DataFrame({"users": np.full(n, 3), "jobs": np.zeros(n, int)})
    clustering = find_archetypes(frame)
    assert clustering.names == ["all"]
    assert (clustering.label == 0).all()


@pytest.mark.parametrize(
    ("likelihoods", "chosen", "tried"),
    [([-5, -6, -9, -9, -1], 1, 2), ([-5, -4, -6, -7, -1], 2, 4), ([-5, -4, -6, -3, -2], 5, 5)],
)
def test_larger_numbers_are_tried_while_they_gain(likelihoods: list[float], chosen: int, tried: int) -> None:
    """Two at a time; after two that gain nothing the rest is not fitted, and the report says so."""
    allowed = [{"n_archetypes": number, "verdict": "possible"} for number in range(1, 6)]
    labels = {number: np.array([number]) for number in range(1, 6)}
    asked: list[int] = []

    def ask(groupings: list[IntArray]) -> list[float]:
        asked.extend(int(label[0]) for label in groupings)
        return [likelihoods[int(label[0]) - 1] for label in groupings]

    assert _most_likely(allowed, labels, ask)["n_archetypes"] == chosen
    assert asked == list(range(1, tried + 1))
    assert [str(entry["verdict"]).startswith("not tried") for entry in allowed] == [
        number > tried for number in range(1, 6)
    ]
