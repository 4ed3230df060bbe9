"""What production stats hold, and how a noise model follows them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from psrlib.model.fit.goodness import ecdf_band
from psrlib.plots.look import BLUE, GREY, RED, SERIES, new_axes, style


def _survival(values: "pd.Series[int]") -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct counts and the share of organizations with at least as many."""
    distinct, counts = np.unique(values, return_counts=True)
    return distinct, 1 - np.concatenate([[0], np.cumsum(counts)[:-1]]) / len(values)


def _panels(n: int, width: float = 3.4, height: float = 2.9) -> tuple[Figure, list[Axes]]:
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = plt.figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(n)]


def _logarithmic(ax: Axes, both: bool = True) -> None:
    """Make axes logarithmic with labels at the decades only: between them they would overlap."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(left=0.8)
    if both:
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(visible=True)


@style()
def tails(samples: dict[str, pd.DataFrame], metrics: Sequence[str]) -> Figure:
    """Plot, per metric, the share of organizations with at least so many entities, on log axes.

    Parameters
    ----------
    samples : dict of str to DataFrame
        Name of each sample and its organizations, a column per metric (entities); counts are moved by one so
        that zero has a place on the log axis.
    """
    figure, axes = _panels(len(metrics))
    for ax, metric in zip(axes, metrics, strict=True):
        for color, (name, frame) in zip(SERIES, samples.items(), strict=False):
            x, share = _survival(frame[metric])
            ax.step(x + 1, share, where="post", color=color, label=name, lw=1.4)
        ax.set(xlabel=f"{metric.replace('_', ' ')} + 1 (entities)")
        _logarithmic(ax)
    axes[0].set_ylabel("share with at least as many")
    axes[0].legend(loc="lower left")
    return figure


@style()
def bands(observed: pd.DataFrame, drawn: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Plot distribution functions of drawn organizations with the 95 % band of the observed ones."""
    figure, axes = _panels(len(metrics))
    for ax, metric in zip(axes, metrics, strict=True):
        x, low, high = ecdf_band(observed[metric])
        ax.fill_between(x + 1, low, high, step="post", color=BLUE, alpha=0.25, label="observed, 95 % band")
        ax.ecdf(drawn[metric] + 1, color=RED, lw=1.2, label="drawn")
        ax.set(xlabel=f"{metric.replace('_', ' ')} + 1 (entities)", ylim=(0, 1.02))
        _logarithmic(ax, both=False)
    axes[0].set_ylabel("share with at most as many")
    axes[0].legend(loc="lower right")
    return figure


@style()
def quantile_quantile(observed: pd.DataFrame, drawn: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Plot quantiles of drawn against observed organizations (entities, log axes)."""
    figure, axes = _panels(len(metrics))
    levels = np.concatenate([np.linspace(0.01, 0.99, 99), [0.995, 0.999]])
    for ax, metric in zip(axes, metrics, strict=True):
        x, y = (np.quantile(frame[metric], levels) + 1 for frame in (observed, drawn))
        top = max(x.max(), y.max())
        ax.plot([1, top], [1, top], color=GREY, lw=1)
        ax.plot(x, y, ".", color=BLUE, ms=4)
        ax.set(xlabel=f"observed {metric.replace('_', ' ')} + 1", ylabel="drawn + 1")
        _logarithmic(ax)
    return figure


@style()
def correlations(matrices: dict[str, pd.DataFrame]) -> Figure:
    """Plot matrices of Spearman coefficients (-1 to 1) by their titles, the same metrics in each."""
    figure, axes = _panels(len(matrices), 4.6, 4.4)
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        names = [str(name).replace("_", " ") for name in matrix.columns]
        ax.set_xticks(range(len(names)), names, rotation=90)
        ax.set_yticks(range(len(names)), names if ax is axes[0] else [])
        ax.set_title(title)
    figure.colorbar(image, ax=axes, label="Spearman coefficient")
    return figure


@style()
def pairs(samples: dict[str, pd.DataFrame], x: str, y: str) -> Figure:
    """Plot two metrics (entities + 1, log axes) side by side for each sample; points are spread a little."""
    figure, axes = _panels(len(samples), 4.0, 3.6)
    rng = np.random.default_rng(0)
    for ax, color, (name, frame) in zip(axes, SERIES, samples.items(), strict=False):
        spread = rng.uniform(-0.3, 0.3, (2, len(frame)))
        ax.plot(frame[x] + 1 + spread[0], frame[y] + 1 + spread[1], ".", ms=2.5, alpha=0.4, color=color)
        ax.set(title=name, xlabel=f"{x} + 1".replace("_", " "), ylabel=f"{y} + 1".replace("_", " "))
        _logarithmic(ax)
    top = [max(frame[metric].max() for frame in samples.values()) for metric in (x, y)]
    for ax in axes:
        ax.set(xlim=(0.6, 1.5 * (top[0] + 1)), ylim=(0.6, 1.5 * (top[1] + 1)))
    return figure


@style()
def bars(values: "pd.Series[float]", xlabel: str, reference: float | None = None) -> Axes:
    """Plot a number per metric as horizontal bars, with a line at the reference."""
    ax = new_axes(6.4, 0.28 * len(values) + 1.2)
    names = [str(name).replace("_", " ") for name in values.index]
    ax.barh(names[::-1], values[::-1], color=BLUE, height=0.6)
    if reference is not None:
        ax.axvline(reference, color=RED, lw=1.2)
    ax.set_xlabel(xlabel)
    ax.grid(visible=True, axis="x")
    return ax
