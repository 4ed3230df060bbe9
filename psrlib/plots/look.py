"""How the plots look: light background, colors that stay apart in grey and for the color-blind.

Colors after Okabe and Ito (2008).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullLocator

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#C2410C"
SKY, PURPLE, INK, GREY, PALE = "#56B4E9", "#8A5A9E", "#1D2430", "#8A94A6", "#E4E7EC"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY)
WHITE = "#FFFFFF"
PALE_BLUE = "#CFE3F2"
MANY = 25  # organizations above which plots sum them up instead of naming each
LEGEND_COLUMNS = 4
COUNT = FuncFormatter(lambda value, _: f"{value:,.0f}")
PERCENT = FuncFormatter(lambda value, _: f"{value:.0%}")
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "legend.labelcolor": INK,
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
        interactive = mpl.is_interactive()
    # A notebook's backend turns interactive at the first figure; undone here, no other one would show.
    mpl.interactive(interactive)


def new_axes(width: float = 7.0, height: float = 4.0) -> Axes:
    """Return axes on a figure of their own (inches) in the kit's style; the caller closes the figure."""
    with style():
        figure = plt.figure(figsize=(width, height), layout="constrained")
        return figure.add_subplot()


def label_organizations(ax: Axes, names: list[str]) -> None:
    """Name the organizations on the x axis, one beside the other."""
    ax.set_xlim(-0.6, len(names) - 0.4)
    turned: Any = {"rotation": 60, "ha": "right"} if len(names) > 5 else {}
    ax.set_xticks(range(len(names)), names, rotation_mode="anchor", **turned)
    ax.set_xlabel("organization")


def label_kinds(ax: Axes, names: Iterable[Any]) -> None:
    """Name kinds of entities, or other words of the field, on the y axis, the first one at the top."""
    words = [str(name).replace("_", " ") for name in names]
    ax.set_yticks(range(len(words)), words)
    ax.set_ylim(len(words) - 0.4, -0.6)


def counts_axis(ax: Axes, axis: Literal["x", "y"], largest: float, smallest: float = 0) -> None:
    """Make an axis of counts logarithmic from 1 up to ``largest``, with 0 beside it.

    Counts of organizations are skewed: on a straight axis a few giants would push all others into a corner.
    """
    amounts = ax.xaxis if axis == "x" else ax.yaxis
    (ax.set_xscale if axis == "x" else ax.set_yscale)("symlog", linthresh=1)
    decades = [10**power for power in range(len(str(int(max(largest, 1)))))]
    amounts.set_ticks([0, *decades])
    amounts.set_minor_locator(NullLocator())
    (ax.set_xlim if axis == "x" else ax.set_ylim)(smallest, max(largest, 1) * 1.25)


def finish(ax: Axes, title: str, axis: Literal["x", "y"], label: str, unit: Formatter = COUNT) -> Axes:
    """Put the legend right above the axes and the title above the legend; dress the axis of amounts."""
    amounts = ax.xaxis if axis == "x" else ax.yaxis
    amounts.set_label_text(label)
    if unit is COUNT and amounts.get_scale() == "linear":
        amounts.set_major_locator(MaxNLocator(integer=True, nbins=6))
    amounts.set_major_formatter(unit)
    ax.grid(axis=axis)
    names = ax.get_legend_handles_labels()[1]
    if names:
        at: Any = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2, "borderpad": 0.2}
        ax.legend(ncols=LEGEND_COLUMNS, columnspacing=1.4, handletextpad=0.5, **at)
    ax.set_title(title, pad=8 + 15 * -(-len(names) // LEGEND_COLUMNS))
    return ax


def stack(ax: Axes, table: pd.DataFrame, colors: Mapping[str, str]) -> None:
    """Stack the columns of a table as bars, an organization (row) beside the other, in the given colors.

    The sum stands above each bar: beside a giant, small ones are too low to be read off the axis.
    """
    x, bottom = np.arange(len(table)), np.zeros(len(table))
    for name, color in colors.items():
        height = table[name].to_numpy()
        some = height > 0
        edge: Any = {"edgecolor": RED, "hatch": "///"} if color == WHITE else {}  # else it could not be seen
        label = name.replace("_", " ")
        ax.bar(x[some], height[some], 0.8, bottom[some], color=color, label=label, **edge)
        bottom += height
    note: Any = {"textcoords": "offset points", "ha": "center", "fontsize": 9 if len(table) <= 15 else 7.5}
    for position, total in enumerate(bottom):
        ax.annotate(f"{total:,.0f}", (position, total), (0, 3), color=INK, **note)
    ax.margins(y=0.1)  # for the highest one's
    label_organizations(ax, list(table.index))


def no_data(ax: Axes, text: str, color: str) -> Axes:
    """Say in the middle of the axes why there is nothing to plot."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=16, color=color)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    return ax
