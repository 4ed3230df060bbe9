"""Plots of the notebooks and the report: DataFrame and Axes in, Axes out.

Light background, units on axes, colors that stay apart in grey and for the color-blind (Okabe and Ito 2008).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from psrlib.verify import VerificationReport

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#C2410C"
SKY, PURPLE, INK, GREY, PALE = "#56B4E9", "#8A5A9E", "#1D2430", "#8A94A6", "#E4E7EC"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STATUS_COLORS = {
    "ACTIVE": GREEN,
    "ACTIVE, not green": ORANGE,
    "ACTIVATING": SKY,
    "DEACTIVATING": PURPLE,
    "INACTIVE": "#C9D1DC",
    "MISSING": "#FFFFFF",
}
CHANGE_COLORS = {"missing": RED, "different": ORANGE, "extra": PURPLE}
MANY = 40  # organizations above which axes show ranks instead of names
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "font.size": 10,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "grid.color": PALE,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the kit's style, in a ``with`` block or as a decorator, whatever the style outside."""
    with mpl.rc_context(STYLE):
        yield


def new_axes(width: float = 7.0, height: float = 4.0) -> Axes:
    """Return axes on a figure of their own (inches) in the kit's style; the caller closes the figure."""
    with style():
        figure = plt.figure(figsize=(width, height), layout="constrained")
        return figure.add_subplot()


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
    ax.legend(loc="lower right")
    ax.set_title("Desired and observed entities")
    return ax


@style()
def agreement(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot every organization's count of every kind, observed over desired; all is well on the diagonal."""
    ax = ax or new_axes(5.2, 4.6)
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
    ax.set_xlabel("desired entities in an organization")
    ax.set_ylabel("observed entities")
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
    ax.legend(loc="upper right", ncols=2)
    ax.set_title("Size of organizations")
    return ax


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
        ax.bar(x, table[status], bottom=bottom, width=width, color=color, label=status, **edge)
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
    ax.legend(loc="upper right", ncols=2)
    ax.set_ylim(0, max(1.0, float(bottom.max(initial=1))) * 1.25)
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
        * 1.3,
    )
    ax.grid(axis="y")
    ax.legend(loc="upper right", ncols=3)
    ax.set_title("Jobs per engine")
    return ax


@style()
def ecdf(
    frame: pd.DataFrame,
    metric: str,
    by: str = "archetype",
    reference: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the share of organizations with at most so many entities, a curve per archetype.

    Parameters
    ----------
    frame : DataFrame
        One row per organization, a column per metric (entities) and the column ``by``.
    reference : DataFrame or None
        The same for organizations drawn from the noise model: a dashed curve with its 95 % band for as many
        organizations as ``frame`` holds (Dvoretzky, Kiefer, Wolfowitz; Massart 1990).
    """
    ax = ax or new_axes(5.2, 3.8)
    groups = [str(g) for g, part in frame.groupby(by, sort=False) if len(part)]
    for i, group in enumerate(groups):
        color = SERIES[i % len(SERIES)]
        values = np.sort(frame.loc[frame[by] == group, metric].to_numpy(dtype=float))
        if reference is not None:
            model = np.sort(reference.loc[reference[by] == group, metric].to_numpy(dtype=float))
            x, share = _steps(model)
            half = np.sqrt(np.log(2 / 0.05) / (2 * len(values)))
            ax.fill_between(
                x,
                np.clip(share - half, 0, 1),
                np.clip(share + half, 0, 1),
                step="post",
                color=color,
                alpha=0.1,
                lw=0,
            )
            ax.step(x, share, where="post", color=color, lw=1, linestyle="--")
        x, share = _steps(values)
        ax.step(x, share, where="post", color=color, lw=1.8, label=f"{group} ({len(values)})")
    if reference is not None:
        ax.plot([], [], color=GREY, lw=1, linestyle="--", label="model, 95 % band")
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(f"{metric.replace('_', ' ')} in an organization")
    ax.set_ylabel("share of organizations")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    ax.grid()
    ax.legend(loc="lower right")
    ax.set_title(metric.replace("_", " ").capitalize())
    return ax


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of an empirical distribution function, starting at share 0."""
    if not len(values):
        return np.array([0.0]), np.array([0.0])
    x = np.concatenate([values[:1], values])
    return x, np.arange(len(values) + 1) / len(values)


@style()
def differences(items: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the deviations from the seed document by kind and change (of ``Difference.frame()``)."""
    ax = ax or new_axes(6, 3.2)
    ax.set_title(f"Deviations from the seed document: {len(items):,}")
    if items.empty:
        ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", va="center", fontsize=16, color=GREEN)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[["left", "bottom"]].set_visible(False)
        return ax
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
    ax.legend(loc="lower right")
    return ax


def label_organizations(ax: Axes, names: list[str]) -> None:
    """Name the organizations on the x axis, or count them when they are many."""
    ax.set_xlim(-0.6, len(names) - 0.4)
    if len(names) <= MANY:
        ax.set_xticks(
            range(len(names)),
            names,
            rotation=0 if len(names) <= 5 else 60,
            ha="center" if len(names) <= 5 else "right",
            rotation_mode="anchor",
        )
        ax.set_xlabel("organization")
    else:
        ax.set_xlabel(f"organization ({len(names)})")


def review(report: "VerificationReport") -> dict[str, Figure]:
    """Return the review's plots by caption, in order; the caller closes the figures."""
    metrics = report.counts.pivot(
        index=["organization", "archetype"], columns="metric", values="observed"
    ).reset_index()
    drawings: dict[str, Callable[[], Axes]] = {
        "Entities meant and found, by kind": lambda: desired_and_observed(report.counts),
        "Every organization and kind, observed over desired": lambda: agreement(report.counts),
        "Status of every job, by organization": lambda: job_status(report.jobs),
        "Pipelines on engines without specific labels": lambda: jobs_per_engine(report.engines),
        "What each organization holds": lambda: organization_sizes(report.counts),
        "Jobs per organization, by archetype": lambda: ecdf(metrics, "jobs"),
        "Deviations by kind": lambda: differences(report.difference.frame()),
    }
    figures: dict[str, Figure] = {}
    for caption, draw in drawings.items():
        figure = draw().figure
        assert isinstance(figure, Figure)
        figures[caption] = figure
    return figures
