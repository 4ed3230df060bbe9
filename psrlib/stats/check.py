"""Checking a stats set: every problem of a file at once, with row numbers."""

from pathlib import Path

import numpy as np
import pandas as pd

from psrlib.errors import InputError
from psrlib.stats.schema import DETAIL_TABLES, LARGEST
from psrlib.words import CONFIG, COUNTED, NOT_SET, REQUIRED_COUNTS

_ROWS_SHOWN = 5  # row numbers named per problem; the rest is counted


class Problems:
    """A growing list of what is wrong in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[str] = []

    def add(self, where: str, what: str) -> None:
        """Note a problem of the whole file or of a column."""
        self.messages.append(f"{where}: {what}" if where else what)

    def add_rows(self, column: str, bad: "pd.Series[bool]", what: str) -> None:
        """Note a problem of some rows; row numbers count from 2, the line after the header."""
        rows = [str(row + 2) for row in bad.to_numpy().nonzero()[0]]
        if rows:
            more = f" and {len(rows) - _ROWS_SHOWN} more" if len(rows) > _ROWS_SHOWN else ""
            self.add(column, f"{what} in row {', '.join(rows[:_ROWS_SHOWN])}{more}")

    def raise_if_any(self) -> None:
        """Raise InputError listing every problem noted."""
        if self.messages:
            listing = "\n  ".join(self.messages)
            raise InputError(f"{self.path}: {len(self.messages)} problem(s); nothing was used\n  {listing}")


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text, so that what is wrong can be shown as it stands.

    Raises
    ------
    InputError
        If the file is missing, empty or not a table.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: not found; a stats set is a folder with orgs.csv or summary.json"
        ) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a table ({error})") from error
    if frame.empty:
        raise InputError(f"{path}: has no rows")
    return frame


def integers(frame: pd.DataFrame, name: str, smallest: int, problems: Problems) -> "pd.Series[int]":
    """Return a column as integers; what is not an integer in range is noted and read as ``smallest``."""
    text = frame[name].str.strip()
    empty = text.isin(["", "NaN", "nan", "NA", "null", "None"])
    problems.add_rows(name, empty, "no value")
    number = pd.to_numeric(text.where(~empty, str(smallest)), errors="coerce")
    problems.add_rows(name, number.isna(), "not a number")
    number = number.fillna(smallest)
    fraction = number % 1 != 0
    problems.add_rows(name, fraction & (number.abs() < LARGEST), "not a whole number")
    problems.add_rows(name, number < smallest, f"less than {smallest}")
    problems.add_rows(name, number > LARGEST, f"more than {LARGEST}")
    usable = ~fraction & number.between(smallest, LARGEST)
    return number.where(usable, smallest).astype("int64")


def check_organizations(path: Path) -> pd.DataFrame:
    """Read and check ``orgs.csv``: ``org`` (text) and integer columns, unknown ones being further counts.

    Raises
    ------
    InputError
        Listing every problem: missing columns, empty or wrong values, duplicate keys, impossible rows.
    """
    text = read_text_table(path)
    problems = Problems(path)
    for name in ("org", *REQUIRED_COUNTS):
        if name not in text:
            problems.add(name, "the column is missing")
    frame = pd.DataFrame(index=text.index)
    if "org" in text:
        frame["org"] = text["org"].str.strip()
        problems.add_rows("org", frame["org"] == "", "no key")
        problems.add_rows("org", frame["org"].duplicated() & (frame["org"] != ""), "the key occurs again")
    for name in text.columns.drop("org", errors="ignore"):
        frame[name] = integers(text, name, NOT_SET if name in CONFIG else 0, problems)
    if {"jobs", "active_jobs"} <= set(frame):
        problems.add_rows("active_jobs", frame["active_jobs"] > frame["jobs"], "more active jobs than jobs")
    if "subscriptions_enabled" in frame:
        problems.add_rows("subscriptions_enabled", frame["subscriptions_enabled"] > 1, "neither 0 nor 1")
    if len(frame) < 2:
        problems.add("", "one organization says nothing about a population; at least 2 are needed")
    problems.raise_if_any()
    return frame


def find_broken_rules(frame: pd.DataFrame) -> dict[str, int]:
    """Return how many organizations break a rule that drawn organizations keep; a model cannot follow them.

    Such rows exist in production (a limit lowered later, a deleted pipeline), so they are no error.
    """
    rules = {
        "scheduled tasks without jobs": (frame["scheduled_tasks"] > 0) & (frame["jobs"] == 0),
        "subscriptions without jobs": (frame["subscriptions"] > 0) & (frame["jobs"] == 0),
        "jobs without pipelines": (frame["jobs"] > 0) & (frame["pipelines"] == 0),
        "no user": frame["users"] == 0,
    }
    for limit, names in COUNTED.items():
        if limit in frame:
            rules[f"more {names[0]} than {limit}"] = _exceeded(frame, limit)
    return {rule: int(broken.sum()) for rule, broken in rules.items() if broken.any()}


def lift_exceeded_limits(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the organizations with each limit that a count exceeds lifted to the next tier that holds it.

    Such rows exist (a limit lowered later), but a hub would refuse to be filled so. A count above every tier
    of the population has its limit not set (-1). The report counts the rows (``broken_rules``).

    Examples
    --------
    >>> frame = pd.DataFrame({"users": [4, 12, 99], "max_users": [10, 10, 50]})
    >>> lift_exceeded_limits(frame)["max_users"].tolist()
    [10, 50, -1]
    """
    frame = frame.copy()
    for limit in COUNTED:
        if limit in frame:
            exceeded = _exceeded(frame, limit)
            tiers = np.append(np.unique(frame.loc[frame[limit] != NOT_SET, limit]), NOT_SET)
            place = np.searchsorted(tiers[:-1], _counted(frame, limit)[exceeded])
            frame.loc[exceeded, limit] = tiers[place]
    return frame


def _counted(frame: pd.DataFrame, limit: str) -> "pd.Series[int]":
    """Return what counts against a limit, per organization."""
    return frame[[name for name in COUNTED[limit] if name in frame]].sum(axis=1)


def _exceeded(frame: pd.DataFrame, limit: str) -> "pd.Series[bool]":
    return (frame[limit] != NOT_SET) & (_counted(frame, limit) > frame[limit])


def check_details(path: Path, table: str, organizations: set[str]) -> pd.DataFrame:
    """Read and check a detail table such as ``pipelines.csv``.

    Raises
    ------
    InputError
        Listing every problem, also keys of organizations that ``orgs.csv`` lacks.
    """
    text = read_text_table(path)
    problems = Problems(path)
    columns = DETAIL_TABLES[table]
    frame = pd.DataFrame(index=text.index)
    for name in text.columns:
        if name not in columns:
            problems.add(name, f"unknown column; expected {', '.join(columns)}")
    for name, column in columns.items():
        if name not in text:
            if column.required:
                problems.add(name, "the column is missing")
        elif column.smallest is None:
            frame[name] = text[name].str.strip()
        else:
            frame[name] = integers(text, name, column.smallest, problems)
    if "org" in frame:
        problems.add_rows("org", ~frame["org"].isin(organizations), "an organization that orgs.csv lacks")
    problems.raise_if_any()
    return frame
