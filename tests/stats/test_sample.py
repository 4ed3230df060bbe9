"""The synthetic sample."""

from psrlib.stats import find_broken_rules
from psrlib.stats.sample import KINDS, make_sample


def test_shares_of_kinds_sum_to_one() -> None:
    """Every tenant is of one kind."""
    assert abs(sum(kind.share for kind in KINDS.values()) - 1) < 1e-9


def test_the_sample_has_the_features_the_study_is_about() -> None:
    """Zero-inflated tasks, a heavy tail of jobs, limits by plan; few rows break a rule.

    Job templates count beside the jobs, and a tenant at its limit may have some.
    """
    frame = make_sample(1500, 3).organizations
    broken = find_broken_rules(frame)
    assert set(broken) <= {"more jobs than max_jobs"}
    assert sum(broken.values()) < 0.01 * len(frame)
    assert (frame["scheduled_tasks"] == 0).mean() > 0.5
    largest = frame["jobs"].sort_values().tail(150).sum() / frame["jobs"].sum()
    assert 0.5 < largest < 0.85
    assert frame.groupby("max_users")["max_jobs"].nunique().tolist() == [1, 1, 1]
    assert (frame["active_jobs"] <= frame["jobs"]).all()


def test_details_agree_with_counts() -> None:
    """Each detail table has as many rows per organization as the count says, and owners are its users."""
    stats = make_sample(200, 4)
    counts = stats.organizations.set_index("org")
    for table in ("pipelines", "jobs", "scheduled_tasks", "subscriptions"):
        rows = stats.details[table].groupby("org").size().reindex(counts.index).fillna(0)
        assert (rows == counts[table]).all()
    owners = stats.details["pipelines"].groupby("org")["owner"].max()
    assert (owners < counts["users"].reindex(owners.index)).all()
