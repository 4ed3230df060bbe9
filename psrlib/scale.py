"""The scale of a metric's numbers: counts, shares of another metric, or differences from another metric.

Pipelines follow jobs, and active jobs are a part of the jobs. Told as a share or a difference, such a
relation is one narrow distribution instead of a dependence that has to be learned count by count. Summaries
of stats sets and noise models use the same scales.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from psrlib.arrays import IntArray

SHARE_ONE = 1 << 12  # shares are integers in units of 1/4096; a share may exceed 1
KEYS = {"share": "share_of", "difference": "more_than"}  # field of a file that names the base


@dataclass(frozen=True)
class Scale:
    """What the numbers of a metric mean.

    Attributes
    ----------
    kind : {"count", "share", "difference"}
    base : str
        The other metric that a share or difference refers to; empty for a count.

    Examples
    --------
    >>> jobs = {"jobs": np.array([10, 3])}
    >>> Scale("share", "jobs").count(np.array([2048, 4096]), jobs).tolist()
    [5, 3]
    >>> Scale("difference", "jobs").value(np.array([12, 2]), jobs).tolist()
    [2, -1]
    """

    kind: Literal["count", "share", "difference"] = "count"
    base: str = ""

    @property
    def label(self) -> str:
        """The scale in words: ``count``, or ``share of jobs``."""
        return f"{self.kind} of {self.base}" if self.base else self.kind

    @property
    def fields(self) -> dict[str, str]:
        """The field that names the base in a model file or a summary; none for a count."""
        return {KEYS[self.kind]: self.base} if self.base else {}

    def feature(self, name: str) -> str:
        """Return the name under which later trees know a metric on this scale."""
        return f"{name}:{self.kind}"

    def count(self, values: IntArray, known: Mapping[str, IntArray]) -> IntArray:
        """Return the counts that values on this scale stand for; shares are rounded half up."""
        if self.kind == "share":
            counts: IntArray = (np.maximum(known[self.base], 1) * values + SHARE_ONE // 2) // SHARE_ONE
            return counts
        return values + known[self.base] if self.kind == "difference" else values

    def value(self, counts: IntArray, known: Mapping[str, IntArray]) -> IntArray:
        """Return the counts on this scale; the nearest share where none is exact."""
        if self.kind == "share":
            base = np.maximum(known[self.base], 1)
            shares: IntArray = (2 * counts * SHARE_ONE + base) // (2 * base)
            return shares
        return counts - known[self.base] if self.kind == "difference" else counts

    def window(
        self, low: IntArray, high: IntArray, known: Mapping[str, IntArray]
    ) -> tuple[IntArray, IntArray]:
        """Return the smallest and largest value on this scale whose counts are within ``low..high``."""
        if self.kind == "share":
            base = np.maximum(known[self.base], 1)
            first: IntArray = -((SHARE_ONE // 2 - low * SHARE_ONE) // base)
            last: IntArray = ((high + 1) * SHARE_ONE - SHARE_ONE // 2 - 1) // base
            return first, last
        shift = known[self.base] if self.kind == "difference" else np.int64(0)
        return low - shift, high - shift
