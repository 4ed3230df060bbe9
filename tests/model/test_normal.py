"""The integer normal distribution."""

import numpy as np
from scipy.special import ndtr

from psrlib.model.normal import Z_ONE, normal_rank, normal_score
from psrlib.model.table import SCALE


def test_ranks_agree_with_scipy() -> None:
    """Within 2e-5 of the normal distribution function everywhere: linear between 1/64 steps."""
    scores = np.arange(-5 * Z_ONE, 5 * Z_ONE, 7)
    assert np.abs(normal_rank(scores) / SCALE - ndtr(scores / Z_ONE)).max() < 2e-5


def test_scores_invert_ranks(rng: np.random.Generator) -> None:
    """From a rank to its score and back changes it by less than the step of a score."""
    ranks = rng.integers(0, SCALE, 5000, dtype=np.uint64)
    back = normal_rank(normal_score(ranks))
    assert np.abs(back.astype(float) - ranks.astype(float)).max() / SCALE < 2e-4
