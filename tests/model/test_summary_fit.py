"""Models from summaries."""

import numpy as np
import pytest

from psrlib.model.summary_fit import latent_correlations, repair, stratum_table


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


def test_frequent_values_keep_their_share_and_quantiles_the_rest() -> None:
    """Half zeros and a tenth at 50; between, the quantiles are followed."""
    levels = np.linspace(0, 1, 11)
    quantiles = np.array([0, 0, 0, 0, 0, 0, 20, 40, 50, 60, 100])
    table = stratum_table(quantiles, levels, {0: 0.5, 50: 0.1}, 0.5)
    total = sum(table["weight"])
    share = dict(zip(table["low"], np.array(table["weight"]) / total, strict=True))
    assert share[0] == pytest.approx(0.5, abs=1e-3)
    assert share[50] == pytest.approx(0.1, abs=1e-3)
    assert table["high"][-1] == 100


def test_a_constant_metric_is_one_value() -> None:
    """All quantiles equal: one range of one value."""
    table = stratum_table(np.full(5, 7), np.linspace(0, 1, 5), {7: 1.0}, 0.0)
    assert (table["low"], table["high"]) == ([7], [7])
