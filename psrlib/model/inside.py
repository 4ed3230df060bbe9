"""The inside of an organization: what its entities look like, and how they share what they refer to.

Entities of one organization are alike. So an organization has a style per kind of entity, drawn given its
counts and the styles drawn before; a style says how likely each pattern is; a pattern how likely each cell
(some neighbouring values) of each column is. Whom an entity refers to (its owner, its pipeline) follows an
urn: in turn, as an earlier entity of the organization, or anyone. Integers only, as in all drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model.dependence import WORDS_PER_METRIC, Conditional, Window, flatten, reach_leaf
from psrlib.model.marginal import Marginal
from psrlib.model.specs import ColumnSpec, ConditionalSpec, EntitiesSpec, InsideSpec, LinkSpec
from psrlib.model.strangers import check_column
from psrlib.model.table import SCALE, cumulative_thresholds
from psrlib.words import AT_MOST, LINKS

CHANCE_ONE = 256  # chances of links are in units of 1/256
REPEAT_ONE = 16  # repeat is in units of 1/16 entity
MEAN_ONE = 16  # means and shares that trees look at are in units of 1/16
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


class Rows:
    """Weighted choices, one row of weights for each of several cases.

    Examples
    --------
    >>> rows = Rows.from_weights([[1, 1], [0, 1]])
    >>> rows.look_up(np.array([0, 0, 1]), np.array([0, 2**63, 0], dtype=np.uint64)).tolist()
    [0, 1, 1]
    """

    def __init__(self, thresholds: WordArray) -> None:
        self.width = thresholds.shape[1]
        base = np.arange(len(thresholds), dtype=np.uint64)[:, None] << _HALF
        self._thresholds = (base + thresholds.astype(np.uint64)).ravel()

    @classmethod
    def from_weights(cls, weights: Sequence[Sequence[int | float]]) -> "Rows":
        """Return the choices of rows of weights, all of one length."""
        return cls(np.stack([cumulative_thresholds(row) for row in weights]))

    def look_up(self, case: IntArray, words: WordArray) -> IntArray:
        """Return the choice of each word in its case, shape (n,), by the word's upper half."""
        keys = (case.astype(np.uint64) << _HALF) + (words >> _HALF)
        found = np.searchsorted(self._thresholds, keys, side="right")
        return np.asarray(found - case * self.width, dtype=np.int64)


class Column:
    """One column of entities: a cell of ranks by pattern, and what is at the rank; a text is its number.

    Raises
    ------
    ValueError
        If lengths differ, ranges or cells do not ascend, or weights are not usable.
    """

    def __init__(self, spec: ColumnSpec, n_patterns: int, earlier: Sequence[str]) -> None:
        self.texts = None if spec.texts is None else list(spec.texts)
        self._marginals = [Marginal.from_table(table) for table in spec.tables]
        self._cells = np.array(spec.cells, dtype=np.uint64)
        if self._cells[0] != 0 or self._cells[-1] != SCALE or (np.diff(self._cells) <= 0).any():
            raise ValueError("cells must ascend from 0 to 2**32")
        lengths = {len(row) for row in spec.patterns}
        if len(spec.patterns) != n_patterns or lengths != {len(self._cells) - 1}:
            raise ValueError(f"expected {n_patterns} patterns of {len(self._cells) - 1} weights")
        self._patterns = Rows.from_weights(spec.patterns)
        self._earlier = list(earlier)
        self._tree = None
        if spec.tree is not None:
            self._tree = flatten(spec.tree, self._earlier, len(self._marginals))
            self._table = (self._tree.cumulative == 0).sum(axis=1) - 1  # the one cell of each leaf

    def draw(
        self, pattern: IntArray, words: WordArray, earlier: Mapping[str, IntArray]
    ) -> tuple[IntArray, IntArray]:
        """Return value and cell of each entity, shape (n,) each, given its pattern and earlier columns."""
        cell = self._patterns.look_up(pattern, words)
        first = self._cells[cell]
        ranks = first + (((words & _LOW) * (self._cells[cell + 1] - first)) >> _HALF)
        if self._tree is None or not len(words):
            return self._marginals[0].value(ranks), cell
        features = np.stack([earlier[name] for name in self._earlier], axis=1)
        leaf = self._table[reach_leaf(self._tree, features)]
        values = np.empty(len(words), dtype=np.int64)
        for number, marginal in enumerate(self._marginals):
            rows = np.flatnonzero(leaf == number)
            values[rows] = marginal.value(ranks[rows])
        return values, cell


