"""Relations between metrics: a metric told as a share of another one, or as what it has more than it.

The same units as in a noise model (``psrlib.model.unit``), so a fit takes them over as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from psrlib.stats.histogram import IntArray
from psrlib.stats.schema import CONFIG

SHARE_ONE = 1 << 12  # shares are told in units of 1/4096
KEYS = {"share": "share_of", "difference": "more_than"}  # field of a marginal that names the base
_BASES = 2  # how many metrics to try as base
_BASE_CORRELATION = 0.5  # a base must go together with the metric at least this much (Spearman)


@dataclass(frozen=True)
class Relation:
    """What a metric is told as; ``base`` is the metric a share or difference refers to, empty for a count.

    Examples
    --------
    >>> jobs = {"jobs": np.array([10, 3])}
    >>> Relation("share", "jobs").values(np.array([5, 3]), jobs).tolist()
    [2048, 4096]
    >>> Relation("difference", "jobs").values(np.array([12, 2]), jobs).tolist()
    [2, -1]
    """

    kind: Literal["count", "share", "difference"] = "count"
    base: str = ""

    def values(self, counts: IntArray, known: Mapping[str, IntArray]) -> IntArray:
        """Return the counts in this unit; the nearest share where none is exact."""
        if self.kind == "share":
            base = np.maximum(known[self.base], 1)
            shares: IntArray = (2 * counts * SHARE_ONE + base) // (2 * base)
            return shares
        return counts - known[self.base] if self.kind == "difference" else counts

    def window(self, counts: IntArray, known: Mapping[str, IntArray]) -> tuple[IntArray, IntArray]:
        """Return the smallest and largest value in this unit that stands for each count."""
        if self.kind == "share":
            base = np.maximum(known[self.base], 1)
            low = -((SHARE_ONE // 2 - counts * SHARE_ONE) // base)
            high = ((counts + 1) * SHARE_ONE - SHARE_ONE // 2 - 1) // base
            return low, np.maximum(high, low)
        values = self.values(counts, known)
        return values, values

    def feature(self, name: str) -> str:
        """Return the name under which later trees know a metric in this unit."""
        return f"{name}:{self.kind}"


def possible_relations(name: str, counts: IntArray, known: Mapping[str, IntArray]) -> list[Relation]:
    """Return the units worth trying: a count first, then relations to the metrics it goes with most closely.

    Active jobs always are a share of the jobs, limits always are counts.
    """
    if name == "active_jobs" and "jobs" in known:
        return [Relation("share", "jobs")]
    if name in CONFIG or np.ptp(counts) == 0:
        return [Relation()]
    varying = {b: v for b, v in known.items() if b not in CONFIG and np.ptp(v) > 0}
    ranks = pd.DataFrame({**varying, name: counts}).rank().corr()[name].abs()
    close = [base for base in varying if ranks[base] >= _BASE_CORRELATION]
    close.sort(key=lambda base: -ranks[base])
    return [Relation()] + [
        Relation(kind, base) for base in close[:_BASES] for kind in ("share", "difference")
    ]
