"""Effect sizes of series whose neighbours are alike, and what an interval says beside a tolerance.

Every difference has an interval, and a tolerance: the largest one that still counts as the same. It is *the
same* when the whole interval lies within the tolerance, *different* when all of it lies beyond, and otherwise
the recordings *could not tell*: two one-sided tests (Schuirmann 1987), at 2.5 % each. More samples make the
interval shorter, and never call a difference what is below the tolerance, as a test against "exactly equal"
would.

Intervals come from the means of contiguous batches, at most 20 of them (Schmeiser 1982), with Welch's t
(1947). Where the batches still have a correlation r from one to the next, their variance counts
(1 + r) / (1 - r) times.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from psrlib.arrays import FloatArray

Outcome = Literal["different", "could not tell", "same"]
OUTCOMES: tuple[Outcome, ...] = ("different", "could not tell", "same")  # the order in which they matter

CONFIDENCE = 0.95
BATCHES = 20
BATCHES_NEEDED = 5
TRIMMED = 0.2  # share of a batch's answer times at either end that does not count as usual
LARGEST_CORRELATION = 0.8
ROUNDING = 1e-18  # sums of squares below are those of equal numbers


class Effect(NamedTuple):
    """A difference and the ends of its interval; NaN when there is too little to say."""

    middle: float
    low: float
    high: float

    def exp(self) -> "Effect":
        """Return the ratio that a difference of logarithms is."""
        return Effect(*(float(np.exp(end)) for end in self))

    def judge(self, tolerance: float) -> Outcome:
        """Return what the interval says.

        Examples
        --------
        >>> [Effect(m, m - 1, m + 1).judge(2.0) for m in (0.5, 1.5, -4.0)]
        ['same', 'could not tell', 'different']
        """
        if -tolerance <= self.low <= self.high <= tolerance:
            return "same"
        return "different" if self.low > tolerance or self.high < -tolerance else "could not tell"


UNKNOWN = Effect(np.nan, np.nan, np.nan)


def contrast(*groups: tuple[int, FloatArray]) -> Effect:
    """Return the sum of the signed means of groups of batches; `UNKNOWN` when one has too few of them.

    Parameters
    ----------
    *groups : tuple of int and array
        Sign (1 or -1) and the value of each batch, in the order of time.
    """
    if min(len(x) for _, x in groups) < BATCHES_NEEDED:
        return UNKNOWN
    middle = float(sum(sign * x.mean() for sign, x in groups))
    squares = [_squared_error(x) for _, x in groups]
    square = sum(squares)
    if not square:
        return Effect(middle, middle, middle)
    freedom = square**2 / sum(s**2 / (len(x) - 1) for s, (_, x) in zip(squares, groups, strict=True))
    half = student_quantile((1 + CONFIDENCE) / 2, freedom) * square**0.5
    return Effect(middle, middle - half, middle + half)


def student_quantile(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t, of a probability from 0.5 to below 1.

    Notes
    -----
    Newton's method on the integral of the density from 0. With 64 nodes of Gauss and Legendre ten digits are
    right of what is asked here: 4 to 100 degrees of freedom, probabilities up to 0.99.
    """
    nodes, weights = np.polynomial.legendre.leggauss(64)
    factor = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(
        freedom * math.pi
    )
    t = 0.0
    for _ in range(20):
        density = factor * (1 + (np.append(t / 2 * (nodes + 1), t)) ** 2 / freedom) ** (-(freedom + 1) / 2)
        t += (probability - 0.5 - t / 2 * float(weights @ density[:-1])) / float(density[-1])
    return t


def _squared_error(x: FloatArray) -> float:
    """Return the squared standard error of the mean of batches that may still be correlated.

    A correlation counts as far as it is above its own standard error, 1 / sqrt(n) where there is none
    (Bartlett 1946).
    """
    deviation = x - x.mean()
    square = float(deviation @ deviation)
    if square < ROUNDING:
        return 0.0
    r = float(deviation[1:] @ deviation[:-1]) / square - len(x) ** -0.5
    r = min(max(r, 0.0), LARGEST_CORRELATION)
    widening: float = (1 + r) / (1 - r)
    return square / (len(x) - 1) / len(x) * widening


def split(x: NDArray[Any], least: int = 1) -> list[NDArray[Any]]:
    """Return contiguous batches of at least so many values, at most `BATCHES` of them."""
    n = min(BATCHES, len(x) // least)
    return np.array_split(x, n) if n else []


def batch_means(x: FloatArray) -> FloatArray:
    """Return the mean of each batch of a level."""
    return np.array([batch.mean() for batch in split(x)])


def usual(x: FloatArray, least: int) -> FloatArray:
    """Return the middle of each batch: the mean of what is left without a fifth at either end."""
    ordered = [np.sort(batch) for batch in split(x, least)]
    return np.array([x[int(TRIMMED * len(x)) : len(x) - int(TRIMMED * len(x))].mean() for x in ordered])


def slow(x: FloatArray, least: int) -> FloatArray:
    """Return how far the slow end of each batch, its 90 % quantile, is above its median."""
    return np.array([np.quantile(batch, 0.9) - np.median(batch) for batch in split(x, least)])


def excess(x: FloatArray, other: FloatArray, tolerance: float) -> tuple[float, float]:
    """Return the share of values beyond another's range and the tolerance, and how far the furthest is."""
    beyond = np.maximum(x - other.max(), 0) + np.minimum(x - other.min(), 0)
    return float(np.mean(np.abs(beyond) > tolerance)), float(beyond[np.argmax(np.abs(beyond))])
