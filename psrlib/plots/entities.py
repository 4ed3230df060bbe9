"""What was meant and what is there."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from psrlib.plots import look

CHANGE_COLORS = {"missing": look.RED, "different": look.ORANGE, "extra": look.PURPLE}
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
    total = total[total.sum(axis=1) > 0].iloc[::-1]
    y = np.arange(len(total))
    largest = max(1, int(total.to_numpy().max(initial=1)))
    ax.barh(y, total["desired"], height=0.62, color="#CFE3F2", label="desired")
    ax.barh(y, total["observed"], height=0.26, color=look.BLUE, label="observed")
    note: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    for position, (desired, observed) in enumerate(total.to_numpy()):
        same = desired == observed
        text = f"{observed:,}" if same else f"{observed:,} of {desired:,}"
        end = (max(desired, observed), position)
        ax.annotate(text, end, (4, 0), color=look.INK if same else look.RED, **note)
    ax.set_yticks(y, [metric.replace("_", " ") for metric in total.index])
    ax.set_xlim(0, largest * 1.16)
    return look.finish(ax, "Desired and observed entities", "x", "entities")


@look.style()
def agreement(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot every organization's count of every kind, observed over desired; all is well on the diagonal."""
    ax = ax or look.new_axes(7, 4.4)
    both = ["desired", "observed"]
    kinds = [kind for kind in counts.groupby("metric", sort=False) if kind[1][both].to_numpy().any()]
    largest = float(counts[both].to_numpy().max(initial=1)) * 1.6
    ax.plot([0, largest], [0, largest], color=look.GREY, linewidth=1, zorder=1)
    for (metric, part), marker, color in zip(kinds, cycle(look.MARKERS), cycle(look.SERIES), strict=False):
        kind: Any = {"color": color, "marker": marker, "label": str(metric).replace("_", " ")}
        ax.scatter(part["desired"], part["observed"], 22, alpha=0.65, lw=0, **kind)
    off = counts[counts["desired"] != counts["observed"]]
    ax.scatter(off["desired"], off["observed"], 90, facecolors="none", edgecolors=look.RED, linewidths=1.3)
    for set_scale in (ax.set_xscale, ax.set_yscale):
        set_scale("symlog", linthresh=1)
    ax.set(xlim=(-0.3, largest), ylim=(-0.3, largest))
    ax.xaxis.set_major_formatter(look.COUNT)
    ax.yaxis.set_major_formatter(look.COUNT)
    ax.set(xlabel="desired entities in an organization", ylabel="observed entities")
    ax.grid()
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.2)
    ax.set_title(f"Organizations: {len(off)} of {len(counts)} counts differ")
    return ax


@look.style()
def organization_sizes(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot what each organization holds, largest first, stacked by kind (observed entities)."""
    ax = ax or look.new_axes(7, 4)
    table = counts.pivot(index="organization", columns="metric", values="observed")[list(SIZE_COLORS)]
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    look.stack(ax, table, SIZE_COLORS)
    return look.finish(ax, "Size of organizations", "y", "observed entities")


@look.style()
def differences(items: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the deviations from the seed document by kind and change (of ``Difference.frame()``)."""
    ax = ax or look.new_axes(7, 3.8 if len(items) else 1.4)
    title = f"Deviations from the seed document: {len(items):,}"
    if items.empty:
        ax.set_title(title)
        return look.no_data(ax, "none", look.GREEN)
    table = pd.crosstab(items["kind"], items["change"])
    table = table.loc[table.sum(axis=1).sort_values().index]
    left = np.zeros(len(table))
    for change in [change for change in CHANGE_COLORS if change in table.columns]:
        ax.barh(range(len(table)), table[change], left=left, color=CHANGE_COLORS[change], label=change)
        left += table[change].to_numpy()
    ax.set_yticks(range(len(table)), [str(kind).replace("_", " ") for kind in table.index])
    return look.finish(ax, title, "x", "deviations")
