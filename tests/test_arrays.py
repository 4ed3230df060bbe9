"""Ranks."""

import numpy as np
from scipy.stats import rankdata

from psrlib.arrays import mean_ranks


def test_mean_ranks_are_those_of_scipy(rng: np.random.Generator) -> None:
    """With and without ties, whole numbers and fractions, one value and none."""
    for values in (rng.integers(0, 20, 500), rng.random(500), np.zeros(7), np.array([3]), np.array([])):
        assert (mean_ranks(values) == rankdata(values)).all()
