"""Plots show the numbers they are given, with units on their axes."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from psrlib import plots
from psrlib.plots.look import GREEN, MANY, RED


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def counts(n: int = 3, missing: str = "") -> pd.DataFrame:
    rows = [
        (f"org-{i:04d}", "big", metric, 10 * i, 0 if f"org-{i:04d}" == missing else 10 * i)
        for i in range(1, n + 1)
        for metric in ("users", "engines", "pipelines", "jobs", "scheduled_tasks", "subscriptions")
    ]
    return pd.DataFrame(rows, columns=["organization", "archetype", "metric", "desired", "observed"])


def jobs(*statuses: tuple[str, str | None]) -> pd.DataFrame:
    rows = [("org-0001", "ACTIVE", status, color) for status, color in statuses]
    return pd.DataFrame(rows, columns=["organization", "desired", "status", "color"])


def texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_differing_totals_are_written_in_red_with_both_numbers() -> None:
    """Equal ones are one number in ink."""
    ax = plots.desired_and_observed(counts(3, missing="org-0003"))
    assert set(texts(ax)) == {"30 of 60"}
    assert {to_hex(text.get_color()).upper() for text in ax.texts} == {RED}
    assert ax.get_xlabel() == "entities"
    assert set(texts(plots.desired_and_observed(counts(3)))) == {"60"}


def test_the_agreement_plot_counts_what_differs() -> None:
    """Six kinds of one organization."""
    ax = plots.agreement(counts(3, missing="org-0002"))
    assert ax.get_title(loc="left") == "Organizations: 6 of 18 counts differ"
    assert "desired" in ax.get_xlabel()


def test_status_bars_add_up_to_the_jobs() -> None:
    """Red and missing jobs have their own parts."""
    frame = jobs(("ACTIVE", "GREEN"), ("ACTIVE", "RED"), ("MISSING", None), ("INACTIVE", "GRAY"))
    ax = plots.job_status(frame)
    assert sum(patch.get_height() for patch in ax.patches) == 4
    assert ax.get_ylabel() == "jobs"
    legend = ax.get_legend()
    assert legend is not None
    shown = {text.get_text() for text in legend.get_texts()}
    assert {"ACTIVE", "ACTIVE, not green", "MISSING", "INACTIVE", "should be ACTIVE"} == shown


def test_no_deviation_is_said_in_words() -> None:
    """An empty plot could be a broken one."""
    empty = pd.DataFrame(columns=["organization", "kind", "name", "field", "change", "desired", "observed"])
    ax = plots.differences(empty)
    assert texts(ax) == ["none"]
    assert to_hex(ax.texts[0].get_color()).upper() == GREEN


def test_deviations_are_stacked_by_change() -> None:
    """Two kinds, three deviations."""
    frame = pd.DataFrame({"kind": ["jobs", "jobs", "users"], "change": ["missing", "extra", "missing"]})
    ax = plots.differences(frame)
    assert sum(patch.get_width() for patch in ax.patches) == 3
    assert [label.get_text() for label in ax.get_yticklabels()] == ["users", "jobs"]


def test_an_ecdf_ends_at_one_and_steps_at_the_values() -> None:
    """Share of organizations with at most so many entities."""
    frame = pd.DataFrame({"archetype": "big", "jobs": [4, 2, 9, 4]})
    (line,) = plots.ecdf(frame, "jobs").lines
    x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
    assert list(x) == [2, 2, 4, 4, 9]
    assert list(y) == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("n", [3, MANY + 20])
def test_organizations_are_named_while_they_are_few(n: int) -> None:
    """Beyond, the axis counts them."""
    ax = plots.organization_sizes(counts(n))
    named = [label.get_text() for label in ax.get_xticklabels() if label.get_text().startswith("org-")]
    assert bool(named) == (n <= MANY)
    assert str(n) in ax.get_xlabel() or n <= MANY


def test_engines_beyond_chance_lie_outside_the_bar() -> None:
    """The bar is two standard deviations of random placement wide."""
    frame = pd.DataFrame(
        {"organization": "org-0001", "engine": ["e1", "e2"], "pipelines": [95, 5], "expected": 50.0}
    )
    ax = plots.jobs_per_engine(frame)
    (bar,) = ax.patches
    low, high = bar.get_y(), bar.get_y() + bar.get_height()
    assert (low, high) == pytest.approx((50 - 2 * 50**0.5 * 0.5**0.5, 50 + 2 * 50**0.5 * 0.5**0.5))
    assert ax.get_ylim()[1] > 95


def test_a_metric_beyond_its_band_has_its_own_mark() -> None:
    """Legend and color say so."""
    table = pd.DataFrame(
        {"metric": ["users", "jobs"], "distance": [0.1, 0.5], "band": [0.2, 0.2], "ok": [True, False]}
    )
    legend = plots.distances(table).get_legend()
    assert legend is not None
    assert {"observed", "beyond chance", "chance, 99.9 %"} == {t.get_text() for t in legend.get_texts()}
