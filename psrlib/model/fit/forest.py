"""Fitting a forest: how likely each cell of a metric's marginal is, given the metrics drawn before.

The trees are a random forest (scikit-learn) on the cumulative indicators of the cells, so a split is good
when it separates distributions, not just means (the ranked probability score). A draw follows one tree at
random, which averages their accidents away.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.tree import DecisionTreeRegressor

from psrlib.arrays import FloatArray, IntArray
from psrlib.model.marginal import Marginal
from psrlib.model.specs import ConditionalSpec, NodeSpec
from psrlib.model.table import SCALE

MAX_CELLS = 40
ROWS_PER_CELL = 6  # fewer organizations per cell would repeat single ones
_LEVELS = 20  # cumulative indicators given to the trees
_LEAF_WIDTH = 0.35  # each organization of a leaf of n is spread to neighbour number 0.35 n**0.8
_LEAF_TOTAL = 1000  # weights of a leaf are integers that sum to about this


@dataclass(frozen=True)
class Cells:
    """Intervals of ranks of a marginal, and where each organization falls."""

    edges: IntArray  # ranks from 0 to 2**32, each the first one of some value; shape (n_cells + 1,)
    middle: FloatArray  # middle rank of each organization's value, shape (n_organizations,)
    index: IntArray  # the cell of each organization, shape (n_organizations,)
    single: NDArray[np.bool_]  # cells that are one value, shape (n_cells,)


def make_cells(marginal: Marginal, values: IntArray) -> Cells:
    """Cut a marginal into cells of about equal probability, at the borders of values."""
    n_cells = int(np.clip(len(values) // ROWS_PER_CELL, 2, MAX_CELLS))
    step = SCALE / n_cells
    edges = [0]
    for low, high in zip(marginal.low.tolist(), marginal.high.tolist(), strict=True):
        ends = np.array([low, high + 1])
        first, end = (int(rank) for rank in marginal.first_rank(ends))
        if end - first >= 0.999 * step and first > edges[-1]:
            edges.append(first)
        if end - edges[-1] >= 0.999 * step:
            edges.append(end)
    if edges[-1] < SCALE:
        edges.append(SCALE)
    if len(edges) > 2 and edges[-1] - edges[-2] < step / 3 and edges[-2] - edges[-3] < 1.5 * step:
        edges.pop(-2)
    middle = (
        marginal.first_rank(values).astype(np.float64) + marginal.first_rank(values + 1).astype(float)
    ) / 2
    array = np.array(edges, dtype=np.int64)
    index = np.clip(np.searchsorted(array, middle, side="right") - 1, 0, len(array) - 2)
    starts = marginal.value(array[:-1].astype(np.uint64))
    ends = marginal.value((array[1:] - 1).astype(np.uint64))
    return Cells(array, middle, index.astype(np.int64), starts == ends)


@dataclass(frozen=True)
class Forest:
    """Fitted trees and, per tree, the cell probabilities of each leaf."""

    trees: list[Any]
    leaves: list[dict[int, FloatArray]]

    def probability(self, features: FloatArray) -> FloatArray:
        """Return the mean cell probabilities, shape (n, n_cells)."""
        total: Any = 0.0
        for tree, leaves in zip(self.trees, self.leaves, strict=True):
            at = tree.apply(features.astype(np.float32))
            total = total + np.stack([leaves[leaf] for leaf in at.tolist()])
        return np.asarray(total / len(self.trees))


def fit_forest(features: FloatArray, cells: Cells, n_trees: int, min_leaf: int) -> Forest:
    """Fit trees of at least ``min_leaf`` organizations per leaf to the cells that organizations fall into.

    ``features`` are the metrics drawn before, shape (n_organizations, n_features).
    """
    levels = cells.edges[1:-1]
    if len(levels) > _LEVELS:
        levels = levels[np.linspace(0, len(levels) - 1, _LEVELS).round().astype(int)]
    target = (cells.middle[:, None] < levels[None, :]).astype(float)
    trees = grow_trees(features, target, n_trees, min_leaf, bootstrap=n_trees > 1)
    leaves = []
    for tree in trees:
        at = tree.apply(features.astype(np.float32))
        order = np.argsort(at, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(at[order])) + 1)
        leaves.append({int(at[rows[0]]): leaf_distribution(cells, rows) for rows in groups})
    return Forest(trees, leaves)


def grow_trees(
    features: FloatArray,
    target: FloatArray,
    n_trees: int,
    min_leaf: int,
    max_features: float = 1.0,
    bootstrap: bool = False,
) -> list[Any]:
    """Grow the trees of a random forest of shape (n, n_outputs) targets; return their nodes (``tree_``).

    They are those of scikit-learn's ``RandomForestRegressor`` with ``random_state=0``. Its checks and copies
    cost more than trees of so few rows do.
    """
    rng = np.random.RandomState(0)
    x, y = np.ascontiguousarray(features, dtype=np.float32), np.ascontiguousarray(target)
    trees = []
    with config_context(skip_parameter_validation=True):
        for seed in [int(rng.randint(np.iinfo(np.int32).max)) for _ in range(n_trees)]:
            weight = None
            if bootstrap:
                chosen = np.random.RandomState(seed).randint(0, len(x), len(x))
                weight = np.bincount(chosen, minlength=len(x)).astype(float)
            tree = DecisionTreeRegressor(
                min_samples_leaf=min_leaf, max_features=max_features, random_state=seed
            )
            trees.append(tree.fit(x, y, sample_weight=weight, check_input=False).tree_)
    return trees


def leaf_distribution(cells: Cells, rows: IntArray) -> FloatArray:
    """Return the cell probabilities of some organizations, each spread over its neighbours in the leaf."""
    n_cells = len(cells.single)
    index = cells.index[rows]
    weight = np.bincount(index[cells.single[index]], minlength=n_cells).astype(float)
    spread = rows[~cells.single[index]]
    if len(spread):
        weight += _spread(cells, np.sort(cells.middle[spread]))
    return np.asarray(weight / weight.sum())


def _spread(cells: Cells, middle: FloatArray) -> FloatArray:
    """Spread each rank evenly as far as its neighbours reach, without entering cells of a single value."""
    distance = np.abs(middle[:, None] - middle[None, :])
    k = min(max(2, round(_LEAF_WIDTH * len(middle) ** 0.8)), len(middle) - 1)
    width = np.partition(distance, k, axis=1)[:, k] if k else np.zeros(len(middle))
    width = np.maximum(width, 0.5 * SCALE / len(cells.middle))
    run = np.concatenate([[0], np.cumsum(cells.single[1:] | cells.single[:-1])])
    start, end = np.searchsorted(run, run, side="left"), np.searchsorted(run, run, side="right")
    own = np.clip(np.searchsorted(cells.edges, middle, side="right") - 1, 0, len(run) - 1)
    low = np.maximum(middle - width, cells.edges[start[own]])
    high = np.minimum(middle + width, cells.edges[end[own]])
    overlap = np.minimum(high[:, None], cells.edges[None, 1:]) - np.maximum(
        low[:, None], cells.edges[None, :-1]
    )
    overlap = np.clip(overlap, 0, None)
    return np.asarray((overlap / np.maximum(overlap.sum(axis=1, keepdims=True), 1e-12)).sum(axis=0))


def forest_spec(forest: Forest, cells: Cells, names: list[str]) -> ConditionalSpec:
    """Return a forest as it stands in a model file."""
    trees = [node_spec(tree, leaves, names) for tree, leaves in zip(forest.trees, forest.leaves, strict=True)]
    return ConditionalSpec(given=names, cells=cells.edges.tolist(), trees=trees)


def node_spec(tree: Any, leaves: dict[int, FloatArray], names: list[str], place: int = 0) -> NodeSpec:
    """Return a fitted tree from one of its nodes on, as it stands in a model file."""
    if tree.children_left[place] == -1:
        weights = np.round(leaves[place] * _LEAF_TOTAL).astype(int)
        kept = np.flatnonzero(weights)
        return NodeSpec(cells=kept.tolist(), weights=weights[kept].tolist())
    return NodeSpec(
        metric=names[tree.feature[place]],
        at_most=int(np.floor(tree.threshold[place])),
        yes=node_spec(tree, leaves, names, int(tree.children_left[place])),
        no=node_spec(tree, leaves, names, int(tree.children_right[place])),
    )
