"""Columns of entities as they are fitted: values merged into ranges of six organizations, then cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeRegressor

from psrlib.arrays import IntArray, log_scale
from psrlib.model.fit.forest import node_spec
from psrlib.model.marginal import Marginal
from psrlib.model.specs import NodeSpec, TableSpec
from psrlib.model.table import SCALE

FEWEST = 6  # organizations that every range of values stands for
_RANGES = 150  # of a column at most, about; more would only repeat the sample's accidents
_CELLS = 16  # of a column at most, about: what patterns tell apart
_FOLLOWS = 0.45  # share of the variance (logarithms) that earlier columns must tell, in other organizations
_MANY = 30  # different values below which a column follows no other
_LEAF, _LEAVES = 100, 24  # entities of a leaf at least, and leaves at most, of what a column follows


@dataclass(frozen=True)
class FittedColumn:
    """A column: tables of ranges with weights, cells of ranks, and the cell of each entity.

    ``texts`` are the values where the column is text; a value then is the number of a text. A column that
    follows others has a tree, whose leaves are the numbers of the tables.
    """

    tables: list[TableSpec]
    cells: list[int]
    index: IntArray  # cell of each entity, shape (n_entities,)
    tree: NodeSpec | None = None
    texts: list[str] | None = None


def merge_values(place: IntArray, values: IntArray) -> TableSpec:
    """Merge neighbouring values into ranges, each of at least six organizations where there are so many.

    Parameters
    ----------
    place : array of int, shape (n_entities,)
        Organization of each entity.
    values : array of int, shape (n_entities,)

    Notes
    -----
    Nothing is dropped. The outermost range ends at the mean of the largest values of the six organizations
    that lie farthest out, so that no single organization is told.
    """
    order = np.argsort(values, kind="stable")
    distinct, starts = np.unique(values[order], return_index=True)
    ends = np.append(starts[1:], len(values))
    wanted = len(values) / _RANGES
    groups: list[tuple[int, int]] = []  # first and last distinct value
    first, seen, n = 0, set[int](), 0
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        own = set(place[order[start:end]].tolist())
        heap = len(own) >= FEWEST and end - start >= wanted
        if heap and number > first and len(seen) >= FEWEST:  # a value that stands out is a range of its own
            groups.append((first, number - 1))
            first, seen, n = number, set(), 0
        seen |= own
        n += end - start
        if len(seen) >= FEWEST and n >= wanted:
            groups.append((first, number))
            first, seen, n = number + 1, set(), 0
    if first < len(distinct):
        groups.append((first, len(distinct) - 1))
        if len(seen) < FEWEST and len(groups) > 1:
            groups[-2:] = [(groups[-2][0], groups[-1][1])]
    low = np.array([distinct[a] for a, _ in groups])
    high = np.array([distinct[b] for _, b in groups])
    weight = np.bincount(np.searchsorted(low, values, side="right") - 1, minlength=len(low))
    high[-1] = max(int(low[-1]), round(_outermost(place, values)))
    return TableSpec(low=low.tolist(), high=high.tolist(), weight=weight.tolist())


def fit_numbers(
    place: IntArray, values: IntArray, earlier: dict[str, IntArray], rng: np.random.Generator
) -> FittedColumn:
    """Return a column of numbers; ``earlier`` are the columns of numbers before it, shape (n_entities,) each.

    Where it follows them closely it gets a table for each leaf of a tree, and its cells are ranks in these.
    """
    whole = merge_values(place, values)
    leaf, tree = _follow(place, values, earlier)
    if tree is None:
        return _with_cells(whole, values)
    tables = []
    rank = np.empty(len(values), dtype=np.int64)
    for number in range(int(leaf.max()) + 1):
        rows = np.flatnonzero(leaf == number)
        tables.append(merge_values(place[rows], values[rows]))
        marginal = Marginal.from_table(tables[-1])
        inside = np.minimum(values[rows], marginal.largest)
        first, end = (marginal.first_rank(inside + step).astype(np.int64) for step in (0, 1))
        rank[rows] = first + (rng.random(len(rows)) * (end - first)).astype(np.int64)
    edges = [SCALE * cell // _CELLS for cell in range(_CELLS + 1)]
    index = np.clip(np.searchsorted(edges, rank, side="right") - 1, 0, _CELLS - 1)
    return FittedColumn(tables, edges, index, tree)


def _follow(
    place: IntArray, values: IntArray, earlier: dict[str, IntArray]
) -> tuple[IntArray, NodeSpec | None]:
    """Return the leaf of each entity, and the tree, where columns before tell much; else no tree."""
    none = np.zeros(len(values), dtype=np.int64)
    if not earlier or len(np.unique(values)) < _MANY:
        return none, None
    x, y = np.stack(list(earlier.values()), axis=1).astype(float), log_scale(values)
    half = np.random.default_rng(0).random(int(place.max()) + 1)[place] < 0.5
    least = max(_LEAF, len(values) // _LEAVES)
    if min(half.sum(), (~half).sum()) < 4 * least:
        return none, None
    trial = DecisionTreeRegressor(min_samples_leaf=least, max_leaf_nodes=_LEAVES).fit(x[half], y[half])
    error = y[~half] - trial.predict(x[~half])
    if 1 - (error**2).mean() / max(float(y[~half].var()), 1e-9) < _FOLLOWS:
        return none, None
    fitted = DecisionTreeRegressor(min_samples_leaf=least, max_leaf_nodes=_LEAVES).fit(x, y).tree_
    ends = np.flatnonzero(fitted.children_left == -1)
    number = {int(node): place for place, node in enumerate(ends.tolist())}
    leaves = {node: np.eye(len(ends))[place] for node, place in number.items()}
    leaf = np.searchsorted(ends, fitted.apply(x.astype(np.float32)))
    return leaf.astype(np.int64), node_spec(fitted, leaves, list(earlier))


def fit_texts(place: IntArray, values: Sequence[str], known: Sequence[str]) -> FittedColumn | None:
    """Return the column of known texts; one that fewer than six organizations have counts as the commonest.

    None if no text is known to six organizations.
    """
    texts = pd.Series(values)
    n_organizations = pd.Series(place).groupby(texts.to_numpy()).nunique()
    kept = [text for text in known if n_organizations.get(text, 0) >= FEWEST]
    if not kept:
        return None
    number = pd.Index(kept).get_indexer(pd.Index(texts))
    common = int(np.bincount(number[number >= 0], minlength=len(kept)).argmax())
    number = np.where(number < 0, common, number)
    weight = np.maximum(np.bincount(number, minlength=len(kept)), 1)
    table = TableSpec(low=list(range(len(kept))), weight=weight.tolist())
    marginal = Marginal.from_table(table)
    cells = [*marginal.first_rank(np.arange(len(kept))).tolist(), SCALE]
    return FittedColumn([table], cells, number, texts=kept)


def _outermost(place: IntArray, values: IntArray) -> float:
    largest = np.full(int(place.max()) + 1, -1, dtype=np.int64)
    np.maximum.at(largest, place, values)
    return float(np.sort(largest[largest >= 0])[-FEWEST:].mean())


def _with_cells(table: TableSpec, values: IntArray) -> FittedColumn:
    """Join neighbouring ranges into cells of about equal weight; a heavy range stays alone."""
    step = sum(table.weight) / _CELLS
    first = [0]
    within = 0.0
    for number, n in enumerate(table.weight):
        if number > first[-1] and (within >= step or n >= step or within + n > 1.5 * step):
            first.append(number)
            within = 0
        within += n
    starts = np.array(table.low)[first]
    edges = Marginal.from_table(table).first_rank(starts).tolist()
    index = np.searchsorted(starts, values, side="right") - 1
    return FittedColumn([table], [*edges, SCALE], index)
