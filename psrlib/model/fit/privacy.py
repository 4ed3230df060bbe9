"""Privacy: whether drawn organizations copy organizations the model was fitted to."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.neighbors import KDTree

from psrlib.arrays import FloatArray, log_scale
from psrlib.words import CONFIG

DISTINCTIVE = 5  # counts of at least this value ...
HANDFUL = 3  # ... at least this many of them, make an organization recognisable


@dataclass(frozen=True)
class Privacy:
    """Copies: the share of recognisable organizations that equal a training organization in every count.

    A ratio is the distance from a drawn organization to its nearest training organization over the same from
    a held-out organization; 1 or more: drawn ones are not nearer than strangers.
    """

    drawn_copies: float
    held_out_copies: float
    distance_ratio: float  # of the medians
    ratio_5: float  # of the 5 % quantiles: the nearest ones


def measure_privacy(drawn: pd.DataFrame, training: pd.DataFrame, held_out: pd.DataFrame) -> Privacy:
    """Compare how near drawn and held-out organizations come to the training organizations.

    Only recognisable organizations count: those with at least three counts of 5 or more. Distances are
    Euclidean on the logarithmic scale of the counts.
    """
    counts = [name for name in training if name not in CONFIG]
    known = {tuple(row) for row in training[counts].to_numpy().tolist()}
    tree = KDTree(log_scale(training[counts].to_numpy()))
    samples = [_recognisable(frame[counts]) for frame in (drawn, held_out)]
    if min(len(sample) for sample in samples) == 0:
        return Privacy(0.0, 0.0, 1.0, 1.0)
    copies = [np.mean([tuple(row) in known for row in s.to_numpy().tolist()]) for s in samples]
    near: list[FloatArray] = [tree.query(log_scale(s.to_numpy()), k=1)[0][:, 0] for s in samples]
    ratios = [np.quantile(near[0], q) / max(float(np.quantile(near[1], q)), 1e-9) for q in (0.5, 0.05)]
    return Privacy(*(round(float(share), 5) for share in copies), *(round(float(r), 3) for r in ratios))


def _recognisable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame >= DISTINCTIVE).sum(axis=1) >= HANDFUL]
