"""Tables of the notebooks: no wider than the page, nothing cut, and one without rows says so."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

PAGE = {
    "table": "max-width: 100%; table-layout: auto; margin-left: 0; font-size: 12px",
    "th": "white-space: normal; text-align: left; vertical-align: bottom; padding: 3px 6px",
    "td": "white-space: normal; overflow-wrap: anywhere; text-align: left; padding: 3px 6px",
}
NUMBER = {"text-align": "right", "overflow-wrap": "normal"}
NONE = "none"


class Table:
    """A table as a notebook shows it; ``frame`` is what it shows."""

    def __init__(self, frame: pd.DataFrame, digits: int) -> None:
        self.frame = frame
        self._digits = digits

    def __repr__(self) -> str:
        """Return it as text, with every column whole."""
        return NONE if self.frame.empty else self.frame.to_string(index=False)

    def _repr_html_(self) -> str:
        if self.frame.empty:
            return f"<p>{NONE}</p>"
        numbers = [name for name in self.frame if is_numeric_dtype(self.frame[name])]
        styler = self.frame.style.hide(axis="index").set_properties(subset=numbers, **NUMBER)
        styler = styler.set_table_styles([{"selector": "", "props": PAGE["table"]}])
        styler = styler.set_table_styles(
            [{"selector": name, "props": PAGE[name]} for name in ("th", "td")], overwrite=False
        )
        html: str = styler.format(precision=self._digits, na_rep="", thousands=",", escape="html").to_html()
        return html


def table(content: pd.DataFrame | pd.Series | Mapping[str, Any], digits: int = 3) -> Table:
    """Return a table for the last line of a cell.

    Parameters
    ----------
    content : DataFrame, Series or mapping
        Its index or keys become the first columns, where they have names or are no mere numbers.
    digits : int
        Decimal places of numbers that are not whole.

    Examples
    --------
    >>> table(pd.DataFrame({"n_users": [3]}))
     n users
           3
    >>> table(pd.DataFrame())
    none
    """
    if isinstance(content, Mapping):
        content = pd.DataFrame({"": list(content), " ": [_plain(value) for value in content.values()]})
    frame = content.to_frame() if isinstance(content, pd.Series) else content
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        frame = frame.reset_index(names=[name or "" for name in frame.index.names])
    frame = frame.set_axis([_heading(name) for name in frame.columns], axis=1)
    return Table(frame, digits)


def _heading(name: Any) -> str:
    parts = name if isinstance(name, tuple) else (name,)
    return ", ".join(str(part).replace("_", " ") for part in parts if part != "")


def _plain(value: Any) -> str:
    """Return a value in words: what is nested as ``name value`` pairs, nothing as none."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items()) or NONE
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
