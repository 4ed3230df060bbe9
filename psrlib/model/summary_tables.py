"""Fitting a noise model from a summary's histograms and trees: marginals, and forests of one tree."""

from typing import Any

import numpy as np

from psrlib.model.bins import FloatArray, make_bins
from psrlib.model.conditional_fit import WEIGHT_TOTAL
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import CONFIG, LIMIT_OF, NOT_SET
from psrlib.model.table import SCALE, IntArray
from psrlib.stats.conditionals import spread_leaf

_LEAF_TOTAL = 2000  # weights of a leaf are integers that sum to about this
_NO_VALUES = np.empty(0, dtype=np.int64)


def fit_tables(summary: dict[str, Any]) -> dict[str, Any]:
    """Return metrics, limits and dependence of the one archetype that a summary describes.

    Within a range of a histogram values are even on the logarithmic scale; within a run of cells of a leaf
    they lie as in the histogram. No count gets larger than its limit can be.
    """
    spec: dict[str, Any] = {"metrics": {}, "limits": {}}
    conditionals = {}
    for name in summary["metrics"]:
        told = summary["marginals"][name]
        unit = {key: told[key] for key in ("share_of", "more_than") if key in told}
        limit = spec["limits"].get(LIMIT_OF.get(name, ""))
        table = histogram_table(told, None if unit else _largest(limit))
        spec["limits" if name in CONFIG else "metrics"][name] = {
            "family": "empirical",
            **unit,
            "table": table,
        }
        if name in summary["conditionals"]:
            conditionals[name] = conditional_spec(summary["conditionals"][name], table)
    spec["dependence"] = {"kind": "forest", "order": summary["metrics"], "conditionals": conditionals}
    return spec


def _largest(limit: dict[str, Any] | None) -> int | None:
    """Return the largest value of a limit that is always set."""
    if limit is None or limit["table"]["low"][0] == NOT_SET:
        return None
    return int(limit["table"]["high"][-1])


def histogram_table(histogram: dict[str, Any], largest: int | None = None) -> dict[str, list[int]]:
    """Return low, high and integer weight of the narrow ranges that a histogram describes.

    Parameters
    ----------
    histogram : dict
        Ranges ``low``, ``high`` and ``organizations`` in each.
    largest : int or None
        Larger values are not possible; what lies beyond is counted with the last range that begins below.

    Examples
    --------
    >>> histogram_table({"low": [0, 2], "high": [0, 3], "organizations": [30, 10]}, 2)
    {'low': [0, 2], 'high': [0, 2], 'weight': [786432, 262144]}
    """
    low, high, count = (np.array(histogram[key], dtype=np.int64) for key in ("low", "high", "organizations"))
    if largest is not None:
        high = np.minimum(high, max(largest, int(low[0])))
        inside = max(int((low <= high[-1]).sum()), 1)
        count = np.append(count[: inside - 1], count[inside - 1 :].sum())
        low, high = low[:inside], high[:inside]
    table: dict[str, list[int]] = {"low": [], "high": [], "weight": []}
    for first, last, share in zip(low.tolist(), high.tolist(), count / count.sum(), strict=True):
        bins = make_bins(first, last, _NO_VALUES)
        width = np.diff(bins.edges)
        weight = np.maximum(np.round(width / width.sum() * share * WEIGHT_TOTAL), share > 0).astype(int)
        table["low"] += bins.low.tolist()
        table["high"] += bins.high.tolist()
        table["weight"] += weight.tolist()
    return table


def conditional_spec(conditional: dict[str, Any], table: dict[str, list[int]]) -> dict[str, Any]:
    """Return a forest of one tree as it stands in a model file.

    Cells that the table gives no probability are joined with the one before.
    """
    marginal = Marginal(table["low"], table["high"], table["weight"])
    first = marginal.first_rank(np.array(conditional["cells"], dtype=np.int64)).astype(np.int64)
    edges = np.concatenate([[0], first[1:], [SCALE]])
    mass = np.diff(edges).astype(float)
    kept = np.flatnonzero(mass > 0)
    joined = np.maximum(np.searchsorted(kept, np.arange(len(mass)), side="right") - 1, 0)
    # a run of cells that all lack probability still has organizations: they share them evenly
    share = np.maximum(mass / SCALE, 1e-12)
    cells = [0, *(int(rank) for rank in edges[kept[1:]]), SCALE]
    return {
        "given": conditional["given"],
        "cells": cells,
        "trees": [_node(conditional["tree"], share, joined)],
    }


def _node(node: dict[str, Any], share: FloatArray, joined: IntArray) -> dict[str, Any]:
    if "at_most" in node:
        return {**node, "yes": _node(node["yes"], share, joined), "no": _node(node["no"], share, joined)}
    weights = np.bincount(joined, spread_leaf(node, share))
    weights = np.round(weights / weights.sum() * _LEAF_TOTAL).astype(int)
    kept = np.flatnonzero(weights)
    return {"cells": kept.tolist(), "weights": weights[kept].tolist()}
