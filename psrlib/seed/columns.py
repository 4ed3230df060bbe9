"""Drawing: the numbers of a range of organizations as columns, one value per entity.

Entities of one kind stand in one flat column, organization after organization. Everything is integer
arithmetic on raw words and look-ups in the model's quantile tables, so the numbers are the same everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model import NoiseModel, OrganizationDraws, QuantileTable
from psrlib.seed.streams import Streams

FEW, MANY = 1024, 8192  # organizations drawn at once, multiples of a block: at first and later


@dataclass(frozen=True)
class Rows:
    """Entities of one kind: how many in each organization, shape (n_organizations,)."""

    counts: IntArray

    @cached_property
    def offsets(self) -> IntArray:
        """Position of each organization's first entity, and the total, shape (n_organizations + 1,)."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.counts)])

    @cached_property
    def organization(self) -> IntArray:
        """Position of each entity's organization in the chunk, shape (n,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def index(self) -> IntArray:
        """Number of each entity in its organization, from 0, shape (n,)."""
        return np.arange(self.offsets[-1]) - self.offsets[self.organization]

    def spread(self, values: IntArray) -> IntArray:
        """Return a value per organization as a value per entity."""
        return values[self.organization]


def ranks(groups: IntArray) -> IntArray:
    """Return the number of earlier entries of the same group, shape (n,).

    Examples
    --------
    >>> ranks(np.array([5, 7, 5, 5, 7])).tolist()
    [0, 0, 1, 2, 1]
    """
    if not len(groups):
        return groups
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.append(starts, len(groups)))
    result = np.empty_like(groups)
    result[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return result


def nearest_rows(table: QuantileTable, keys: IntArray, wanted: IntArray, words: WordArray) -> IntArray:
    """Return a row of the table for each word, drawn among those whose key is nearest to the wanted one.

    Parameters
    ----------
    keys : array of int, shape (n_values,)
        Key of each value of the table.
    wanted : array of int, shape (n,)
        The smaller key is taken where two are as near.
    """
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(np.diff(table.thresholds, prepend=np.uint64(0))[order])
    distinct, first = np.unique(keys[order], return_index=True)
    bounds = np.concatenate([np.zeros(1, dtype=np.uint64), ends[np.append(first[1:], len(keys)) - 1]])
    between = (distinct[1:] + distinct[:-1]) // 2  # the last one that is nearer to the smaller, or as near
    near = np.searchsorted(between, wanted, side="left")
    below, above = bounds[near], bounds[near + 1]
    target = below + (((words >> np.uint64(32)) * (above - below)) >> np.uint64(32))
    place = np.searchsorted(ends, target, side="right")
    return np.asarray(order[np.minimum(place, len(keys) - 1)], dtype=np.int64)


class Details:
    """The detail tables of all archetypes under one name, looked up for entities of any archetype.

    Indices point into ``values``, the archetypes' values one after the other.
    """

    def __init__(self, tables: list[QuantileTable]) -> None:
        first = tables[0]
        same = (t.values == first.values and np.array_equal(t.thresholds, first.thresholds) for t in tables)
        self.tables = [first] if all(same) else tables
        self.starts = np.cumsum([0, *(len(table.values) for table in self.tables)])
        self.values: list[Any] = [value for table in self.tables for value in table.values]

    @cached_property
    def numbers(self) -> IntArray:
        """The values of a table of integers, shape (n_values,)."""
        return np.array(self.values, dtype=np.int64)

    def look_up(self, archetype: IntArray, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return indices into ``values``, shape (n,), for one archetype, word and limit per entity."""
        if len(self.tables) == 1:
            return self.tables[0].look_up(words, limit)
        index = np.zeros(len(words), dtype=np.int64)
        for number, table in enumerate(self.tables):
            rows = np.flatnonzero(archetype == number)
            if len(rows):
                found = table.look_up(words[rows], None if limit is None else limit[rows])
                index[rows] = found + self.starts[number]
        return index

    def draw(self, archetype: IntArray, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return drawn integers, shape (n,)."""
        return self.numbers[self.look_up(archetype, words, limit)]


class Drawer:
    """Draws chunks of organizations from a model; made once, used for any number of chunks."""

    def __init__(self, model: NoiseModel, random_seed: int) -> None:
        self.model = model
        self.streams = Streams(random_seed)
        self._details: dict[str, Details] = {}

    def organizations(self, organizations: range) -> OrganizationDraws:
        """Draw archetype, counts and configuration of the organizations, spread evenly over the model."""
        words = self.streams.table("organization", organizations, self.model.n_words)
        keys = self.streams.words("even organizations", 0, self.model.n_keys)
        return self.model.draw_evenly(words, organizations.start, keys)

    def blocks(self, n: int, size: int) -> Iterator[tuple[range, OrganizationDraws]]:
        """Yield ranges of at most ``size`` of ``n`` organizations with their draws.

        Many organizations are drawn at once, for a model of decision trees costs the same for 100 as for
        10,000; few at first, so that what follows can begin.
        """
        start, many = 0, FEW
        while start < n:
            end = min(start + many, n)
            draws = self.organizations(range(start, end))
            for first in range(start, end, size):
                last = min(first + size, end)
                yield range(first, last), _slice(draws, first - start, last - start)
            start, many = end, min(2 * many, MANY)

    def details(self, name: str) -> Details:
        """Return the detail tables of that name."""
        if name not in self._details:
            self._details[name] = Details([archetype.details[name] for archetype in self.model.archetypes])
        return self._details[name]


def _slice(draws: OrganizationDraws, first: int, last: int) -> OrganizationDraws:
    return OrganizationDraws(
        draws.archetype[first:last],
        draws.archetype_names,
        {name: column[first:last] for name, column in draws.counts.items()},
        {name: column[first:last] for name, column in draws.config.items()},
    )
