"""The page that is attached to a result."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from support.page import Page
from support.simulated_background import Faults, simulate

from psrlib import plots
from psrlib.watch import Comparison, background_of, compare
from psrlib.watch.report import describe, save_comparison, table


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Of a background without faults, and one with an outage, red jobs, restarts, and too few answers."""
    rng = np.random.default_rng(1)
    a = background_of(simulate(rng, minutes=20), "before")
    b = background_of(simulate(rng, minutes=20, faults=Faults(outage_s=40, red=0.2, restarted=0.3)), "<b>")
    return compare(a, b)


def test_the_page_has_verdict_aspects_outages_and_plots(comparison: Comparison, tmp_path: Path) -> None:
    """In one file, that loads nothing from elsewhere; names are text, never HTML."""
    pictures = plots.watch_pictures(comparison)
    text = save_comparison(comparison, tmp_path, pictures).read_text()
    page = Page(text)
    assert page.open == []
    assert comparison.verdict in page.texts
    assert {aspect.name for aspect in comparison.aspects} <= set(page.texts)
    assert {"✗ different", "– could not tell", "✓ same"} <= set(page.texts)
    assert "Outages" in page.texts
    assert page.plots == ["plot wide"] * 3
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in text
    assert "<b>" not in text


def test_the_json_says_what_the_page_says(comparison: Comparison, tmp_path: Path) -> None:
    """For machines; the folder holds both."""
    save_comparison(comparison, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["background.html", "background.json"]
    assert orjson.loads((tmp_path / "background.json").read_bytes()) == comparison.summary()


def test_the_same_comparison_makes_the_same_pictures(comparison: Comparison) -> None:
    """Ids inside are not drawn at random."""
    assert plots.watch_pictures(comparison) == plots.watch_pictures(comparison)


def test_the_table_has_what_differs_first(comparison: Comparison) -> None:
    """A line for each aspect."""
    lines = table(comparison).splitlines()
    assert len(lines) == len(comparison.aspects)
    outcomes = [line[:14].strip() for line in lines]
    assert outcomes == sorted(outcomes, key=["different", "could not tell", "same"].index)


def test_a_recording_is_described_with_its_cost(comparison: Comparison) -> None:
    """What was watched, and what that took."""
    words = "\n".join(describe(comparison.b))
    assert "http://hub for 19.9 min" in words
    assert f"{comparison.b.cost['calls']:.0f} calls" in words
    assert "started again" in words
    assert "outages   1, " in words


@pytest.mark.parametrize("minutes", [0.01, 0.05, 0.1, 0.2, 0.5, 2.0])
def test_a_page_is_made_of_recordings_however_short(minutes: float, tmp_path: Path) -> None:
    """Ended before every organization was looked at, or with a handful of answers: it could not tell."""
    rng = np.random.default_rng(1)
    a, b = (background_of(simulate(rng, minutes=minutes), "x") for _ in range(2))
    comparison = compare(a, b)
    assert comparison.outcome == "could not tell"
    pictures = plots.watch_pictures(comparison)
    assert Page(save_comparison(comparison, tmp_path, pictures).read_text()).open == []
    assert len(describe(b)) == 6


def test_a_recording_before_the_first_answer_is_described_and_drawn() -> None:
    """There is a beginning and nothing else."""
    one = background_of(simulate(np.random.default_rng(1))[:1], "x")
    assert "not all organizations were looked at" in "\n".join(describe(one))
    assert len(plots.watch_pictures(compare(one, one))) == 3
