"""Noise models: fitting them to production stats, and drawing organizations from them.

The fitting half is imported when it is used: drawing needs no scikit-learn.
"""

from typing import Any

from psrlib.model.noise_model import NoiseModel, OrganizationDraws
from psrlib.model.table import QuantileTable

__all__ = [
    "Fit",
    "NoiseModel",
    "OrganizationDraws",
    "QuantileTable",
    "fit_directory",
    "fit_stats",
    "fit_summary",
]

_FITTING = {"Fit", "fit_directory", "fit_stats", "fit_summary"}


def __getattr__(name: str) -> Any:
    if name in _FITTING:
        from psrlib.model import fit

        return getattr(fit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
