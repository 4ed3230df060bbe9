"""Words that spread organizations evenly over what a model can draw: a scrambled Sobol sequence.

Ten independent draws from a heavy tail may hold three giants or none. Here the upper halves of the words
of an organization are a point of a low-discrepancy sequence: among the first 2, 4, 8, ... organizations
one is in each half, quarter, eighth, ... of each metric's distribution, and groups of six metrics are
spread evenly together. Each organization by itself is still distributed exactly as the model says, and
depends on the random seed and its position only. Integers only, so the same everywhere.

Sobol's sequence with the direction numbers of Joe and Kuo (2008); each group of metrics takes the points
in an order of its own, and each metric is scrambled by itself (Owen 1995), both by the hash of Laine and
Karras (2011) as Burley, "Practical hash-based Owen scrambling" (JCGT 9(4), 2020), does it, with the
constants of Vegdahl (2021).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from psrlib.arrays import WordArray

GROUP = 6  # metrics spread evenly together; later dimensions of the sequence are worse
# degree, coefficients and initial numbers of the primitive polynomials of dimensions 2 to 6 (Joe and Kuo)
_POLYNOMIALS = ((1, 0, (1,)), (2, 1, (1, 3)), (3, 1, (1, 3, 1)), (3, 2, (1, 1, 1)), (4, 1, (1, 1, 3, 3)))
_BITS = 32

Halves = NDArray[np.uint32]


def n_keys(n_columns: int) -> int:
    """Return how many 64-bit keys the columns and their groups need."""
    return n_columns + -(-n_columns // GROUP)


def spread_evenly(words: WordArray, first: int, columns: Sequence[int], keys: WordArray) -> WordArray:
    """Return words whose upper halves in some columns are points of the sequence.

    Parameters
    ----------
    words : array of uint64, shape (n_organizations, n_words)
        Raw random bits; lower halves and other columns stay what they are.
    first : int
        Position of the first organization.
    columns : sequence of int
        What matters most first: neighbours are spread evenly together.
    keys : array of uint64, shape (n_keys(len(columns)),)
        Raw random bits, the same for all organizations of a random seed.
    """
    own, shared = keys[: len(columns)], keys[len(columns) :]
    positions = np.arange(first, first + len(words), dtype=np.uint32)
    result = words & np.uint64(0xFFFFFFFF)
    rest = np.setdiff1d(np.arange(words.shape[1]), columns)
    result[:, rest] = words[:, rest]
    for index, column in enumerate(columns):
        dimension = index % GROUP
        if dimension == 0:
            order = _scramble(positions, shared[index // GROUP])
        point = _scramble(_sobol(order, dimension), own[index]).astype(np.uint64)
        result[:, column] |= point << np.uint64(_BITS)
    return result


def _scramble(x: Halves, key: np.uint64) -> Halves:
    """Return x with each bit flipped or not by a hash of key and the bits above it."""
    seed = np.uint32(key & np.uint64(0xFFFFFFFF))
    x = _reversed(x)
    x = x ^ (x * np.uint32(0x3D20ADEA))
    x = x + seed
    x = x * ((seed >> np.uint32(16)) | np.uint32(1))
    x = x ^ (x * np.uint32(0x05526C56))
    x = x ^ (x * np.uint32(0x53A22864))
    return _reversed(x)


def _reversed(x: Halves) -> Halves:
    """Return x with its 32 bits in reverse order: neighbours change places, then pairs, fours, ..."""
    for width, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0xFFFF)):
        shift, lower = np.uint32(width), np.uint32(mask)
        x = ((x >> shift) & lower) | ((x & lower) << shift)
    return x


def _sobol(index: Halves, dimension: int) -> Halves:
    """Return one coordinate of the points with these indices, in units of 2**-32."""
    point = np.zeros_like(index)
    for place, number in enumerate(_direction_numbers(dimension)):
        point ^= ((index >> np.uint32(place)) & np.uint32(1)) * np.uint32(number)
    return point


def _direction_numbers(dimension: int) -> list[int]:
    """Return the 32 direction numbers of a dimension, by the recurrence of its polynomial."""
    if dimension == 0:
        return [1 << (_BITS - 1 - place) for place in range(_BITS)]
    degree, coefficients, initial = _POLYNOMIALS[dimension - 1]
    numbers = [value << (_BITS - 1 - place) for place, value in enumerate(initial)]
    for place in range(degree, _BITS):
        number = numbers[place - degree] ^ (numbers[place - degree] >> degree)
        for step in range(1, degree):
            if (coefficients >> (degree - 1 - step)) & 1:
                number ^= numbers[place - step]
        numbers.append(number)
    return numbers
