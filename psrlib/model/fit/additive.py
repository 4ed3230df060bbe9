"""Fitting an additive predictor for the normal scores of counts: penalized least squares on latent scores.

A count stands for an interval of normal scores, not for a point (many organizations share a count). Latent
scores are the expectations given the interval and the predictor so far (the EM algorithm of an ordered
probit), so ties do not weaken the relation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from psrlib.arrays import FloatArray, IntArray
from psrlib.model.additive import Term, predict
from psrlib.model.fit.smoothing import WEIGHT_TOTAL
from psrlib.model.marginal import Marginal
from psrlib.model.normal import Z_ONE
from psrlib.model.specs import AdditiveSpec, TableSpec, TermSpec
from psrlib.model.table import SCALE

_KNOTS = 10  # knots per term at quantiles, and more where counts double between them
_STEPS = 12  # of the EM algorithm
_BEND = 10.0  # how much dearer a bend is than a straight line
_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # on squared coefficients; normal scores have variance 1
_GRID = 128  # ranges of the residual's table: half of equal width, half of equal probability
_SMALLEST_SPREAD = 0.01  # standard deviations


@dataclass(frozen=True)
class AdditiveFit:
    """Terms, the table of the residual, and the residual of each organization it was fitted to."""

    terms: list[Term]
    residual: Marginal
    table: TableSpec
    values: IntArray

    def spec(self) -> AdditiveSpec:
        """Return terms and residual as they stand in a model file; terms that are nothing are left out."""
        terms = {
            term.metric: TermSpec(term.at.tolist(), term.score.tolist())
            for term in self.terms
            if np.any(term.score != 0)
        }
        return AdditiveSpec(terms, self.table)


def fit_additive(features: dict[str, IntArray], first: FloatArray, end: FloatArray) -> AdditiveFit:
    """Fit terms of all features: the metrics drawn before; constant ones get no term.

    ``first`` and ``end`` are the ranks that each organization's count takes, from 0 to 2**32. All have shape
    (n_organizations,).
    """
    low, high = ndtri(np.clip(first / SCALE, 0, 1)), ndtri(np.clip(end / SCALE, 0, 1))
    names = [name for name, values in features.items() if np.ptp(values) > 0]
    bases = [_basis(features[name]) for name in names]
    x = np.concatenate([np.empty((len(first), 0)), *(basis.columns for basis in bases)], axis=1)
    x = x - x.mean(axis=0)
    mean, spread = np.zeros(len(x)), 1.0
    latent = _expected(low, high, mean, spread)[0]
    penalty = _choose_penalty(x, latent)
    solve = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T)
    coefficients = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        latent, variance = _expected(low, high, mean, spread)
        level = latent.mean()
        coefficients = solve @ (latent - level)
        mean = level + x @ coefficients
        spread = max(float(np.sqrt(np.mean((latent - mean) ** 2 + variance))), _SMALLEST_SPREAD)
    terms, start = [], 0
    for name, basis in zip(names, bases, strict=True):
        own = coefficients[start : start + basis.columns.shape[1]]
        start += len(own)
        score = np.round(basis.at_knots @ own * Z_ONE).astype(np.int64)
        terms.append(Term(name, basis.knots, score))
    predicted = predict(terms, features, len(x)).astype(float) / Z_ONE
    shift = float((mean - predicted).mean())
    latent = _sampled(low, high, predicted + shift, spread, np.random.default_rng(0))
    values = np.round((latent - predicted) * Z_ONE).astype(np.int64)
    table = residual_table(values)
    return AdditiveFit(terms, Marginal.from_table(table), table, values)


@dataclass(frozen=True)
class _Basis:
    knots: IntArray
    at_knots: FloatArray  # shape (n_knots, n_columns)
    columns: FloatArray  # shape (n, n_columns)


def _basis(values: IntArray) -> _Basis:
    """Return the columns of one term: a line in the normal score, and a hat per knot, penalized more."""
    knots = np.unique(np.quantile(values, np.linspace(0, 1, _KNOTS), method="nearest")).astype(np.int64)
    knots = np.unique(np.concatenate([knots, _between(knots)])).astype(np.int64)
    order = np.sort(values)
    middle = (np.searchsorted(order, knots, "left") + np.searchsorted(order, knots, "right")) / 2
    line = ndtri(np.clip(middle / len(values), 0.5 / len(values), 1 - 0.5 / len(values)))
    at_knots = np.column_stack([line * np.sqrt(_BEND), np.eye(len(knots))])
    columns = np.column_stack([np.interp(values, knots, at_knots[:, j]) for j in range(at_knots.shape[1])])
    return _Basis(knots, at_knots, columns)


def _between(knots: IntArray) -> IntArray:
    """Return further knots where a count more than doubles from one to the next."""
    further = []
    for low, high in zip(knots[:-1].tolist(), knots[1:].tolist(), strict=True):
        if low >= 2 and high > 2 * low:
            n = int(np.log2(high / low))
            further += np.geomspace(low, high, n + 2)[1:-1].astype(np.int64).tolist()
    return np.array(further, dtype=np.int64)


def _choose_penalty(x: FloatArray, y: FloatArray) -> float:
    """Return the penalty with the smallest generalized cross-validation (Golub, Heath and Wahba 1979)."""
    values, vectors = np.linalg.eigh(x.T @ x)
    values = np.maximum(values, 0)
    along = vectors.T @ (x.T @ (y - y.mean()))
    scores = []
    for penalty in _PENALTIES:
        fitted = x @ (vectors @ (along / (values + penalty)))
        freedom = 1 + float((values / (values + penalty)).sum())
        left = float(((y - y.mean() - fitted) ** 2).sum())
        scores.append(left / max(len(y) - 1.4 * freedom, 1e-3) ** 2)
    return _PENALTIES[int(np.argmin(scores))]


def _standard(
    low: FloatArray, high: FloatArray, mean: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return standardized ends of the intervals, mirrored where both are positive, and where that is."""
    a, b = (low - mean) / spread, (high - mean) / spread
    flip = a > 0  # the lower tail keeps its digits
    return np.where(flip, -b, a), np.where(flip, -a, b), flip


