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
    """Six kinds of one organization, a row each, with a line from what was meant to what is there."""
    ax = plots.agreement(counts(3, missing="org-0002"))
    assert ax.get_title(loc="left") == "Organizations: 6 of 18 counts differ"
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["users", "engines"]
    lines = [path.vertices[:, 0].tolist() for path in ax.collections[1].get_paths()]
    assert lines == [[20, 0]] * 6


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
    assert [label.get_text() for label in ax.get_yticklabels()] == ["jobs", "users"]
    assert texts(ax) == ["2", "1"]


def test_a_single_deviation_is_a_short_bar() -> None:
    """It does not fill the picture."""
    ax = plots.differences(pd.DataFrame({"kind": ["jobs"], "change": ["different"]}))
    assert ax.get_xlim()[1] >= 10


def test_an_ecdf_ends_at_one_and_steps_at_the_values() -> None:
    """Share of organizations with at most so many entities."""
    frame = pd.DataFrame({"archetype": "big", "jobs": [4, 2, 9, 4]})
    (line,) = plots.ecdf(frame, "jobs").lines
    x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
    assert list(x) == [2, 2, 4, 9]
    assert list(y) == [0, 0.25, 0.75, 1]


def test_organizations_are_named_while_they_are_few() -> None:
    """Beyond, the plot shows quantiles of each kind."""
    few, many = plots.organization_sizes(counts(MANY)), plots.organization_sizes(counts(MANY + 1))
    named = [[label.get_text() for label in ax.get_xticklabels()] for ax in (few, many)]
    assert f"org-{MANY:04d}" in named[0]
    assert not [text for text in named[1] if text.startswith("org-")]
    assert f"{MANY + 1} organizations" in many.get_title(loc="left")
    medians = many.collections[-1].get_offsets()[:, 0]
    assert set(medians) == {10 * (MANY + 2) / 2}


def test_the_status_of_many_organizations_jobs_is_summed_up() -> None:
    """A bar and a number for each status, and how many organizations are off."""
    n = MANY + 2
    frame = pd.DataFrame(
        {
            "organization": [f"org-{i:04d}" for i in range(n)],
            "desired": "ACTIVE",
            "status": ["INACTIVE_ERROR", *["ACTIVE"] * (n - 1)],
            "color": ["RED", *["GREEN"] * (n - 1)],
        }
    )
    ax = plots.job_status(frame)
    assert texts(ax) == [str(n - 1), "1"]
    assert f"1 of {n} organizations off" in ax.get_title(loc="left")


def test_engines_of_many_organizations_are_a_histogram_of_deviations() -> None:
    """In standard deviations of random placement; an engine alone has nothing to share."""
    rows = [
        (f"org-{i:04d}", engine, pipelines, 50.0)
        for i in range(MANY + 1)
        for engine, pipelines in (("e1", 61), ("e2", 39))
    ]
    frame = pd.DataFrame(
        [*rows, ("org-alone", "e1", 7, 7.0)], columns=["organization", "engine", "pipelines", "expected"]
    )
    ax = plots.jobs_per_engine(frame)
    heights = {round(bar.get_x() + bar.get_width() / 2, 2): bar.get_height() for bar in ax.patches[1:]}
    assert {abs(x) for x, height in heights.items() if height} == {2.25}
    assert sum(heights.values()) == 2 * (MANY + 1)


def test_the_legend_is_between_title_and_axes() -> None:
    """However many rows it has."""
    frame = pd.concat(
        [jobs((status, None)) for status in ("ACTIVE", "INACTIVE", "MISSING", "ACTIVATING", "X")]
    )
    ax = plots.job_status(frame)
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.canvas.draw()
    legend = ax.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    assert box.y0 >= ax.get_window_extent().y1 - 2
    assert box.y1 <= ax._left_title.get_window_extent().y0 + 2  # type: ignore[attr-defined]


def test_the_model_has_one_entry_with_line_and_band() -> None:
    """The curves of the archetypes, and what is behind them."""
    frame = pd.DataFrame({"archetype": "big", "jobs": [4, 2, 9, 4]})
    legend = plots.ecdf(frame, "jobs", reference=frame).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["big (4)", "model, 95 % band"]


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
