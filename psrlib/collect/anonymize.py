"""Anonymizing a stats set in memory: no keys that mean anything, no order, nothing that few have.

Design.md, section 3: surrogate keys, shuffled rows, rare values top-coded so that ``k`` organizations share
the largest, optional noise.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from psrlib.collect.rows import DETAILS, OTHER, OrganizationRows
from psrlib.errors import InputError
from psrlib.words import COUNTS, NOT_SET

PART_OF = {"active_jobs": "jobs"}  # never more than
TEXTS = {
    "jobs": ("status",),
    "scheduled_tasks": ("action",),
    "subscriptions": ("event", "action"),
}
NUMBERS = {
    "pipelines": ("stages", "commits", "labels", "parameters", "definition_bytes"),
    "jobs": ("instances", "engine_labels", "tags"),
    "scheduled_tasks": ("period_s",),
    "users": ("roles", "groups"),
}
BYTES_DIGITS = 2  # significant digits of definition_bytes: a size in bytes is nearly a fingerprint
Tables = dict[str, pd.DataFrame]


def anonymize(
    organizations: Mapping[str, OrganizationRows], rng: np.random.Generator, *, k: int = 5, noise: float = 0.0
) -> Tables:
    """Return the tables of a stats set, ``orgs`` first.

    Parameters
    ----------
    organizations : mapping
        Rows by organization id; the ids do not reach the result.
    k : int
        At least so many organizations share the largest value of each column, each limit and each text;
        1 keeps all values.
    noise : float
        Each count is multiplied by a factor drawn from ``[1 - noise, 1 + noise]`` and rounded; 0 keeps it.

    Raises
    ------
    InputError
        If there are fewer than ``k`` organizations, or ``noise`` is not in 0 to 1.
    """
    check_settings(len(organizations), k, noise)
    n = len(organizations)
    ids = list(organizations)
    order = [ids[i] for i in rng.permutation(n)]
    orgs = pd.DataFrame([organizations[id].counts for id in order]).dropna(axis="columns", how="all")
    orgs.insert(0, "org", np.arange(1, n + 1))
    numbered = list(enumerate(order, start=1))
    details = {
        name: pd.DataFrame(
            [{"org": org, **row} for org, id in numbered for row in organizations[id].details[name]]
        )
        for name in DETAILS
    }
    for column in orgs.columns.drop("org"):
        if column in COUNTS:
            orgs[column] = _whole(top_code(orgs[column], k))
        else:
            owners = orgs[column].map(orgs[column].value_counts())
            orgs[column] = _whole(orgs[column].where(owners >= k).fillna(NOT_SET))
    details = {name: _hide(name, table, k) for name, table in details.items()}
    if noise:
        orgs = _add_noise(orgs, rng, noise)
    tables = {"orgs": orgs} | {name: _trim(name, table, orgs, rng) for name, table in details.items()}
    return {name: table for name, table in tables.items() if name == "orgs" or len(table)}


def check_settings(n_organizations: int, k: int, noise: float) -> None:
    """Raise InputError when so many organizations cannot be anonymized in this way."""
    if n_organizations < k:
        raise InputError(
            f"{n_organizations} organizations cannot hide among {k}; "
            "give a smaller k, 1 for a hub that holds nothing private"
        )
    if not 0 <= noise < 1:
        raise InputError(f"noise {noise}: expected a share of at least 0 and less than 1")


def top_code(values: pd.Series, k: int) -> pd.Series:
    """Return the values with all above the ``k``-th largest set to it.

    Examples
    --------
    >>> top_code(pd.Series([1, 5, 900, 7, 6]), 3).tolist()
    [1, 5, 6, 6, 6]
    """
    known = values.dropna()
    return values.clip(upper=known.nlargest(k).iloc[-1]) if k > 1 and len(known) >= k else values


def _hide(name: str, table: pd.DataFrame, k: int) -> pd.DataFrame:
    """Hide the texts and top-code the numbers that fewer than ``k`` organizations have."""
    if table.empty:
        return table
    table = table.copy()
    for column in TEXTS.get(name, ()):
        spread = table.groupby(column)["org"].nunique()
        table[column] = table[column].where(table[column].map(spread) >= k, OTHER)
    for column in NUMBERS.get(name, ()):
        if column in table:
            largest = table.groupby("org")[column].max()
            table[column] = table[column].clip(upper=top_code(largest, k).max())
    if "definition_bytes" in table and k > 1:
        table["definition_bytes"] = table["definition_bytes"].map(_round)
    for column in table.columns.drop([c for c in TEXTS.get(name, ()) if c in table]):
        table[column] = _whole(table[column])
    return table


def _round(size: float) -> float:
    return size if pd.isna(size) else float(f"{size:.{BYTES_DIGITS}g}")


def _whole(values: pd.Series) -> pd.Series:
    """Return integers that may be missing, written without a decimal point."""
    return values.astype("Float64").round().astype("Int64")


def _add_noise(orgs: pd.DataFrame, rng: np.random.Generator, noise: float) -> pd.DataFrame:
    orgs = orgs.copy()
    for column in [column for column in orgs if column in COUNTS]:
        factor = rng.uniform(1 - noise, 1 + noise, len(orgs))
        changed = (orgs[column].astype("Float64") * factor).round()
        orgs[column] = _whole(changed.where(orgs[column] == 0, changed.clip(lower=1)))
    for part, whole in PART_OF.items():
        if part not in orgs:
            continue
        orgs[part] = orgs[part].clip(upper=orgs[whole])
    return orgs


def _trim(name: str, table: pd.DataFrame, orgs: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Keep at most as many rows of an organization as its count says, chosen at random, in random order."""
    if table.empty:
        return table
    table = table.iloc[rng.permutation(len(table))]
    allowed = orgs.set_index("org")[name] if name in orgs else None
    if name == "jobs":
        allowed = orgs.set_index("org")[[c for c in ("jobs", "job_templates") if c in orgs]].sum(axis=1)
    if allowed is not None:
        table = table[table.groupby("org").cumcount() < table["org"].map(allowed)]
    return table.reset_index(drop=True)