class Entities:
    """How some columns of a kind are drawn: a pattern for each entity by its organization's style.

    ``earlier`` are the columns of the kind that are drawn before.
    """

    def __init__(self, spec: EntitiesSpec, earlier: Sequence[str]) -> None:
        self.kind = spec.kind
        n_patterns = len(spec.styles[0])
        self.styles = Rows.from_weights(spec.styles)
        if len(spec.repeats) != len(spec.styles):
            raise ValueError(f"{len(spec.repeats)} repeats for {len(spec.styles)} styles")
        self.repeats = np.array(spec.repeats, dtype=np.int64)
        self.columns: dict[str, Column] = {}
        for name, column in spec.columns.items():
            check_column(spec.kind, name, column)
            self.columns[name] = Column(column, n_patterns, [*earlier, *self.columns])
        self.n_words = 2 + len(self.columns)

    def draw(
        self,
        style: IntArray,
        index: IntArray,
        words: Sequence[WordArray],
        earlier: Mapping[str, IntArray],
    ) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
        """Return the columns after the earlier ones, and the cell of each value, shape (n,) each.

        Parameters
        ----------
        style : array of int, shape (n,)
            Style of each entity's organization.
        index : array of int, shape (n,)
            Number of each entity in its organization, from 0; entities of one organization are neighbours.
        words : sequence of n_words arrays, shape (n,)
        """
        source = urn(index, self.repeats[style], words[0])
        pattern = self.styles.look_up(style, words[1])[source]
        values = dict(earlier)
        cells: dict[str, IntArray] = {}
        for (name, column), word in zip(self.columns.items(), words[2:], strict=True):
            values[name], cells[name] = column.draw(pattern, word, values)
        return values, cells


class Link:
    """How entities choose what they refer to."""

    n_words = 2  # of one entity

    def __init__(self, spec: LinkSpec) -> None:
        self.styles = np.array(spec.styles, dtype=np.int64).reshape(-1, 3)

    def draw(self, style: IntArray, index: IntArray, n: IntArray, words: Sequence[WordArray]) -> IntArray:
        """Return the number of what each entity refers to, 0 to n - 1, shape (n_entities,)."""
        return share_out(self.styles[style], index, n, words)


def share_out(styles: IntArray, index: IntArray, n: IntArray, words: Sequence[WordArray]) -> IntArray:
    """Return which of ``n`` each entity refers to, shape (n_entities,).

    Parameters
    ----------
    styles : array of int, shape (n_entities, 3)
        Chance to refer to what the entity before refers to, and if not, to the next in turn (1/256 each);
        the rest refers to any, or to what an earlier one does (``urn``, 1/16 entity).
    """
    run, in_turn, repeats = styles.T
    lot = (words[1] & _LOW).astype(np.int64)
    follows = (lot % CHANCE_ONE < run) & (index > 0)
    turn = lot // CHANCE_ONE % CHANCE_ONE < in_turn
    size = np.maximum(n, 1)
    anyone = (((words[1] >> _HALF) * size.astype(np.uint64)) >> _HALF).astype(np.int64)
    own = np.where(turn, index % size, anyone)
    source = _ball(index, np.where(turn, 0, repeats), words[0])
    return np.asarray(own[_follow(np.where(follows, np.arange(len(index)) - 1, source))], dtype=np.int64)


def urn(index: IntArray, repeats: IntArray, words: WordArray) -> IntArray:
    """Return the place of the entity that each entity takes after in the end, its own if after none.

    Entity number i of an organization takes after itself with the chance r / (r + i), r being ``repeats``
    (1/16 entity), else after any earlier one of the organization (a Chinese restaurant process, Aldous 1985).
    With 0 it takes after none.
    """
    return _follow(_ball(index, repeats, words))


def _ball(index: IntArray, repeats: IntArray, words: WordArray) -> IntArray:
    place = np.arange(len(index))
    total = (repeats + REPEAT_ONE * index).astype(np.uint64)
    ball = (((words >> _HALF) * total) >> _HALF).astype(np.int64) // REPEAT_ONE
    return np.where((repeats > 0) & (ball < index), place - index + ball, place)


def _follow(source: IntArray) -> IntArray:
    """Return where each chain of places ends."""
    while True:
        further = source[source]
        if np.array_equal(further, source):
            return source
        source = further


