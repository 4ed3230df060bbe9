"""How a metric depends on the ones before it: a tree whose leaves tell how many organizations lie where.

Each organization is counted in one leaf per metric, a leaf has at least 20 organizations, and what it
tells are counts of at least five. Scale and size of the leaves are those that make held-out
organizations most likely.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from psrlib.arrays import FloatArray, IntArray, mean_ranks
from psrlib.scale import Scale
from psrlib.stats.histogram import SMALLEST_COUNT, Histogram, find_steps, make_histogram, move_few, partition
from psrlib.words import CONFIG

MIN_LEAF = 20  # organizations per leaf, at least: fewer would let single ones show through
_LEAVES = (MIN_LEAF, 40, 80, 160)
_DEPTH = 30  # of a tree at most, so that every JSON reader takes it
_MAX_CELLS = 40
_LEVELS = 20  # cumulative indicators that a split tries to separate
_PRICE = 1.0  # log likelihood that one more number in a leaf must gain
N_FOLDS = 3
_BASES = 2  # how many metrics to try as base of a share or difference
_BASE_CORRELATION = 0.5  # a base must go together with the metric at least this much (Spearman)
_MIN_GAIN = 1.0  # log likelihood a more complicated form must gain on the held-out organizations
_COARSER_GAIN = 16.0  # the same for larger leaves: two thirds of the organizations make them look too good
FLAT = 0.02  # share of a flat background, so that no held-out organization counts minus infinity


@dataclass(frozen=True)
class Told:
    """One metric of all organizations on the scale that was chosen for it, and how it is cut into cells.

    Cells hold about equal shares of the organizations; frequent values have their own.
    """

    scale: Scale
    values: IntArray  # shape (n_organizations,)
    histogram: Histogram
    cells: IntArray  # first value of each cell, shape (n_cells,)
    index: IntArray  # the cell of each organization, shape (n_organizations,)
    share: FloatArray  # of each cell in the histogram, positive, shape (n_cells,)

    def marginal(self) -> dict[str, Any]:
        """Return scale and histogram as they stand in a summary."""
        return {
            **self.scale.fields,
            "low": self.histogram.low.tolist(),
            "high": self.histogram.high.tolist(),
            "organizations": self.histogram.count.tolist(),
        }


@dataclass
class Known:
    """The metrics before: counts by name, and what trees may look at (what varies)."""

    counts: dict[str, IntArray] = field(default_factory=dict)
    features: dict[str, IntArray] = field(default_factory=dict)

    def add(self, name: str, counts: IntArray, told: Told) -> None:
        """Add a metric, so that later ones may depend on it."""
        self.counts[name] = counts
        if np.ptp(counts) > 0:
            self.features[name] = counts
        if told.scale.base and np.ptp(told.values) > 0:
            self.features[told.scale.feature(name)] = told.values

    def matrix(self) -> FloatArray:
        """Return the features, shape (n_organizations, n_features)."""
        return np.stack(list(self.features.values()), axis=1).astype(np.float64)


def folds(n: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the rows to fit to, and the rows to judge by."""
    fold = np.random.default_rng(1).permutation(n) % N_FOLDS
    for f in range(N_FOLDS):
        yield np.flatnonzero(fold != f), np.flatnonzero(fold == f)


def inside(first: FloatArray, end: FloatArray, edges: NDArray[Any]) -> FloatArray:
    """Return the share of each cell that lies between ``first`` and ``end``, shape (n, n_cells)."""
    overlap = np.minimum(end[:, None], edges[None, 1:]) - np.maximum(first[:, None], edges[None, :-1])
    shares: FloatArray = np.clip(overlap, 0, None) / np.diff(edges)
    return shares


def possible_scales(
    name: str,
    counts: IntArray,
    known: Mapping[str, IntArray],
    rank: Callable[[IntArray], NDArray[Any]] = mean_ranks,
) -> list[Scale]:
    """Return the scales worth trying: a count first, then those of the metrics it goes with most closely.

    Active jobs always are a share of the jobs, limits always are counts. ``rank`` says how ties are ranked.
    """
    if name == "active_jobs" and "jobs" in known:
        return [Scale("share", "jobs")]
    if name in CONFIG or np.ptp(counts) == 0:
        return [Scale()]
    varying = {base: values for base, values in known.items() if base not in CONFIG and np.ptp(values) > 0}
    own = rank(counts)
    strength = {base: abs(np.corrcoef(own, rank(values))[0, 1]) for base, values in varying.items()}
    close = sorted((b for b in strength if strength[b] >= _BASE_CORRELATION), key=lambda b: -strength[b])
    kinds: tuple[Literal["share", "difference"], ...] = ("share", "difference")
    return [Scale()] + [Scale(kind, base) for base in close[:_BASES] for kind in kinds]


def choose_conditional(name: str, counts: IntArray, known: Known) -> tuple[Told, dict[str, Any] | None]:
    """Return a metric on its scale, and its tree as it stands in a summary; None when it is independent."""
    best: tuple[float, Told, int | None] | None = None
    for scale in possible_scales(name, counts, known.counts):
        told = tell(scale, counts, known.counts)
        options: list[int | None] = [None]
        if known.features and len(told.cells) > 1:
            options += [min_leaf for min_leaf in _LEAVES if 2 * min_leaf <= len(counts)]
        for min_leaf in options:
            score = _held_out_likelihood(told, counts, known, min_leaf)
            coarser = best is not None and told is best[1] and best[2] is not None
            if best is None or score > best[0] + (_COARSER_GAIN if coarser else _MIN_GAIN):
                best = (score, told, min_leaf)
    assert best is not None
    _, told, min_leaf = best
    if min_leaf is None:
        return told, None
    names = list(known.features)
    nodes, at = _grow(known.matrix(), told, min_leaf, np.arange(len(counts)))
    leaves = {leaf: _leaf(told.index[at == leaf], told.share) for leaf in np.unique(at).tolist()}
    node = _node(nodes, leaves, names, 0)
    return told, {"given": names, "cells": told.cells.tolist(), "tree": node}


