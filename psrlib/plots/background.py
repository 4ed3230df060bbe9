"""Two backgrounds beside each other, as `psrlib.watch` compares them."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from psrlib.plots import look
from psrlib.plots.running import STATUS_COLORS
from psrlib.plots.svg import as_svg
from psrlib.watch import Aspect, Background, Comparison
from psrlib.watch.recording import CALLS
from psrlib.watch.statistics import split

REACH = 4.0  # tolerances to either side of the plot of differences; what is further off is at its edge
OUTCOME_MARKS = {"different": (look.RED, "X"), "could not tell": (look.ORANGE, "D"), "same": (look.BLUE, "o")}
SIDES = (("A", look.BLUE), ("B", look.ORANGE))
ANSWERS_PER_POINT = 5


def watch_pictures(comparison: Comparison) -> dict[str, str]:
    """Return the plots of a comparison as SVG elements by caption, in order."""
    drawings = {
        "Every aspect beside its tolerance, with the interval of the difference": effects(comparison),
        "Jobs by status over time; hatched: the hub did not answer, ▼: engines were started again": (
            jobs_over_time(comparison.a, comparison.b)
        ),
        "Answer times: usual ones and four of five; shaded: the hub did not answer": (
            answer_times(comparison.a, comparison.b)
        ),
    }
    for figure in drawings.values():
        plt.close(figure)
    return {caption: as_svg(figure) for caption, figure in drawings.items()}


@look.style()
def effects(comparison: Comparison) -> Figure:
    """Plot the difference of every aspect in tolerances, what differs first."""
    aspects = comparison.by_outcome()
    ax = look.new_axes(9, 1.6 + 0.3 * len(aspects))
    ax.axvspan(-1, 1, color=look.PALE, label="within the tolerance")
    note: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9, "color": look.INK}
    for outcome, (color, marker) in OUTCOME_MARKS.items():
        rows = [(y, aspect.in_tolerances()) for y, aspect in enumerate(aspects) if aspect.outcome == outcome]
        known = [(y, np.clip(effect, -REACH, REACH)) for y, effect in rows if np.isfinite(effect.middle)]
        for y, (_, low, high) in known:
            ax.hlines(y, low, high, color=color, lw=2, clip_on=False)
        at = [middle for _, (middle, _, _) in known], [y for y, _ in known]
        ax.scatter(
            *at, 46, color=color, marker=marker, label=f"{outcome} ({len(rows)})", zorder=3, clip_on=False
        )
    for y, aspect in enumerate(aspects):
        ax.annotate(_told(aspect), (1.08 * REACH, y), (8, 0), annotation_clip=False, **note)
    look.label_kinds(ax, [aspect.name for aspect in aspects])
    ax.set_xlim(-1.08 * REACH, 1.08 * REACH)
    unit = FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0")
    look.finish(ax, "B beside A", "x", "difference in tolerances", unit)
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def _told(aspect: Aspect) -> str:
    """Return the difference with its unit."""
    if not np.isfinite(aspect.effect.middle):
        return "not known"
    if aspect.is_ratio:
        return f"× {aspect.effect.middle:.2f}"
    return f"{aspect.effect.middle:+.1f} {aspect.unit}" if aspect.effect.middle else "0"


def _panels(n_rows: int, n_columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    figure, axes = plt.subplots(
        *(n_rows, n_columns),
        figsize=(width, height),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    return figure, axes


def _status_color(status: str) -> str:
    """Return the color of a status with its own color in it, such as ``ACTIVE_RED``."""
    if status == "ACTIVE_GREEN":
        return look.GREEN
    if status == "NEVER_STARTED":
        return look.PALE
    if status.endswith("_RED") or "ERROR" in status:
        return look.RED
    return STATUS_COLORS.get(status, look.ORANGE)


@look.style()
def jobs_over_time(a: Background, b: Background) -> Figure:
    """Plot the jobs of each recording by status, one above the other."""
    figure, axes = _panels(2, 1, 9, 5)
    statuses = sorted({*a.statuses, *b.statuses})
    for (side, _), one, ax in zip(SIDES, (a, b), axes[:, 0], strict=True):
        levels = _corners(pd.DataFrame({status: one.level(status) for status in statuses}))
        minutes = levels.index.to_numpy() / 60
        heights = [levels[status].to_numpy() for status in statuses]
        colors = [_status_color(status) for status in statuses]
        if statuses:
            ax.stackplot(minutes, heights, colors=colors, labels=statuses, step="post", lw=0)
        _shade_outages(ax, one, facecolor="none", edgecolor=look.RED, hatch="////")
        if one.restarts:
            top = float(one.n_jobs.max())
            at = np.array(one.restarts) / 60
            ax.scatter(at, np.full(len(at), 1.04 * top), 40, look.PURPLE, marker="v", clip_on=False)
        ax.set_ylim(bottom=0)
        ax.set_xlim(0, max(a.end_s, b.end_s, 1.0) / 60)
        ax.set_title(f"{side}  {one.name}", fontsize=10)
        ax.set_ylabel("jobs")
        ax.yaxis.set_major_formatter(look.COUNT)
    axes[1, 0].set_xlabel("minutes since the begin of the recording")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=5)
    return figure


def _corners(levels: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that differ from one of their neighbours, and both ends: all that a plot shows."""
    same = [
        (levels.eq(levels.shift(step)) | levels.isna() & levels.shift(step).isna()).all(axis=1)
        for step in (1, -1)
    ]
    return levels[~(same[0] & same[1])]


def _shade_outages(ax: Axes, one: Background, **look_of: Any) -> None:
    for outage in one.outages:
        ax.axvspan(outage.begin_s / 60, outage.end_s / 60, lw=0.5, **look_of)


@look.style()
def answer_times(a: Background, b: Background) -> Figure:
    """Plot the usual answer times of each kind of call over time, and the range of four of five answers."""
    figure, axes = _panels(1, len(CALLS), 9.6, 3.4)
    for call, ax in zip(CALLS, axes[0], strict=True):
        for (side, color), one in zip(SIDES, (a, b), strict=True):
            found = one.answers[one.answers["call"] == call]
            table = _points(found)
            ax.fill_between(table["minutes"], table["low"], table["high"], color=color, alpha=0.15, lw=0)
            ax.plot(table["minutes"], table["middle"], color=color, lw=1.8, label=side)
            _shade_outages(ax, one, color=color, alpha=0.3)
        if len(a.answers) and len(b.answers):
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.grid(axis="y")
        ax.set_title(call, fontsize=10)
        ax.set_xlabel("minutes")
    axes[0, 0].set_ylabel("answer time (ms)")
    axes[0, 0].legend(loc="best")
    return figure


def _points(found: pd.DataFrame) -> pd.DataFrame:
    """Return median, tenth and nine tenths (ms) of contiguous batches of answers, and when they were."""
    times, answers = found["t"].to_numpy(dtype=float), found["answer_s"].to_numpy(dtype=float)
    least = max(1, min(ANSWERS_PER_POINT, len(found)))
    rows = [
        (float(np.median(at)) / 60, *(1000 * np.quantile(ms, [0.1, 0.5, 0.9])))
        for at, ms in zip(split(times, least), split(answers, least), strict=True)
    ]
    return pd.DataFrame(rows, columns=["minutes", "low", "middle", "high"], dtype=float)
