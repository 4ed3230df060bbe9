"""Goodness of fit: drawn organizations against organizations the model has not seen."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from psrlib.model.bins import FloatArray
from psrlib.model.noise_model import NoiseModel

_FOLDS = 5
_ROUNDS = 100  # boosting rounds: scikit-learn's default


@dataclass(frozen=True)
class Comparison:
    """Two samples of organizations compared.

    Attributes
    ----------
    auc : float
        Cross-validated area under the ROC curve of gradient boosting telling one from the other; 0.5: cannot.
    ks_complement : float
        1 - Kolmogorov-Smirnov distance, mean over metrics.
    spearman_difference : float
        Largest difference of a Spearman coefficient between two metrics.
    per_metric : dict of str to float
        Kolmogorov-Smirnov distance of each metric.
    """

    auc: float
    ks_complement: float
    spearman_difference: float
    per_metric: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures rounded to four digits."""
        figures = asdict(self)
        figures["per_metric"] = {name: round(value, 4) for name, value in self.per_metric.items()}
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}


def compare(first: pd.DataFrame, second: pd.DataFrame, seed: int = 0) -> Comparison:
    """Compare two samples with the same columns, one row per organization."""
    per_metric = {str(name): ks_distance(first[name], second[name]) for name in first}
    return Comparison(
        two_sample_auc(first, second, seed),
        1 - float(np.mean(list(per_metric.values()))),
        spearman_difference(first, second),
        per_metric,
    )


def two_sample_auc(first: pd.DataFrame, second: pd.DataFrame, seed: int = 0) -> float:
    """Return how well gradient boosting tells two samples apart, on held-out organizations."""
    x = pd.concat([first, second], ignore_index=True).to_numpy(dtype=float)
    y = np.repeat([0, 1], [len(first), len(second)])
    classifier = HistGradientBoostingClassifier(max_iter=_ROUNDS, early_stopping=False, random_state=seed)
    folds = StratifiedKFold(min(_FOLDS, len(first), len(second)), shuffle=True, random_state=seed)
    score = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, score))


def ks_distance(first: "pd.Series[Any]", second: "pd.Series[Any]") -> float:
    """Return the Kolmogorov-Smirnov distance of two samples of counts.

    Examples
    --------
    >>> ks_distance(pd.Series([0, 0, 1, 1]), pd.Series([0, 1, 1, 1]))
    0.25
    """
    values = np.unique(np.concatenate([first, second]))
    below = [np.searchsorted(np.sort(s.to_numpy()), values, side="right") / len(s) for s in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def spearman_difference(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Return the largest difference of a rank correlation; metrics constant in one sample are left out."""
    varying = [name for name in first if first[name].nunique() > 1 and second[name].nunique() > 1]
    if len(varying) < 2:
        return 0.0
    difference = first[varying].rank().corr() - second[varying].rank().corr()
    return float(difference.abs().to_numpy().max())


def metric_p_values(
    model: NoiseModel, observed: pd.DataFrame, repeats: int = 99, random_seed: int = 1
) -> dict[str, float]:
    """Return, per metric, the parametric-bootstrap p-value of the observed distribution under the model.

    Samples as large as the observed one are drawn from the model; the p-value is the share of them that lie
    at least as far from the model (Kolmogorov-Smirnov distance to a large draw) as the observed sample.
    """
    population = model.draw(20_000, random_seed).frame()
    samples = [
        model.draw(len(observed), random_seed + 1 + index, independent=True).frame()
        for index in range(repeats)
    ]
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
