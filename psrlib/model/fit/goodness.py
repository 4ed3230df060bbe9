"""Goodness of fit: drawn organizations against organizations the model has not seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from psrlib.arrays import FloatArray
from psrlib.model.noise_model import NoiseModel
from psrlib.stats.two_samples import ks_distance, two_sample_auc

_FOLDS = 5


@dataclass(frozen=True)
class Comparison:
    """Two samples of organizations compared; figures of four digits."""

    auc: float  # cross-validated, of gradient boosting telling one from the other; 0.5: it cannot
    ks_complement: float  # 1 - Kolmogorov-Smirnov distance, mean over metrics
    spearman_difference: float  # the largest of a Spearman coefficient between two metrics
    per_metric: dict[str, float]  # Kolmogorov-Smirnov distance of each


def compare(first: pd.DataFrame, second: pd.DataFrame) -> Comparison:
    """Compare two samples with the same columns, one row per organization."""
    distances = ks_distances(first, second)
    return Comparison(
        round(boosting_auc(first, second), 4),
        round(ks_complement(distances), 4),
        round(spearman_difference(first, second), 4),
        {name: round(value, 4) for name, value in distances.items()},
    )


def boosting_auc(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Return how well gradient boosting tells two samples apart, on held-out organizations."""
    x, y = (sample.to_numpy(dtype=float) for sample in (first, second))
    label = np.repeat([0, 1], [len(x), len(y)])
    folds = StratifiedKFold(min(_FOLDS, len(x), len(y)), shuffle=True, random_state=0)
    fold = np.empty(len(label), dtype=np.int64)
    for number, (_, test) in enumerate(folds.split(label, label)):
        fold[test] = number

    def classify(known: FloatArray, is_first: FloatArray, others: FloatArray) -> FloatArray:
        return _boosted(known, is_first > 0, others)

    return two_sample_auc(x, y, fold, classify)


def cross_auc(drawn: pd.DataFrame, other_drawn: pd.DataFrame, held_out: pd.DataFrame) -> float:
    """Return how well gradient boosting tells drawn from held-out organizations that are both new to it.

    It learns on one draw and one half of the held-out organizations, and is scored on the other draw and the
    other half; both ways round, the mean. Cross-validation of one draw is misled by draws that are spread
    evenly, for what one fold has is missing in the next. Columns that the draws lack, or that have a single
    value, are left out.
    """
    half = np.random.default_rng(0).permutation(len(held_out)) % 2 == 0
    halves = held_out[half], held_out[~half]
    names = [name for name in held_out if name in drawn and held_out[name].nunique() > 1]
    figures = []
    for first, second, known, new in ((drawn, other_drawn, 0, 1), (other_drawn, drawn, 1, 0)):
        samples = [first, halves[known], second, halves[new]]
        x = [sample[names].to_numpy(dtype=float) for sample in samples]
        is_drawn = np.repeat([True, False], [len(x[0]), len(x[1])])
        scores = _boosted(np.vstack(x[:2]), is_drawn, np.vstack(x[2:]))
        figures.append(roc_auc_score(np.repeat([1, 0], [len(x[2]), len(x[3])]), scores))
    return float(np.mean(figures))


def _boosted(known: FloatArray, label: NDArray[np.bool_], others: FloatArray) -> FloatArray:
    """Return how likely gradient boosting, having learned labels of known rows, takes others for labelled.

    In one thread: several wait for each other, busily, for longer than so few rows take.
    """
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    with threadpool_limits(1, "openmp"):
        return np.asarray(model.fit(known, label).predict_proba(others)[:, 1])


def ks_distances(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, float]:
    """Return the Kolmogorov-Smirnov distance of each metric."""
    return {str(name): ks_distance(first[name], second[name]) for name in first}


def ks_complement(distances: dict[str, float]) -> float:
    """Return one minus the mean distance of the metrics."""
    return 1 - float(np.mean(list(distances.values())))


def spearman_difference(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Return the largest difference of a rank correlation; metrics constant in one sample are left out."""
    varying = [name for name in first if first[name].nunique() > 1 and second[name].nunique() > 1]
    if len(varying) < 2:
        return 0.0
    difference = first[varying].rank().corr() - second[varying].rank().corr()
    return float(difference.abs().to_numpy().max())


def metric_p_values(model: NoiseModel, observed: pd.DataFrame, repeats: int = 99) -> dict[str, float]:
    """Return, per metric, the parametric-bootstrap p-value of the observed distribution under the model.

    Samples as large as the observed one are drawn from the model; the p-value is the share of them that lie
    at least as far from the model (Kolmogorov-Smirnov distance to a large draw) as the observed sample.
    """
    population = model.draw(20_000, 1).frame()
    samples = [model.draw(len(observed), 2 + index, independent=True).frame() for index in range(repeats)]
    p_values = {}
    for name in observed:
        seen = ks_distance(observed[name], population[name])
        farther = sum(ks_distance(sample[name], population[name]) >= seen for sample in samples)
        p_values[str(name)] = round((farther + 1) / (repeats + 1), 3)
    return p_values


def ecdf_band(values: "pd.Series[Any]", level: float = 0.95) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sorted distinct values, and lower and upper ends of the band of the distribution function.

    The band covers the whole function with probability ``level`` (Dvoretzky, Kiefer, Wolfowitz, Massart).
    """
    distinct, counts = np.unique(values, return_counts=True)
    share = np.cumsum(counts) / len(values)
    half = np.sqrt(np.log(2 / (1 - level)) / (2 * len(values)))
    return distinct.astype(float), np.clip(share - half, 0, 1), np.clip(share + half, 0, 1)
