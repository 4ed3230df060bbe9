"""Correlation matrices of normal scores, for the Gaussian dependence of few organizations."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from psrlib.arrays import FloatArray

_SMALLEST_EIGENVALUE = 1e-5
_SAMPLE = 2000  # points of the bivariate normal on which a latent correlation is found
_STEPS = 9  # halvings of the interval of the latent correlation: exact to 0.004


def latent_correlations(ranks: FloatArray, weights: Sequence[Sequence[float]]) -> FloatArray:
    """Return correlations of normal scores whose discretized values have the given rank correlations.

    Parameters
    ----------
    ranks : array of float, shape (n_metrics, n_metrics)
        Spearman coefficients.
    weights : sequence of sequence of int
        Weights of the values of each metric, ascending.

    Notes
    -----
    NORTA (Cario and Nelson 1997) with bisection on a fixed sample.
    """
    sample = np.random.default_rng(0).normal(size=(2, _SAMPLE))
    cuts = [ndtri(np.cumsum(weight)[:-1] / np.sum(weight)) for weight in weights]
    middles = [np.cumsum(weight) - np.array(weight) / 2 for weight in weights]
    latent = np.eye(len(ranks))
    for i in range(len(ranks)):
        first = middles[i][np.searchsorted(cuts[i], sample[0])]
        for j in range(i):
            latent[i, j] = latent[j, i] = _bisect(ranks[i, j], first, sample, cuts[j], middles[j])
    return latent


def _bisect(
    target: float, first: FloatArray, sample: FloatArray, cuts: FloatArray, middle: FloatArray
) -> float:
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        trial = (low + high) / 2
        second = middle[np.searchsorted(cuts, trial * sample[0] + np.sqrt(1 - trial**2) * sample[1])]
        constant = np.ptp(first) == 0 or np.ptp(second) == 0
        found = 0.0 if constant else float(np.corrcoef(first, second)[0, 1])
        low, high = (trial, high) if found < target else (low, trial)
    return (low + high) / 2


def repair(correlation: FloatArray) -> FloatArray:
    """Return the correlation matrix with eigenvalues raised to be positive: it has a Cholesky factor."""
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    matrix = (vectors * np.maximum(values, _SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(matrix))
    matrix = np.round(matrix / np.outer(scale, scale), 8)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix)
