"""The smoothed empirical marginal."""

import numpy as np
import pytest

from psrlib.model.fit.smoothing import smooth
from psrlib.stats.histogram import make_bins


def test_zeros_and_round_numbers_keep_their_share(rng: np.random.Generator) -> None:
    """A tenth at 50 among spread values, and four tenths at zero, stay where they are."""
    values = np.concatenate([np.zeros(400, int), np.full(100, 50), rng.integers(1, 200, 500)])
    smoothed = smooth(values)
    share = dict(zip(smoothed.bins.low.tolist(), smoothed.probability.tolist(), strict=True))
    assert share[0] == pytest.approx(0.4, abs=0.01)
    assert share[50] == pytest.approx((values == 50).mean(), abs=0.02)


def test_smoothing_is_nearer_to_the_truth_than_the_sample(rng: np.random.Generator) -> None:
    """For a geometric distribution, the total error of the smoothed frequencies is the smaller one."""
    truth = 0.05 * 0.95 ** np.arange(0, 33)
    errors = []
    for _ in range(5):
        values = rng.geometric(0.05, 400) - 1
        smoothed = smooth(values)
        raw = np.bincount(values, minlength=33)[:33] / len(values)
        single = smoothed.bins.low < 33
        near = np.zeros(33)
        near[smoothed.bins.low[single]] = smoothed.probability[single]
        errors.append(np.abs(raw - truth).sum() - np.abs(near - truth).sum())
    assert np.mean(errors) > 0.05


def test_no_value_appears_in_a_wide_gap(rng: np.random.Generator) -> None:
    """Between two separate groups nothing is put."""
    smoothed = smooth(np.concatenate([rng.integers(2, 6, 300), rng.integers(100, 140, 300)]))
    gap = (smoothed.bins.low > 8) & (smoothed.bins.high < 90)
    assert smoothed.probability[gap].sum() == 0


def test_a_single_giant_is_not_told_exactly() -> None:
    """The largest value lies inside a range, not alone."""
    smoothed = smooth(np.array([1, 2, 3, 4, 5] * 10 + [54_321]))
    own = smoothed.bins.index(np.array([54_321]))[0]
    assert smoothed.bins.high[own] - smoothed.bins.low[own] > 100
    gap = (smoothed.bins.low > 20) & (smoothed.bins.high < 20_000)
    assert smoothed.probability[gap].sum() == 0


@pytest.mark.parametrize("values", [np.zeros(20, int), np.full(7, 3), np.array([1, 2])])
def test_little_or_constant_data_is_smoothed_too(values: np.ndarray) -> None:
    """A constant stays a constant, two values stay two values."""
    smoothed = smooth(values)
    drawn = smoothed.bins.low[smoothed.probability > 0]
    assert set(drawn.tolist()) == set(values.tolist())


def test_bins_cover_negative_and_positive_without_gaps() -> None:
    """Differences may be negative: every integer is in exactly one bin."""
    bins = make_bins(-300, 1000, np.array([500]))
    assert (bins.low[1:] == bins.high[:-1] + 1).all()
    assert (bins.low[0], bins.high[-1]) == (-300, 1000)
    assert 500 in bins.low[bins.low == bins.high]


def test_yes_and_no_are_not_smoothed() -> None:
    """Between two neighbouring values there is nothing to smooth over: their shares stay exact."""
    smoothed = smooth(np.repeat([0, 1], [700, 300]))
    assert smoothed.probability[:2].tolist() == [0.7, 0.3]
