"""Histograms of counts: the grid of ranges they stand on, and those that tell at least five organizations.

Ranges told are those that make the values most likely, less a price per range (Bayesian blocks; Scargle and
others 2013), so zeros, tiers and gaps show and accidents do not. Their ends lie on a fixed grid, every small
value and then steps of 3 %, so that they tell no organization's value; only values that five organizations
share have a place of their own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psrlib.arrays import FloatArray, IntArray, log_scale

SMALLEST_COUNT = 5  # organizations that a told number counts, at least
STEP = 0.03  # width of a step of large counts, relative: what a reader of a log axis cannot see
_PRICE = 2.0  # log likelihood that one more range must gain
_MOVED = 8.0  # log likelihood that it costs to count an organization with a range it is not in


@dataclass(frozen=True)
class Bins:
    """Ranges ``low..high`` of integers, ascending and without overlap; shape (n_bins,)."""

    low: IntArray
    high: IntArray

    def index(self, values: IntArray) -> IntArray:
        """Return the bin of each value."""
        return np.clip(np.searchsorted(self.high, values), 0, len(self.low) - 1).astype(np.int64)

    @property
    def edges(self) -> FloatArray:
        """Edges between bins without gaps, on the log scale, between integers; shape (n_bins + 1,)."""
        return log_scale(np.append(self.low - 0.5, self.high[-1] + 0.5))


@dataclass(frozen=True)
class Histogram(Bins):
    """Ranges, and the organizations in each; shape (n_bins,)."""

    count: IntArray

    def cumulative(self, places: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the share of organizations below each place; within a range even on the log scale."""
        x = log_scale(np.stack([self.low - 0.5, self.high + 0.5], axis=1).ravel())
        end = np.cumsum(self.count) / self.count.sum()
        y = np.stack([np.append(0.0, end[:-1]), end], axis=1).ravel()
        return np.asarray(np.interp(log_scale(places), x, y))


def make_bins(smallest: int, largest: int, alone: IntArray) -> Bins:
    """Return bins without gaps from smallest to largest; the values in ``alone`` get bins of their own.

    Examples
    --------
    >>> bins = make_bins(0, 100, np.array([100]))
    >>> bins.low[:4].tolist(), bins.low[-2:].tolist(), bins.high[-2:].tolist()
    ([0, 1, 2, 3], [99, 100], [99, 100])
    """
    starts = np.append(_starts(max(abs(smallest), abs(largest)), alone), smallest)
    starts = np.unique(starts[(starts >= smallest) & (starts <= largest)])
    return Bins(starts, np.append(starts[1:] - 1, largest))


def _starts(largest: float, alone: IntArray) -> IntArray:
    """Return where steps of the grid begin, up to beyond ±largest, and the steps of the values ``alone``."""
    grid = [0]
    while grid[-1] <= largest:
        grid.append(grid[-1] + max(1, int(STEP * grid[-1])))
    positive = np.array(grid, dtype=np.int64)
    return np.unique(np.concatenate([1 - positive[1:], positive, alone, alone + 1]))


def make_histogram(values: IntArray) -> Histogram:
    """Return the histogram of one metric, values of shape (n_organizations,), at least five of them.

    Fewer than five organizations far from all others are counted with the nearest range. The outermost ranges
    end at the means of the five outermost values, so no single one is told.

    Examples
    --------
    >>> histogram = make_histogram(np.repeat([0, 3, 100, 7000], [50, 40, 8, 2]))
    >>> histogram.low.tolist(), histogram.high.tolist(), histogram.count.tolist()
    ([0, 3, 100], [0, 3, 100], [50, 40, 10])
    """
    steps = find_steps(values)
    width = log_scale(steps.high + 0.5) - log_scale(steps.low - 0.5)
    first = partition(steps.count, width, _PRICE)
    last = np.append(first[1:], len(steps.low)) - 1
    count = move_few(np.add.reduceat(steps.count, first))
    kept = count > 0
    low, high = steps.low[first[kept]], steps.high[last[kept]]
    ordered = np.sort(values)
    lowest = int(np.floor(ordered[:SMALLEST_COUNT].mean()))
    highest = int(np.ceil(ordered[-SMALLEST_COUNT:].mean()))
    low[0] = np.clip(lowest, low[0], high[0])
    high[-1] = np.clip(highest, low[-1], high[-1])
    return Histogram(low, high, count[kept])


def find_steps(values: IntArray) -> Histogram:
    """Return the steps of the grid that hold values, each gap as one; a value that five share has its own."""
    distinct, shared = np.unique(values, return_counts=True)
    alone = distinct[shared >= SMALLEST_COUNT]
    starts = _starts((1 + STEP) * (np.abs(distinct).max() + 1), alone)
    used = np.unique(np.searchsorted(starts, distinct, side="right") - 1)
    starts = np.unique(np.concatenate([starts[used], starts[used + 1]]))
    place = np.searchsorted(starts, values, side="right") - 1
    count = np.bincount(place, minlength=len(starts) - 1).astype(np.int64)
    return Histogram(starts[:-1], starts[1:] - 1, count)


def partition(count: IntArray, width: FloatArray, price: float) -> IntArray:
    """Return where the ranges start that make the counts most likely, found by dynamic programming.

    Parameters
    ----------
    count : array of int, shape (n_steps,)
        Organizations in each step; at least five in all.
    width : array of float, shape (n_steps,)
        Width of each step, positive.
    price : float
        Log likelihood that a further range must gain.
    """
    total = np.concatenate([[0], np.cumsum(count)])
    place = np.concatenate([[0.0], np.cumsum(width)])
    best = np.zeros(len(count) + 1)
    start = np.zeros(len(count) + 1, dtype=np.int64)
    for end in range(1, len(count) + 1):
        inside = total[end] - total[:end]
        gain = inside * np.log(np.maximum(inside, 1) / (place[end] - place[:end]))
        few = (inside > 0) & (inside < SMALLEST_COUNT)
        score = best[:end] + np.where(few, -_MOVED * inside, gain) - price
        start[end] = np.argmax(score)
        best[end] = score[start[end]]
    firsts = [len(count)]
    while firsts[-1] > 0:
        firsts.append(int(start[firsts[-1]]))
    return np.array(firsts[:0:-1], dtype=np.int64)


def move_few(count: IntArray) -> IntArray:
    """Return the counts of ranges, those of fewer than five counted with the nearest range of five or more.

    Examples
    --------
    >>> move_few(np.array([9, 0, 2, 5])).tolist()
    [9, 0, 0, 7]
    """
    moved = count.copy()
    enough = np.flatnonzero(count >= SMALLEST_COUNT)
    if len(enough) == 0:
        moved[:] = 0
        moved[int(np.argmax(count))] = count.sum()
        return moved
    for place in np.flatnonzero((count > 0) & (count < SMALLEST_COUNT)):
        moved[enough[np.argmin(np.abs(enough - place))]] += count[place]
        moved[place] = 0
    return moved
