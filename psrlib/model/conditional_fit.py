"""Choosing, per metric, its unit and how finely its forest looks, by the likelihood of held-out rows."""

from dataclasses import dataclass, replace

import os

import numpy as np

from psrlib.model.bins import FloatArray
from psrlib.model.forest_fit import Cells, fit_forest, make_cells
from psrlib.model.location import predict, residual_window
from psrlib.model.location_fit import LocationFit, fit_location
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import CONFIG
from psrlib.model.smoothing import Smoothed, smooth
from psrlib.model.table import SCALE, IntArray
from psrlib.model.unit import Unit

_TRIAL_TREES = int(os.environ.get('TT','4'))

_FOLDS = 3
MIN_LEAF = int(os.environ.get("ML","8"))
MIN_LEAF_LIMITS = 2  # tiers are exact, and a tier may have few organizations
_SHRINKAGES = tuple(map(float,os.environ.get("SH","1,5,20,60").split(",")))
_BASES = 2  # how many metrics to try as base of a share or difference
_BASE_CORRELATION = 0.5  # a base must go together with the metric at least this much (Spearman)
_MIN_GAIN = 4.0  # log likelihood a more complicated form must gain on the held-out organizations
_FLAT = 0.02  # share of a flat background, so that no held-out organization counts minus infinity
_RARE = 0.05
_STACK_STEPS = 100
WEIGHT_TOTAL = 1 << 20  # weights of a frozen table are integers that sum to about this


@dataclass(frozen=True)
class Option:
    """One way a metric can depend on those before it.

    Attributes
    ----------
    located : bool
        Around an additive predictor; else by its own ranks.
    shrinkage : float or None
        Organizations by which a node of a tree is drawn towards its parent; None: no trees.
    """

    located: bool
    shrinkage: float | None

    def __str__(self) -> str:
        trees = "no trees" if self.shrinkage is None else f"trees shrunk by {self.shrinkage:g}"
        return f"curve, {trees}" if self.located else trees


@dataclass(frozen=True)
class FittedMetric:
    """What was chosen for one metric: unit, marginal, and the mixture of ways to depend on others."""

    unit: Unit
    values: IntArray
    smoothed: Smoothed
    marginal: Marginal
    cells: Cells
    weight: dict[Option, float]
    held_out: dict[str, float]
    score: float = 0.0
    location: LocationFit | None = None
    residual_cells: Cells | None = None


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
    scores: dict[str, float] = {}
    best: tuple[float, Unit, dict[Option, float]] = (-np.inf, units[0], {})
    for unit in units:
        trial = _prepare(unit, counts, known, largest if not unit.base else None)
        mass = _held_out_mass(name, trial, counts, known, features)
        weight, score = stack(mass)
        for option, value in mass.items():
            scores[f"{_label(unit)}, {option}"] = round(float(np.log(value).sum()), 1)
        scores[f"{_label(unit)}, mixture"] = round(score, 1)
        if score > best[0] + _MIN_GAIN * (best[0] > -np.inf):
            best = (score, unit, weight)
    fitted = _prepare(best[1], counts, known, largest if not best[1].base else None)
    fitted = replace(fitted, weight=best[2], held_out=scores, score=best[0])
    return locate(fitted, features)


def stack(mass: dict["Option", FloatArray]) -> tuple[dict["Option", float], float]:
    """Return the weights of the mixture with the largest held-out likelihood, and that likelihood.

    Stacking of densities (Smyth and Wolpert 1999) by expectation maximization; weights below a twentieth are
    dropped.
    """
    table = np.stack(list(mass.values()), axis=1)
    weight = np.full(table.shape[1], 1 / table.shape[1])
    for threshold in (0.0, _RARE):
        weight = np.where(weight < threshold, 0.0, weight)
        weight /= weight.sum()
        for _ in range(_STACK_STEPS):
            share = table * weight
            weight = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    kept = {option: float(w) for option, w in zip(mass, weight, strict=True) if w > 0}
    return kept, float(np.log(table @ weight).sum())


