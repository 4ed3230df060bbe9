"""Fitting a noise model from a summary's histograms and trees: marginals, and forests of one tree."""

from typing import Any

import numpy as np

from psrlib.arrays import FloatArray, IntArray
from psrlib.model.fit.archetype import build_archetype
from psrlib.model.fit.smoothing import WEIGHT_TOTAL
from psrlib.model.marginal import Marginal
from psrlib.model.specs import (
    ArchetypeSpec,
    ConditionalSpec,
    DependenceSpec,
    MarginalSpec,
    NodeSpec,
    TableSpec,
)
from psrlib.model.table import SCALE
from psrlib.scale import KEYS
from psrlib.stats.conditionals import spread_leaf
from psrlib.stats.histogram import make_bins
from psrlib.words import LIMIT_OF, NOT_SET

_LEAF_TOTAL = 2000  # weights of a leaf are integers that sum to about this
_NO_VALUES = np.empty(0, dtype=np.int64)


def fit_tables(summary: dict[str, Any]) -> ArchetypeSpec:
    """Return the one archetype that a summary describes.

    Within a range of a histogram values are even on the logarithmic scale; within a run of cells of a leaf
    they lie as in the histogram. No count gets larger than its limit can be.
    """
    marginals: dict[str, MarginalSpec] = {}
    conditionals = {}
    for name in summary["metrics"]:
        told = summary["marginals"][name]
        base = {key: told[key] for key in KEYS.values() if key in told}
        limit = marginals.get(LIMIT_OF.get(name, ""))
        table = histogram_table(told, None if base else _largest(limit))
        marginals[name] = MarginalSpec(family="empirical", **base, table=table)
        if name in summary["conditionals"]:
            conditionals[name] = conditional_spec(summary["conditionals"][name], table)
    dependence = DependenceSpec(kind="forest", order=summary["metrics"], conditionals=conditionals)
    return build_archetype("all", summary["organizations"], marginals, dependence)


def _largest(limit: MarginalSpec | None) -> int | None:
    """Return the largest value of a limit that is always set."""
    if limit is None or limit.table is None or limit.table.low[0] == NOT_SET:
        return None
    return Marginal.from_table(limit.table).largest


def histogram_table(histogram: dict[str, Any], largest: int | None = None) -> TableSpec:
    """Return the narrow ranges that a histogram describes, with integer weights.

    Parameters
    ----------
    histogram : dict
        Ranges ``low``, ``high`` and ``organizations`` in each.
    largest : int or None
        Larger values are not possible; what lies beyond is counted with the last range that begins below.

    Examples
    --------
    >>> histogram_table({"low": [0, 2], "high": [0, 3], "organizations": [30, 10]}, 2)
    TableSpec(low=[0, 2], high=[0, 2], weight=[786432, 262144])
    """
    low, high, count = (np.array(histogram[key], dtype=np.int64) for key in ("low", "high", "organizations"))
    if largest is not None:
        high = np.minimum(high, max(largest, int(low[0])))
        inside = max(int((low <= high[-1]).sum()), 1)
        count = np.append(count[: inside - 1], count[inside - 1 :].sum())
        low, high = low[:inside], high[:inside]
    lows: list[int] = []
    highs: list[int] = []
    weights: list[int] = []
    for first, last, share in zip(low.tolist(), high.tolist(), count / count.sum(), strict=True):
        bins = make_bins(first, last, _NO_VALUES)
        width = np.diff(bins.edges)
        weight = np.maximum(np.round(width / width.sum() * share * WEIGHT_TOTAL), share > 0).astype(int)
        lows += bins.low.tolist()
        highs += bins.high.tolist()
        weights += weight.tolist()
    return TableSpec(low=lows, high=highs, weight=weights)


def conditional_spec(conditional: dict[str, Any], table: TableSpec) -> ConditionalSpec:
    """Return a forest of one tree as it stands in a model file.

    Cells that the table gives no probability are joined with the one before.
    """
    marginal = Marginal.from_table(table)
    first = marginal.first_rank(np.array(conditional["cells"], dtype=np.int64)).astype(np.int64)
    edges = np.concatenate([[0], first[1:], [SCALE]])
    mass = np.diff(edges).astype(float)
    kept = np.flatnonzero(mass > 0)
    joined = np.maximum(np.searchsorted(kept, np.arange(len(mass)), side="right") - 1, 0)
    # a run of cells that all lack probability still has organizations: they share them evenly
    share = np.maximum(mass / SCALE, 1e-12)
    cells = [0, *(int(rank) for rank in edges[kept[1:]]), SCALE]
    tree = _node(conditional["tree"], share, joined)
    return ConditionalSpec(given=conditional["given"], cells=cells, trees=[tree])


def _node(node: dict[str, Any], share: FloatArray, joined: IntArray) -> NodeSpec:
    if "at_most" in node:
        yes, no = (_node(node[branch], share, joined) for branch in ("yes", "no"))
        return NodeSpec(node["metric"], node["at_most"], yes, no)
    weights = np.bincount(joined, spread_leaf(node, share))
    weights = np.round(weights / weights.sum() * _LEAF_TOTAL).astype(int)
    kept = np.flatnonzero(weights)
    return NodeSpec(cells=kept.tolist(), weights=weights[kept].tolist())
