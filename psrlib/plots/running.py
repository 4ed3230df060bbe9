"""What runs, and where."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from psrlib.plots.style import (
    BLUE,
    GREEN,
    INK,
    MANY,
    ORANGE,
    PALE,
    PURPLE,
    RED,
    SKY,
    label_organizations,
    legend_above,
    new_axes,
    style,
)

STATUS_COLORS = {
    "ACTIVE": GREEN,
    "ACTIVE, not green": ORANGE,
    "ACTIVATING": SKY,
    "DEACTIVATING": PURPLE,
    "INACTIVE": "#C9D1DC",
    "MISSING": "#FFFFFF",
}


@style()
def job_status(jobs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the status of each organization's jobs, with a mark at the number that should be ACTIVE.

    Parameters
    ----------
    jobs : DataFrame
        organization, desired, status, color, one row per job; as ``VerificationReport.jobs``.
    """
    ax = ax or new_axes(7, 4)
    shown = jobs["status"].where(
        (jobs["status"] != "ACTIVE") | (jobs["color"] == "GREEN"), "ACTIVE, not green"
    )
    table = pd.crosstab(jobs["organization"], shown).reindex(jobs["organization"].unique())
    others = [status for status in table.columns if status not in STATUS_COLORS]
    order = [status for status in STATUS_COLORS if status in table.columns]
    bottom = np.zeros(len(table))
    x = np.arange(len(table))
    for status in [*order, *others]:
        color = STATUS_COLORS.get(status, RED)
        edge: dict[str, Any] = {"edgecolor": RED, "hatch": "///"} if status == "MISSING" else {}
        width = 0.8 if len(x) <= MANY else 1.0
        some = (table[status] > 0).to_numpy()
        ax.bar(x[some], table[status][some], width, bottom[some], color=color, label=status, **edge)
        bottom += table[status].to_numpy()
    wanted = (jobs["desired"] == "ACTIVE").groupby(jobs["organization"]).sum().reindex(table.index)
    ax.scatter(
        x,
        wanted,
        160 if len(x) <= MANY else 12,
        color=INK,
        marker="_",
        linewidths=1.6,
        label="should be ACTIVE",
    )
    label_organizations(ax, list(table.index))
    ax.set_ylabel("jobs")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    legend_above(ax, ncols=4)
    ax.set_ylim(0, max(1.0, float(bottom.max(initial=1))) * 1.08)
    ax.set_title("Status of jobs")
    return ax


@style()
def jobs_per_engine(engines: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot how many pipelines of jobs without specific labels each engine runs.

    Parameters
    ----------
    engines : DataFrame
        organization, engine, pipelines, expected; as ``VerificationReport.engines``. The bar is what an even
        spread gives, two standard deviations of random placement wide.
    """
    ax = ax or new_axes(7, 4)
    names = list(engines["organization"].unique())
    place = {name: i for i, name in enumerate(names)}
    n = engines.groupby("organization", sort=False)["engine"].size()
    mean = engines.groupby("organization", sort=False)["expected"].first()
    half = 2 * np.sqrt(mean * (1 - 1 / n))
    x = np.arange(len(names))
    low = np.maximum(mean - half, 0)
    ax.bar(x, mean + half - low, bottom=low, width=0.8, color=PALE, label="even spread by chance, ± 2 sd")
    ax.scatter(
        x, mean, 150 if len(x) <= MANY else 10, marker="_", color=INK, linewidths=1.4, label="even spread"
    )
    position = engines.groupby("organization", sort=False).cumcount()
    total = engines["organization"].map(n)
    jitter: pd.Series[float] = (position - (total - 1) / 2) * np.minimum(0.16, 0.7 / total)
    at = engines["organization"].map(place) + jitter
    ax.scatter(at, engines["pipelines"], 26, color=BLUE, alpha=0.85, lw=0, label="an engine", zorder=3)
    label_organizations(ax, names)
    ax.set_ylabel("pipelines running on an engine")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(
        0,
        max(
            1.0,
            float((mean + half).max()) if len(mean) else 1.0,
            float(engines["pipelines"].max() if len(engines) else 1),
        )
        * 1.08,
    )
    ax.grid(axis="y")
    legend_above(ax)
    ax.set_title("Jobs per engine")
    return ax
