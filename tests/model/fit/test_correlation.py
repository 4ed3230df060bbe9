"""Correlation matrices of normal scores."""

import numpy as np
import pytest

from psrlib.model.fit.correlation import latent_correlations, repair


@pytest.mark.parametrize("truth", [-0.6, 0.0, 0.4, 0.9])
def test_a_latent_correlation_is_found_behind_ties(truth: float, rng: np.random.Generator) -> None:
    """Counts with half zeros have a weaker rank correlation than the normal scores behind them."""
    first = rng.normal(size=20_000)
    second = truth * first + np.sqrt(1 - truth**2) * rng.normal(size=20_000)
    cut = np.stack([np.maximum(np.floor(2 * x), 0).astype(int) for x in (first, second)])
    middle = np.stack([np.searchsorted(np.sort(c), c) + np.searchsorted(np.sort(c), c, "right") for c in cut])
    weights = [np.bincount(c).tolist() for c in cut]
    found = latent_correlations(np.corrcoef(middle), weights)
    assert found[0, 1] == pytest.approx(truth, abs=0.06)


def test_a_repaired_matrix_is_positive_definite() -> None:
    """A contradictory matrix becomes one that has a Cholesky factor, with a unit diagonal."""
    matrix = repair(np.array([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]))
    assert np.linalg.eigvalsh(matrix).min() > 0
    assert (np.diag(matrix) == 1).all()
