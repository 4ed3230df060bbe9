"""Fitting a forest: how likely each cell of a metric's marginal is, given the metrics drawn before.

The trees are a random forest (scikit-learn) on the cumulative indicators of the cells, so a split is good
when it separates distributions, not just means (the ranked probability score). A draw follows one tree at
random, which averages their accidents away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from psrlib.model.bins import FloatArray
from psrlib.model.marginal import Marginal
from psrlib.model.table import SCALE, IntArray

MAX_CELLS = 40
ROWS_PER_CELL = 6  # fewer organizations per cell would repeat single ones
_LEVELS = 20  # cumulative indicators given to the trees
_LEAF_WIDTH = 0.35  # each organization of a leaf of n is spread to neighbour number 0.35 n**0.8
_LEAF_TOTAL = 1000  # weights of a leaf are integers that sum to about this


@dataclass(frozen=True)
class Cells:
    """Intervals of ranks of a marginal, and where each organization falls.

    Attributes
    ----------
    edges : array of int, shape (n_cells + 1,)
        Ranks from 0 to 2**32; each edge is the first rank of some value.
    middle : array of float, shape (n_organizations,)
        Middle rank of each organization's value.
    index : array of int, shape (n_organizations,)
        The cell of each organization.
    single : array of bool, shape (n_cells,)
        Cells that are one value.
    """

    edges: IntArray
    middle: FloatArray
    index: IntArray
    single: NDArray[np.bool_]


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
class FittedTree:
    """Structure of a tree (scikit-learn's) and how many organizations of each cell each node holds.

    Attributes
    ----------
    weight : array of float, shape (n_nodes, n_cells)
        Organizations per cell, spread over neighbouring cells in leaves.
    parent : array of int, shape (n_nodes,)
        -1 for the root; a parent stands before its children.
    """

    tree: Any
    weight: FloatArray
    parent: IntArray

    def probability(self, shrinkage: float) -> FloatArray:
        """Return cell probabilities of each node, shape (n_nodes, n_cells)."""
        size = self.weight.sum(axis=1)
        result = self.weight / size[:, None]
        for node in range(1, len(result)):
            result[node] = (self.weight[node] + shrinkage * result[self.parent[node]]) / (size[node] + shrinkage)
        return result


@dataclass(frozen=True)
class Forest:
    """Fitted trees."""

    trees: list[FittedTree]

    def probability(self, features: FloatArray, shrinkages: Sequence[float]) -> list[FloatArray]:
        """Return the mean cell probabilities for each shrinkage, shape (n, n_cells) each."""
        features = features.astype(np.float32)
        leaves = [fitted.tree.apply(features) for fitted in self.trees]
        return [
            np.mean([t.probability(s)[leaf] for t, leaf in zip(self.trees, leaves, strict=True)], axis=0)
            for s in shrinkages
        ]


def fit_forest(features: FloatArray, cells: Cells, n_trees: int, min_leaf: int, seed: int = 0) -> Forest:
    """Fit trees to the cells, each to a bootstrap sample; all organizations then fill its nodes.

    Parameters
    ----------
    features : array of float, shape (n_organizations, n_features)
        Values of the metrics drawn before.
    cells : Cells
        Of the same organizations.
    min_leaf : int
        Organizations per leaf, at least.
    """
    levels = cells.edges[1:-1]
    if len(levels) > _LEVELS:
        levels = levels[np.linspace(0, len(levels) - 1, _LEVELS).round().astype(int)]
    target = (cells.middle[:, None] < levels[None, :]).astype(float)
    features = np.ascontiguousarray(features, dtype=np.float32)
    rng = np.random.default_rng(seed)
    trees = []
    for _ in range(n_trees):
        weight = np.bincount(rng.integers(0, len(features), len(features)), minlength=len(features))
        rows = np.repeat(np.arange(len(features)), weight) if n_trees > 1 else np.arange(len(features))
        model = DecisionTreeRegressor(min_samples_leaf=min_leaf, random_state=int(rng.integers(2**31)))
        model.fit(features[rows], target[rows], check_input=False)
        trees.append(_fill(model.tree_, features, cells))
    return Forest(trees)


def _fill(tree: Any, features: FloatArray, cells: Cells) -> FittedTree:
    weight = np.zeros((tree.node_count, len(cells.single)))
    at = tree.apply(features)
    order = np.argsort(at, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(at[order])) + 1):
        weight[at[rows[0]]] = leaf_weight(cells, rows)
    parent = np.full(tree.node_count, -1)
    for node in range(tree.node_count - 1, -1, -1):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child != -1:
                parent[child] = node
                weight[node] += weight[child]
    weight[weight.sum(axis=1) == 0] = 1e-9  # no organization reaches the node: its parent speaks for it
    return FittedTree(tree, weight, parent)


def leaf_weight(cells: Cells, rows: IntArray) -> FloatArray:
    """Return how many of some organizations are in each cell, each spread over its neighbours in the leaf."""
    n_cells = len(cells.single)
    index = cells.index[rows]
    weight = np.bincount(index[cells.single[index]], minlength=n_cells).astype(float)
    spread = rows[~cells.single[index]]
    if len(spread):
        weight += _spread(cells, np.sort(cells.middle[spread]))
    return weight


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


def forest_spec(
    forest: Forest, cells: Cells, names: list[str], shrinkages: Sequence[float | None]
) -> dict[str, Any]:
    """Return a forest as it stands in a model file, each tree with its own shrinkage (None: only a root)."""
    trees = []
    for fitted, shrinkage in zip(forest.trees, shrinkages, strict=True):
        if shrinkage is None:
            trees.append(_leaf(fitted.probability(0.0)[0]))
        else:
            trees.append(_node(fitted.tree, fitted.probability(shrinkage), names, 0))
    return {"given": names, "cells": cells.edges.tolist(), "trees": trees}


def _leaf(probability: FloatArray) -> dict[str, Any]:
    weights = np.round(probability * _LEAF_TOTAL).astype(int)
    kept = np.flatnonzero(weights)
    return {"cells": kept.tolist(), "weights": weights[kept].tolist()}


def _node(tree: Any, probability: FloatArray, names: list[str], place: int) -> dict[str, Any]:
    if tree.children_left[place] == -1:
        return _leaf(probability[place])
    return {
        "metric": names[tree.feature[place]],
        "at_most": int(np.floor(tree.threshold[place])),
        "yes": _node(tree, probability, names, int(tree.children_left[place])),
        "no": _node(tree, probability, names, int(tree.children_right[place])),
    }
