"""Units of a marginal: a count by itself, a share of another metric, or what it has more than another
metric.

Pipelines follow jobs, and active jobs are a part of the jobs: said as a share or a difference, such a
relation is one narrow marginal instead of a dependence that has to be learned count by count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from psrlib.model.table import IntArray

SHARE_ONE = 1 << 12  # shares are integers in units of 1/4096; a share may exceed 1


@dataclass(frozen=True)
class Unit:
    """What a marginal's values mean.

    Attributes
    ----------
    kind : {"count", "share", "difference"}
    base : str
        The metric drawn before that a share or difference refers to; empty for a count.

    Examples
    --------
    >>> jobs = {"jobs": np.array([10, 3])}
    >>> Unit("share", "jobs").count(np.array([2048, 4096]), jobs).tolist()
    [5, 3]
    >>> Unit("difference", "jobs").count(np.array([2, -1]), jobs).tolist()
    [12, 2]
    """

    kind: Literal["count", "share", "difference"] = "count"
    base: str = ""

    def count(self, values: IntArray, known: Mapping[str, IntArray]) -> IntArray:
        """Return the counts that values in this unit stand for; shares are rounded half up."""
        if self.kind == "share":
            counts: IntArray = (np.maximum(known[self.base], 1) * values + SHARE_ONE // 2) // SHARE_ONE
            return counts
        return values + known[self.base] if self.kind == "difference" else values

    def window(
        self, low: IntArray, high: IntArray, known: Mapping[str, IntArray]
    ) -> tuple[IntArray, IntArray]:
        """Return the smallest and largest value in this unit whose counts are within ``low..high``."""
        if self.kind == "share":
            base = np.maximum(known[self.base], 1)
            return -((SHARE_ONE // 2 - low * SHARE_ONE) // base), (
                (high + 1) * SHARE_ONE - SHARE_ONE // 2 - 1
            ) // base
        shift = known[self.base] if self.kind == "difference" else np.int64(0)
        return low - shift, high - shift

    def value(self, counts: IntArray, known: Mapping[str, IntArray]) -> IntArray:
        """Return the counts in this unit; the nearest share where none is exact."""
        if self.kind == "share":
            base = np.maximum(known[self.base], 1)
            shares: IntArray = (2 * counts * SHARE_ONE + base) // (2 * base)
            return shares
        return counts - known[self.base] if self.kind == "difference" else counts

    def feature(self, name: str) -> str:
        """Return the name under which later trees know a metric in this unit."""
        return f"{name}:{self.kind}"
