"""Choosing, per metric, its scale and how it depends on others, by the likelihood of held-out rows.

A metric is independent, follows a forest, or follows a curve whose residual is independent or
follows a forest.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from psrlib.arrays import FloatArray, IntArray, WordArray
from psrlib.model.additive import predict, residual_window
from psrlib.model.fit.additive import AdditiveFit, fit_additive
from psrlib.model.fit.forest import Cells, fit_forest, make_cells
from psrlib.model.fit.smoothing import Smoothed, smooth
from psrlib.model.marginal import Marginal
from psrlib.model.strangers import largest_on
from psrlib.model.table import SCALE
from psrlib.scale import SHARE_ONE, Scale
from psrlib.stats.conditionals import FLAT, N_FOLDS, folds, inside, possible_scales
from psrlib.words import CONFIG

_TRIAL_TREES = 4
# Organizations per leaf at least: one rule, judged by held-out organizations of seven populations, several
# splits of each (docs/model.md). A choice for each metric by three folds was hardly any better.
_LEAF, _LEAF_OF_FEW = 32, 16
_LEAF_LIMITS = 2  # tiers are exact, and a tier may have few organizations
_MIN_GAIN = 4.0  # log likelihood a more complicated form must gain on the held-out organizations, at most
_GAIN_EACH = 0.03  # and per organization: few cannot gain as much
_FORM_GAIN = 0.05  # and per organization for another form of shares, without a forest
_COARSE = 64  # rounding a share of more than this moves it by less than a percent
# shares of few: spread over what rounds to the count, but none and all; those too; or exact (twice, a half)
Form = Literal["spread", "ends", "exact"]


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
    """Choose scale and dependence of one metric; all arrays have shape (n_organizations,).

    ``known`` are the counts drawn before, possible bases; ``features`` what trees may look at: these counts,
    their shares and differences; ``largest`` is the largest value that the limits allow.
    """
    x = np.stack(list(features.values()), axis=1).astype(float) if features else np.empty((len(counts), 0))
    gain = min(_MIN_GAIN, _GAIN_EACH * len(counts))
    min_leaf = _leaf_size(name, len(counts))
    scores: dict[str, float] = {}
    best: tuple[float, FittedMetric, bool] | None = None

    def consider(trial: FittedMetric, options: list[int | None], along_curve: bool) -> None:
        nonlocal best
        curve_features = features if along_curve else None
        label = f"{trial.scale.label}{' along a curve' if along_curve else ''}"
        for min_leaf, score in _held_out_likelihoods(
            trial, counts, known, x, options, curve_features
        ).items():
            scores[f"{label}, {min_leaf or 'no'} per leaf"] = round(score, 1)
            if best is None or score > best[0] + gain:
                best = (score, replace(trial, min_leaf=min_leaf), along_curve)

    for scale in possible_scales(name, counts, known, _place):
        trial = _prepare_best(scale, counts, known, largest if not scale.base else None)
        if scale.base and trial.marginal.largest > largest_on(name, scale):
            continue  # a model file may not hold it
        varies = x.shape[1] > 0 and len(trial.cells.single) > 1
        options: list[int | None] = [None, min_leaf] if varies and min_leaf else [None]
        consider(trial, options, False)
        if varies and name not in CONFIG:
            consider(trial, options, True)
    assert best is not None
    _, chosen, along_curve = best
    chosen = replace(chosen, held_out=scores)
    return follow_curve(chosen, features) if along_curve else chosen


def follow_curve(fitted: FittedMetric, features: dict[str, IntArray]) -> FittedMetric:
    """Add the curve, and cells of its residual instead of the metric's own."""
    first = fitted.marginal.first_rank(fitted.values).astype(float)
    end = fitted.marginal.first_rank(fitted.values + 1).astype(float)
    curve = fit_additive(features, first, end)
    return replace(fitted, curve=curve, cells=make_cells(curve.residual, curve.values))


def quick_likelihood(name: str, counts: IntArray, known: dict[str, IntArray]) -> float:
    """Return the held-out log likelihood of a metric: independent, with a forest, or along a curve."""
    scale = Scale("share", "jobs") if name == "active_jobs" and "jobs" in known else Scale()
    trial = _prepare(scale, counts, known, None)
    options: list[int | None] = [None]
    x = np.empty((len(counts), 0))
    if known and len(trial.cells.single) > 1:
        x = np.stack(list(known.values()), axis=1).astype(float)
        options.append(_leaf_size(name, len(counts)))
    scores = [*_held_out_likelihoods(trial, counts, known, x, options).values()]
    if len(options) > 1 and name not in CONFIG:
        scores += _held_out_likelihoods(trial, counts, known, x, options, known).values()
    return max(scores)


