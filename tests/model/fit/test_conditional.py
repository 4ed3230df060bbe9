"""Shares are fitted as what rounds to the counts, not as the fractions of small numbers."""

import numpy as np

from psrlib.model.fit.conditional import unround
from psrlib.scale import SHARE_ONE, Scale


def test_shares_of_few_are_spread_and_give_their_counts_back(rng: np.random.Generator) -> None:
    """1 of 2 jobs is any share from a quarter to three quarters; counted again it is 1 of 2."""
    jobs = rng.integers(1, 65, 3000)
    active = rng.binomial(jobs, 0.4)
    scale, known = Scale("share", "jobs"), {"jobs": jobs}
    shares = unround(scale, active, known)
    assert np.array_equal(scale.count(shares, known), active)
    halves = shares[(jobs == 2) & (active == 1)] / SHARE_ONE
    assert len(halves) > 10
    assert len(np.unique(halves)) > 0.9 * len(halves)
    assert 0.25 <= halves.min() < 0.5 < halves.max() <= 0.75


def test_none_all_and_shares_of_many_stay_exact() -> None:
    """They are no accident of rounding."""
    scale, known = Scale("share", "jobs"), {"jobs": np.array([0, 7, 7, 65])}
    counts = np.array([0, 0, 7, 13])
    assert np.array_equal(unround(scale, counts, known), scale.value(counts, known))
