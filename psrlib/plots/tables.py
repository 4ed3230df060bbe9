"""Tables of the notebooks: no wider than the page, nothing cut, and one without rows says so."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

if TYPE_CHECKING:
    from pandas.io.formats.style_render import CSSDict

CELL = "white-space: normal; text-align: left; padding: 2px 3px"
PAGE = {
    "": "max-width: 100%; table-layout: auto; margin-left: 0; font-size: 11px; border-collapse: collapse",
    "th": f"{CELL}; vertical-align: bottom",
    "td": f"{CELL}; overflow-wrap: anywhere",
}
MANY = 10  # columns, beyond which headings of numbers stand upright
UPRIGHT = "writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; text-align: left"
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
        numbers = [i for i, name in enumerate(self.frame) if _is_number(self.frame[name])]
        rules = PAGE | {f"th.col{i}": "text-align: right" for i in numbers}
        if len(self.frame.columns) > MANY:
            rules |= {f"th.col{i}": UPRIGHT for i in numbers}
        rules |= {f"td.col{i}": "text-align: right; white-space: nowrap" for i in numbers}
        styles: list[CSSDict] = [{"selector": name, "props": props} for name, props in rules.items()]
        styler = self.frame.style.hide(axis="index").set_table_styles(styles)
        for i in numbers:
            values = self.frame.iloc[:, i].dropna()
            digits = 0 if (values == values.round()).all() else self._digits
            styler = styler.format(precision=digits, na_rep="", thousands=",", subset=[self.frame.columns[i]])
        texts = [name for i, name in enumerate(self.frame) if i not in numbers]
        html: str = styler.format(na_rep="", escape="html", subset=texts).to_html()
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
        content = pd.DataFrame(
            {"": map(_heading, content), " ": [_plain(value) for value in content.values()]}
        )
    frame = content.to_frame() if isinstance(content, pd.Series) else content
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        n_columns = frame.shape[1]
        frame = frame.reset_index(names=[name or " " * i for i, name in enumerate(frame.index.names)])
        for i in range(frame.shape[1] - n_columns):
            frame.isetitem(i, [_heading(label) for label in frame.iloc[:, i]])
    frame = frame.set_axis([_heading(name) for name in frame.columns], axis=1)
    return Table(frame, digits)


def _is_number(column: pd.Series) -> bool:
    return is_numeric_dtype(column) and not is_bool_dtype(column)


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
