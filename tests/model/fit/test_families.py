"""Named families of counts."""

import numpy as np
import pytest

from psrlib.model.fit.families import FAMILIES, fit_family
from psrlib.model.fit.marginal import choose_family

BY_NAME = {family.name: family for family in FAMILIES}


@pytest.mark.parametrize(
    ("name", "draw", "truth"),
    [
        ("poisson", lambda r, n: r.poisson(4.0, n), {"mean": 4.0}),
        ("negative_binomial", lambda r, n: r.negative_binomial(2, 2 / 12, n), {"mean": 10.0, "size": 2.0}),
        ("lognormal", lambda r, n: np.floor(np.exp(r.normal(3, 0.8, n))), {"mu": 3.0, "sigma": 0.8}),
        ("power_law", lambda r, n: np.floor(10 * r.pareto(1.5, n)), {"index": 1.5, "scale": 10.0}),
        (
            "zero_inflated_poisson",
            lambda r, n: np.where(r.random(n) < 0.3, 0, r.poisson(5, n)),
            {"zero_share": 0.3, "mean": 5.0},
        ),
        (
            "hurdle_lognormal",
            lambda r, n: np.where(r.random(n) < 0.6, 0, np.maximum(np.floor(np.exp(r.normal(3, 0.7, n))), 1)),
            {"zero_share": 0.6, "mu": 3.0, "sigma": 0.7},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_are_recovered(name: str, draw, truth: dict[str, float], rng: np.random.Generator) -> None:
    """From 4,000 draws each parameter comes back within 15 %."""
    counts = draw(rng, 4000).astype(np.int64)
    fit = fit_family(BY_NAME[name], counts)
    for parameter, value in truth.items():
        assert fit.parameters[parameter] == pytest.approx(value, rel=0.15)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_distribution_function_ascends_from_zero_to_one(family, rng: np.random.Generator) -> None:
    """No family gives a negative probability; below zero there is nothing."""
    fit = fit_family(family, rng.negative_binomial(1, 0.1, 300))
    cdf = fit.cdf(np.arange(-1, 3000))
    assert cdf[0] == 0
    assert (np.diff(cdf) >= -1e-12).all()
    assert cdf[-1] > 0.97


def test_the_reason_against_each_candidate_is_kept(rng: np.random.Generator) -> None:
    """Counts of a lognormal: Poisson is rejected by its criterion, and the report says so."""
    choice = choose_family(np.floor(np.exp(rng.normal(2, 1, 200))).astype(np.int64))
    assert "AIC" in choice.rejected["poisson"]
    named = set(choice.rejected) | ({choice.fit.family.name} if choice.fit else set())
    assert {family.name for family in FAMILIES} <= named


def test_counts_of_no_family_stay_empirical(rng: np.random.Generator) -> None:
    """Two far groups are no named family: the bootstrap rejects the best one."""
    counts = np.concatenate([rng.integers(2, 6, 200), rng.integers(90, 99, 200)])
    choice = choose_family(counts)
    assert choice.fit is None
    assert choice.p_value is not None
    assert choice.p_value < 0.1