def locate(fitted: FittedMetric, features: dict[str, IntArray]) -> FittedMetric:
    """Add the location and the cells of its residual, where the mixture holds it."""
    if not any(option.located for option in fitted.weight):
        return replace(fitted, location=None, residual_cells=None)
    first = fitted.marginal.first_rank(fitted.values).astype(float)
    end = fitted.marginal.first_rank(fitted.values + 1).astype(float)
    location = fit_location(features, first, end)
    return replace(fitted, location=location, residual_cells=make_cells(location.residual, location.values))


def _held_out_mass(
    name: str,
    trial: FittedMetric,
    counts: IntArray,
    known: dict[str, IntArray],
    features: dict[str, IntArray],
) -> dict[Option, FloatArray]:
    """Return the probability of each organization's count under a fit to the other folds, per option."""
    fold = np.random.default_rng(1).permutation(len(counts)) % _FOLDS
    low, high = trial.unit.window(counts, counts, known)
    first, end = trial.marginal.first_rank(low), trial.marginal.first_rank(np.maximum(high, low) + 1)
    flat = (end - first).astype(float)
    own = [trial.marginal.first_rank(trial.values + more).astype(float) for more in (0, 1)]
    varied = bool(features) and len(trial.cells.single) > 1
    total: dict[Option, FloatArray] = {}
    for located in (False, True) if varied and name not in CONFIG else (False,):
        for f in range(_FOLDS):
            train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
            seen = {feature: values[train] for feature, values in features.items()}
            new = {feature: values[test] for feature, values in features.items()}
            if located:
                location = fit_location(seen, own[0][train], own[1][train])
                score = predict(location.terms, new, len(test))
                window = residual_window(first[test], end[test], score)
                start, stop = (location.residual.first_rank(edge).astype(float) for edge in window)
                cells = make_cells(location.residual, location.values)
            else:
                start, stop = first[test].astype(float), end[test].astype(float)
                whole = trial.cells
                cells = Cells(whole.edges, whole.middle[train], whole.index[train], whole.single)
            share = np.bincount(cells.index, minlength=len(cells.single)) / len(train)
            options: dict[float | None, FloatArray] = {None: np.repeat(share[None, :], len(test), axis=0)}
            if varied and len(cells.single) > 1 and len(train) >= 4 * MIN_LEAF:
                min_leaf = MIN_LEAF_LIMITS if name in CONFIG else MIN_LEAF
                forest = fit_forest(_table(seen), cells, _TRIAL_TREES, min_leaf)
                shrunk = forest.probability(_table(new), _SHRINKAGES)
                options |= dict(zip(_SHRINKAGES, shrunk, strict=True))
            for shrinkage, probability in options.items():
                mass = total.setdefault(Option(located, shrinkage), np.full(len(counts), np.nan))
                mass[test] = _mass(cells.edges, probability, start, stop, flat[test])
    return {option: mass for option, mass in total.items() if not np.isnan(mass).any()}


def _table(features: dict[str, IntArray]) -> FloatArray:
    return np.stack(list(features.values()), axis=1).astype(float)


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
    values = unit.value(counts, known)
    smoothed = smooth(values, largest)
    marginal = Marginal(*freeze(smoothed))
    return FittedMetric(unit, values, smoothed, marginal, make_cells(marginal, values), {}, {})


def _mass(
    edges: IntArray,
    probability: FloatArray,
    first: FloatArray,
    end: FloatArray,
    flat: FloatArray,
) -> FloatArray:
    """Return the probability between two ranks, with a flat background."""
    overlap = np.minimum(end[:, None], edges[None, 1:]) - np.maximum(first[:, None], edges[None, :-1])
    share = np.clip(overlap, 0, None) / np.diff(edges)
    return np.asarray((1 - _FLAT) * (share * probability).sum(axis=1) + _FLAT * flat / SCALE + 1e-12)
