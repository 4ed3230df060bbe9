"""Quartz expressions fire when Quartz says."""

from datetime import UTC, datetime

import pytest

from psrlib.cron import Cron


@pytest.mark.parametrize(
    ("expression", "instant", "fires"),
    [
        ("0 0 2 * * ? *", datetime(2026, 3, 4, 2, 0, 0), True),
        ("0 0 2 * * ? *", datetime(2026, 3, 4, 2, 0, 1), False),
        ("0 0/5 * * * ? *", datetime(2026, 3, 4, 17, 35, 0), True),
        ("0 0/5 * * * ? *", datetime(2026, 3, 4, 17, 36, 0), False),
        ("0 0 0/6 * * ?", datetime(2026, 3, 4, 18, 0, 0), True),
        ("0 0 1 ? * MON *", datetime(2026, 3, 2, 1, 0, 0), True),  # a Monday
        ("0 0 1 ? * 2 *", datetime(2026, 3, 2, 1, 0, 0), True),  # Quartz counts days from 1 = Sunday
        ("0 0 1 ? * MON *", datetime(2026, 3, 1, 1, 0, 0), False),
        ("0 0 3 ? * MON,WED,FRI *", datetime(2026, 3, 6, 3, 0, 0), True),
        ("0 0 3 ? * FRI-MON *", datetime(2026, 3, 1, 3, 0, 0), True),
        ("0 0 3 ? * FRI-MON *", datetime(2026, 3, 4, 3, 0, 0), False),
        ("0 0 0 1 JAN-MAR ? 2026", datetime(2026, 3, 1, 0, 0, 0), True),
        ("0 0 0 1 JAN-MAR ? 2026", datetime(2027, 3, 1, 0, 0, 0), False),
        ("0 0 0 L * ?", datetime(2026, 3, 30, 0, 0, 0), True),  # last days count as every day
        ("*/15 * * * * ?", datetime(2026, 3, 30, 0, 0, 45), True),
    ],
    ids=lambda value: str(value),
)
def test_an_expression_fires_at_its_instants(expression: str, instant: datetime, fires: bool) -> None:
    """Seconds first, days of the week from Sunday, names, ranges, steps and years."""
    assert Cron.parse(expression).fires_at(instant.replace(tzinfo=UTC)) is fires


def test_an_interval_holds_its_ends() -> None:
    """Both the first and the last second count."""
    cron = Cron.parse("0 30 5 * * ? *")
    at = int(datetime(2026, 3, 4, 5, 30, tzinfo=UTC).timestamp())
    assert cron.fires_between(at - 10, at)
    assert cron.fires_between(at, at + 10)
    assert not cron.fires_between(at + 1, at + 60)


@pytest.mark.parametrize("expression", ["* * * * *", "", "0 0 noon * * ?"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    """Five fields are Unix cron, not Quartz."""
    with pytest.raises(ValueError, match=r"expected 6 or 7 fields|invalid literal"):
        Cron.parse(expression)
