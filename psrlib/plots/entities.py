"""What was meant and what is there."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from psrlib.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MANY,
    MARKERS,
    ORANGE,
    PURPLE,
    RED,
    SERIES,
    SKY,
    label_organizations,
    legend_above,
    new_axes,
    no_data,
    style,
)

CHANGE_COLORS = {"missing": RED, "different": ORANGE, "extra": PURPLE}


@style()
def desired_and_observed(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot how many entities of each kind were meant and found, over all organizations.

    Parameters
    ----------
    counts : DataFrame
        organization, metric, desired, observed (entities); as ``VerificationReport.counts``.
    """
    ax = ax or new_axes(7, 4.2)
    total = counts.groupby("metric", sort=False)[["desired", "observed"]].sum()
    total = total[total.sum(axis=1) > 0].iloc[::-1]
    y = np.arange(len(total))
    largest = max(1, int(total.to_numpy().max(initial=1)))
    ax.barh(y, total["desired"], height=0.62, color="#CFE3F2", label="desired")
    ax.barh(y, total["observed"], height=0.26, color=BLUE, label="observed")
    for position, (desired, observed) in enumerate(total.to_numpy()):
        same = desired == observed
        text = f"{observed:,}" if same else f"{observed:,} of {desired:,}"
        ax.annotate(
            text,
            (max(desired, observed), position),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK if same else RED,
        )
    ax.set_yticks(y, [metric.replace("_", " ") for metric in total.index])
    ax.set_xlim(0, largest * 1.16)
    ax.set_xlabel("entities")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.grid(axis="x")
    legend_above(ax)
    ax.set_title("Desired and observed entities")
    return ax


@style()
def agreement(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot every organization's count of every kind, observed over desired; all is well on the diagonal."""
    ax = ax or new_axes(7, 4.4)
    metrics = [
        m
        for m, part in counts.groupby("metric", sort=False)
        if part[["desired", "observed"]].to_numpy().any()
    ]
    largest = float(counts[["desired", "observed"]].to_numpy().max(initial=1)) * 1.6
    ax.plot([0, largest], [0, largest], color=GREY, linewidth=1, zorder=1)
    for i, metric in enumerate(metrics):
        part = counts[counts["metric"] == metric]
        marker, color = MARKERS[i % len(MARKERS)], SERIES[i % len(SERIES)]
        label = str(metric).replace("_", " ")
        ax.scatter(
            part["desired"], part["observed"], 22, color=color, marker=marker, alpha=0.65, lw=0, label=label
        )
    off = counts[counts["desired"] != counts["observed"]]
    ax.scatter(off["desired"], off["observed"], 90, facecolors="none", edgecolors=RED, linewidths=1.3)
    for set_scale in (ax.set_xscale, ax.set_yscale):
        set_scale("symlog", linthresh=1)
    ax.set_xlim(-0.3, largest)
    ax.set_ylim(-0.3, largest)
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
    ax.xaxis.set_major_formatter(plain)
    ax.yaxis.set_major_formatter(plain)
    ax.set(xlabel="desired entities in an organization", ylabel="observed entities")
    ax.grid()
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.2)
    ax.set_title(f"Organizations: {len(off)} of {len(counts)} counts differ")
    return ax


@style()
def organization_sizes(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot what each organization holds, largest first, stacked by kind (observed entities)."""
    ax = ax or new_axes(7, 4)
    shown = ["users", "engines", "pipelines", "jobs", "scheduled_tasks", "subscriptions"]
    table = counts.pivot(index="organization", columns="metric", values="observed")[shown]
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    x = np.arange(len(table))
    bottom = np.zeros(len(table))
    for metric, color in zip(shown, (SKY, PURPLE, BLUE, GREEN, ORANGE, GREY), strict=True):
        label = metric.replace("_", " ")
        ax.bar(
            x, table[metric], bottom=bottom, width=0.84 if len(x) <= MANY else 1.0, color=color, label=label
        )
        bottom += table[metric].to_numpy()
    label_organizations(ax, list(table.index))
    ax.set_ylabel("observed entities")
    ax.grid(axis="y")
    legend_above(ax)
    ax.set_title("Size of organizations")
    return ax


@style()
def differences(items: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the deviations from the seed document by kind and change (of ``Difference.frame()``)."""
    ax = ax or new_axes(7, 3.8 if len(items) else 1.4)
    ax.set_title(f"Deviations from the seed document: {len(items):,}")
    if items.empty:
        return no_data(ax, "none", GREEN)
    table = pd.crosstab(items["kind"], items["change"])
    table = table.loc[table.sum(axis=1).sort_values().index]
    left = np.zeros(len(table))
    for change in [change for change in CHANGE_COLORS if change in table.columns]:
        ax.barh(range(len(table)), table[change], left=left, color=CHANGE_COLORS[change], label=change)
        left += table[change].to_numpy()
    ax.set_yticks(range(len(table)), [str(kind).replace("_", " ") for kind in table.index])
    ax.set_xlabel("deviations")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.grid(axis="x")
    legend_above(ax)
    return ax
