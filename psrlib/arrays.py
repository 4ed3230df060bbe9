"""Types of numpy arrays, the logarithmic scale on which counts are compared, and ranks."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
WordArray = NDArray[np.uint64]


def log_scale(values: NDArray[np.number]) -> FloatArray:
    """Return sign(v) * log(1 + |v|): near linear for small counts, logarithmic for large ones."""
    values = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def mean_ranks(values: NDArray[np.number]) -> FloatArray:
    """Return the rank of each value, from 1; equal ones have the mean of their ranks.

    Examples
    --------
    >>> mean_ranks(np.array([7, 5, 7])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks
