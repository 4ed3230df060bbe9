"""Choosing, per metric, its scale and how it depends on others, by the likelihood of held-out rows.

A metric is independent, follows a forest, or follows a curve whose residual is independent or
follows a forest.
"""

from dataclasses import dataclass, replace

import numpy as np

from psrlib.arrays import FloatArray, IntArray, WordArray
from psrlib.model.additive import predict, residual_window
from psrlib.model.fit.additive import AdditiveFit, fit_additive
from psrlib.model.fit.forest import Cells, fit_forest, make_cells
from psrlib.model.fit.smoothing import Smoothed, smooth
from psrlib.model.marginal import Marginal
from psrlib.model.table import SCALE
from psrlib.scale import Scale
from psrlib.stats.conditionals import FLAT, N_FOLDS, folds, inside, possible_scales
from psrlib.words import CONFIG

_TRIAL_TREES = 4
_MIN_LEAF = (16, 32, 64)
_MIN_LEAF_LIMITS = (2, 16, 64)  # tiers are exact, and a tier may have few organizations
_MIN_GAIN = 4.0  # log likelihood a more complicated form must gain on the held-out organizations, at most
_GAIN_EACH = 0.03  # and per organization: few cannot gain as much
_COARSE = 64  # rounding a share of more than this moves it by less than a percent


@dataclass(frozen=True)
class FittedMetric:
    """What was chosen for one metric: scale, marginal, cells, forest (None: none) and curve (None: none).

    The cells are those of the residual where there is a curve.
    """

    scale: Scale
    values: IntArray
    smoothed: Smoothed
    marginal: Marginal
    cells: Cells
    min_leaf: int | None
    held_out: dict[str, float]
    curve: AdditiveFit | None = None


