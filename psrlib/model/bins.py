"""Bins of integers: each small value by itself, larger ones in ranges a few percent wide."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psrlib.model.table import IntArray

FloatArray = NDArray[np.float64]
RELATIVE_WIDTH = 0.03  # a range of large counts; what a reader of a log axis cannot see


@dataclass(frozen=True)
class Bins:
    """Ranges ``low..high`` of integers, ascending, covering an interval without gaps; shape (n_bins,)."""

    low: IntArray
    high: IntArray

    def index(self, values: IntArray) -> IntArray:
        """Return the bin of each value."""
        return np.clip(np.searchsorted(self.high, values), 0, len(self.low) - 1).astype(np.int64)

    @property
    def edges(self) -> FloatArray:
        """Edges between bins on the log scale, half way between integers; shape (n_bins + 1,)."""
        return np.asarray(log_scale(np.append(self.low - 0.5, self.high[-1] + 0.5)))


def log_scale(values: NDArray[np.number]) -> FloatArray:
    """Return sign(v) * log(1 + |v|): near linear for small counts, logarithmic for large ones."""
    values = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def make_bins(smallest: int, largest: int, alone: IntArray) -> Bins:
    """Return bins from smallest to largest; the values in ``alone`` get bins of their own.

    Examples
    --------
    >>> bins = make_bins(0, 100, np.array([100]))
    >>> bins.low[:4].tolist(), bins.low[-2:].tolist(), bins.high[-2:].tolist()
    ([0, 1, 2, 3], [99, 100], [99, 100])
    """
    steps = [np.int64(0)]
    while steps[-1] <= max(abs(smallest), abs(largest)):
        steps.append(np.int64(steps[-1] + max(1, int(RELATIVE_WIDTH * steps[-1]))))
    positive = np.array(steps[:-1], dtype=np.int64)
    starts = np.concatenate(
        [-(np.array(steps[1:], dtype=np.int64) - 1), positive, alone, alone + 1, [smallest]]
    )
    starts = np.unique(starts[(starts >= smallest) & (starts <= largest)]).astype(np.int64)
    return Bins(starts, np.append(starts[1:] - 1, largest))
