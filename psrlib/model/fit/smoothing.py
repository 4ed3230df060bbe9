"""The empirical marginal, smoothed: what the counts say, without repeating their accidents.

A model that repeats its sample's accidents (this value three times, that one not at all) is told from new
organizations by them. So each value is spread over the neighbourhood that holds ``k`` organizations, on a
log scale, not across gaps where nothing was seen, and values that stand out (zeros, tier constants, round
numbers) keep their excess. ``k`` is chosen by cross-validated likelihood.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KDTree

from psrlib.arrays import FloatArray, IntArray, log_scale
from psrlib.model.specs import TableSpec
from psrlib.stats.histogram import Bins, make_bins

WEIGHT_TOTAL = 1 << 20  # weights of a frozen table are integers that sum to about this
NEIGHBOURS = (0.0, 0.03, 0.08, 0.2)  # candidates for k, as a share of the organizations
_EMPTY = 6.0  # a gap counts when this many organizations were expected in it: chance below exp(-6)
_HEAP_Z = 4.0  # a value stands out when its count is this many standard deviations above its neighbours
_HEAP_COUNT = 5  # and at least this many organizations share it
_REACH = 0.1  # how far beyond the largest value the tail may reach, relative
_WIDEST = 0.7  # no value is spread farther than to half or double of it
_FOLDS = 3
_BACKGROUND = 0.02  # share of a flat background in the cross-validated likelihood, so that no fold is -inf


@dataclass(frozen=True)
class Smoothed:
    """Probabilities of bins, shape (n_bins,), and the share of neighbours used."""

    bins: Bins
    probability: FloatArray
    neighbours: float

    def freeze(self) -> TableSpec:
        """Return the bins that can be drawn, with integer weights."""
        weight = np.round(self.probability * WEIGHT_TOTAL).astype(int)
        kept = np.flatnonzero(weight)
        return TableSpec(
            low=self.bins.low[kept].tolist(),
            high=self.bins.high[kept].tolist(),
            weight=weight[kept].tolist(),
        )


def smooth(values: IntArray, largest: int | None = None) -> Smoothed:
    """Return the smoothed distribution of one metric.

    Parameters
    ----------
    values : array of int, shape (n_organizations,)
    largest : int or None
        No value above it is possible (a limit); None lets the tail reach a little beyond the sample.
    """
    # two neighbouring values have nothing between them to smooth over
    share = _choose_neighbours(values) if len(values) >= 2 * _FOLDS and np.ptp(values) > 1 else 0.0
    bins, probability = _spread(values, round(share * len(values)), largest)
    return Smoothed(bins, probability, share)


def _choose_neighbours(values: IntArray) -> float:
    fold = np.random.default_rng(0).permutation(len(values)) % _FOLDS
    gains = [sum(_held_out(values, fold == f, share) for f in range(_FOLDS)) for share in NEIGHBOURS]
    return NEIGHBOURS[int(np.argmax(gains))]


def _held_out(values: IntArray, test: NDArray[np.bool_], share: float) -> float:
    train = values[~test]
    bins, probability = _spread(train, round(share * len(train)), int(values.max()))
    inside = (values[test] >= bins.low[0]) & (values[test] <= bins.high[-1])
    index = bins.index(values[test])
    density = np.where(inside, probability[index] / (bins.high - bins.low + 1)[index], 0.0)
    scale = log_scale(np.array([values.min() - 0.5, values.max() + 0.5]))
    flat = (log_scale(values[test] + 0.5) - log_scale(values[test] - 0.5)) / (scale[1] - scale[0])
    return float(np.log((1 - _BACKGROUND) * density + _BACKGROUND * flat).sum())


def _spread(values: IntArray, k: int, largest: int | None) -> tuple[Bins, FloatArray]:
    distinct, counts = np.unique(values, return_counts=True)
    heaps = distinct[counts >= _HEAP_COUNT]
    if k < 1 or len(distinct) == 1:
        bins = make_bins(int(distinct[0]), _top(distinct, largest), heaps)
        return bins, np.bincount(bins.index(distinct), counts, len(bins.low)) / len(values)
    place = log_scale(distinct)
    rows = log_scale(values)[:, None]
    width = np.minimum(KDTree(rows).query(place[:, None], k=min(k, len(values)))[0][:, -1], _WIDEST)
    segment = _segments(distinct, width, k)
    bins = make_bins(int(distinct[0]), _top(distinct, largest), heaps)
    edges = bins.edges
    own = bins.index(distinct)
    first = edges[own[np.searchsorted(segment, segment, side="left")]]
    last = edges[own[np.searchsorted(segment, segment, side="right") - 1] + 1]
    last[segment == segment[-1]] = edges[-1]
    share = _kernel(place, width, first, last, edges)
    still = share.sum(axis=1) <= 0
    share[still, own[still]] = 1.0
    share /= share.sum(axis=1, keepdims=True)
    mass = (counts[:, None] * share).sum(axis=0)
    return bins, _keep_heaps(mass, counts, own, share, bins)


def _top(distinct: IntArray, largest: int | None) -> int:
    """Return where the tail ends: a little beyond the largest value, which thus is not told exactly."""
    last = int(distinct[-1])
    top = last + int(_REACH * max(last, 0))
    return top if largest is None else max(last, min(top, largest))


def _kernel(
    place: FloatArray, width: FloatArray, first: FloatArray, last: FloatArray, edges: FloatArray
) -> FloatArray:
    """Return the mass of a parabolic kernel at each place in each bin, cut to its segment."""
    inside = np.clip(edges[None, :], first[:, None], last[:, None])
    x = np.clip((inside - place[:, None]) / np.maximum(width, 1e-9)[:, None], -1, 1)
    return np.where(width[:, None] > 0, np.diff(0.75 * (x - x**3 / 3), axis=1), 0.0)


def _segments(distinct: IntArray, width: FloatArray, k: int) -> IntArray:
    """Number the runs of values between which no gap is wider than chance allows."""
    gap = log_scale(distinct[1:] - 0.5) - log_scale(distinct[:-1] + 0.5)
    density = k / (2 * np.maximum(width, 1e-3))
    expected = gap * np.minimum(density[1:], density[:-1])
    return np.concatenate([[0], np.cumsum(expected > _EMPTY)]).astype(np.int64)


def _keep_heaps(
    mass: FloatArray, counts: IntArray, own: IntArray, share: FloatArray, bins: Bins
) -> FloatArray:
    alone = (counts >= _HEAP_COUNT) & (bins.low[own] == bins.high[own])
    others = mass[own] - counts * share[np.arange(len(own)), own]
    stays = 1 - share[np.arange(len(own)), own]
    excess = counts - others / np.maximum(stays, 1e-9)
    heap = alone & (stays > 0) & (counts > others / np.maximum(stays, 1e-9) + _HEAP_Z * np.sqrt(others + 1))
    result = mass - (np.where(heap, excess, 0.0)[:, None] * share).sum(axis=0)
    np.add.at(result, own[heap], excess[heap])
    result = np.maximum(result, 0)
    probability: FloatArray = result / result.sum()
    return probability
