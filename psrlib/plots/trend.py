"""Several verifications of the same seed document, one after the other."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from psrlib.plots import look

PANELS = {
    "failed": "checks failed",
    "deviations": "deviations from the seed document",
    "green": "jobs ACTIVE and green",
    "seconds": "seconds to verify",
}
NAMED = 12  # verifications up to which each is named by its time


@look.style()
def trend(runs: pd.DataFrame) -> Figure:
    """Plot what changed from one verification to the next (`psrlib.verify.trend`), failed ones in red."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 4.8), sharex=True, layout="constrained")
    x = np.arange(len(runs))
    failed = (runs["verdict"] == "failed").to_numpy()
    for ax, (column, title) in zip(axes.flat, PANELS.items(), strict=True):
        y = runs[column].to_numpy()
        ax.plot(x, y, color=look.GREY, lw=1.2)
        for mask, color, marker in ((~failed, look.BLUE, "o"), (failed, look.RED, "X")):
            ax.scatter(x[mask], y[mask], 42, color=color, marker=marker, zorder=3, clip_on=False)
        if column == "deviations":
            look.counts_axis(ax, "y", float(y.max()), -0.3)
        else:
            ax.set_ylim(0, max(1.0, 1.15 * float(y.max())))
            ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        ax.yaxis.set_major_formatter(look.COUNT)
        ax.grid(axis="y")
        ax.set_title(title, fontsize=10)
    step = -(-len(runs) // NAMED)
    names = [str(when)[:16].replace("T", " ") for when in runs["verified"]]
    for ax in axes[1]:
        ax.set_xticks(x[::step], names[::step], rotation=45, ha="right", rotation_mode="anchor")
    return figure
