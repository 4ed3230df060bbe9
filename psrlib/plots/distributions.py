"""What organizations look like beside the noise model."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import ScalarFormatter

from psrlib.plots.look import (
    BLUE,
    COUNT,
    GREY,
    PALE,
    PERCENT,
    RED,
    SERIES,
    counts_axis,
    finish,
    new_axes,
    no_data,
    style,
)


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
    largest = max(float(part[metric].max()) for part in (frame, reference) if part is not None and len(part))
    groups = [str(g) for g, part in frame.groupby(by, sort=False) if len(part)]
    for i, group in enumerate(groups):
        color = SERIES[i % len(SERIES)]
        values = frame.loc[frame[by] == group, metric].to_numpy(dtype=float)
        if reference is not None:
            model = reference.loc[reference[by] == group, metric].to_numpy(dtype=float)
            x, share = _steps(model)
            half = np.sqrt(np.log(2 / 0.05) / (2 * len(values)))
            low, high = np.clip([share - half, share + half], 0, 1)
            ax.fill_between(x, low, high, step="post", color=color, alpha=0.1, lw=0)
            ax.step(x, share, where="post", color=color, lw=1, linestyle="--")
        x, share = _steps(values)
        ax.step(x, share, where="post", color=color, lw=1.8, label=f"{group} ({len(values)})")
    counts_axis(ax, "x", largest, -0.3)
    ax.xaxis.set_major_formatter(COUNT)
    ax.set_ylim(0, 1.02)
    ax.set(xlabel=f"{metric.replace('_', ' ')} in an organization", ylabel="share of organizations")
    ax.yaxis.set_major_formatter(PERCENT)
    ax.grid()
    ax.legend(*_legend(ax, reference is not None), loc="lower right")
    ax.set_title(metric.replace("_", " ").capitalize())
    return ax


@style()
def ecdf_panels(
    frame: pd.DataFrame, metrics: Sequence[str], by: str = "archetype", reference: pd.DataFrame | None = None
) -> Figure:
    """Return a figure with one `ecdf` beside the other; ``reference`` may be empty."""
    reference = None if reference is None or reference.empty else reference
    n = len(metrics)
    size = (3.6 * n, 3.6)
    figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", sharey=True, squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        ecdf(frame, metric, by, reference, ax)
        ax.label_outer()
        ax.get_legend().remove()
    handles, labels = _legend(axes[0][0], reference is not None)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _legend(ax: Axes, has_model: bool) -> tuple[list[Any], list[str]]:
    """Return handles and labels of the curves, and one for the model's line within its band."""
    handles, labels = ax.get_legend_handles_labels()
    if not has_model:
        return list(handles), list(labels)
    band = Patch(color=GREY, alpha=0.2, lw=0), Line2D([], [], color=GREY, lw=1, linestyle="--")
    return [*handles, band], [*labels, "model, 95 % band"]


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of an empirical distribution function, starting at share 0."""
    if not len(values):
        return np.array([0.0]), np.array([0.0])
    distinct, n = np.unique(values, return_counts=True)
    return np.concatenate([distinct[:1], distinct]), np.concatenate([[0], np.cumsum(n)]) / len(values)


@style()
def distances(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot how far each metric is from the noise model, with the band that chance stays within.

    Parameters
    ----------
    table : DataFrame
        metric, distance, band (Kolmogorov-Smirnov, 0 to 1), ok; as ``VerificationReport.distances``.
    """
    ax = ax or new_axes(7, 3.8)
    title = "Distance to the noise model"
    if table.empty:
        ax.set_title(title)
        return no_data(ax, "not compared", GREY)
    rows = table.iloc[::-1]
    y = np.arange(len(rows))
    ax.barh(y, rows["band"], height=0.62, color=PALE, label="chance, 99.9 %")
    inside = rows["ok"].to_numpy(dtype=bool)
    for mask, color, marker, label in ((inside, BLUE, "o", "observed"), (~inside, RED, "X", "beyond chance")):
        if mask.any():
            ax.scatter(rows["distance"][mask], y[mask], 42, color=color, marker=marker, label=label, zorder=3)
    ax.set_yticks(y, [metric.replace("_", " ") for metric in rows["metric"]])
    ax.set_xlim(0, min(1.0, 1.1 * float(rows[["distance", "band"]].to_numpy().max())))
    return finish(ax, title, "x", "largest difference of cumulative shares (0 to 1)", ScalarFormatter())
