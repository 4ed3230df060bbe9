"""Checking a stats set: every problem at once, with row numbers."""

import re

import numpy as np
import pandas as pd

from psrlib.bounds import MAX_ENTITIES
from psrlib.stats.problems import Problems
from psrlib.stats.schema import DETAIL_TABLES, LARGEST, Column
from psrlib.words import CONFIG, COUNTED, COUNTS, NEEDED_COUNTS, NOT_SET

ORGANIZATION_COLUMNS = ("org", *COUNTS, *CONFIG)
_FLAGS = ("subscriptions_enabled", "is_template", "enabled")  # 0 or 1
_TRUTH = {"true": "1", "false": "0", "yes": "1", "no": "0"}
_EMPTY = ["", "NaN", "nan", "NA", "N/A", "<NA>", "null", "NULL", "None"]
_GROUPED = re.compile(r"[+-]?\d{1,3}([,.'’ \u00a0\u202f_])\d{3}(\1\d{3})*(\.0*)?")
_TOTALS = {"total", "totals", "grand total", "sum", "all", "overall", "summe", "gesamt", "mean", "average"}
_FEWEST_SUMMED = 3  # organizations, and counts that are not zero, from which on a row of sums is no chance


def integers(frame: pd.DataFrame, name: str, problems: Problems, column: Column) -> "pd.Series[int]":
    """Return a column as integers; what is not one in range is noted and read as the smallest."""
    assert column.smallest is not None
    smallest, largest = column.smallest, column.largest
    number, empty = _numbers(frame, name, problems)
    if name in CONFIG and name not in _FLAGS:
        number = number.where(~empty, NOT_SET)
    else:
        problems.add_rows(name, empty, "no value")
        number = number.where(~empty, smallest)
    problems.add_rows(name, number.isna(), "not a number")
    number = number.fillna(smallest)
    fraction = number % 1 != 0
    problems.add_rows(name, fraction & (number.abs() < LARGEST), "not a whole number")
    problems.add_rows(name, number < smallest, f"less than {smallest}")
    problems.add_rows(name, number > largest, f"more than {largest}")
    if name in _FLAGS:
        problems.add_rows(name, number > 1, "neither 0 nor 1")
    usable = ~fraction & number.between(smallest, largest)
    return number.where(usable, smallest).astype("int64")


def _numbers(
    frame: pd.DataFrame, name: str, problems: Problems | None = None
) -> "tuple[pd.Series[float], pd.Series[bool]]":
    """Return a column as numbers, NaN where it is none, and where it has no value.

    Groups of three digits are taken for thousands, unless they may be decimals: a point always may, a comma
    where semicolons separate the columns. Two groups can be read in one way only.
    """
    text = frame[name]
    if name in _FLAGS:
        text = text.str.lower().replace(_TRUTH)
    matches = [_GROUPED.fullmatch(value) for value in text]
    decimal = {"."} | ({","} if frame.attrs.get("decimal_comma") else set())
    unclear = [bool(m and m[1] in decimal and not m[2]) for m in matches]
    if problems is not None:
        what = "thousands or decimals? write numbers without separators of thousands"
        problems.add_rows(name, pd.Series(unclear, index=text.index), what)
    values = [
        value.replace(m[1], "") if m and not doubt else value
        for value, m, doubt in zip(text, matches, unclear, strict=True)
    ]
    if problems is not None:  # what is noted already is not noted again
        values = ["0" if doubt else value for value, doubt in zip(values, unclear, strict=True)]
    text = pd.Series(values, index=text.index, dtype=str)
    empty = text.isin(_EMPTY)
    return pd.to_numeric(text.where(~empty, "0"), errors="coerce").astype(float), empty


