"""Choosing, per metric, its unit and how it depends on others, by the likelihood of held-out rows.

A metric is independent, follows a forest, or follows a curve (location) whose residual is independent or
follows a forest.
"""

from dataclasses import dataclass, replace

import numpy as np

from psrlib.model.bins import FloatArray
from psrlib.model.forest_fit import Cells, Forest, fit_forest, make_cells
from psrlib.model.location import predict, residual_window
from psrlib.model.location_fit import LocationFit, fit_location
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import CONFIG
from psrlib.model.smoothing import Smoothed, smooth
from psrlib.model.table import SCALE, IntArray
from psrlib.model.unit import Unit

_FOLDS = 3
_TRIAL_TREES = 4
_MIN_LEAF = (16, 32, 64)
_MIN_LEAF_LIMITS = (2, 16, 64)  # tiers are exact, and a tier may have few organizations
_BASES = 2  # how many metrics to try as base of a share or difference
_BASE_CORRELATION = 0.5  # a base must go together with the metric at least this much (Spearman)
_MIN_GAIN = 4.0  # log likelihood a more complicated form must gain on the held-out organizations, at most
_GAIN_EACH = 0.03  # and per organization: few cannot gain as much
_COARSE = 64  # rounding a share of more than this moves it by less than a percent
_FLAT = 0.02  # share of a flat background, so that no held-out organization counts minus infinity
WEIGHT_TOTAL = 1 << 20  # weights of a frozen table are integers that sum to about this


@dataclass(frozen=True)
class FittedMetric:
    """What was chosen for one metric: unit, marginal, cells, forest (None: none) and location (None: none).

    The cells are those of the residual where there is a location.
    """

    unit: Unit
    values: IntArray
    smoothed: Smoothed
    marginal: Marginal
    cells: Cells
    min_leaf: int | None
    held_out: dict[str, float]
    location: LocationFit | None = None


def freeze(smoothed: Smoothed) -> tuple[list[int], list[int], list[int]]:
    """Return low, high and integer weight of the bins that can be drawn."""
    weight = np.round(smoothed.probability * WEIGHT_TOTAL).astype(int)
    kept = np.flatnonzero(weight)
    return smoothed.bins.low[kept].tolist(), smoothed.bins.high[kept].tolist(), weight[kept].tolist()


