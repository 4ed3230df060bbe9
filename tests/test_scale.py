"""Scales of metrics."""

import numpy as np
import pytest

from psrlib.scale import SHARE_ONE, Scale


@pytest.mark.parametrize("kind", ["count", "share", "difference"])
def test_a_window_keeps_counts_within_bounds(kind: str, rng: np.random.Generator) -> None:
    """The ends of the window give counts inside the bounds, one step further does not."""
    known = {"jobs": rng.integers(0, 300, 2000)}
    low = rng.integers(0, 50, 2000)
    high = low + rng.integers(0, 100, 2000)
    scale = Scale(kind, "" if kind == "count" else "jobs")  # type: ignore[arg-type]
    first, last = scale.window(low, high, known)
    possible = first <= last
    for end in (first, last):
        counts = scale.count(end, known)
        assert ((counts >= low) & (counts <= high))[possible].all()
    assert (scale.count(last + 1, known) > high).all()
    assert (scale.count(first - 1, known) < low).all()


def test_a_share_gives_back_its_count(rng: np.random.Generator) -> None:
    """Up to 2,000 jobs, the share of a count is fine enough to give exactly that count."""
    known = {"jobs": rng.integers(1, SHARE_ONE // 2, 2000)}
    counts = rng.integers(0, known["jobs"] + 1)
    scale = Scale("share", "jobs")
    assert (scale.count(scale.value(counts, known), known) == counts).all()
