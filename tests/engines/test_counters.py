"""Counts and the lateness histogram."""

from psrlib.engines.counters import LATENESS_MS, Counters, quantile_s
from psrlib.engines.exchange import IO_ERROR, Answer


def test_answers_are_counted_by_kind_and_errors_by_reason() -> None:
    """201 is no error; silence has its own word."""
    counters = Counters()
    for status in (200, 201, 503, IO_ERROR, IO_ERROR):
        counters.count("poll", Answer(status))
    assert counters.requests == {"poll": 5}
    assert counters.errors == {"poll: HTTP 503": 1, "poll: no answer": 2}


def test_quantiles_are_upper_bounds() -> None:
    """99 polls in time, one a second late."""
    counters = Counters()
    for late_ms in [0] * 99 + [1000]:
        counters.note_lateness(late_ms)
    assert quantile_s(counters.lateness, 0.99) == 0.001
    assert quantile_s(counters.lateness, 1.0) == 1.0
    assert counters.longest_late_ms == 1000


def test_no_polls_are_not_late() -> None:
    """An empty histogram has quantile 0."""
    assert quantile_s([0] * (len(LATENESS_MS) + 1), 0.99) == 0.0


def test_counters_do_not_grow_with_time() -> None:
    """A million polls later the histogram has as many bounds as before."""
    counters = Counters()
    for late_ms in range(0, 1_000_000, 997):
        counters.note_lateness(late_ms)
    assert len(counters.lateness) == len(LATENESS_MS) + 1
    assert sum(counters.lateness) == len(range(0, 1_000_000, 997))
