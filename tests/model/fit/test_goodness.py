"""Goodness of fit."""

import numpy as np
import pandas as pd

from psrlib.model.fit import Fit
from psrlib.model.fit.goodness import compare, ecdf_band, metric_p_values, spearman_difference
from psrlib.stats.sample import make_sample


def test_two_samples_of_one_population_are_not_told_apart() -> None:
    """Real against real: an AUC near one half and a small distance."""
    comparison = compare(make_sample(600, 1).metrics(), make_sample(600, 2).metrics())
    assert abs(comparison.auc - 0.5) < 0.06
    assert comparison.ks_complement > 0.95


def test_a_wrong_marginal_has_a_small_p_value(tiny_fit: Fit) -> None:
    """The model's own draws are plausible under it; doubled counts of users are not."""
    jobs = []
    for seed in (77, 78, 79):  # one in twenty draws is implausible under its own model, hence a median
        own = tiny_fit.model.draw(200, seed).frame()[["users", "jobs"]]
        p_values = metric_p_values(tiny_fit.model, own.assign(users=own["users"] * 2), repeats=39)
        assert p_values["users"] <= 0.05
        jobs.append(p_values["jobs"])
    assert np.median(jobs) > 0.05


def test_the_band_holds_the_true_distribution(rng: np.random.Generator) -> None:
    """The 95 % band of 500 uniform counts contains the truth."""
    x, low, high = ecdf_band(pd.Series(rng.integers(0, 20, 500)))
    truth = (x + 1) / 20
    assert ((low <= truth) & (truth <= high)).all()


def test_a_lost_correlation_is_measured(rng: np.random.Generator) -> None:
    """Shuffling one of two equal columns loses a Spearman coefficient of one; constants are left out."""
    a = pd.DataFrame({"x": np.arange(500), "y": np.arange(500), "z": 1})
    b = a.assign(y=rng.permutation(500))
    assert abs(spearman_difference(a, b) - 1) < 0.15
