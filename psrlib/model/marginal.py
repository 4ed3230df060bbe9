"""Marginals as they are drawn: ranges of integers with frozen integer probabilities.

A rank is an integer in [0, 2**32); a marginal maps ranks to values, monotonically, and knows the first
rank of each value. Dependence (copula or forest) decides about ranks, so a marginal can be edited by hand
without touching the dependence.
"""

from collections.abc import Sequence

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model.specs import TableSpec
from psrlib.model.table import SCALE, cumulative_thresholds


class Marginal:
    """The distribution of one metric: ranges ``low..high`` of equally likely integers, each with a weight.

    Parameters
    ----------
    low, high : sequence of int
        Ends of each range, both included, ascending and without overlap.
    weight : sequence of int or float
        Relative probability of each range.

    Raises
    ------
    ValueError
        If ranges overlap or are empty, or the weights are not usable.

    Examples
    --------
    >>> marginal = Marginal([0, 10], [0, 19], [1, 1])
    >>> marginal.value(np.array([0, 2**31, 2**32 - 1], dtype=np.uint64)).tolist()
    [0, 10, 19]
    >>> marginal.first_rank(np.array([-5, 10, 15, 99])).tolist() == [0, 2**31, 3 * 2**30, 2**32]
    True
    """

    def __init__(self, low: Sequence[int], high: Sequence[int], weight: Sequence[float]) -> None:
        if not len(low) == len(high) == len(weight) > 0:
            raise ValueError(
                f"{len(low)} low, {len(high)} high and {len(weight)} weight: lengths differ or are 0"
            )
        thresholds = cumulative_thresholds(weight)
        self.low = np.array(low, dtype=np.int64)
        self.high = np.array(high, dtype=np.int64)
        if (self.high < self.low).any() or (self.low[1:] <= self.high[:-1]).any():
            raise ValueError("the ranges must ascend without overlap, each with low <= high")
        self._start = np.concatenate([np.zeros(1, dtype=np.uint64), thresholds[:-1]])
        self._span = thresholds - self._start
        self._end = thresholds

    @classmethod
    def from_table(cls, table: TableSpec) -> "Marginal":
        """Return the marginal of a table in a model file."""
        return cls(table.low, table.low if table.high is None else table.high, table.weight)

    @property
    def smallest(self) -> int:
        """The smallest value with positive probability."""
        return int(self.low[self._span > 0][0])

    @property
    def largest(self) -> int:
        """The largest value with positive probability."""
        return int(self.high[self._span > 0][-1])

    def value(self, ranks: WordArray) -> IntArray:
        """Return the value at each rank, shape of ``ranks``."""
        index = np.searchsorted(self._end, ranks, side="right")
        width = (self.high[index] - self.low[index] + 1).astype(np.uint64)
        offset = (ranks - self._start[index]) * width // self._span[index]
        values: IntArray = self.low[index] + offset.astype(np.int64)
        return values

    def first_rank(self, values: IntArray) -> WordArray:
        """Return the smallest rank whose value is at least the given one; 2**32 above the largest value."""
        values = np.asarray(values, dtype=np.int64)
        index = np.searchsorted(self.high, values, side="left")
        inside = np.minimum(index, len(self.low) - 1)
        width = (self.high[inside] - self.low[inside] + 1).astype(np.uint64)
        offset = np.maximum(values - self.low[inside], 0).astype(np.uint64)
        offset = np.minimum(offset, width)
        ranks = self._start[inside] + (offset * self._span[inside] + width - np.uint64(1)) // width
        return np.where(index == len(self.low), np.uint64(SCALE), ranks)
