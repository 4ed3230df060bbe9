"""The standard normal distribution in integers: the same table on every machine.

Heights of the distribution function are summed from its Taylor series in 256-bit fixed point, so no library's
``exp`` or ``erf`` is involved. Between two points of the grid both directions are linear.
"""

from functools import cache
from math import isqrt

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model.table import SCALE

Z_ONE = 1 << 12  # one standard deviation
_STEP = 1 << 6  # grid of 1/64 standard deviation
_REACH = 6 * Z_ONE  # beyond 6 standard deviations less than 2**-29 is left
_BITS = 256
# pi to 60 digits, from any table of constants
_PI = 314159265358979323846264338327950288419716939937510582097494


@cache
def _grid() -> tuple[IntArray, IntArray]:
    z = np.arange(-_REACH, _REACH + 1, _STEP, dtype=np.int64)
    upper = [_height(int(value)) for value in z[len(z) // 2 :]]
    lower = [SCALE - height for height in upper[:0:-1]]
    heights = np.array(lower + upper, dtype=np.int64)
    heights[0], heights[-1] = 0, SCALE
    return z, heights


def _height(z: int) -> int:
    """Return the distribution function at ``z / Z_ONE``, z >= 0, in units of 1/SCALE: 1/2 + a series."""
    one = 1 << _BITS
    x = (z << _BITS) // Z_ONE
    square = x * x >> _BITS
    term, total, k = x, x, 0
    while term:
        k += 1
        term = -(term * square >> _BITS) // (2 * k) if term > 0 else (-term * square >> _BITS) // (2 * k)
        total += term // (2 * k + 1) if term > 0 else -(-term // (2 * k + 1))
    root = isqrt((2 * _PI << (2 * _BITS)) // 10**59)
    return SCALE // 2 + (total * SCALE) // (root * one >> _BITS)


def normal_score(ranks: WordArray) -> IntArray:
    """Return the normal score of each rank, in units of 1/4096 standard deviation.

    Examples
    --------
    >>> normal_score(np.array([2**31, 4187593113], dtype=np.uint64)).tolist()
    [0, 8028]
    """
    z, heights = _grid()
    rank = ranks.astype(np.int64)
    index = np.clip(np.searchsorted(heights, rank, side="right") - 1, 0, len(z) - 2)
    span = heights[index + 1] - heights[index]
    scores: IntArray = z[index] + (rank - heights[index]) * _STEP // np.maximum(span, 1)
    return scores


def normal_rank(scores: IntArray) -> WordArray:
    """Return the rank in [0, 2**32) of each normal score.

    Examples
    --------
    >>> (normal_rank(np.array([0, 8028, -99999])) / SCALE).round(4).tolist()
    [0.5, 0.975, 0.0]
    """
    z, heights = _grid()
    inside = np.clip(np.asarray(scores, dtype=np.int64), -_REACH, _REACH - 1)
    index = (inside + _REACH) // _STEP
    span = heights[index + 1] - heights[index]
    rank = heights[index] + (inside - z[index]) * span // _STEP
    ranks: WordArray = np.minimum(rank, SCALE - 1).astype(np.uint64)
    return ranks
