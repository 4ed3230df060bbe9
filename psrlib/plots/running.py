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
    """Plot the status of each organization's jobs, with a mark at the number that should be ACTIVE.

    Parameters
    ----------
    jobs : DataFrame
        organization, desired, status, color, one row per job; as ``VerificationReport.jobs``.
    """
    ax = ax or look.new_axes(7, 4)
    is_off = (jobs["status"] == "ACTIVE") & (jobs["color"] != "GREEN")
    table = pd.crosstab(jobs["organization"], jobs["status"].mask(is_off, "ACTIVE, not green"))
    table = table.reindex(jobs["organization"].unique())
    known = {status: color for status, color in STATUS_COLORS.items() if status in table.columns}
    look.stack(ax, table, known | {status: look.RED for status in table.columns if status not in known})
    wanted = (jobs["desired"] == "ACTIVE").groupby(jobs["organization"]).sum().reindex(table.index)
    size = 160 if len(table) <= look.MANY else 12
    mark: Any = {"color": look.INK, "marker": "_", "linewidths": 1.6, "label": "should be ACTIVE"}
    ax.scatter(range(len(table)), wanted, size, **mark)
    ax.set_ylim(bottom=0)
    return look.finish(ax, "Status of jobs", "y", "jobs", ncols=4)


@look.style()
def jobs_per_engine(engines: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot how many pipelines of jobs without specific labels each engine runs.

    Parameters
    ----------
    engines : DataFrame
        organization, engine, pipelines, expected; as ``VerificationReport.engines``. The bar is what an even
        spread gives, two standard deviations of random placement wide.
    """
    ax = ax or look.new_axes(7, 4)
    by_organization = engines.groupby("organization", sort=False)
    n = by_organization["engine"].size()
    mean = by_organization["expected"].first()
    names = list(n.index)
    place = {name: i for i, name in enumerate(names)}
    half = 2 * np.sqrt(mean * (1 - 1 / n))
    x = np.arange(len(names))
    low = np.maximum(mean - half, 0)
    ax.bar(
        x, mean + half - low, bottom=low, width=0.8, color=look.PALE, label="even spread by chance, ± 2 sd"
    )
    ax.scatter(
        x,
        mean,
        150 if len(x) <= look.MANY else 10,
        marker="_",
        color=look.INK,
        linewidths=1.4,
        label="even spread",
    )
    position = by_organization.cumcount()
    total = engines["organization"].map(n)
    jitter: pd.Series[float] = (position - (total - 1) / 2) * np.minimum(0.16, 0.7 / total)
    at = engines["organization"].map(place) + jitter
    ax.scatter(at, engines["pipelines"], 26, color=look.BLUE, alpha=0.85, lw=0, label="an engine", zorder=3)
    look.label_organizations(ax, names)
    ax.set_ylim(bottom=0)
    return look.finish(ax, "Jobs per engine", "y", "pipelines running on an engine")
