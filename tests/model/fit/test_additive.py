"""Fitting curves: known relations are recovered."""

import numpy as np
from scipy.special import ndtr

from psrlib.model.additive import predict
from psrlib.model.fit.additive import fit_additive, residual_table
from psrlib.model.normal import Z_ONE
from psrlib.model.table import SCALE


def test_a_slope_is_recovered(rng: np.random.Generator) -> None:
    """Score 0.8 z + 0.6 noise of a lognormal count z: slope within 0.05, residual spread within 0.05."""
    z = rng.normal(size=2000)
    jobs = np.floor(np.exp(4 + z)).astype(np.int64)
    rank = ndtr(0.8 * z + 0.6 * rng.normal(size=2000)) * (SCALE - 2)
    fit = fit_additive({"jobs": jobs}, np.floor(rank), np.floor(rank) + 1)
    score = predict(fit.terms, {"jobs": jobs}, len(jobs)) / Z_ONE
    assert abs(np.polyfit(z, score, 1)[0] - 0.8) < 0.05
    assert abs(fit.values.std() / Z_ONE - 0.6) < 0.05


def test_ties_do_not_weaken_a_relation(rng: np.random.Generator) -> None:
    """Of a score only its sign is seen; the slope of 0.8 is still found, within 0.1."""
    z = rng.normal(size=4000)
    jobs = np.floor(np.exp(4 + z)).astype(np.int64)
    upper = 0.8 * z + 0.6 * rng.normal(size=4000) > 0
    first, end = np.where(upper, SCALE / 2, 0.0), np.where(upper, float(SCALE), SCALE / 2)
    fit = fit_additive({"jobs": jobs}, first, end)
    score = predict(fit.terms, {"jobs": jobs}, len(jobs)) / Z_ONE
    middle = np.abs(z) < 1.5
    slope = np.polyfit(z[middle], score[middle], 1)[0]
    assert abs(slope / np.hypot(slope, fit.values.std() / Z_ONE) - 0.8) < 0.1


def test_a_bend_is_followed(rng: np.random.Generator) -> None:
    """A score that falls and rises again with the count: correlation with the truth above 0.95."""
    z = rng.uniform(-2, 2, 1500)
    jobs = np.floor(np.exp(4 + z)).astype(np.int64)
    truth = np.abs(z) - 1
    rank = ndtr(truth + 0.3 * rng.normal(size=1500)) * (SCALE - 2)
    fit = fit_additive({"jobs": jobs}, np.floor(rank), np.floor(rank) + 1)
    assert np.corrcoef(predict(fit.terms, {"jobs": jobs}, len(jobs)), truth)[0, 1] > 0.95


def test_a_constant_metric_gets_no_term() -> None:
    """Nothing to follow: no terms, and a residual table all the same."""
    rank = np.linspace(0, SCALE - 2, 50)
    fit = fit_additive({"jobs": np.full(50, 3)}, np.floor(rank), np.floor(rank) + 1)
    assert fit.terms == []
    assert sum(fit.table.weight) > 0


def test_a_residual_table_keeps_mean_and_spread(rng: np.random.Generator) -> None:
    """Ranges do not overlap; mean and spread are those of the residuals, the spread a tenth wider at most."""
    values = np.round(rng.normal(100, 800, 1000)).astype(np.int64)
    table = residual_table(values)
    low, high, weight = (np.array(column) for column in (table.low, table.high, table.weight))
    assert (low[1:] == high[:-1] + 1).all()
    middle = (low + high) / 2
    mean = np.average(middle, weights=weight)
    spread = np.sqrt(np.average((middle - mean) ** 2, weights=weight))
    assert abs(mean - values.mean()) < 30
    assert 0.97 < spread / values.std() < 1.1
