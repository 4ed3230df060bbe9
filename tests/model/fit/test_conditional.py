"""Shares are fitted as what rounds to the counts, or exactly where metrics are whole multiples."""

import numpy as np
import pandas as pd
import pytest

from psrlib.model import NoiseModel
from psrlib.model.fit import fit_metrics, format_model
from psrlib.model.fit.conditional import choose_metric, unround
from psrlib.model.fit.defaults import default_details
from psrlib.model.marginal import Marginal
from psrlib.model.strangers import check_range
from psrlib.scale import SHARE_ONE, Scale
from psrlib.stats.summary import choose_order


def test_shares_of_few_are_spread_and_give_their_counts_back(rng: np.random.Generator) -> None:
    """1 of 2 jobs is any share from a quarter to three quarters; counted again it is 1 of 2."""
    jobs = rng.integers(1, 65, 3000)
    active = rng.binomial(jobs, 0.4)
    scale, known = Scale("share", "jobs"), {"jobs": jobs}
    shares = unround(scale, active, known)
    assert np.array_equal(scale.count(shares, known), active)
    halves = shares[(jobs == 2) & (active == 1)] / SHARE_ONE
    assert len(halves) > 10
    assert len(np.unique(halves)) > 0.9 * len(halves)
    assert 0.25 <= halves.min() < 0.5 < halves.max() <= 0.75


def test_none_all_and_shares_of_many_stay_exact() -> None:
    """They are no accident of rounding."""
    scale, known = Scale("share", "jobs"), {"jobs": np.array([0, 7, 7, 65])}
    counts = np.array([0, 0, 7, 13])
    assert np.array_equal(unround(scale, counts, known), scale.value(counts, known))


@pytest.fixture
def packs(rng: np.random.Generator) -> pd.DataFrame:
    """Organizations whose jobs are one, two, five or ten copies of each pipeline; a tenth have no job."""
    pipelines = 1 + np.floor(rng.exponential(12, 600)).astype(np.int64)
    jobs = pipelines * rng.choice([0, 1, 2, 5, 10], 600, p=[0.1, 0.3, 0.3, 0.2, 0.1])
    frame = pd.DataFrame({"users": 3, "engines": 1, "pipelines": pipelines, "jobs": jobs})
    return frame.assign(
        active_jobs=np.where(rng.random(600) < 0.5, jobs, 0), scheduled_tasks=0, subscriptions=0
    )


def test_whole_multiples_are_drawn_as_whole_multiples(packs: pd.DataFrame) -> None:
    """Jobs that come in packs of each pipeline do so in draws: 99 of 100, by chance it were a third."""
    spec, report = fit_metrics(packs, "packs", default_details(), 1)
    assert report["metrics"]["all"]["jobs"]["unit"] == "share of pipelines"
    drawn = NoiseModel.from_bytes(format_model(spec).encode()).draw(2000, 1).frame()
    some = drawn[drawn["jobs"] > 0]
    assert len(some) > 1000
    assert (some["jobs"] % some["pipelines"] == 0).mean() > 0.99
    assert set((some["jobs"] // some["pipelines"]).value_counts().index[:4]) == {1, 2, 5, 10}
    assert ((drawn["pipelines"] > 0) | (drawn["jobs"] == 0)).all()


def test_what_is_no_multiple_stays_spread(rng: np.random.Generator) -> None:
    """Jobs of which any part is active: shares are not exact, and jobs are drawn first."""
    jobs = rng.integers(1, 30, 500)
    pipelines = np.maximum(rng.binomial(jobs, 0.7), 1)
    frame = pd.DataFrame({"jobs": jobs, "pipelines": pipelines, "active_jobs": rng.binomial(jobs, 0.5)})
    assert choose_order(frame)[0] == "jobs"
    chosen = choose_metric(
        "active_jobs", frame["active_jobs"].to_numpy(), {"jobs": jobs}, {"jobs": jobs}, None
    )
    assert len(np.unique(chosen.values)) > 200


def test_a_share_may_be_large(packs: pd.DataFrame) -> None:
    """Some hundred pipelines where there is no job are a share that a model file may hold."""
    packs.loc[:40, ["pipelines", "jobs", "active_jobs"]] = [700, 0, 0]
    packs.loc[41:, "pipelines"] = np.maximum(packs.loc[41:, "jobs"] // 2, 1)
    spec, _ = fit_metrics(packs, "packs", default_details(), 1)
    scale = Scale("share", "jobs")
    check_range("pipelines", Marginal([0], [700 * SHARE_ONE], [1]), scale)
    with pytest.raises(ValueError, match="expected at most"):
        check_range("pipelines", Marginal([0], [200_000 * SHARE_ONE], [1]), scale)
    assert NoiseModel.from_bytes(format_model(spec).encode()).draw(500, 1).frame()["pipelines"].max() <= 1100


def test_all_of_few_is_a_large_share_not_all(rng: np.random.Generator) -> None:
    """In the form "ends" none and all of few are spread as well; counted again they are what they were."""
    jobs = rng.integers(1, 10, 2000)
    active = rng.binomial(jobs, 0.6)
    scale, known = Scale("share", "jobs"), {"jobs": jobs}
    shares = unround(scale, active, known, "ends")
    assert np.array_equal(scale.count(shares, known), active)
    assert shares.min() >= 0
    assert shares.max() <= SHARE_ONE
    ends = (active == jobs) | (active == 0)
    assert len(np.unique(shares[ends])) > 0.5 * ends.sum()
    chosen = choose_metric("active_jobs", active, known, {}, None)
    assert (chosen.values == SHARE_ONE).mean() < 0.02


def test_of_many_fewer_are_all_active(rng: np.random.Generator) -> None:
    """Every job is active of 6 in 10 single jobs, but of hardly any hundred; drawn organizations agree."""
    jobs = np.where(rng.random(900) < 0.7, rng.integers(1, 4, 900), rng.integers(40, 120, 900))
    frame = pd.DataFrame({"users": 2, "engines": 1, "pipelines": jobs, "jobs": jobs})
    frame = frame.assign(active_jobs=rng.binomial(jobs, 0.6), scheduled_tasks=0, subscriptions=0)
    spec, _ = fit_metrics(frame, "few and many", default_details(), 1)
    drawn = NoiseModel.from_bytes(format_model(spec).encode()).draw(3000, 1).frame()
    everything = drawn["active_jobs"] == drawn["jobs"]
    assert everything[drawn["jobs"] == 1].mean() == pytest.approx(0.6, abs=0.12)
    assert everything[drawn["jobs"] >= 40].mean() < 0.02
