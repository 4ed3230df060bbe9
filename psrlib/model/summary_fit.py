"""Fitting a noise model from a summary alone: strata become archetypes with Gaussian dependence."""

from typing import Any

import numpy as np
from scipy.special import ndtri

from psrlib.model.bins import FloatArray, log_scale, make_bins
from psrlib.model.conditional_fit import WEIGHT_TOTAL
from psrlib.model.metrics import CONFIG, drawing_order
from psrlib.model.table import IntArray

_SMALLEST_EIGENVALUE = 1e-5
_SAMPLE = 2000  # points of the bivariate normal on which a latent correlation is found
_STEPS = 9  # halvings of the interval of the latent correlation: exact to 0.004


def fit_stratum(stratum: dict[str, Any], metrics: list[str], levels: list[float]) -> dict[str, Any]:
    """Return metrics, limits and dependence of one stratum as they stand in a model file.

    Values that many organizations share keep their share; between them the quantiles are interpolated on a
    logarithmic scale. Each rank correlation becomes the correlation of normal scores that gives it once both
    are cut into these counts (ties weaken rank correlations), repaired to be positive definite.
    """
    spec: dict[str, Any] = {"metrics": {}, "limits": {}}
    for name in metrics:
        table = stratum_table(
            np.array(stratum["quantiles"][name], dtype=np.int64),
            np.array(levels),
            {int(value): share for value, share in stratum.get("frequent", {}).get(name, {}).items()},
            float(stratum["zero_share"][name]),
        )
        spec["limits" if name in CONFIG else "metrics"][name] = {"family": "empirical", "table": table}
    varying = [index for index, name in enumerate(metrics) if len(set(stratum["quantiles"][name])) > 1]
    order = [name for name in drawing_order(set(metrics)) if metrics.index(name) in varying]
    place = [metrics.index(name) for name in order]
    if len(order) > 1:
        ranks = np.array(stratum["rank_correlation"], dtype=float)[np.ix_(place, place)]
        weights = [
            (spec["limits"] if name in CONFIG else spec["metrics"])[name]["table"]["weight"] for name in order
        ]
        matrix = repair(latent_correlations(ranks, weights))
        spec["dependence"] = {"kind": "gaussian", "metrics": order, "correlation": matrix.tolist()}
    else:
        spec["dependence"] = {"kind": "independent"}
    return spec


def stratum_table(
    quantiles: IntArray, levels: FloatArray, frequent: dict[int, float], zero_share: float
) -> dict[str, list[int]]:
    """Return low, high and integer weight of the ranges that quantiles and frequent values describe."""
    frequent = dict(frequent)
    if zero_share > 0:
        frequent.setdefault(0, zero_share)
    alone = np.array(sorted(frequent), dtype=np.int64)
    smallest = min(int(quantiles[0]), *frequent) if frequent else int(quantiles[0])
    largest = max(int(quantiles[-1]), *frequent) if frequent else int(quantiles[-1])
    bins = make_bins(smallest, largest, alone)
    cumulative = _interpolate(quantiles, levels, bins.edges)
    weight = np.maximum(np.diff(cumulative), 0)
    heap = np.isin(bins.low, alone) & (bins.low == bins.high)
    weight[heap] = 0
    rest = max(1 - sum(frequent.values()), 0.0)
    weight = weight * rest / weight.sum() if weight.sum() > 0 and rest > 1e-9 else np.zeros(len(weight))
    weight[heap] = [frequent[int(value)] for value in bins.low[heap]]
    scaled = np.round(weight / weight.sum() * WEIGHT_TOTAL).astype(int)
    kept = np.flatnonzero(scaled)
    return {"low": bins.low[kept].tolist(), "high": bins.high[kept].tolist(), "weight": scaled[kept].tolist()}


def _interpolate(quantiles: IntArray, levels: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the distribution function at the edges: through the quantiles, linear on the log scale."""
    distinct, first = np.unique(quantiles, return_index=True)
    last = np.append(first[1:], len(quantiles)) - 1
    x = np.concatenate([log_scale(distinct - 0.5), log_scale(distinct + 0.5)])
    # a quantile that holds for several levels is a heap; a single one is passed half way
    before = np.where(first > 0, (levels[first] + levels[np.maximum(first - 1, 0)]) / 2, 0.0)
    after = np.where(
        last < len(levels) - 1, (levels[last] + levels[np.minimum(last + 1, len(levels) - 1)]) / 2, 1.0
    )
    y = np.concatenate([before, after])
    order = np.lexsort((y, x))
    return np.interp(edges, x[order], np.maximum.accumulate(y[order]), left=0.0, right=1.0)


def latent_correlations(ranks: FloatArray, weights: list[list[int]]) -> FloatArray:
    """Return correlations of normal scores whose discretized values have the given rank correlations.

    Parameters
    ----------
    ranks : array of float, shape (n_metrics, n_metrics)
        Spearman coefficients.
    weights : list of list of int
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
