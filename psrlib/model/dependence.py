"""Dependence between metrics: which rank of its marginal a metric takes, given the metrics drawn before it.

Two kinds. ``gaussian`` is a correlation matrix of normal scores, easy to read and to edit, and all that
few organizations can tell. ``forest`` holds, per metric, a few small decision trees on the values
drawn before it; each leaf says how likely each cell (interval of ranks) of the marginal is. A forest
follows thresholds, shares and tiers that no correlation can express. Both run on integers only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model.normal import Z_ONE, normal_rank, normal_score
from psrlib.model.specs import NodeSpec
from psrlib.model.strangers import MAX_CELLS, MAX_DEPTH, MAX_TABLE
from psrlib.model.table import SCALE, cumulative_thresholds

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
WORDS_PER_METRIC = 2  # one chooses tree and cell, one the place inside the cell


@dataclass(frozen=True)
class Window:
    """Ranks a metric may take, ``first`` included, ``end`` not; shape (n,) each."""

    first: WordArray
    end: WordArray


def independent_ranks(words: WordArray, window: Window) -> WordArray:
    """Return a rank inside the window for each row of words, shape (n,)."""
    return _inside(words[:, 0] >> _HALF, window)


class Gaussian:
    """Normal scores with a correlation matrix, its rows and columns in the order of ``metrics``.

    Raises
    ------
    ValueError
        If the matrix is not square, symmetric or positive definite.
    """

    def __init__(self, metrics: Sequence[str], correlation: Sequence[Sequence[float]]) -> None:
        self.metrics = list(metrics)
        self._factor = _cholesky(len(self.metrics), correlation)

    def scores(self, words: WordArray) -> dict[str, IntArray]:
        """Return correlated normal scores per metric, from one column of words per metric."""
        independent = normal_score(words >> _HALF)
        return {
            metric: (independent[:, : index + 1] * np.array(row)).sum(axis=1) // Z_ONE
            for index, (metric, row) in enumerate(zip(self.metrics, self._factor, strict=True))
        }


def gaussian_ranks(scores: IntArray, window: Window) -> WordArray:
    """Return the rank inside the window that each normal score stands for."""
    return _inside(normal_rank(scores), window)


@dataclass(frozen=True)
class Tree:
    """A decision tree in arrays over nodes; a node with ``feature`` -1 is a leaf with row ``leaf``."""

    feature: IntArray
    threshold: IntArray
    left: IntArray
    right: IntArray
    leaf: IntArray
    cumulative: WordArray  # shape (n_leaves, n_cells + 1)


class Conditional:
    """The forest of one metric: what the trees look at, edges of the cells as ranks, first nodes of trees.

    Raises
    ------
    ValueError
        If the edges do not ascend from 0 to 2**32, there is no tree, or one asks for what is not ``given``.
    """

    def __init__(self, given: Sequence[str], cells: Sequence[int], trees: Sequence[NodeSpec]) -> None:
        self.given = list(given)
        if len(cells) > MAX_CELLS:
            raise ValueError(f"{len(cells)} cells; expected at most {MAX_CELLS}")
        self.cells = np.array(cells, dtype=np.uint64)
        if len(cells) < 2 or cells[0] != 0 or cells[-1] != SCALE or (np.diff(cells) <= 0).any():
            raise ValueError("cells must ascend from 0 to 2**32")
        if not trees:
            raise ValueError("a forest needs at least one tree")
        self.trees = [_flatten(tree, self.given, len(cells) - 1) for tree in trees]

    def ranks(self, known: Mapping[str, IntArray], words: WordArray, window: Window) -> WordArray:
        """Return a rank inside the window for each row, given the values drawn before, shape (n,)."""
        features = np.stack([known[name] for name in self.given], axis=1)
        chosen = (((words[:, 0] & _LOW) * np.uint64(len(self.trees))) >> _HALF).astype(np.int64)
        cumulative = np.empty((len(words), len(self.cells)), dtype=np.uint64)
        for index, tree in enumerate(self.trees):
            rows = np.flatnonzero(chosen == index)
            cumulative[rows] = tree.cumulative[_reach_leaf(tree, features[rows])]
        return self._place(cumulative, words, window)

    def _place(self, cumulative: WordArray, words: WordArray, window: Window) -> WordArray:
        rows = np.arange(len(words))
        first = np.searchsorted(self.cells, window.first, side="right") - 1
        last = np.searchsorted(self.cells, window.end, side="left") - 1
        below, above = cumulative[rows, first], cumulative[rows, last + 1]
        target = below + (((words[:, 0] >> _HALF) * (above - below)) >> _HALF)
        cell = np.minimum((cumulative[:, 1:] <= target[:, None]).sum(axis=1), last)
        part = Window(
            np.maximum(self.cells[cell], window.first), np.minimum(self.cells[cell + 1], window.end)
        )
        placed = _inside(words[:, 1] >> _HALF, part)
        return np.where(above > below, placed, _inside(words[:, 1] >> _HALF, window))


def _inside(bits: WordArray, window: Window) -> WordArray:
    return window.first + ((bits * (window.end - window.first)) >> _HALF)


def _reach_leaf(tree: Tree, features: IntArray) -> IntArray:
    node = np.zeros(len(features), dtype=np.int64)
    rows = np.arange(len(features))
    while (tree.feature[node] >= 0).any():
        feature = np.maximum(tree.feature[node], 0)
        at_most = features[rows, feature] <= tree.threshold[node]
        below = np.where(at_most, tree.left[node], tree.right[node])
        node = np.where(tree.feature[node] >= 0, below, node)
    return tree.leaf[node]


def _flatten(tree: NodeSpec, given: list[str], n_cells: int) -> Tree:
    nodes: list[list[int]] = []
    leaves: list[WordArray] = []

    def add(node: NodeSpec, depth: int = 0) -> int:
        place = len(nodes)
        if depth > MAX_DEPTH:
            raise ValueError(f"a tree is deeper than {MAX_DEPTH}")
        nodes.append([-1, 0, 0, 0, 0])
        if node.at_most is not None:
            if node.metric not in given:
                raise ValueError(f'a tree asks for "{node.metric}", which is not among "given"')
            if node.yes is None or node.no is None:
                raise ValueError('a node with "at_most" needs "yes" and "no"')
            left, right = add(node.yes, depth + 1), add(node.no, depth + 1)
            nodes[place] = [given.index(node.metric), node.at_most, left, right, 0]
        else:
            if (len(leaves) + 1) * n_cells > MAX_TABLE:
                raise ValueError(f"the leaves of a tree have more than {MAX_TABLE} weights")
            weights: list[int | float] = [0] * n_cells
            for cell, weight in zip(node.cells or (), node.weights or (), strict=True):
                weights[cell] = weight
            nodes[place][4] = len(leaves)
            leaves.append(np.concatenate([np.zeros(1, dtype=np.uint64), cumulative_thresholds(weights)]))
        return place

    add(tree)
    columns = np.array(nodes, dtype=np.int64).T
    feature, threshold, left, right, leaf = columns
    return Tree(feature, threshold, left, right, leaf, np.stack(leaves))


def _cholesky(size: int, matrix: Sequence[Sequence[float]]) -> list[list[int]]:
    """Return the Cholesky factor in units of 1/Z_ONE; plain Python floats, so no BLAS has a say."""
    if len(matrix) != size or any(len(row) != size for row in matrix):
        raise ValueError(f"the correlation matrix is not {size} x {size}, one row per metric")
    factor = [[0.0] * size for _ in range(size)]
    for i in range(size):
        if matrix[i][i] != 1:
            raise ValueError("the diagonal of the correlation matrix must be 1")
        for j in range(i + 1):
            if matrix[i][j] != matrix[j][i]:
                raise ValueError("the correlation matrix is not symmetric")
            rest = float(matrix[i][j])
            for k in range(j):
                rest -= factor[i][k] * factor[j][k]
            if i == j and rest <= 0:
                raise ValueError("the correlation matrix is not positive definite")
            factor[i][j] = sqrt(rest) if i == j else rest / factor[j][j]
    return [[round(value * Z_ONE) for value in row[: i + 1]] for i, row in enumerate(factor)]
