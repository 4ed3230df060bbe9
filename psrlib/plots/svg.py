"""Plots as SVG elements of a page, in the page's colors."""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from psrlib.plots.look import INK, PALE, PALE_BLUE, RED, WHITE

# colors that differ between light and dark pages, and the names a page gives them (CSS variables)
THEMED = {RED: "--bad", INK: "--ink", PALE: "--pale", PALE_BLUE: "--pale-blue", WHITE: "--page"}
WIDE = 8.0  # inches from which a plot wants a row of its own
DPI = 110  # of what is drawn as an image inside a plot


def as_svg(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element without background, the same text for the same figure.

    Ink and pale areas are CSS variables of the page (`THEMED`), so that a plot can be read on a dark one too;
    an element of class ``wide`` wants a row of its own.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "psr"}):
        figure.savefig(
            buffer, format="svg", dpi=DPI, bbox_inches="tight", transparent=True, metadata={"Date": None}
        )
    text = buffer.getvalue()
    for color, variable in THEMED.items():
        text = re.sub(color, f"var({variable})", text, flags=re.IGNORECASE)
    kind = "plot wide" if figure.get_figwidth() >= WIDE else "plot"
    return text[text.index("<svg") :].replace("<svg", f'<svg class="{kind}"', 1)