def _expected(
    low: FloatArray, high: FloatArray, mean: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of normal scores known to lie between low and high."""
    a, b, flip = _standard(low, high, mean, spread)
    below, above = ndtr(a), ndtr(b)
    mass = above - below
    density = [np.exp(-np.square(np.clip(v, -38, 38)) / 2) / np.sqrt(2 * np.pi) for v in (a, b)]
    inside = np.clip(0.0, np.clip(a, -40, 40), np.clip(b, -40, 40))
    safe = mass > 1e-10
    divisor = np.where(safe, mass, 1.0)
    z = np.where(safe, (density[0] - density[1]) / divisor, inside)
    z = np.clip(z, a, b)
    ends = [np.where(np.isfinite(v), v, 0) * d for v, d in zip((a, b), density, strict=True)]
    variance = np.where(safe, 1 + (ends[0] - ends[1]) / divisor - z**2, 0.0)
    z = np.where(flip, -z, z)
    return mean + spread * z, spread**2 * np.clip(variance, 0, 1)


def _sampled(
    low: FloatArray, high: FloatArray, mean: FloatArray, spread: float, rng: np.random.Generator
) -> FloatArray:
    """Return a normal score between low and high for each organization, as likely as the predictor says."""
    a, b, flip = _standard(low, high, mean, spread)
    below, above = ndtr(a), ndtr(b)
    z = ndtri(np.clip(below + (above - below) * rng.random(len(mean)), 1e-300, 1))
    z = np.clip(z, np.maximum(a, -40), np.minimum(b, 40))
    return np.asarray(mean + spread * np.where(flip, -z, z))


def residual_table(values: IntArray) -> TableSpec:
    """Return ranges and weights: residuals smoothed by a normal kernel (Silverman's width)."""
    n = len(values)
    quartiles = np.quantile(values, [0.25, 0.75])
    scale = min(float(values.std()), float(quartiles[1] - quartiles[0]) / 1.34 or np.inf)
    width = max(0.6 * scale * n**-0.2, 4.0)
    low, high = int(values.min() - 2 * width), int(values.max() + 2 * width) + 1
    even = np.linspace(low, high + 1, _GRID // 2 + 1)
    edges = np.unique(
        np.concatenate([even, np.quantile(values, np.linspace(0, 1, _GRID // 2))]).astype(np.int64)
    )
    height = ndtr((edges[None, :] - 0.5 - values[:, None]) / width).mean(axis=0)
    weight = np.maximum(np.round(np.diff(height) * WEIGHT_TOTAL), 1).astype(int)
    return TableSpec(low=edges[:-1].tolist(), high=(edges[1:] - 1).tolist(), weight=weight.tolist())
