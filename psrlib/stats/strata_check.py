"""The format before, psr-summary/1: quantiles, zero shares and rank correlations per size stratum."""

from pathlib import Path
from typing import Any

import numpy as np

from psrlib.errors import InputError
from psrlib.stats.schema import CONFIG, NOT_SET

STRATA_FORMAT = "psr-summary/1"


def check_strata(path: Path, summary: dict[str, Any], metrics: list[str]) -> None:
    """Check levels and strata.

    Raises
    ------
    InputError
        Naming stratum and field.
    """
    levels, strata = summary.get("levels"), summary.get("strata")
    if not isinstance(levels, list) or not isinstance(strata, list) or not strata:
        raise InputError(f"{path}: metrics, levels and strata are needed")
    for number, stratum in enumerate(strata, start=1):
        _check_stratum(f"{path}: stratum {number}", stratum, metrics, levels)


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