def choose_metric(
    name: str,
    counts: IntArray,
    known: dict[str, IntArray],
    features: dict[str, IntArray],
    largest: int | None,
) -> FittedMetric:
    """Choose scale and resolution for one metric; all arrays have shape (n_organizations,).

    ``known`` are the counts drawn before, possible bases; ``features`` what trees may look at: these counts,
    their shares and differences; ``largest`` is the largest value that the limits allow.
    """
    scales = possible_scales(name, counts, known, _place)
    x = np.stack(list(features.values()), axis=1).astype(float) if features else np.empty((len(counts), 0))
    scores: dict[str, float] = {}
    best: tuple[float, Scale, int | None, bool] = (-np.inf, scales[0], None, False)
    gain = min(_MIN_GAIN, _GAIN_EACH * len(counts))
    for scale in scales:
        trial = _prepare(scale, counts, known, largest if not scale.base else None)
        options: list[int | None] = [None]
        if x.shape[1] and len(trial.cells.single) > 1:
            sizes = _MIN_LEAF_LIMITS if name in CONFIG else _MIN_LEAF
            options += [leaf for leaf in sizes if 2 * leaf <= len(counts) * (N_FOLDS - 1) // N_FOLDS]
        for min_leaf in options:
            score = _held_out_likelihood(trial, counts, known, x, min_leaf)
            scores[f"{scale.label}, {min_leaf or 'no'} per leaf"] = round(score, 1)
            if score > best[0] + gain * (best[1:] != (scale, None, False) and best[0] > -np.inf):
                best = (score, scale, min_leaf, False)
        if x.shape[1] and len(trial.cells.single) > 1 and name not in CONFIG:
            found = _curve_likelihoods(trial, counts, known, features, x, options)
            for min_leaf, score in found.items():
                scores[f"{scale.label} along a curve, {min_leaf or 'no'} per leaf"] = round(score, 1)
                if score > best[0] + gain:
                    best = (score, scale, min_leaf, True)
    fitted = _prepare(best[1], counts, known, largest if not best[1].base else None)
    fitted = replace(fitted, min_leaf=best[2], held_out=scores)
    return follow_curve(fitted, features) if best[3] else fitted


def follow_curve(fitted: FittedMetric, features: dict[str, IntArray]) -> FittedMetric:
    """Add the curve, and cells of its residual instead of the metric's own."""
    first = fitted.marginal.first_rank(fitted.values).astype(float)
    end = fitted.marginal.first_rank(fitted.values + 1).astype(float)
    curve = fit_additive(features, first, end)
    return replace(fitted, curve=curve, cells=make_cells(curve.residual, curve.values))


def _curve_likelihoods(
    trial: FittedMetric,
    counts: IntArray,
    known: dict[str, IntArray],
    features: dict[str, IntArray],
    x: FloatArray,
    options: list[int | None],
) -> dict[int | None, float]:
    """Return the log likelihood of the counts under curves of the other folds, per organizations per leaf."""
    first, end = _ranks(trial, counts, known)
    own = [trial.marginal.first_rank(trial.values + step).astype(float) for step in (0, 1)]
    total = dict.fromkeys(options, 0.0)
    for train, test in folds(len(counts)):
        curve = fit_additive({name: v[train] for name, v in features.items()}, own[0][train], own[1][train])
        score = predict(curve.terms, {name: v[test] for name, v in features.items()}, len(test))
        window = residual_window(first[test], end[test], score)
        start, stop = (curve.residual.first_rank(edge).astype(float) for edge in window)
        cells = make_cells(curve.residual, curve.values)
        for min_leaf in options:
            probability = _cell_probability(cells, x[train], x[test], min_leaf)
            mass = _mass(cells.edges, probability, start, stop, (end - first)[test].astype(float))
            total[min_leaf] += float(np.log(mass).sum())
    return total


def quick_likelihood(name: str, counts: IntArray, known: dict[str, IntArray]) -> float:
    """Return the held-out log likelihood of a metric: independent, with a forest, or along a curve."""
    scale = Scale("share", "jobs") if name == "active_jobs" and "jobs" in known else Scale()
    trial = _prepare(scale, counts, known, None)
    if not known or len(trial.cells.single) < 2:
        return _held_out_likelihood(trial, counts, known, np.empty((len(counts), 0)), None)
    x = np.stack(list(known.values()), axis=1).astype(float)
    size = _MIN_LEAF_LIMITS[0] if name in CONFIG else _MIN_LEAF[1]
    scores = [_held_out_likelihood(trial, counts, known, x, option) for option in (None, size)]
    if name not in CONFIG:
        scores += _curve_likelihoods(trial, counts, known, known, x, [None, size]).values()
    return max(scores)


def _place(values: IntArray) -> IntArray:
    """Return the rank of each value, from 0; equal ones in their order, so that many zeros say little."""
    return np.argsort(np.argsort(values))


def _prepare(scale: Scale, counts: IntArray, known: dict[str, IntArray], largest: int | None) -> FittedMetric:
    values = unround(scale, counts, known) if scale.kind == "share" else scale.value(counts, known)
    smoothed = smooth(values, largest)
    marginal = Marginal.from_table(smoothed.freeze())
    return FittedMetric(scale, values, smoothed, marginal, make_cells(marginal, values), None, {})


def unround(scale: Scale, counts: IntArray, known: dict[str, IntArray]) -> IntArray:
    """Return a share for each count that would be rounded to it: 1 of 2 jobs is not exactly a half.

    None and all stay what they are, and so do shares of many, which rounding hardly moves.
    """
    exact, base = scale.value(counts, known), known[scale.base]
    low, high = scale.window(counts, counts, known)
    anywhere = low + (np.random.default_rng(2).random(len(counts)) * (high - low + 1)).astype(np.int64)
    free = (counts > 0) & (counts != base) & (base <= _COARSE)
    return np.where(free, anywhere, exact)


def _held_out_likelihood(
    trial: FittedMetric, counts: IntArray, known: dict[str, IntArray], x: FloatArray, min_leaf: int | None
) -> float:
    """Return the log likelihood of the counts, each fold under a forest of the other folds."""
    first, end = (ranks.astype(float) for ranks in _ranks(trial, counts, known))
    cells = trial.cells
    total = 0.0
    for train, test in folds(len(counts)):
        part = replace(cells, middle=cells.middle[train], index=cells.index[train])
        probability = _cell_probability(part, x[train], x[test], min_leaf)
        mass = _mass(cells.edges, probability, first[test], end[test], (end - first)[test])
        total += float(np.log(mass).sum())
    return total


def _ranks(trial: FittedMetric, counts: IntArray, known: dict[str, IntArray]) -> tuple[WordArray, WordArray]:
    """Return the ranks (from, up to) that stand for each count."""
    low, high = trial.scale.window(counts, counts, known)
    return trial.marginal.first_rank(low), trial.marginal.first_rank(np.maximum(high, low) + 1)


def _cell_probability(cells: Cells, x: FloatArray, others: FloatArray, min_leaf: int | None) -> FloatArray:
    """Return the probability of each cell for other organizations; the same for all without a forest."""
    if min_leaf is None:
        share = np.bincount(cells.index, minlength=len(cells.single)) / len(cells.index)
        return np.repeat(share[None, :], len(others), axis=0)
    return fit_forest(x, cells, _TRIAL_TREES, min_leaf).probability(others)


def _mass(
    edges: IntArray, probability: FloatArray, first: FloatArray, end: FloatArray, background: FloatArray
) -> FloatArray:
    """Return the probability between two ranks, with a flat background as wide as ``background``."""
    mass = (inside(first, end, edges) * probability).sum(axis=1)
    return np.asarray((1 - FLAT) * mass + FLAT * background / SCALE + 1e-12)
