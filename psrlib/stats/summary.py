"""The most private form of a stats set: quantiles, zero shares and rank correlations per size stratum.

``summary.json`` holds no row of any organization. Strata are groups of organizations of similar size (mean
rank over all metrics), so that a model fitted to it knows how metrics differ between small and large ones.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psrlib.errors import InputError
from psrlib.stats.reading import StatsSet, read_json
from psrlib.stats.schema import CONFIG, NOT_SET, REQUIRED_COUNTS

SUMMARY_FORMAT = "psr-summary/1"
STRATUM_SIZE = 100  # organizations per stratum aimed at
MAX_STRATA = 12
MIN_STRATUM = 20  # fewer organizations would let single ones show through
LEVELS = tuple(round(level / 40, 3) for level in range(41))  # quantile levels 0, 0.025, ... 1
_SHARED_BY = 5  # a value is listed as frequent when at least this many organizations of the stratum share it


def summarize(stats: StatsSet, n_strata: int | None = None) -> dict[str, Any]:
    """Return the summary of a stats set.

    Parameters
    ----------
    stats : StatsSet
    n_strata : int or None
        Size strata; None takes one per 100 organizations, at most 12.

    Raises
    ------
    InputError
        If there are fewer than 20 organizations.
    """
    frame = stats.metrics()
    if len(frame) < MIN_STRATUM:
        raise InputError(
            f"{len(frame)} organizations are too few for a summary; at least {MIN_STRATUM} are needed"
        )
    wanted = n_strata or int(np.clip(len(frame) // STRATUM_SIZE, 1, MAX_STRATA))
    size = frame[stats.counts].rank(pct=True).mean(axis=1)
    position = size.rank(method="first").to_numpy() - 1
    stratum = (position * min(wanted, len(frame) // MIN_STRATUM) // len(frame)).astype(int)
    return {
        "format": SUMMARY_FORMAT,
        "levels": list(LEVELS),
        "metrics": list(frame.columns),
        "strata": [_stratum(frame[stratum == index]) for index in range(stratum.max() + 1)],
    }


def _stratum(frame: pd.DataFrame) -> dict[str, Any]:
    correlation = frame.rank().corr().fillna(0).to_numpy().round(4)
    np.fill_diagonal(correlation, 1.0)
    return {
        "organizations": len(frame),
        "quantiles": {name: _quantiles(frame[name]) for name in frame},
        "zero_share": {name: round(float((frame[name] == 0).mean()), 4) for name in frame},
        "frequent": {name: _frequent(frame[name]) for name in frame},
        "rank_correlation": correlation.tolist(),
    }


def _quantiles(values: "pd.Series[int]") -> list[int]:
    """Return quantiles; the outermost are means of the five outermost values, so no single one is told."""
    ordered = np.sort(values.to_numpy())
    inner = np.quantile(ordered, LEVELS[1:-1], method="inverted_cdf")
    ends = ordered[:_SHARED_BY].mean(), ordered[-_SHARED_BY:].mean()
    low = min(int(np.floor(ends[0])), int(inner[0]))
    return [low, *(int(value) for value in inner), max(int(np.ceil(ends[1])), int(inner[-1]))]


def _frequent(values: "pd.Series[int]") -> dict[str, float]:
    shares = values.value_counts()
    return {str(v): round(n / len(values), 4) for v, n in sorted(shares.items()) if n >= _SHARED_BY}


def read_summary(path: str | Path) -> dict[str, Any]:
    """Read and check ``summary.json``.

    Raises
    ------
    InputError
        Naming the field that is missing or wrong.
    """
    path = Path(path)
    summary = read_json(path)
    if summary.get("format") != SUMMARY_FORMAT:
        raise InputError(f'{path}: "format" is not "{SUMMARY_FORMAT}"')
    metrics, levels = summary.get("metrics"), summary.get("levels")
    if not isinstance(metrics, list) or not isinstance(levels, list) or not summary.get("strata"):
        raise InputError(f"{path}: metrics, levels and strata are needed")
    missing = [name for name in REQUIRED_COUNTS if name not in metrics]
    if missing:
        raise InputError(f"{path}: metrics lack {', '.join(missing)}")
    for number, stratum in enumerate(summary["strata"], start=1):
        _check_stratum(f"{path}: stratum {number}", stratum, metrics, levels)
    return summary


def _check_stratum(where: str, stratum: dict[str, Any], metrics: list[str], levels: list[float]) -> None:
    for field in ("organizations", "quantiles", "zero_share", "frequent", "rank_correlation"):
        if field not in stratum:
            raise InputError(f'{where}: the field "{field}" is missing')
    if not isinstance(stratum["organizations"], int) or stratum["organizations"] < 1:
        raise InputError(f"{where}: organizations must be a positive integer")
    for name in metrics:
        quantiles = stratum["quantiles"].get(name)
        if not isinstance(quantiles, list) or len(quantiles) != len(levels):
            raise InputError(f"{where}: {name} needs {len(levels)} quantiles, one per level")
        smallest = NOT_SET if name in CONFIG else 0
        if not all(isinstance(value, int) for value in quantiles) or min(quantiles) < smallest:
            raise InputError(f"{where}: quantiles of {name} must be integers of at least {smallest}")
        if sorted(quantiles) != quantiles:
            raise InputError(f"{where}: quantiles of {name} must ascend")
    matrix = np.array(stratum["rank_correlation"], dtype=float)
    if matrix.shape != (len(metrics), len(metrics)) or not np.allclose(matrix, matrix.T, atol=1e-3):
        raise InputError(f"{where}: rank_correlation must be a symmetric matrix over the metrics")
    if np.linalg.eigvalsh(matrix).min() < -0.05:
        raise InputError(f"{where}: rank_correlation is not positive definite")
