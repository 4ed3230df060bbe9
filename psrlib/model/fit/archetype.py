"""Fitting one archetype: marginals, scales and dependence of the organizations that belong to it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from msgspec import structs

from psrlib.arrays import IntArray
from psrlib.model.fit.conditional import FittedMetric, choose_metric, follow_curve, quick_likelihood
from psrlib.model.fit.correlation import latent_correlations, repair
from psrlib.model.fit.families import FamilyFit
from psrlib.model.fit.forest import fit_forest, forest_spec, make_cells
from psrlib.model.fit.marginal import MarginalChoice, choose_family
from psrlib.model.fit.smoothing import Smoothed
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import AT_LEAST, drawing_order
from psrlib.model.specs import ArchetypeSpec, ConditionalSpec, DependenceSpec, MarginalSpec
from psrlib.stats.histogram import make_bins
from psrlib.stats.summary import choose_order
from psrlib.words import CONFIG, LIMIT_OF, NOT_SET

N_TREES = 10
FEW = 20  # organizations below which folds say nothing about trees and curves
TAIL = 1.5  # a named family is cut at this many times the largest value seen: no draw outgrows all experience


def fit_archetype(
    name: str, frame: pd.DataFrame, n_trees: int = N_TREES
) -> tuple[ArchetypeSpec, dict[str, Any]]:
    """Fit the organizations of one archetype.

    Parameters
    ----------
    frame : DataFrame
        One row per organization, one column per metric or limit, integers.

    Returns
    -------
    spec : ArchetypeSpec
        As it stands in a model file, as heavy as it has organizations.
    report : dict
        Per metric what was chosen and why: scale, organizations per leaf, family, p-value, rejected families.
    """
    few = len(frame) < FEW
    order = drawing_order({str(name) for name in frame}) if few else choose_order(frame)
    known: dict[str, IntArray] = {}
    features: dict[str, IntArray] = {}
    marginals: dict[str, MarginalSpec] = {}
    values: dict[str, IntArray] = {}
    conditionals: dict[str, ConditionalSpec] = {}
    report: dict[str, Any] = {}
    for metric in order:
        counts = frame[metric].to_numpy(dtype=np.int64)
        largest = _largest(metric, frame)
        chosen = choose_metric(metric, counts, known, {} if few else features, largest)
        family = MarginalChoice(None, None, {"all": "a limit, a share or a difference"})
        if not chosen.scale.base and metric not in CONFIG:
            family = choose_family(counts)
        if family.fit is not None:
            chosen = _with_family(chosen, family.fit, largest, AT_LEAST.get(metric, 0), features)
        marginals[metric] = _marginal_spec(chosen, family.fit)
        report[metric] = _explain(chosen, family)
        values[metric] = chosen.values
        conditional = _conditional_spec(chosen, features, n_trees)
        if conditional is not None:
            conditionals[metric] = conditional
        known[metric] = counts
        if np.ptp(counts) > 0:
            features[metric] = counts
        if chosen.scale.base and np.ptp(chosen.values) > 0:
            features[chosen.scale.feature(metric)] = chosen.values
    dependence = DependenceSpec(kind="forest", order=order, conditionals=conditionals)
    if few:
        dependence = _correlation(values, marginals)
    return build_archetype(name, len(frame), marginals, dependence), report


def build_archetype(
    name: str, weight: int, marginals: dict[str, MarginalSpec], dependence: DependenceSpec
) -> ArchetypeSpec:
    """Return an archetype as it stands in a model file: limits apart from metrics."""
    return ArchetypeSpec(
        name=name,
        weight=weight,
        metrics={metric: spec for metric, spec in marginals.items() if metric not in CONFIG},
        limits={metric: spec for metric, spec in marginals.items() if metric in CONFIG},
        dependence=dependence,
    )


def held_out_likelihood(frame: pd.DataFrame, label: IntArray) -> float:
    """Return the log likelihood of held-out organizations when archetypes are fitted as labelled.

    A quick form of the fit stands for it: counts only, with one resolution of the forests.
    """
    total = 0.0
    for index in range(int(label.max()) + 1):
        members = frame[label == index].reset_index(drop=True)
        total += len(members) * float(np.log(len(members) / len(frame)))
        known: dict[str, IntArray] = {}
        for name in choose_order(members):
            counts = members[name].to_numpy(dtype=np.int64)
            if np.ptp(counts) > 0:
                total += quick_likelihood(name, counts, known)
                known[name] = counts
    return total


def _correlation(values: dict[str, IntArray], marginals: dict[str, MarginalSpec]) -> DependenceSpec:
    """Return Gaussian dependence: the few numbers of a correlation matrix are all that few rows can tell."""
    varying = [name for name in values if np.ptp(values[name]) > 0]
    if len(varying) < 2:
        return DependenceSpec(kind="independent")
    ranks = pd.DataFrame({name: values[name] for name in varying}).corr("spearman").to_numpy()
    weights = [table.weight for name in varying if (table := marginals[name].table)]
    matrix = repair(latent_correlations(ranks, weights))
    return DependenceSpec(kind="gaussian", metrics=varying, correlation=matrix.tolist())


def _with_family(
    chosen: FittedMetric, fit: FamilyFit, largest: int | None, smallest: int, features: dict[str, IntArray]
) -> FittedMetric:
    """Replace the smoothed probabilities by those of a named family."""
    top = int(TAIL * chosen.values.max())
    bins = make_bins(smallest, top if largest is None else min(top, largest), np.empty(0, dtype=np.int64))
    probability = np.maximum(fit.cdf(bins.high) - fit.cdf(bins.low - 1), 0)
    smoothed = Smoothed(bins, probability / probability.sum(), 0.0)
    # every value of the sample must stay possible, or its organization would have no place in the forest
    if (smoothed.probability[bins.index(chosen.values)] <= 1e-6).any():
        return chosen
    marginal = Marginal.from_table(smoothed.freeze())
    if chosen.curve is not None:
        return follow_curve(replace(chosen, smoothed=smoothed, marginal=marginal), features)
    return replace(chosen, smoothed=smoothed, marginal=marginal, cells=make_cells(marginal, chosen.values))


def _marginal_spec(chosen: FittedMetric, family: FamilyFit | None) -> MarginalSpec:
    parameters = family.parameters if family else {}
    name = family.family.name if family else "empirical"
    fields: dict[str, Any] = {**parameters, **chosen.scale.fields}
    return MarginalSpec(family=name, **fields, table=chosen.smoothed.freeze())


def _conditional_spec(
    chosen: FittedMetric, features: dict[str, IntArray], n_trees: int
) -> ConditionalSpec | None:
    """Fit the forest that was chosen, and return what stands in a model file; None where there is nothing."""
    curve = chosen.curve.spec() if chosen.curve else None
    if chosen.min_leaf is None:
        return ConditionalSpec(location=curve) if curve else None
    x = np.stack(list(features.values()), axis=1).astype(float)
    forest = fit_forest(x, chosen.cells, n_trees, chosen.min_leaf)
    return structs.replace(forest_spec(forest, chosen.cells, list(features)), location=curve)


def _explain(chosen: FittedMetric, family: MarginalChoice) -> dict[str, Any]:
    return {
        "unit": chosen.scale.label,
        "along_a_curve": chosen.curve is not None,
        "organizations_per_leaf": chosen.min_leaf,
        "family": family.fit.family.name if family.fit else "empirical",
        "parameters": family.fit.parameters if family.fit else {},
        "p_value": family.p_value,
        "rejected": family.rejected,
        "held_out_log_likelihood": chosen.held_out,
    }


def _largest(name: str, frame: pd.DataFrame) -> int | None:
    limit = LIMIT_OF.get(name, "")
    if limit not in frame or (frame[limit] == NOT_SET).any():
        return None
    return int(frame[limit].max())
