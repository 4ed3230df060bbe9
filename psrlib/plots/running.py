"""What runs, and where."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from psrlib.plots import look

STATUS_COLORS = {
    "ACTIVE": look.GREEN,
    "ACTIVE, not green": look.ORANGE,
    "ACTIVATING": look.SKY,
    "DEACTIVATING": look.PURPLE,
    "INACTIVE": "#C9D1DC",
    "MISSING": look.WHITE,
}


@look.style()
def job_status(jobs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the status of jobs, with a mark at the number that should be ACTIVE.

    A stack for each organization; where they are many, a bar for each status over all of them.

    Parameters
    ----------
    jobs : DataFrame
        organization, desired, status, color, one row per job; as ``VerificationReport.jobs``.
    """
    is_off = (jobs["status"] == "ACTIVE") & (jobs["color"] != "GREEN")
    table = pd.crosstab(jobs["organization"], jobs["status"].mask(is_off, "ACTIVE, not green"))
    table = table.reindex(jobs["organization"].unique())
    known = {status: color for status, color in STATUS_COLORS.items() if status in table.columns}
    colors = known | {status: look.RED for status in table.columns if status not in known}
    wanted = (jobs["desired"] == "ACTIVE").groupby(jobs["organization"]).sum().reindex(table.index)
    if len(table) > look.MANY:
        return _status_totals(table, colors, wanted, ax)
    ax = ax or look.new_axes(7, 4)
    look.stack(ax, table, colors)
    mark: Any = {"color": look.INK, "marker": "_", "linewidths": 1.6, "label": "should be ACTIVE"}
    ax.scatter(range(len(table)), wanted, 160, **mark)
    ax.set_ylim(bottom=0)
    return look.finish(ax, "Status of jobs", "y", "jobs")


def _status_totals(
    table: pd.DataFrame, colors: dict[str, str], wanted: "pd.Series[Any]", ax: Axes | None
) -> Axes:
    ax = ax or look.new_axes(7, 1.5 + 0.36 * len(colors))
    colors = {"ACTIVE": STATUS_COLORS["ACTIVE"]} | colors  # the mark needs its row
    total = table.reindex(columns=list(colors), fill_value=0).sum()
    edge = [look.RED if color == look.WHITE else color for color in colors.values()]
    ax.barh(range(len(total)), total, 0.62, color=list(colors.values()), edgecolor=edge)
    note: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9, "color": look.INK}
    for position, n in enumerate(total):
        ax.annotate(f"{n:,}", (n, position), (4, 0), **note)
    mark: Any = {
        "color": look.INK,
        "marker": "|",
        "linewidths": 2,
        "label": f"should be ACTIVE: {wanted.sum():,}",
    }
    ax.scatter([wanted.sum()], [0], 220, zorder=3, **mark)
    look.label_kinds(ax, total.index)
    look.counts_axis(ax, "x", 2.5 * max(float(total.max()), float(wanted.sum())))
    found = table.reindex(columns=["ACTIVE"], fill_value=0)["ACTIVE"]
    n_off = int((found != wanted).sum())
    title = f"Status of jobs: {n_off:,} of {len(table):,} organizations off"
    return look.finish(ax, title, "x", "jobs")


@look.style()
def jobs_per_engine(engines: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot how many pipelines of jobs without specific labels each engine runs.

    An organization beside the other, with what an even spread gives, two standard deviations of random
    placement wide; where they are many, a histogram of all engines' deviations in such standard deviations.

    Parameters
    ----------
    engines : DataFrame
        organization, engine, pipelines, expected; as ``VerificationReport.engines``.
    """
    by_organization = engines.groupby("organization", sort=False)
    n = by_organization["engine"].size()
    mean = by_organization["expected"].first()
    deviation = np.sqrt(mean * (1 - 1 / n))
    if len(n) > look.MANY:
        return _deviations(engines, deviation, ax)
    ax = ax or look.new_axes(7, 4)
    names = list(n.index)
    place = {name: i for i, name in enumerate(names)}
    x = np.arange(len(names))
    low = np.maximum(mean - 2 * deviation, 0)
    label = "even spread by chance, ± 2 sd"
    ax.bar(x, mean + 2 * deviation - low, bottom=low, width=0.8, color=look.PALE, label=label)
    mark: Any = {"color": look.INK, "marker": "_", "linewidths": 1.4, "label": "even spread"}
    ax.scatter(x, mean, 150, **mark)
    position = by_organization.cumcount()
    total = engines["organization"].map(n)
    jitter: pd.Series[float] = (position - (total - 1) / 2) * np.minimum(0.16, 0.7 / total)
    at = engines["organization"].map(place) + jitter
    ax.scatter(at, engines["pipelines"], 26, color=look.BLUE, alpha=0.85, lw=0, label="an engine", zorder=3)
    look.label_organizations(ax, names)
    ax.set_ylim(0, max(1.0, ax.get_ylim()[1]))
    return look.finish(ax, "Jobs per engine", "y", "pipelines running on an engine")


def _deviations(engines: pd.DataFrame, deviation: "pd.Series[float]", ax: Axes | None) -> Axes:
    """Plot the deviations of engines that share their organization's pipelines with others."""
    ax = ax or look.new_axes(7, 3.6)
    unit = engines["organization"].map(deviation)
    shared = engines[unit > 0]
    title = f"Jobs per engine: {len(shared):,} engines in {shared['organization'].nunique():,} organizations"
    if shared.empty:
        ax.set_title(title)
        return look.no_data(ax, "no engine shares pipelines", look.GREY)
    off = (shared["pipelines"] - shared["expected"]) / unit[unit > 0]
    reach = max(4.0, float(np.ceil(off.abs().max())))
    ax.axvspan(-2, 2, color=look.PALE, label="± 2 sd of an even spread by chance")
    ax.hist(off, np.linspace(-reach, reach, int(4 * reach) + 1).tolist(), color=look.BLUE, label="engines")
    ax.set_xlabel("pipelines more or less than an even spread (standard deviations)")
    return look.finish(ax, title, "y", "engines")
