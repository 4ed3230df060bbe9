"""Types of numpy arrays, and the logarithmic scale on which counts are compared."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
WordArray = NDArray[np.uint64]


def log_scale(values: NDArray[np.number]) -> FloatArray:
    """Return sign(v) * log(1 + |v|): near linear for small counts, logarithmic for large ones."""
    values = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))
