"""What was meant and what is there."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from psrlib.plots import look

CHANGE_COLORS = {"missing": look.RED, "different": look.ORANGE, "extra": look.PURPLE}
CROWD = 500  # points, beyond which they cover each other and are paler
SIZE_COLORS = {
    "users": look.SKY,
    "engines": look.PURPLE,
    "pipelines": look.BLUE,
    "jobs": look.GREEN,
    "scheduled_tasks": look.ORANGE,
    "subscriptions": look.GREY,
}


@look.style()
def desired_and_observed(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot how many entities of each kind were meant and found, over all organizations.

    Parameters
    ----------
    counts : DataFrame
        organization, metric, desired, observed (entities); as ``VerificationReport.counts``.
    """
    ax = ax or look.new_axes(7, 4.2)
    total = counts.groupby("metric", sort=False)[["desired", "observed"]].sum()
    total = total[total.sum(axis=1) > 0]
    y = np.arange(len(total))
    ax.barh(y, total["desired"], height=0.62, color=look.PALE_BLUE, label="desired")
    ax.barh(y, total["observed"], height=0.26, color=look.BLUE, label="observed")
    note: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    for position, (desired, observed) in enumerate(total.to_numpy()):
        same = desired == observed
        text = f"{observed:,}" if same else f"{observed:,} of {desired:,}"
        end = (max(desired, observed), position)
        ax.annotate(text, end, (4, 0), color=look.INK if same else look.RED, **note)
    look.label_kinds(ax, total.index)
    look.counts_axis(ax, "x", 2.5 * total.to_numpy().max(initial=1))
    return look.finish(ax, "Desired and observed entities", "x", "entities")


@look.style()
def agreement(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot every organization's count of every kind, and how far those that differ from the seed are off.

    A row per kind; the columns of ``counts`` are those of `desired_and_observed`.
    """
    kinds = [kind for kind, n in counts.groupby("metric", sort=False)["desired"].max().items() if n]
    ax = ax or look.new_axes(7, 1.4 + 0.3 * len(kinds))
    row = counts["metric"].map({kind: i for i, kind in enumerate(kinds)})
    place = counts.groupby("metric").cumcount() * 0.618034 % 1 - 0.5  # spread, so that equal counts show
    is_off = counts["desired"] != counts["observed"]
    same, off = counts[~is_off], counts[is_off]
    same_label, off_label = "as desired", "differs: line from desired to observed"
    if len(same):
        point: Any = {"s": 14, "color": look.BLUE, "alpha": 0.75 if len(same) <= CROWD else 0.35, "lw": 0}
        ax.scatter(same["desired"], (row + 0.5 * place)[~is_off], label=same_label, **point)
    if len(off):
        ends: Any = {"color": look.RED, "zorder": 3}
        ax.hlines(row[is_off], off["desired"], off["observed"], lw=2, **ends)
        ax.scatter(off["observed"], row[is_off], 34, lw=0, label=off_label, **ends)
    look.label_kinds(ax, kinds)
    look.counts_axis(ax, "x", float(counts[["desired", "observed"]].to_numpy().max(initial=1)), -0.3)
    title = f"Organizations: {len(off):,} of {len(counts):,} counts differ"
    return look.finish(ax, title, "x", "entities in an organization")


@look.style()
def organization_sizes(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot what organizations hold (observed entities).

    A stack of kinds for each, largest first; where they are many, quantiles and extremes of every kind.
    """
    table = counts.pivot(index="organization", columns="metric", values="observed")[list(SIZE_COLORS)]
    if len(table) > look.MANY:
        return _size_quantiles(table, ax)
    ax = ax or look.new_axes(7, 4)
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    look.stack(ax, table, SIZE_COLORS)
    return look.finish(ax, "Size of organizations", "y", "observed entities")


def _size_quantiles(table: pd.DataFrame, ax: Axes | None) -> Axes:
    ax = ax or look.new_axes(7, 3.6)
    quantiles = table.quantile([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
    y = np.arange(len(table.columns))
    least, tenth, first, median, third, ninth, most = quantiles.to_numpy()
    ax.hlines(y, least, most, color=look.GREY, lw=1, label="smallest to largest")
    ax.barh(y, ninth - tenth, 0.3, tenth, color=look.PALE_BLUE, label="four of five")
    ax.barh(y, third - first, 0.5, first, color=look.SKY, label="half of them")
    ax.scatter(median, y, 160, color=look.INK, marker="|", linewidths=2.2, zorder=3, label="median")
    look.label_kinds(ax, table.columns)
    look.counts_axis(ax, "x", float(most.max(initial=1)), -0.3)
    title = f"Size of {len(table):,} organizations"
    return look.finish(ax, title, "x", "observed entities in an organization")


@look.style()
def differences(items: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the deviations from the seed document by kind and change (of ``Difference.frame()``)."""
    title = f"Deviations from the seed document: {len(items):,}"
    if items.empty:
        ax = ax or look.new_axes(7, 1.4)
        ax.set_title(title)
        return look.no_data(ax, "none", look.GREEN)
    table = pd.crosstab(items["kind"], items["change"])
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    ax = ax or look.new_axes(7, 1.3 + 0.32 * len(table))
    left = np.zeros(len(table))
    for change in [change for change in CHANGE_COLORS if change in table.columns]:
        ax.barh(range(len(table)), table[change], 0.6, left, color=CHANGE_COLORS[change], label=change)
        left += table[change].to_numpy()
    note: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    for position, n in enumerate(left):
        ax.annotate(f"{n:,.0f}", (n, position), (4, 0), color=look.INK, **note)
    look.label_kinds(ax, table.index)
    ax.set_xlim(0, max(10, 1.12 * left.max()))  # a single deviation is a short bar
    return look.finish(ax, title, "x", "deviations")
