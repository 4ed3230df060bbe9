"""Detail models."""

from collections import Counter

import numpy as np
import pandas as pd

from psrlib import paths
from psrlib.model.fit.defaults import default_details
from psrlib.model.fit.details import fit_details
from psrlib.stats import StatsSet
from psrlib.stats.sample import make_sample


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