def tell(scale: Scale, counts: IntArray, known: Mapping[str, IntArray]) -> Told:
    """Return a metric on a scale, counts of shape (n_organizations,)."""
    values = scale.value(counts, known)
    steps = find_steps(values)
    cells = steps.low[_cell_starts(steps.count)]
    index = np.searchsorted(cells, values, side="right") - 1
    histogram = make_histogram(values)
    edges = np.append(cells - 0.5, max(int(values.max()), int(histogram.high[-1])) + 0.5)
    share = np.maximum(np.diff(histogram.cumulative(edges)), 1e-6)
    return Told(scale, values, histogram, cells, index.astype(np.int64), share)


def _cell_starts(count: IntArray) -> IntArray:
    """Return the steps at which cells start, each of at least five organizations."""
    step = max(count.sum() / _MAX_CELLS, SMALLEST_COUNT)
    starts, inside = [0], 0
    for place, number in enumerate(count.tolist()):
        if inside >= step or (number >= step and inside >= SMALLEST_COUNT):
            starts.append(place)
            inside = 0
        elif number >= step and len(starts) > 1:  # too few since the last start: counted before it
            starts[-1] = place
            inside = 0
        inside += number
    if inside < SMALLEST_COUNT and len(starts) > 1:
        starts.pop()
    return np.array(starts, dtype=np.int64)


def _grow(x: FloatArray, told: Told, min_leaf: int, rows: IntArray) -> tuple[Any, IntArray]:
    """Fit a tree to the cumulative indicators of the cells: a good split separates distributions.

    Return its nodes (scikit-learn's arrays) and the leaf of each organization.
    """
    from sklearn.tree import DecisionTreeRegressor  # only summarizing needs it, and it takes a second to load

    n_cells = len(told.cells)
    levels = np.unique(np.linspace(1, n_cells - 1, min(_LEVELS, n_cells - 1)).round().astype(int))
    target = (told.index[rows, None] < levels[None, :]).astype(float)
    tree = DecisionTreeRegressor(min_samples_leaf=min_leaf, max_depth=_DEPTH, random_state=0)
    nodes = tree.fit(x[rows], target).tree_
    return nodes, nodes.apply(x.astype(np.float32))


def _leaf(index: IntArray, share: FloatArray) -> dict[str, list[int]]:
    """Return a leaf: the first cell of each run of cells, and its organizations, none or at least five."""
    count = np.bincount(index, minlength=len(share)).astype(np.int64)
    first = partition(count, share, _PRICE)
    return {"cells": first.tolist(), "organizations": move_few(np.add.reduceat(count, first)).tolist()}


def spread_leaf(leaf: dict[str, list[int]], share: FloatArray) -> FloatArray:
    """Return the probability of each cell in a leaf: within a run of cells, as all organizations lie there.

    Examples
    --------
    >>> spread_leaf({"cells": [0, 1], "organizations": [10, 10]}, np.array([0.5, 0.25, 0.25])).tolist()
    [0.5, 0.25, 0.25]
    """
    first = np.array(leaf["cells"])
    run = np.searchsorted(first, np.arange(len(share)), side="right") - 1
    organizations = np.array(leaf["organizations"])
    probability: FloatArray = (
        organizations[run] / organizations.sum() * share / np.add.reduceat(share, first)[run]
    )
    return probability


def _held_out_likelihood(told: Told, counts: IntArray, known: Known, min_leaf: int | None) -> float:
    """Return the log likelihood of the counts, each fold under a tree of the other folds."""
    low, high = told.scale.window(counts, counts, known.counts)
    first = told.histogram.cumulative(low - 0.5)
    end = told.histogram.cumulative(np.maximum(high, low) + 0.5)
    edges = np.append(0.0, np.cumsum(told.share) / told.share.sum())
    total = 0.0
    for train, test in folds(len(counts)):
        at = np.zeros(len(counts), dtype=np.int64)
        if min_leaf is not None:
            _, at = _grow(known.matrix(), told, min_leaf, train)
        probability = np.zeros((len(counts), len(told.cells)))
        for leaf in np.unique(at[train]):
            members = train[at[train] == leaf]
            probability[at == leaf] = spread_leaf(_leaf(told.index[members], told.share), told.share)
        mass = (inside(first[test], end[test], edges) * probability[test]).sum(axis=1)
        total += float(np.log((1 - FLAT) * mass + FLAT * (end - first)[test] + 1e-12).sum())
    return total


def _node(
    nodes: Any, leaves: dict[int, dict[str, list[int]]], names: list[str], place: int
) -> dict[str, Any]:
    if nodes.children_left[place] == -1:
        return leaves[place]
    return {
        "metric": names[nodes.feature[place]],
        "at_most": int(np.floor(nodes.threshold[place])),
        "yes": _node(nodes, leaves, names, int(nodes.children_left[place])),
        "no": _node(nodes, leaves, names, int(nodes.children_right[place])),
    }
