"""Stats sets: a folder of CSV files with counts per organization, or one summary."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from psrlib.errors import InputError
from psrlib.files import replace_file
from psrlib.stats.check import check_details, check_organizations
from psrlib.stats.schema import DETAIL_TABLES
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
    """

    organizations: pd.DataFrame
    details: dict[str, pd.DataFrame] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

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
    """Read and check a stats set.

    Raises
    ------
    InputError
        If a file is missing or wrong, listing every problem of the file with row numbers.
    """
    folder = Path(stats_dir)
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; a stats set is a folder with orgs.csv")
    organizations = check_organizations(folder / "orgs.csv")
    keys = set(organizations["org"])
    details = {
        table: check_details(folder / f"{table}.csv", table, keys)
        for table in DETAIL_TABLES
        if (folder / f"{table}.csv").exists()
    }
    meta = read_json(folder / "meta.json") if (folder / "meta.json").exists() else {}
    return StatsSet(organizations, details, meta)


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
