"""Styles of organizations and patterns of entities: a mixture of mixtures, by expectation maximization.

Each organization has one style, each of its entities one pattern; a style says how likely each pattern is, a
pattern how likely each cell of each column (Vermunt 2003, multilevel latent class model). The style depends
on the organization's counts by a small random forest.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans

from psrlib.arrays import FloatArray, IntArray
from psrlib.model.fit.columns import FEWEST
from psrlib.model.fit.forest import grow_trees

N_TREES = 4
_ITERATIONS = 60
_TREE_EVERY = 5
_MOST_ENTITIES = 100  # of one organization that count: a larger one would get a style of its own
_PRIOR = 1.0  # entities' worth of the whole's shares in each pattern, and of patterns in each style
_ENOUGH = 1e-4  # change of log likelihood per entity that ends the fit


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture: styles in patterns, patterns in cells of each column, and where each lies."""

    styles: FloatArray  # shape (n_styles, n_patterns)
    patterns: list[FloatArray]  # per column, shape (n_patterns, n_cells)
    membership: FloatArray  # of each organization in each style, shape (n_organizations, n_styles)
    pattern_of: FloatArray  # of each entity counted, shape (n_entities, n_patterns)
    counted: IntArray  # the entities counted


def fit_mixture(
    place: IntArray,
    cells: list[IntArray],
    features: FloatArray,
    n_styles: int,
    n_patterns: int,
    min_leaf: int,
) -> Mixture:
    """Fit styles and patterns.

    Parameters
    ----------
    place : array of int, shape (n_entities,)
        Organization of each entity, 0 to n_organizations - 1; each has at least one.
    cells : list of array of int, shape (n_entities,)
        Cell of each entity per column.
    features : array, shape (n_organizations, n_features)
        What the style may depend on.
    """
    rng = np.random.default_rng(0)
    counted = _sample(place, rng)
    place, columns = place[counted], [column[counted] for column in cells]
    order = np.argsort(place, kind="stable")
    counted, place, columns = counted[order], place[order], [column[order] for column in columns]
    starts = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    sizes = [int(column.max()) + 1 for column in cells]
    whole = [
        np.bincount(column, minlength=size) / len(column) for column, size in zip(columns, sizes, strict=True)
    ]
    pattern = _first_patterns(columns, sizes, n_patterns)
    member = _first_styles(place, pattern, n_styles, rng)
    n_patterns, n_styles = pattern.shape[1], member.shape[1]
    prior = np.repeat(member.mean(axis=0)[None, :], len(member), axis=0)
    shares = pattern.mean(axis=0)
    styles = np.stack([(member[place, k] @ pattern) + _PRIOR * shares for k in range(n_styles)])
    styles /= styles.sum(axis=1, keepdims=True)
    tables = [_pattern_table(pattern, c, w) for c, w in zip(columns, whole, strict=True)]
    last = -np.inf
    for iteration in range(_ITERATIONS):
        by_column = [np.log(table.T[column]) for table, column in zip(tables, columns, strict=True)]
        log_row = np.sum(by_column, axis=0)
        top = log_row.max(axis=1, keepdims=True)
        row = np.exp(log_row - top)  # (n, patterns)
        by_style = row @ styles.T  # (n, styles)
        log_member = np.add.reduceat(np.log(by_style), starts, axis=0) + np.log(prior)
        peak = log_member.max(axis=1, keepdims=True)
        member = np.exp(log_member - peak)
        total = member.sum(axis=1, keepdims=True)
        member /= total
        likelihood = float((peak + np.log(total)).sum() + top.sum()) / len(place)
        ratio = member[place] / by_style
        pattern = row * (ratio @ styles)
        styles = styles * (ratio.T @ row) + _PRIOR * pattern.mean(axis=0)
        styles /= styles.sum(axis=1, keepdims=True)
        tables = [_pattern_table(pattern, c, w) for c, w in zip(columns, whole, strict=True)]
        if iteration % _TREE_EVERY == _TREE_EVERY - 1:
            prior = np.maximum(fit_forest(features, member, min_leaf).predict(features), 1e-4)
            if likelihood - last < _ENOUGH:
                break
            last = likelihood
    return Mixture(styles, tables, member, pattern, counted)