# (run, in_turn, repeat) where nothing was measured. Owners: the first of many has the most (a Pareto index of
# 1.07 to 1.10 of jobs per user in Kelvin2); jobs: most pipelines have one; tasks: any job.
DEFAULT_LINKS = {
    "pipelines.owner": (0, 0, 2 * REPEAT_ONE),
    "jobs.owner": (0, 0, 2 * REPEAT_ONE),
    "jobs.pipeline": (0, 3 * CHANCE_ONE // 4, 0),
    "scheduled_tasks.job": (0, 0, 0),
}


class Inside:
    """Styles, entities and links of a noise model; without a specification, links by default.

    Attributes
    ----------
    entities : list of Entities
        Columns that are drawn together, in the order of drawing.
    links : dict of str to Link
        By kind and column (``jobs.pipeline``).
    """

    def __init__(self, spec: InsideSpec | None) -> None:
        spec = spec or InsideSpec(entities=[], links={})
        links = {name: spec.links.get(name) or LinkSpec(styles=[by]) for name, by in DEFAULT_LINKS.items()}
        self.entities: list[Entities] = []
        for group in spec.entities:
            earlier = [name for one in self.entities if one.kind == group.kind for name in one.columns]
            self.entities.append(Entities(group, earlier))
        self.links = {name: Link(link) for name, link in links.items()}
        parts: list[EntitiesSpec | LinkSpec] = [*spec.entities, *links.values()]
        self._trees = [_tree(part.style, len(part.styles)) for part in parts]
        self._wanted = {feature for tree in self._trees if tree for feature in tree.given}
        self.n_words = WORDS_PER_METRIC * len(parts)  # that the styles of one organization take

    def text(self, kind: str, column: str, numbers: IntArray) -> list[Any]:
        """Return what drawn numbers stand for: texts in a column of texts, else the numbers themselves."""
        for group in self.entities:
            if group.kind == kind and column in group.columns:
                texts = group.columns[column].texts
                return numbers.tolist() if texts is None else list(map(texts.__getitem__, numbers.tolist()))
        return list(numbers.tolist())

    def draw(
        self,
        known: Mapping[str, IntArray],
        style_words: WordArray,
        entity_words: Callable[[str, IntArray, int], Sequence[WordArray]],
    ) -> dict[str, dict[str, IntArray]]:
        """Return the columns of the entities of some organizations, by kind.

        Parameters
        ----------
        known : mapping of str to array of int, shape (n_organizations,)
            Counts and configuration; entities of a kind are as many as the count of its name.
        style_words : array of uint64, shape (n_organizations, n_words)
        entity_words : function
            From a kind or link, the number of its entities in each organization and a width to so many
            columns of words, shape (n_entities,) each.
        """
        values = dict(known)
        drawn: dict[str, dict[str, IntArray]] = {}
        parts: list[Entities | Link] = [*self.entities, *self.links.values()]
        names = [*("+".join([one.kind, *one.columns]) for one in self.entities), *self.links]
        for number, (name, part, tree) in enumerate(zip(names, parts, self._trees, strict=True)):
            kind = part.kind if isinstance(part, Entities) else name.partition(".")[0]
            counts = known[kind]
            organization = np.repeat(np.arange(len(counts)), counts)
            index = np.arange(len(organization)) - (np.cumsum(counts) - counts)[organization]
            style = _styles(tree, values, style_words[:, WORDS_PER_METRIC * number :])[organization]
            words = entity_words(name, counts, part.n_words)
            if isinstance(part, Entities):
                drawn[kind], cells = part.draw(style, index, words, drawn.get(kind, {}))
                for column in part.columns:
                    if (limits := known.get(AT_MOST.get((kind, column), ""))) is not None:
                        limit = limits[organization]
                        drawn[kind][column] = np.minimum(drawn[kind][column], limit)
                for column, cell in cells.items():
                    feature = mean_feature(kind, column)
                    if feature in self._wanted:
                        values[feature] = mean_cell(organization, cell, counts)
            else:
                column = name.partition(".")[2]
                found = part.draw(style, index, known[LINKS[kind, column]][organization], words)
                drawn.setdefault(kind, {})[column] = found
                features = link_features(name)
                if self._wanted & set(features):
                    seen = observe_link(organization, found, counts)
                    values |= dict(zip(features, seen, strict=True))
        return drawn


def _styles(tree: Conditional | None, values: Mapping[str, IntArray], words: WordArray) -> IntArray:
    """Return the style of each organization by a tree; the first one where there is none."""
    n = len(words)
    none = np.zeros(n, dtype=np.int64)
    if tree is None:
        return none
    whole = Window(none.astype(np.uint64), np.full(n, SCALE, dtype=np.uint64))
    rank = tree.ranks({name: values.get(name, none) for name in tree.given}, words, whole)
    return np.searchsorted(tree.cells, rank, side="right").astype(np.int64) - 1


def mean_feature(kind: str, column: str) -> str:
    """Return the name under which trees know the mean cell of a column."""
    return f"{kind}.{column}:mean"


def link_features(name: str) -> tuple[str, str]:
    """Return the names under which trees know how entities share what they refer to."""
    return f"{name}:different", f"{name}:top"


def mean_cell(organization: IntArray, cell: IntArray, counts: IntArray) -> IntArray:
    """Return the mean cell of each organization's entities in units of 1/16, -1 where it has none."""
    total = np.zeros(len(counts), dtype=np.int64)
    np.add.at(total, organization, cell)
    return np.where(counts > 0, MEAN_ONE * total // np.maximum(counts, 1), -1)


def observe_link(organization: IntArray, found: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Return how many different ones are referred to, and the share (1/16) of the commonest (-1: none)."""
    different = np.zeros(len(counts), dtype=np.int64)
    commonest = np.zeros(len(counts), dtype=np.int64)
    if len(found):
        width = int(found.max()) + 1
        pairs, sizes = np.unique(organization * width + found, return_counts=True)
        np.add.at(different, pairs // width, 1)
        np.maximum.at(commonest, pairs // width, sizes)
    return different, np.where(counts > 0, MEAN_ONE * commonest // np.maximum(counts, 1), -1)


def _tree(spec: ConditionalSpec | None, n_styles: int) -> Conditional | None:
    if spec is None:
        return None
    if spec.given is None or spec.cells is None or spec.trees is None:
        raise ValueError("a style needs given, cells and trees")
    if len(spec.cells) != n_styles + 1:
        raise ValueError(f"{len(spec.cells) - 1} cells for {n_styles} styles")
    return Conditional(spec.given, spec.cells, spec.trees)
