"""Choosing a named family for a marginal, and saying why each other candidate was rejected.

Candidates are compared by Akaike's criterion; the best one is kept when a parametric bootstrap of the
Kolmogorov-Smirnov distance does not reject it, otherwise the marginal stays empirical (smoothed). Naming a
family is wrong in a fifth to a third of cases at 1,000 values, so empirical is a good answer, not a failure.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import chisquare

from psrlib.arrays import IntArray
from psrlib.errors import FitError
from psrlib.model.fit.families import FAMILIES, FamilyFit, fit_family

REPEATS = 19  # bootstrap samples; p-values are multiples of 0.05
ACCEPT = 0.2  # smallest p-value at which a family is kept
_LARGEST_SAMPLE = 1000  # organizations per bootstrap sample and test: enough to see what a classifier sees
_ZEROS = 0.02  # share of zeros below which no family treats them apart
_MIN_VALUES = 4  # distinct values below which no family is worth naming


@dataclass(frozen=True)
class MarginalChoice:
    """The family kept (None: empirical), its p-value, and the reason against each other candidate."""

    fit: FamilyFit | None
    p_value: float | None
    rejected: dict[str, str] = field(default_factory=dict)


def choose_family(counts: IntArray) -> MarginalChoice:
    """Choose a family for counts of one metric in one archetype, shape (n_organizations,)."""
    if len(np.unique(counts)) < _MIN_VALUES or counts.min() < 0:
        return MarginalChoice(None, None, {"all": "fewer than four distinct values, or negative ones"})
    rejected: dict[str, str] = {}
    fits: list[FamilyFit] = []
    for family in FAMILIES:
        if family.zero and (counts == 0).mean() < _ZEROS:
            rejected[family.name] = "hardly any zeros to treat apart"
            continue
        try:
            fits.append(fit_family(family, counts))
        except FitError as error:
            rejected[family.name] = str(error)
    if not fits:
        return MarginalChoice(None, None, rejected)
    fits.sort(key=lambda fit: fit.aic)
    best = fits[0]
    for fit in fits[1:]:
        rejected[fit.family.name] = f"AIC {fit.aic - best.aic:.1f} above {best.family.name}"
    rejected["uniform"] = f"chi-square p = {_uniform_p_value(counts):.3f}"
    p_value = bootstrap_p_value(best, counts)
    if p_value < ACCEPT:
        rejected[best.family.name] = f"best AIC, but bootstrap p = {p_value:.3f} is below {ACCEPT}"
        return MarginalChoice(None, p_value, rejected)
    return MarginalChoice(best, p_value, rejected)


def bootstrap_p_value(fit: FamilyFit, counts: IntArray) -> float:
    """Return how often a sample from the fitted family, fitted again, lies farther from its own fit."""
    rng = np.random.default_rng(0)
    sample = counts if len(counts) <= _LARGEST_SAMPLE else rng.choice(counts, _LARGEST_SAMPLE, replace=False)
    observed = distance(fit, sample)
    farther = 0
    for _ in range(REPEATS):
        drawn = draw_family(fit, len(sample), rng, int(counts.max()))
        try:
            farther += distance(fit_family(fit.family, drawn, fit.free), drawn) >= observed
        except FitError:
            farther += 1
    return (farther + 1) / (REPEATS + 1)


def distance(fit: FamilyFit, counts: IntArray) -> float:
    """Return the Kolmogorov-Smirnov distance between counts and a fitted family."""
    values, weight = np.unique(counts, return_counts=True)
    return float(np.abs(np.cumsum(weight) / len(counts) - fit.cdf(values)).max())


def draw_family(fit: FamilyFit, n: int, rng: np.random.Generator, largest: int) -> IntArray:
    """Draw from a fitted family by inversion on a grid: for the bootstrap, never for seed documents."""
    reach = max(10 * largest, 50)
    grid = np.unique(
        np.concatenate([np.arange(min(reach, 2000)), np.geomspace(1, reach, 3000).astype(np.int64)])
    )
    index = np.searchsorted(fit.cdf(grid), rng.random(n))
    return np.asarray(grid[np.minimum(index, len(grid) - 1)], dtype=np.int64)


def _uniform_p_value(counts: IntArray) -> float:
    low, high = int(counts.min()), int(counts.max())
    n_bins = min(high - low + 1, 20)
    edges = np.linspace(low, high + 1, n_bins + 1).round()
    seen, _ = np.histogram(counts, np.unique(edges))
    expected = np.diff(np.unique(edges)) / (high + 1 - low) * len(counts)
    return float(chisquare(seen, expected).pvalue)
