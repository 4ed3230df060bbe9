"""Histograms of at least five organizations per range."""

import numpy as np
import pytest

from psrlib.stats.histogram import SMALLEST_COUNT, make_histogram, move_few, partition


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_every_range_counts_five(n: int, rng: np.random.Generator) -> None:
    """Heavy tails, zeros and negative values: no range tells of fewer, and all are counted."""
    values = np.where(rng.random(n) < 0.3, 0, np.floor(rng.pareto(1.1, n) * 5)).astype(np.int64) - 2
    histogram = make_histogram(values)
    assert histogram.count.min() >= SMALLEST_COUNT
    assert histogram.count.sum() == n
    assert (histogram.low[1:] > histogram.high[:-1]).all()


def test_a_gap_stays_empty_and_a_heap_alone() -> None:
    """Two tiers far apart are two ranges of one value."""
    histogram = make_histogram(np.repeat([5, 100], 50))
    assert (histogram.low.tolist(), histogram.high.tolist()) == ([5, 100], [5, 100])


def test_the_distribution_is_followed(rng: np.random.Generator) -> None:
    """2,000 lognormal counts: nowhere farther than chance from the counts themselves."""
    values = np.floor(np.exp(rng.normal(3, 1.2, 2000))).astype(np.int64)
    places = np.unique(values) + 0.5
    seen = np.searchsorted(np.sort(values), places) / len(values)
    assert np.abs(make_histogram(values).cumulative(places) - seen).max() < 0.03


def test_even_counts_are_one_range() -> None:
    """Nothing stands out, so nothing is told apart."""
    assert partition(np.full(30, 10), np.ones(30), 2.0).tolist() == [0]


def test_few_are_counted_with_their_neighbours() -> None:
    """Fewer than five never stand alone, and nobody is lost."""
    assert move_few(np.array([3, 0, 8, 4, 6])).tolist() == [0, 0, 15, 0, 6]
    assert move_few(np.array([3, 4])).tolist() == [0, 7]