def _leaf_size(name: str, n: int) -> int | None:
    """Return the least organizations per leaf of a tree; None where the folds have too few for two leaves."""
    fitted = n * (N_FOLDS - 1) // N_FOLDS
    sizes = (_LEAF_LIMITS,) if name in CONFIG else (_LEAF, _LEAF_OF_FEW)
    return next((size for size in sizes if 2 * size <= fitted), None)


def _place(values: IntArray) -> IntArray:
    """Return the rank of each value, from 0; equal ones in their order, so that many zeros say little."""
    return np.argsort(np.argsort(values))


def _prepare(
    scale: Scale, counts: IntArray, known: dict[str, IntArray], largest: int | None, form: Form = "spread"
) -> FittedMetric:
    share = scale.kind == "share" and form != "exact"
    values = unround(scale, counts, known, form) if share else scale.value(counts, known)
    smoothed = smooth(values, largest)
    marginal = Marginal.from_table(smoothed.freeze())
    return FittedMetric(scale, values, smoothed, marginal, make_cells(marginal, values), None, {})


def _prepare_best(
    scale: Scale, counts: IntArray, known: dict[str, IntArray], largest: int | None
) -> FittedMetric:
    """Return a metric on a scale; shares in the form that is plainly most likely without a forest."""
    trial = _prepare(scale, counts, known, largest)
    if scale.kind != "share":
        return trial
    trials = [trial, *(_prepare(scale, counts, known, largest, form) for form in ("ends", "exact"))]
    nothing = np.empty((len(counts), 0))
    scores = [_held_out_likelihoods(one, counts, known, nothing, [None])[None] for one in trials]
    scores[0] += _FORM_GAIN * len(counts)
    return trials[int(np.argmax(scores))]


def unround(scale: Scale, counts: IntArray, known: dict[str, IntArray], form: Form = "spread") -> IntArray:
    """Return a share for each count that would be rounded to it: 1 of 2 jobs is not exactly a half.

    Shares of many stay what they are, for rounding hardly moves them, and so do none and all unless ``form``
    is "ends": then none of few and all of few are small and large shares, which of many are some.
    """
    exact, base = scale.value(counts, known), known[scale.base]
    low, high = scale.window(counts, counts, known)
    free = base <= _COARSE
    if form == "ends":
        low = np.maximum(low, 0)
        high = np.minimum(high, SHARE_ONE) if (counts <= base).all() else high
        free &= base > 0
    else:
        free &= (counts > 0) & (counts != base)
    anywhere = low + (np.random.default_rng(2).random(len(counts)) * (high - low + 1)).astype(np.int64)
    return np.where(free, anywhere, exact)


def _held_out_likelihoods(
    trial: FittedMetric,
    counts: IntArray,
    known: dict[str, IntArray],
    x: FloatArray,
    options: list[int | None],
    curve_features: dict[str, IntArray] | None = None,
) -> dict[int | None, float]:
    """Return the log likelihood of the counts per organizations per leaf (None: no forest).

    Each fold is judged by forests of the other folds; with ``curve_features``, which vary, by a curve of them
    and forests of its residual.
    """
    first, end = (ranks.astype(float) for ranks in _ranks(trial, counts, known))
    own = [trial.marginal.first_rank(trial.values + step).astype(float) for step in (0, 1)]
    total = dict.fromkeys(options, 0.0)
    for train, test in folds(len(counts)) if options else ():
        cells = trial.cells
        cells = replace(cells, middle=cells.middle[train], index=cells.index[train])
        start, stop = first[test], end[test]
        if curve_features is not None:
            known_part, other_part = (
                {name: values[rows] for name, values in curve_features.items()} for rows in (train, test)
            )
            curve = fit_additive(known_part, own[0][train], own[1][train])
            window = residual_window(start, stop, predict(curve.terms, other_part, len(test)))
            start, stop = (curve.residual.first_rank(edge).astype(float) for edge in window)
            cells = make_cells(curve.residual, curve.values)
        share = inside(start, stop, cells.edges)
        background = (end - first)[test] / SCALE
        for min_leaf in options:
            mass = (share * _cell_probability(cells, x[train], x[test], min_leaf)).sum(axis=1)
            total[min_leaf] += float(np.log((1 - FLAT) * mass + FLAT * background + 1e-12).sum())
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