def choose_metric(
    name: str,
    counts: IntArray,
    known: dict[str, IntArray],
    features: dict[str, IntArray],
    largest: int | None,
) -> FittedMetric:
    """Choose unit and resolution for one metric.

    Parameters
    ----------
    name : str
    counts : array of int, shape (n_organizations,)
    known : dict of str to array
        Counts drawn before: possible bases.
    features : dict of str to array
        What trees may look at: counts drawn before, and their shares and differences.
    largest : int or None
        Largest value the limits allow.
    """
    units = [Unit()] if name in CONFIG or not known else _units(name, counts, known)
    x = np.stack(list(features.values()), axis=1).astype(float) if features else np.empty((len(counts), 0))
    scores: dict[str, float] = {}
    best: tuple[float, Unit, int | None, bool] = (-np.inf, units[0], None, False)
    gain = min(_MIN_GAIN, _GAIN_EACH * len(counts))
    for unit in units:
        trial = _prepare(unit, counts, known, largest if not unit.base else None)
        options: list[int | None] = [None]
        if x.shape[1] and len(trial.cells.single) > 1:
            sizes = _MIN_LEAF_LIMITS if name in CONFIG else _MIN_LEAF
            options += [leaf for leaf in sizes if 2 * leaf <= len(counts) * (_FOLDS - 1) // _FOLDS]
        for min_leaf in options:
            score = _held_out_likelihood(trial, counts, known, x, min_leaf)
            scores[f"{_label(unit)}, {min_leaf or 'no'} per leaf"] = round(score, 1)
            if score > best[0] + gain * (best[1:] != (unit, None, False) and best[0] > -np.inf):
                best = (score, unit, min_leaf, False)
        if x.shape[1] and len(trial.cells.single) > 1 and name not in CONFIG:
            found = _located_likelihoods(trial, counts, known, features, x, options)
            for min_leaf, score in found.items():
                scores[f"{_label(unit)} along a curve, {min_leaf or 'no'} per leaf"] = round(score, 1)
                if score > best[0] + gain:
                    best = (score, unit, min_leaf, True)
    fitted = _prepare(best[1], counts, known, largest if not best[1].base else None)
    fitted = replace(fitted, min_leaf=best[2], held_out=scores)
    return locate(fitted, features) if best[3] else fitted


def locate(fitted: FittedMetric, features: dict[str, IntArray]) -> FittedMetric:
    """Add the location, and cells of its residual instead of the metric's own."""
    first = fitted.marginal.first_rank(fitted.values).astype(float)
    end = fitted.marginal.first_rank(fitted.values + 1).astype(float)
    location = fit_location(features, first, end)
    return replace(fitted, location=location, cells=make_cells(location.residual, location.values))


def _located_likelihoods(
    trial: FittedMetric,
    counts: IntArray,
    known: dict[str, IntArray],
    features: dict[str, IntArray],
    x: FloatArray,
    options: list[int | None],
) -> dict[int | None, float]:
    """Return the log likelihood of the counts under curves of the other folds, per organizations per leaf."""
    fold = np.random.default_rng(1).permutation(len(counts)) % _FOLDS
    low, high = trial.unit.window(counts, counts, known)
    first = trial.marginal.first_rank(low)
    end = trial.marginal.first_rank(np.maximum(high, low) + 1)
    exact = [
        trial.marginal.first_rank(trial.values).astype(float),
        trial.marginal.first_rank(trial.values + 1).astype(float),
    ]
    total = dict.fromkeys(options, 0.0)
    for f in range(_FOLDS):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        location = fit_location(
            {name: values[train] for name, values in features.items()}, exact[0][train], exact[1][train]
        )
        score = predict(location.terms, {name: values[test] for name, values in features.items()}, len(test))
        window = residual_window(first[test], end[test], score)
        start, stop = (location.residual.first_rank(edge).astype(float) for edge in window)
        cells = make_cells(location.residual, location.values)
        for min_leaf in options:
            if min_leaf is None:
                share = np.bincount(cells.index, minlength=len(cells.single)) / len(train)
                probability = np.repeat(share[None, :], len(test), axis=0)
            else:
                probability = fit_forest(x[train], cells, _TRIAL_TREES, min_leaf).probability(x[test])
            background = (end - first)[test].astype(float)
            mass = _mass(cells.edges, probability, start, stop, background)
            total[min_leaf] += float(np.log(mass).sum())
    return total


def quick_likelihood(name: str, counts: IntArray, known: dict[str, IntArray]) -> float:
    """Return the held-out log likelihood of a metric: independent, with a forest, or along a curve."""
    unit = Unit("share", "jobs") if name == "active_jobs" and "jobs" in known else Unit()
    trial = _prepare(unit, counts, known, None)
    if not known or len(trial.cells.single) < 2:
        return _held_out_likelihood(trial, counts, known, np.empty((len(counts), 0)), None)
    x = np.stack(list(known.values()), axis=1).astype(float)
    size = _MIN_LEAF_LIMITS[0] if name in CONFIG else _MIN_LEAF[1]
    scores = [_held_out_likelihood(trial, counts, known, x, option) for option in (None, size)]
    if name not in CONFIG:
        scores += _located_likelihoods(trial, counts, known, known, x, [None, size]).values()
    return max(scores)


def _label(unit: Unit) -> str:
    return f"{unit.kind} of {unit.base}" if unit.base else "count"


def _units(name: str, counts: IntArray, known: dict[str, IntArray]) -> list[Unit]:
    if name == "active_jobs" and "jobs" in known:
        return [Unit("share", "jobs")]
    if np.ptp(counts) == 0:
        return [Unit()]
    ranks = np.argsort(np.argsort(counts))
    strength = {}
    for base, values in known.items():
        if base not in CONFIG and np.ptp(values) > 0:
            strength[base] = abs(np.corrcoef(ranks, np.argsort(np.argsort(values)))[0, 1])
    bases = sorted((b for b in strength if strength[b] >= _BASE_CORRELATION), key=lambda b: -strength[b])[
        :_BASES
    ]
    return [Unit()] + [Unit(kind, base) for base in bases for kind in ("share", "difference")]


def _prepare(unit: Unit, counts: IntArray, known: dict[str, IntArray], largest: int | None) -> FittedMetric:
    values = _unrounded(unit, counts, known) if unit.kind == "share" else unit.value(counts, known)
    smoothed = smooth(values, largest)
    marginal = Marginal(*freeze(smoothed))
    return FittedMetric(unit, values, smoothed, marginal, make_cells(marginal, values), None, {})


def _unrounded(unit: Unit, counts: IntArray, known: dict[str, IntArray]) -> IntArray:
    """Return a share for each count that would be rounded to it: 1 of 2 jobs is not exactly a half.

    None and all stay what they are, and so do shares of many, which rounding hardly moves.
    """
    exact, base = unit.value(counts, known), known[unit.base]
    low, high = unit.window(counts, counts, known)
    anywhere = low + (np.random.default_rng(2).random(len(counts)) * (high - low + 1)).astype(np.int64)
    free = (counts > 0) & (counts != base) & (base <= _COARSE)
    return np.where(free, anywhere, exact)


def _held_out_likelihood(
    trial: FittedMetric, counts: IntArray, known: dict[str, IntArray], x: FloatArray, min_leaf: int | None
) -> float:
    """Return the log likelihood of the counts, each fold under a forest of the other folds."""
    fold = np.random.default_rng(1).permutation(len(counts)) % _FOLDS
    low, high = trial.unit.window(counts, counts, known)
    first = trial.marginal.first_rank(low).astype(float)
    end = trial.marginal.first_rank(np.maximum(high, low) + 1).astype(float)
    total = 0.0
    for f in range(_FOLDS):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        probability = _cell_probability(trial.cells, x, train, test, min_leaf)
        total += float(np.log(_mass(trial.cells.edges, probability, first[test], end[test])).sum())
    return total


def _cell_probability(
    cells: Cells, x: FloatArray, train: IntArray, test: IntArray, min_leaf: int | None
) -> FloatArray:
    part = Cells(cells.edges, cells.middle[train], cells.index[train], cells.single)
    if min_leaf is None:
        share = np.bincount(part.index, minlength=len(cells.single)) / len(train)
        return np.repeat(share[None, :], len(test), axis=0)
    forest: Forest = fit_forest(x[train], part, _TRIAL_TREES, min_leaf)
    return forest.probability(x[test])


def _mass(
    edges: IntArray,
    probability: FloatArray,
    first: FloatArray,
    end: FloatArray,
    background: FloatArray | None = None,
) -> FloatArray:
    """Return the probability between two ranks, with a flat background as wide as ``background``."""
    flat = end - first if background is None else background
    overlap = np.minimum(end[:, None], edges[None, 1:]) - np.maximum(first[:, None], edges[None, :-1])
    share = np.clip(overlap, 0, None) / np.diff(edges)
    return np.asarray((1 - _FLAT) * (share * probability).sum(axis=1) + _FLAT * flat / SCALE + 1e-12)
