"""What a seed document holds beside what its noise model says."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from psrlib.plots.look import BLUE, GREY, INK, PALE, PALE_BLUE, PERCENT, finish, new_axes, style


@style()
def shares(table: pd.DataFrame, xlabel: str, ax: Axes | None = None) -> Axes:
    """Plot how often each value was drawn, as bars, and how often the model draws it, as marks.

    Parameters
    ----------
    table : DataFrame
        As of `psrlib.seed.frames.drawn_and_model`: values as index, columns drawn and model (0 to 1).
    xlabel : str
        What the values are, with their unit.
    """
    ax = ax or new_axes(7, 3.2)
    x = np.arange(len(table))
    ax.bar(x, table["drawn"], width=0.7, color=PALE_BLUE, label="drawn")
    ax.scatter(x, table["model"], s=160, color=BLUE, marker="_", linewidths=2, zorder=3, label="model")
    ax.set_xticks(x, [str(value) for value in table.index])
    ax.set_xlabel(xlabel)
    return finish(ax, xlabel[0].upper() + xlabel[1:], "y", "share", PERCENT)


@style()
def concentration(curve: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot what share of the jobs the busiest users own (`psrlib.seed.frames.owned_share`)."""
    ax = ax or new_axes(5, 3.6)
    ax.plot([0, 1], [0, 1], color=GREY, lw=1, label="everyone the same")
    ax.fill_between(curve["users"], curve["users"], curve["owned"], color=PALE)
    ax.plot(curve["users"], curve["owned"], color=BLUE, lw=2, label="drawn")
    tenth = float(np.interp(0.1, curve["users"], curve["owned"]))
    ax.plot([0.1], [tenth], "o", color=INK)
    note: Any = {"textcoords": "offset points", "color": INK, "fontsize": 9}
    ax.annotate(f"a tenth of the users owns {tenth:.0%}", (0.1, tenth), (12, -14), **note)
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.set(xlabel="share of users, busiest first", ylabel="share of jobs they own")
    ax.xaxis.set_major_formatter(PERCENT)
    ax.yaxis.set_major_formatter(PERCENT)
    ax.legend(loc="lower right")
    return ax
