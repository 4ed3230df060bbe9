"""Stats sets: a folder of CSV files with counts per organization, or one summary."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from psrlib.errors import InputError
from psrlib.files import replace_file
from psrlib.stats.check import ORGANIZATION_COLUMNS, check_details, check_organizations
from psrlib.stats.problems import Problems, raise_if_any
from psrlib.stats.schema import DETAIL_TABLES
from psrlib.stats.tables import find_table, from_frame, read_table
from psrlib.words import CONFIG, OPTIONAL_COUNTS, REQUIRED_COUNTS


@dataclass(frozen=True)
class StatsSet:
    """A checked stats set.

    Attributes
    ----------
    organizations : DataFrame
        One row per organization: ``org`` (text), counts and configuration (integers, -1: not set).
    details : dict of str to DataFrame
        The detail tables that are there: pipelines, jobs, scheduled_tasks, subscriptions.
    meta : dict
        Where the set comes from; empty without ``meta.json``.
    notes : list of str
        What was left out of the tables or taken for something, as one may want to know.
    """

    organizations: pd.DataFrame
    details: dict[str, pd.DataFrame] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def from_frames(
        cls, organizations: pd.DataFrame, meta: dict[str, Any] | None = None, **details: pd.DataFrame
    ) -> "StatsSet":
        """Return the stats set of DataFrames, checked as files are; ``details`` are ``pipelines`` and so on.

        Raises
        ------
        InputError
            For a table of unknown name, or listing every problem of all tables with row numbers, from 2 on.

        Examples
        --------
        >>> frame = pd.DataFrame({"Org": ["a", "b"], "Users": [3, 5], "Pipelines": [2, 0], "Jobs": [4, 0]})
        >>> StatsSet.from_frames(frame).organizations["users"].tolist()
        [3, 5]
        """
        unknown = [name for name in details if name not in DETAIL_TABLES]
        if unknown:
            raise InputError(f"unknown table {unknown[0]}; expected {', '.join(DETAIL_TABLES)}")
        tables = {"orgs": organizations, **details}

        def read(table: str, known: Collection[str]) -> tuple[pd.DataFrame, Problems] | None:
            if table not in tables:
                return None
            problems = Problems(table)
            return from_frame(tables[table], known, problems), problems

        return _checked(read, meta or {}, "DataFrames")

    @property
    def counts(self) -> list[str]:
        """Names of the count columns: the known ones, then further ones as they stand."""
        known = [name for name in (*REQUIRED_COUNTS, *OPTIONAL_COUNTS) if name in self.organizations]
        return known + [n for n in self.organizations.columns if n not in {"org", *CONFIG, *known}]

    @property
    def config(self) -> list[str]:
        """Names of the configuration columns."""
        return [name for name in CONFIG if name in self.organizations]

    def metrics(self) -> pd.DataFrame:
        """Return counts and configuration without keys: what a model is fitted to."""
        return self.organizations[[*self.counts, *self.config]]


def read_stats(stats_dir: str | Path) -> StatsSet:
    """Read and check a stats set: CSV, packed or not, Parquet or Excel files.

    Raises
    ------
    InputError
        If a file is missing or cannot be read, or one error that lists every problem of all files with row
        numbers.
    """
    folder = Path(stats_dir)
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; a stats set is a folder with orgs.csv")
    if find_table(folder, "orgs") is None:
        raise InputError(
            f"{folder / 'orgs.csv'}: not found; a stats set is a folder with orgs.csv or summary.json"
        )

    def read(table: str, known: Collection[str]) -> tuple[pd.DataFrame, Problems] | None:
        path = find_table(folder, table)
        if path is None:
            return None
        problems = Problems(path.name)
        return read_table(path, known, problems), problems

    meta = read_json(folder / "meta.json") if (folder / "meta.json").exists() else {}
    return _checked(read, meta, str(folder))


def _checked(
    read: Callable[[str, Collection[str]], tuple[pd.DataFrame, Problems] | None],
    meta: dict[str, Any],
    where: str,
) -> StatsSet:
    """Return the stats set of tables of text, or raise InputError with every problem of all of them."""
    orgs = read("orgs", ORGANIZATION_COLUMNS)
    assert orgs is not None
    organizations = check_organizations(*orgs)
    found = [orgs[1]]
    keys = set(organizations["org"]) if "org" in organizations else set()
    details = {}
    for table, columns in DETAIL_TABLES.items():
        given = read(table, columns)
        if given is not None:
            details[table] = check_details(given[0], table, keys, given[1])
            found.append(given[1])
    raise_if_any(where, found)
    return StatsSet(organizations, details, meta, [note for problems in found for note in problems.notes])


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; InputError if it is none."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object")
    return document


def write_stats(stats: StatsSet, stats_dir: str | Path) -> None:
    """Write a stats set; each file under a temporary name first, then renamed.

    ``meta.json`` gets the number of rows of each file.
    """
    folder = Path(stats_dir)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"orgs": stats.organizations, **stats.details}
    meta = {"schema_version": 1, **stats.meta, "rows": {name: len(table) for name, table in tables.items()}}
    for name, table in tables.items():
        replace_file(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    replace_file(folder / "meta.json", json.dumps(meta, indent=1) + "\n")
