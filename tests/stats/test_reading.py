"""Reading and writing stats sets."""

from pathlib import Path

import pandas as pd

from psrlib import paths
from psrlib.stats import StatsSet, read_stats, write_stats
from psrlib.stats.sample import make_sample


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Tables and provenance survive a round trip; row counts are added."""
    stats = make_sample(30, 5)
    write_stats(stats, tmp_path)
    again = read_stats(tmp_path)
    pd.testing.assert_frame_equal(again.organizations, stats.organizations, check_dtype=False)
    assert again.meta["source"] == "synthetic"
    assert again.meta["rows"]["jobs"] == stats.organizations["jobs"].sum() == len(again.details["jobs"])
    assert not list(tmp_path.glob(".*"))


def test_metrics_are_counts_and_configuration_without_keys() -> None:
    """What a model is fitted to holds no key."""
    stats = make_sample(10, 1)
    assert isinstance(stats, StatsSet)
    assert "org" not in stats.metrics()
    assert set(stats.config) == {
        "subscriptions_enabled",
        "max_users",
        "max_engines",
        "max_pipelines",
        "max_jobs",
    }


def test_the_shipped_sample_is_what_its_script_makes() -> None:
    """data/stats/sample is the output of make_sample, says that it is synthetic and breaks no rule."""
    shipped = read_stats(paths.STATS / "sample")
    assert shipped.meta["source"] == "synthetic"
    assert len(shipped.organizations) == 2000
    made = make_sample()
    pd.testing.assert_frame_equal(shipped.organizations, made.organizations, check_dtype=False)
