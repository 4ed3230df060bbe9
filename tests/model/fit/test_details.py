"""Detail models."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from psrlib import paths
from psrlib.model.fit.defaults import default_details
from psrlib.model.fit.details import fit_details
from psrlib.model.table import QuantileTable
from psrlib.stats import StatsSet
from psrlib.stats.sample import make_sample
from psrlib.stats.two_samples import ks_distance


def test_without_detail_tables_everything_is_the_default() -> None:
    """A stats set of counts only keeps the documented defaults."""
    stats = StatsSet(make_sample(30, 1).organizations)
    _, sources = fit_details(stats)
    assert set(sources.values()) == {"default"}


def test_tables_follow_the_stats_set() -> None:
    """Commits keep their mean, events their shares, periods become cron texts, shapes stay possible."""
    stats = make_sample(400, 2)
    details, sources = fit_details(stats)
    commits = details["commits"]
    mean = np.average(commits.values, weights=commits.weights)
    assert abs(mean / stats.details["pipelines"]["commits"].mean() - 1) < 0.05
    daily = details["schedule_cron"].weights[details["schedule_cron"].values.index("0 0 0 * * ? *")]
    assert daily == (stats.details["scheduled_tasks"]["period_s"] == 86400).sum()
    assert sources["subscription_event"] == "stats set"
    for stages, branches, event_lane, _ in details["pipeline_shape"].values:
        assert branches >= 1
        assert stages >= 1 + branches + event_lane


def test_work_is_concentrated_on_the_first_owners() -> None:
    """Weights of owner ranks never rise."""
    details, _ = fit_details(make_sample(400, 2))
    assert pd.Series(details["owner_rank"].weights).is_monotonic_decreasing


def test_default_shapes_are_those_of_the_public_pipelines() -> None:
    """Stages, destinations as branches (at least 1, and room for them), event lane, parameters."""
    public = pd.read_csv(paths.STATS / "public_pipelines.csv")
    event_lane = ((public["event_lanes"] > 0) & (public["stages"] >= 3)).astype(int)
    branches = public["destinations"].clip(lower=1).combine(public["stages"] - 1 - event_lane, min)
    rows = zip(public["stages"], branches, event_lane, public["parameters"], strict=True)
    counts = Counter(tuple(int(value) for value in row) for row in rows)
    shapes = default_details()["pipeline_shape"]
    assert dict(zip(map(tuple, shapes.values), shapes.weights, strict=True)) == counts


DRAWN = {
    "commits": ("pipelines", "commits", None),
    "pipeline_labels": ("pipelines", "labels", None),
    "pipeline_shape, stages": ("pipelines", "stages", 0),
    "pipeline_shape, parameters": ("pipelines", "parameters", 3),
    "job_tags": ("jobs", "tags", None),
    "job_instances": ("jobs", "instances", None),
}


@pytest.mark.parametrize("detail", DRAWN)
def test_every_detail_has_mean_maximum_and_distribution_of_its_table(detail: str) -> None:
    """Nothing is multiplied, dropped or cut: what is drawn is what the table holds."""
    stats = make_sample(600, 3)
    table, column, part = DRAWN[detail]
    spec = fit_details(stats)[0][detail.split(",")[0]]
    words = np.random.default_rng(0).integers(0, 2**64, 50_000, dtype=np.uint64)
    values = [value if part is None else value[part] for value in spec.values]
    drawn = np.array(values)[QuantileTable(spec.values, spec.weights).look_up(words)]
    observed = stats.details[table][column].clip(lower=2 if column == "stages" else 0)
    assert abs(drawn.mean() / observed.mean() - 1) < 0.02
    largest = observed.groupby(stats.details[table]["org"]).max().sort_values()
    assert largest.iloc[-20] <= drawn.max() <= largest.iloc[-1]
    assert ks_distance(drawn, observed) < 0.02


@pytest.mark.parametrize("detail", ["commits", "pipeline_labels", "job_tags", "job_instances"])
def test_a_value_stands_for_at_least_six_organizations(detail: str) -> None:
    """An organization with forty pipelines of a length that nobody else has is not told."""
    stats = make_sample(60, 3)
    table, column, _ = DRAWN[detail]
    frame = stats.details[table]
    first = frame["org"].iloc[0]
    frame.loc[frame["org"] == first, column] = 77
    assert 77 not in fit_details(stats)[0][detail].values
