"""Detail models."""

import pandas as pd

from psrlib.model.details_fit import fit_details
from psrlib.model.fit import PUBLIC_PIPELINES
from psrlib.stats import StatsSet
from psrlib.stats.sample import make_sample


def test_without_detail_tables_everything_is_the_default() -> None:
    """A stats set of counts only keeps the documented defaults."""
    stats = StatsSet(make_sample(30, 1).organizations)
    _, sources = fit_details(stats, PUBLIC_PIPELINES)
    assert set(sources.values()) == {"default"}


def test_tables_follow_the_stats_set() -> None:
    """Commits keep their mean, events their shares, periods become cron texts, shapes stay possible."""
    stats = make_sample(400, 2)
    details, sources = fit_details(stats, PUBLIC_PIPELINES)
    commits = details["commits"]
    mean = sum(v * w for v, w in zip(commits["values"], commits["weights"], strict=True)) / sum(
        commits["weights"]
    )
    assert abs(mean / stats.details["pipelines"]["commits"].mean() - 1) < 0.05
    daily = details["schedule_cron"]["weights"][details["schedule_cron"]["values"].index("0 0 0 * * ? *")]
    assert daily == (stats.details["scheduled_tasks"]["period_s"] == 86400).sum()
    assert sources["subscription_event"] == "stats set"
    for stages, branches, event_lane, _ in details["pipeline_shape"]["values"]:
        assert branches >= 1
        assert stages >= 1 + branches + event_lane


def test_work_is_concentrated_on_the_first_owners() -> None:
    """Weights of owner ranks never rise."""
    details, _ = fit_details(make_sample(400, 2), PUBLIC_PIPELINES)
    assert pd.Series(details["owner_rank"]["weights"]).is_monotonic_decreasing
