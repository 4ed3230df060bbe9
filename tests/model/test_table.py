"""Quantile tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psrlib.model.table import SCALE, QuantileTable, cumulative_thresholds


def test_frequencies_follow_the_weights(words: np.ndarray) -> None:
    """Weights 1, 2, 7 give shares of 10, 20, 70 % within four standard errors."""
    drawn = QuantileTable(["a", "b", "c"], [1, 2, 7]).look_up(words[:, 0])
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    assert np.abs(shares - [0.1, 0.2, 0.7]).max() < 4 * np.sqrt(0.21 / len(drawn))


def test_a_limit_draws_among_the_first_values(words: np.ndarray) -> None:
    """Relative frequencies stay, the limit may differ per word, and less than 1 counts as 1."""
    table = QuantileTable(list(range(10)), [1] * 10)
    assert set(table.look_up(words[:, 0], limit=3)) == {0, 1, 2}
    limits = np.arange(len(words)) % 12 - 1
    assert (table.look_up(words[:, 0], limit=limits) < np.clip(limits, 1, 10)).all()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30).filter(lambda w: sum(w) > 0))
def test_thresholds_ascend_to_the_whole(weights: list[float]) -> None:
    """Whatever the weights, thresholds never fall and end at 2**32 exactly."""
    thresholds = cumulative_thresholds(weights)
    assert (np.diff(thresholds.astype(object)) >= 0).all()
    assert thresholds[-1] == SCALE


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1]])
def test_unusable_weights_are_refused(weights: list[float]) -> None:
    """Weights must be finite, not negative and sum to something positive."""
    with pytest.raises(ValueError, match="weight"):
        QuantileTable([1, 2], weights)


def test_values_without_weight_are_never_drawn() -> None:
    """A zero weight at either end is skipped, also for the extreme words."""
    table = QuantileTable([0, 1, 2], [0, 1, 0])
    assert table.look_up(np.array([0, 2**64 - 1], dtype=np.uint64)).tolist() == [1, 1]
