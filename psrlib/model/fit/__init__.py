"""Fitting noise models to production stats, and measuring how well they fit."""

from psrlib.model.fit.fitting import (
    Fit,
    evaluate_halves,
    fit_directory,
    fit_metrics,
    fit_stats,
    fit_summary,
    format_model,
    report_path,
)

__all__ = [
    "Fit",
    "evaluate_halves",
    "fit_directory",
    "fit_metrics",
    "fit_stats",
    "fit_summary",
    "format_model",
    "report_path",
]