@dataclass(frozen=True)
class StyleForest:
    """A forest that tells how likely each style is; per tree, the shares of the styles in each leaf."""

    trees: list[tuple[Any, dict[int, FloatArray]]]

    def predict(self, features: FloatArray) -> FloatArray:
        """Return the share of each style, shape (n_organizations, n_styles)."""
        x = features.astype(np.float32)
        total: Any = sum(tree.predict(x) for tree, _ in self.trees)
        return np.asarray(total / len(self.trees)).reshape(len(features), -1)


def fit_forest(features: FloatArray, member: FloatArray, min_leaf: int) -> StyleForest:
    """Fit a few trees of at least ``min_leaf`` organizations per leaf to how likely each style is."""
    trees = grow_trees(features, member, N_TREES, min_leaf, max_features=0.5)
    leaves = [
        {int(leaf): tree.value[leaf].ravel() for leaf in np.flatnonzero(tree.children_left == -1)}
        for tree in trees
    ]
    return StyleForest(list(zip(trees, leaves, strict=True)))


def sample_rows(shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return a column of each row, drawn by its shares, shape (n_rows,)."""
    ends = np.cumsum(shares, axis=1)
    chosen = ends < rng.random(len(shares))[:, None] * ends[:, -1:]
    return np.asarray(chosen.sum(axis=1), dtype=np.int64)


def _sample(place: IntArray, rng: np.random.Generator) -> IntArray:
    """Return entities, at most a hundred of each organization."""
    shuffled = rng.permutation(len(place))
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    ordered = place[order]
    first = np.searchsorted(ordered, ordered)
    return np.asarray(order[np.arange(len(order)) - first < _MOST_ENTITIES])


def _first_patterns(columns: list[IntArray], sizes: list[int], n_patterns: int) -> FloatArray:
    """Return a first pattern for each entity, softened, shape (n_entities, n_patterns)."""
    scaled = np.stack([c / max(size - 1, 1) for c, size in zip(columns, sizes, strict=True)], axis=1)
    rng = np.random.default_rng(1)
    distinct = len(np.unique(scaled, axis=0))
    n_patterns = min(n_patterns, distinct)
    some = rng.permutation(len(scaled))[:20_000]
    found = KMeans(n_patterns, n_init=1, random_state=0).fit(scaled[some])
    label = found.predict(scaled)
    soft = np.full((len(scaled), n_patterns), 0.1 / n_patterns)
    soft[np.arange(len(scaled)), label] += 0.9
    return soft


def _first_styles(
    place: IntArray, pattern: FloatArray, n_styles: int, rng: np.random.Generator
) -> FloatArray:
    n = int(place.max()) + 1
    counts = np.stack([np.bincount(place, column, minlength=n) for column in pattern.T], axis=1)
    whole = pattern.mean(axis=0)
    share = (counts + 2 * whole) / (counts.sum(axis=1, keepdims=True) + 2)
    n_styles = max(1, min(n_styles, n // FEWEST))
    label = KMeans(n_styles, n_init=2, random_state=0).fit_predict(
        np.sqrt(share), sample_weight=np.sqrt(counts.sum(axis=1))
    )
    soft = np.full((n, n_styles), 0.2 / n_styles)
    soft[np.arange(n), label] += 0.8
    return soft


def _pattern_table(pattern: FloatArray, column: IntArray, whole: FloatArray) -> FloatArray:
    """Return the share of each cell in each pattern, shape (n_patterns, n_cells)."""
    hits = csr_matrix((np.ones(len(column)), (column, np.arange(len(column)))), (len(whole), len(column)))
    table = (hits @ pattern).T + _PRIOR * whole[None, :] + 1e-9
    return np.asarray(table / table.sum(axis=1, keepdims=True))
