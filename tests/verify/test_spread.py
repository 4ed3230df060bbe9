"""The chi-square test of jobs over engines."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, chisquare

from psrlib.seed import SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.verify.spread import chi_square_tail, pipelines_per_engine, spread_tests


def frame(**organizations: list[int]) -> pd.DataFrame:
    rows = [
        (name, f"engine-{i}", n, sum(counts) / len(counts))
        for name, counts in organizations.items()
        for i, n in enumerate(counts)
    ]
    return pd.DataFrame(rows, columns=["organization", "engine", "pipelines", "expected"])


def test_large_counts_agree_with_scipy() -> None:
    """Statistic and p-value are those of scipy.stats.chisquare."""
    counts = [31, 18, 22, 29]
    tests = spread_tests(frame(a=counts)).set_index("organization")
    expected = chisquare(counts)
    assert tests.loc["a", "chi_square"] == pytest.approx(expected.statistic)
    assert tests.loc["a", "p_value"] == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 101, 4000])
def test_the_chi_square_distribution_is_that_of_scipy(freedom: int) -> None:
    """Near nothing, around the mean, and far out; few and many degrees of freedom."""
    for statistic in (0.0, 1e-3, 0.5 * freedom, freedom, 1.5 * freedom, 10 * freedom + 20):
        expected = chi2.sf(statistic, freedom)
        assert chi_square_tail(statistic, freedom) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_small_counts_agree_with_the_multinomial_distribution() -> None:
    """Four pipelines on one of two engines: probability 2 / 16 to be so uneven."""
    tests = spread_tests(frame(a=[4, 0])).set_index("organization")
    assert tests.loc["a", "p_value"] == pytest.approx(2 / 16, abs=0.02)


def test_the_last_row_is_all_organizations_together() -> None:
    """Statistics and degrees of freedom add up."""
    tests = spread_tests(frame(a=[12, 8], b=[30, 30, 30], lonely=[7])).set_index("organization")
    assert list(tests.index) == ["a", "b", "all"]
    assert tests.loc["all", "chi_square"] == pytest.approx(0.8)
    assert tests.loc["all", "engines"] == 5
    assert tests.loc["all", "pipelines"] == 110


def test_p_values_of_random_placement_are_uniform(rng: np.random.Generator) -> None:
    """About one organization in ten has p below 0.1 when jobs are placed at random."""
    draws = rng.multinomial(40, [0.25] * 4, size=300)
    tests = spread_tests(frame(**{f"org{i}": list(counts) for i, counts in enumerate(draws)}))
    assert 0.05 < (tests["p_value"][:-1] < 0.1).mean() < 0.16


def test_engines_and_jobs_with_specific_labels_do_not_count(
    document: SeedDocument, state: ObservedState
) -> None:
    """The table has each engine without specific labels once, and the pipelines of jobs like it."""
    table = pipelines_per_engine(document, state)
    plain = [
        (o.id, engine.key) for o in document.organizations for engine in o.engines if engine.labels == ["all"]
    ]
    assert list(table[["organization", "engine"]].itertuples(index=False, name=None)) == plain
    assert table["pipelines"].sum() > 0
    sums = table.groupby("organization")[["pipelines", "expected"]].sum()
    assert sums["pipelines"].to_numpy() == pytest.approx(sums["expected"].to_numpy())