def check_organizations(text: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Return the organizations of a table of text: ``org`` (text) and integer columns, what is wrong noted.

    Columns that the schema lacks are further counts where they hold counts; texts, dates, fractions and
    numbers of rows are left out, as is a last row of totals.
    """
    for name in ("org", *NEEDED_COUNTS):
        if name not in text:
            problems.add(name, "the column is missing")
    text = _without_totals(text, problems)
    frame = pd.DataFrame(index=text.index)
    if "org" in text:
        frame["org"] = text["org"]
        problems.add_rows("org", frame["org"] == "", "no key")
        problems.add_rows("org", frame["org"].duplicated() & (frame["org"] != ""), "the key occurs again")
    for name in map(str, text.columns.drop("org", errors="ignore")):
        if name not in ORGANIZATION_COLUMNS and (reason := _no_count(text, name)):
            problems.note(f"column {name}: left out, {reason}")
            continue
        largest = MAX_ENTITIES if name in COUNTS else LARGEST
        frame[name] = integers(
            text, name, problems, Column(NOT_SET if name in CONFIG else 0, largest=largest)
        )
    if {"jobs", "active_jobs"} <= set(frame):
        problems.add_rows("active_jobs", frame["active_jobs"] > frame["jobs"], "more active jobs than jobs")
    if len(frame) < 2:
        problems.add("", "one organization says nothing about a population; at least 2 are needed")
    return frame.reset_index(drop=True)


def _no_count(text: pd.DataFrame, name: str) -> str:
    """Return why an unknown column is no further count; empty if it is one."""
    number, empty = _numbers(text, name)
    values = number[~empty]
    if values.empty:
        return "it has no values"
    if values.isna().mean() > 0.5:
        return "it holds texts or dates"
    if (values.isna() | (values % 1 != 0)).mean() > 0.5:
        return "it holds fractions"
    order = np.arange(len(text))
    if any(np.array_equal(number, order + first) for first in (0, 1)) and len(text) > 2:
        return "it numbers the rows"
    if (values.isna() | ~values.between(0, LARGEST)).mean() > 0.5:
        return f"its numbers are no counts (0 to {LARGEST})"
    return ""


def _without_totals(text: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Return the table without a last row that is the sum of the others and says so.

    A last row that is only one of both is a problem: nobody but its writer knows.
    """
    counts = [name for name in COUNTS if name in text]
    if "org" not in text or len(text) < 2 or not counts:
        return text
    numbers = pd.DataFrame({name: _numbers(text, name)[0] for name in counts})
    last, others = numbers.iloc[-1], numbers.iloc[:-1]
    summed = bool(
        len(others) >= _FEWEST_SUMMED
        and (last > 0).sum() >= min(_FEWEST_SUMMED, len(counts))
        and (last == others.sum()).all()
    )
    key, row = str(text["org"].iloc[-1]), text.index[-1]
    named = key.casefold().strip(" :") in _TOTALS
    if summed and (named or not key):
        problems.note(f'row {row} ("{key}") is the sum of the others: left out')
        return text.iloc[:-1]
    if summed:
        problems.add("org", f'row {row} ("{key}") is the sum of the others; remove it, it is no organization')
    elif named:
        problems.add("org", f'row {row} is called "{key}"; remove it, or give the organization another key')
    return text


def find_broken_rules(frame: pd.DataFrame) -> dict[str, int]:
    """Return how many organizations break a rule that drawn organizations keep; a model cannot follow them.

    Such rows exist in production (a limit lowered later, a deleted pipeline), so they are no error.
    """
    rules = {
        f"{name.replace('_', ' ')} without jobs": (frame[name] > 0) & (frame["jobs"] == 0)
        for name in ("scheduled_tasks", "subscriptions")
        if name in frame
    }
    rules |= {
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


def check_details(
    text: pd.DataFrame, table: str, organizations: set[str], problems: Problems
) -> pd.DataFrame:
    """Return a detail table such as ``pipelines`` from a table of text, what is wrong noted.

    That are also keys of organizations that ``orgs`` lacks. Columns that the schema lacks are left out.
    """
    columns = DETAIL_TABLES[table]
    frame = pd.DataFrame(index=text.index)
    for name in text.columns:
        if name not in columns:
            problems.note(f"column {name}: left out; known are {', '.join(columns)}")
    for name, column in columns.items():
        if name not in text:
            if column.required:
                problems.add(name, "the column is missing")
        elif column.smallest is None:
            frame[name] = text[name]
        else:
            frame[name] = integers(text, name, problems, column)
    if "org" in frame:
        problems.add_rows("org", ~frame["org"].isin(organizations), "an organization that orgs lacks")
    return frame.reset_index(drop=True)
