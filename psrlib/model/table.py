"""Quantile tables: from 64 raw random bits to a value, with integer arithmetic only.

A table is a list of values and integer cumulative thresholds on a scale of 2**32. A draw takes the upper
32 bits of a word and looks up the first threshold above them, so it is the same on every numpy version,
operating system and processor (design.md, section 5).
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from psrlib.arrays import IntArray, WordArray

SCALE_BITS = 32  # resolution of probabilities; 2**-32 is far below what any data can tell
SCALE = 1 << SCALE_BITS


class QuantileTable:
    """Values with frozen integer probabilities.

    Parameters
    ----------
    values : sequence
        What is drawn: ints, strings or rows (lists), shape (n_values,).
    weights : sequence of int or float
        Relative frequency of each value, non-negative, with a positive sum.

    Raises
    ------
    ValueError
        If lengths differ, a weight is negative or not finite, or all are zero.

    Examples
    --------
    >>> table = QuantileTable([10, 20], [3, 1])
    >>> words = np.array([0, 2**63, 3 * 2**62, 2**64 - 1], dtype=np.uint64)
    >>> table.look_up(words).tolist()
    [0, 0, 1, 1]
    >>> table.look_up(words, limit=1).tolist()
    [0, 0, 0, 0]
    """

    def __init__(self, values: Sequence[Any], weights: Sequence[float]) -> None:
        if len(values) != len(weights):
            raise ValueError(f"{len(values)} values but {len(weights)} weights")
        self.values = list(values)
        self.thresholds = cumulative_thresholds(weights)

    def __len__(self) -> int:
        return len(self.values)

    def look_up(self, words: WordArray, limit: int | IntArray | None = None) -> IntArray:
        """Return the index of the value that each word draws.

        Parameters
        ----------
        words : array of uint64, shape (n,)
            Raw random bits; the upper 32 are used.
        limit : int, array of int of shape (n,), or None
            Draw among the first ``limit`` values only, with their relative frequencies unchanged. At least 1
            is taken where it is less, all values where it is more; a first part of zero weight gives its
            last value.

        Returns
        -------
        array of int64, shape (n,)
            Indices into ``values``.
        """
        bits = np.asarray(words, dtype=np.uint64) >> np.uint64(64 - SCALE_BITS)
        if limit is None:
            return np.searchsorted(self.thresholds, bits, side="right").astype(np.int64)
        last = np.clip(np.asarray(limit, dtype=np.int64), 1, len(self)) - 1
        bits = (bits * self.thresholds[last]) >> np.uint64(SCALE_BITS)
        index = np.searchsorted(self.thresholds, bits, side="right").astype(np.int64)
        return np.minimum(index, last)


def cumulative_thresholds(weights: Sequence[float]) -> WordArray:
    """Return the cumulative shares of the weights on the scale of 2**32, rounded down exactly.

    Examples
    --------
    >>> cumulative_thresholds([1, 1, 2]).tolist()
    [1073741824, 2147483648, 4294967296]
    """
    if not all(0 <= float(weight) < float("inf") for weight in weights):
        raise ValueError("a weight is negative or not finite")
    # whole numbers, which models hold by the ten thousand, need no fractions to be exact
    whole = all(type(weight) is int for weight in weights)
    exact: Sequence[Any] = weights if whole else [Fraction(weight) for weight in weights]
    total = sum(exact)
    if total <= 0:
        raise ValueError("the weights do not sum to something positive")
    thresholds, running = [], 0 * total
    for weight in exact:
        running += weight
        thresholds.append(running * SCALE // total)
    return np.array(thresholds, dtype=np.uint64)
