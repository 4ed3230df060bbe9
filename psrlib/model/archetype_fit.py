"""Fitting one archetype: marginals, units and dependence of the organizations that belong to it."""

from typing import Any

import numpy as np
import pandas as pd

from psrlib.model.conditional_fit import FittedMetric, choose_metric, freeze
from psrlib.model.forest_fit import fit_forest, forest_spec
from psrlib.model.metrics import CONFIG, LIMIT_OF, NOT_SET
from psrlib.model.table import IntArray

N_TREES = 10


def fit_archetype(frame: pd.DataFrame, n_trees: int = N_TREES) -> tuple[dict[str, Any], dict[str, FittedMetric]]:
    """Fit the organizations of one archetype.

    Parameters
    ----------
    frame : DataFrame
        One row per organization, one column per metric or limit, integers.

    Returns
    -------
    spec : dict
        ``metrics``, ``limits`` and ``dependence`` as they stand in a model file.
    fitted : dict of str to FittedMetric
        What was chosen for each metric, for the fit report.
    """
    order = choose_order(frame)
    known: dict[str, IntArray] = {}
    features: dict[str, IntArray] = {}
    fitted: dict[str, FittedMetric] = {}
    spec: dict[str, Any] = {"metrics": {}, "limits": {}}
    conditionals: dict[str, Any] = {}
    for name in order:
        counts = frame[name].to_numpy(dtype=np.int64)
        choice = choose_metric(name, counts, known, features, _largest(name, frame))
        fitted[name] = choice
        spec["limits" if name in CONFIG else "metrics"][name] = marginal_spec(choice)
        if choice.min_leaf is not None:
            x = np.stack(list(features.values()), axis=1).astype(float)
            forest = fit_forest(x, choice.cells, n_trees, choice.min_leaf)
            conditionals[name] = forest_spec(forest, choice.cells, list(features))
        known[name] = counts
        if np.ptp(counts) > 0:
            features[name] = counts
        if choice.unit.base and np.ptp(choice.values) > 0:
            features[choice.unit.feature(name)] = choice.values
    spec["dependence"] = {"kind": "forest", "order": order, "conditionals": conditionals}
    return spec, fitted


def marginal_spec(choice: FittedMetric) -> dict[str, Any]:
    """Return a marginal as it stands in a model file."""
    spec: dict[str, Any] = {"family": "empirical"}
    if choice.unit.base:
        spec["share_of" if choice.unit.kind == "share" else "more_than"] = choice.unit.base
    low, high, weight = freeze(choice.smoothed)
    spec["table"] = {"low": low, "high": high, "weight": weight}
    return spec


def choose_order(frame: pd.DataFrame) -> list[str]:
    """Return limits, then jobs, then each time the metric that goes most closely with one drawn before."""
    order = [name for name in CONFIG if name in frame]
    strength = frame.rank().corr().fillna(0).abs()
    rest = [name for name in frame.columns if name not in order and name != "jobs"]
    counts = ["jobs"]
    while rest:
        following = max(rest, key=lambda name: strength.loc[name, counts].max())
        rest.remove(following)
        counts.append(following)
    return order + counts


def _largest(name: str, frame: pd.DataFrame) -> int | None:
    limit = LIMIT_OF.get(name, "")
    if limit not in frame or (frame[limit] == NOT_SET).any():
        return None
    return max(int(frame[limit].max()), int(frame[name].max()))
