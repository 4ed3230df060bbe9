"""Fitting one archetype: marginals, units and dependence of the organizations that belong to it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from psrlib.model.bins import make_bins
from psrlib.model.conditional_fit import FittedMetric, choose_metric, freeze, locate, quick_likelihood
from psrlib.model.families import FamilyFit
from psrlib.model.forest_fit import fit_forest, forest_spec, make_cells
from psrlib.model.location_fit import LocationFit
from psrlib.model.marginal import Marginal
from psrlib.model.marginal_fit import MarginalChoice, choose_family
from psrlib.model.metrics import AT_LEAST, CONFIG, LIMIT_OF, NOT_SET, drawing_order
from psrlib.model.smoothing import Smoothed
from psrlib.model.summary_fit import latent_correlations, repair
from psrlib.model.table import IntArray
from psrlib.stats.summary import choose_order

N_TREES = 10
FEW = 20  # organizations below which folds say nothing about trees and curves
TAIL = 1.5  # a named family is cut at this many times the largest value seen: no draw outgrows all experience


def fit_archetype(frame: pd.DataFrame, n_trees: int = N_TREES) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit the organizations of one archetype.

    Parameters
    ----------
    frame : DataFrame
        One row per organization, one column per metric or limit, integers.

    Returns
    -------
    spec : dict
        ``metrics``, ``limits`` and ``dependence`` as they stand in a model file.
    report : dict
        Per metric what was chosen and why: unit, organizations per leaf, family, p-value, rejected families.
    """
    few = len(frame) < FEW
    order = drawing_order({str(name) for name in frame}) if few else choose_order(frame)
    known: dict[str, IntArray] = {}
    features: dict[str, IntArray] = {}
    spec: dict[str, Any] = {"metrics": {}, "limits": {}}
    values: dict[str, IntArray] = {}
    conditionals: dict[str, Any] = {}
    report: dict[str, Any] = {}
    for name in order:
        counts = frame[name].to_numpy(dtype=np.int64)
        largest = _largest(name, frame)
        chosen = choose_metric(name, counts, known, {} if few else features, largest)
        family = MarginalChoice(None, None, {"all": "a limit, a share or a difference"})
        if not chosen.unit.base and name not in CONFIG:
            family = choose_family(counts)
        if family.fit is not None:
            chosen = _with_family(chosen, family.fit, largest, AT_LEAST.get(name, 0), features)
        spec["limits" if name in CONFIG else "metrics"][name] = marginal_spec(chosen, family.fit)
        report[name] = _explain(chosen, family)
        values[name] = chosen.values
        if chosen.min_leaf is not None:
            x = np.stack(list(features.values()), axis=1).astype(float)
            forest = fit_forest(x, chosen.cells, n_trees, chosen.min_leaf)
            conditionals[name] = forest_spec(forest, chosen.cells, list(features))
        if chosen.location is not None:
            conditionals.setdefault(name, {})["location"] = location_spec(chosen.location)
        known[name] = counts
        if np.ptp(counts) > 0:
            features[name] = counts
        if chosen.unit.base and np.ptp(chosen.values) > 0:
            features[chosen.unit.feature(name)] = chosen.values
    if few:
        spec["dependence"] = _correlation(values, {**spec["limits"], **spec["metrics"]})
    else:
        spec["dependence"] = {"kind": "forest", "order": order, "conditionals": conditionals}
    return spec, report


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


def _correlation(values: dict[str, IntArray], marginals: dict[str, Any]) -> dict[str, Any]:
    """Return Gaussian dependence: the few numbers of a correlation matrix are all that few rows can tell."""
    varying = [name for name in values if np.ptp(values[name]) > 0]
    if len(varying) < 2:
        return {"kind": "independent"}
    ranks = pd.DataFrame({name: values[name] for name in varying}).corr("spearman").to_numpy()
    weights = [marginals[name]["table"]["weight"] for name in varying]
    matrix = repair(latent_correlations(ranks, weights))
    return {"kind": "gaussian", "metrics": varying, "correlation": matrix.tolist()}


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
    marginal = Marginal(*freeze(smoothed))
    if chosen.location is not None:
        return locate(replace(chosen, smoothed=smoothed, marginal=marginal), features)
    return replace(chosen, smoothed=smoothed, marginal=marginal, cells=make_cells(marginal, chosen.values))


def marginal_spec(chosen: FittedMetric, family: FamilyFit | None) -> dict[str, Any]:
    """Return a marginal as it stands in a model file."""
    spec: dict[str, Any] = {"family": "empirical"}
    if family is not None:
        spec = {"family": family.family.name, **family.parameters}
    if chosen.unit.base:
        spec["share_of" if chosen.unit.kind == "share" else "more_than"] = chosen.unit.base
    low, high, weight = freeze(chosen.smoothed)
    spec["table"] = {"low": low, "high": high, "weight": weight}
    return spec


def location_spec(location: LocationFit) -> dict[str, Any]:
    """Return a location as it stands in a model file; terms that are nothing are left out."""
    terms = {
        term.metric: {"at": term.at.tolist(), "score": term.score.tolist()}
        for term in location.terms
        if np.any(term.score != 0)
    }
    return {"terms": terms, "residual": location.table}


def _explain(chosen: FittedMetric, family: MarginalChoice) -> dict[str, Any]:
    unit = f"{chosen.unit.kind} of {chosen.unit.base}" if chosen.unit.base else "count"
    return {
        "unit": unit,
        "along_a_curve": chosen.location is not None,
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
