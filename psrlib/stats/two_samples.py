"""Two samples of organizations: how far apart their distributions are, and whether they can be told apart.

The fit report, the verification of a hub and the benchmarks use these figures alike.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psrlib.arrays import FloatArray, IntArray, mean_ranks

CHUNK = 256  # samples handled at once, to bound memory
# from features and +1 or -1 (first or second sample) of known rows, and features of others, to their scores
Classifier = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def ks_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov distance: the largest difference of two distribution functions.

    Examples
    --------
    >>> ks_distance([0, 0, 1, 1], [0, 1, 1, 1])
    0.25
    """
    return float(ks_distances(np.asarray(first)[None, :], np.asarray(second))[0])


def ks_distances(samples: NDArray[Any], reference: NDArray[Any]) -> FloatArray:
    """Return the distance of each row of samples, shape (n_samples, n), to one reference sample."""
    support, place = np.unique(np.concatenate([reference, samples.ravel()]), return_inverse=True)
    wanted = np.cumsum(np.bincount(place[: len(reference)], minlength=len(support))) / len(reference)
    positions = place[len(reference) :].reshape(samples.shape)
    largest = np.empty(len(samples))
    for start in range(0, len(samples), CHUNK):
        rows = positions[start : start + CHUNK]
        flat = (rows + np.arange(len(rows))[:, None] * len(support)).ravel()
        found = np.bincount(flat, minlength=len(rows) * len(support)).reshape(len(rows), len(support))
        shares = np.cumsum(found, axis=1) / samples.shape[1]
        largest[start : start + CHUNK] = np.abs(shares - wanted).max(axis=1)
    return largest


def two_sample_auc(first: FloatArray, second: FloatArray, fold: IntArray, classify: Classifier) -> float:
    """Return how well a classifier tells two samples apart on rows it has not seen, 0.5 (not) to 1 (fully).

    Parameters
    ----------
    first, second : array, shape (n, n_features)
    fold : array of int, shape (len(first) + len(second),)
        Rows of one fold are scored by a classifier that knows the other folds.
    classify : function
        From known rows to scores of others, larger for the first sample.

    Returns
    -------
    float
        Area under the ROC curve: the probability that a row of the first sample has the larger score, ties
        counting half.
    """
    features = np.vstack([first, second])
    is_first = np.repeat([1.0, -1.0], [len(first), len(second)])
    scores = np.empty(len(features))
    for held_out in np.unique(fold):
        test = fold == held_out
        scores[test] = classify(features[~test], is_first[~test], features[test])
    ranks = mean_ranks(scores)[: len(first)]
    return float((ranks.sum() - len(first) * (len(first) + 1) / 2) / (len(first) * len(second)))
