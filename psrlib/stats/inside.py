"""The inside of organizations: what a stats set's detail tables say of each, and how alike its entities are.

A stats set, organizations drawn from a model and what a hub holds are compared by the same features.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from psrlib.arrays import FloatArray, log_scale
from psrlib.words import ACTIONS, EVENTS, LINKS

# columns of the detail tables by what they are
NUMBERS = {
    "pipelines": ("stages", "commits", "labels", "parameters", "definition_bytes"),
    "jobs": ("instances", "engine_labels", "tags"),
    "scheduled_tasks": ("period_s",),
    "subscriptions": ("enabled",),
    "users": ("roles", "groups"),
}
TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "scheduled_tasks": {"action": ACTIONS},
    "subscriptions": {"event": EVENTS, "action": ("WEBHOOK", "EMAIL")},
}
_FEWEST_ENTITIES = 5  # of an organization, below which one of them makes a large share


def organizations_rows(organizations: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows of a detail table without job templates, and the place of each one's organization."""
    if "is_template" in table:
        table = table[table["is_template"] == 0]
    place = pd.Index(organizations["org"]).get_indexer(table["org"])
    return table, place


def inside_features(organizations: pd.DataFrame, details: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return features of each organization's inside, one row per organization; NaN where it has no entity.

    Per table the number of entities; per number the mean, the spread and the largest value (logarithms) and
    the share of the organization's commonest value; per text the share of each known value; for pairs of
    numbers the correlation; per link how many different ones are linked to, and the share of the commonest.
    """
    features: dict[str, FloatArray] = {}
    n = len(organizations)
    for name, table in details.items():
        rows, place = organizations_rows(organizations, table)
        counts = np.bincount(place, minlength=n).astype(float)
        features[name] = log_scale(counts)
        some = np.where(counts > 0, counts, np.nan)
        means: dict[str, FloatArray] = {}
        spreads: dict[str, FloatArray] = {}
        numbers = [column for column in NUMBERS.get(name, ()) if column in rows]
        for column in numbers:
            values = log_scale(rows[column].to_numpy())
            mean = np.bincount(place, values, minlength=n) / some
            square = np.bincount(place, values**2, minlength=n) / some
            means[column], spreads[column] = mean, np.sqrt(np.maximum(square - mean**2, 0))
            largest = np.full(n, -np.inf)
            np.maximum.at(largest, place, values)
            features[f"{name} {column} mean"] = mean
            features[f"{name} {column} spread"] = np.where(counts > 1, spreads[column], np.nan)
            features[f"{name} {column} largest"] = np.where(counts > 0, largest, np.nan)
            features[f"{name} {column} commonest"] = commonest(place, rows[column], n) / some
        for first, second in ((a, b) for i, a in enumerate(numbers) for b in numbers[:i]):
            product = log_scale(rows[first].to_numpy()) * log_scale(rows[second].to_numpy())
            covariance = np.bincount(place, product, minlength=n) / some - means[first] * means[second]
            scale = spreads[first] * spreads[second]
            known = (counts >= _FEWEST_ENTITIES) & (scale > 1e-6)
            features[f"{name} {first} with {second}"] = np.where(
                known, covariance / np.maximum(scale, 1e-9), np.nan
            )
        for column, texts in TEXTS.get(name, {}).items():
            if column in rows:
                for text in texts:
                    chosen = (rows[column] == text).to_numpy(dtype=float)
                    features[f"{name} {column} {text}"] = np.bincount(place, chosen, minlength=n) / some
        for column in (column for table_name, column in LINKS if table_name == name and column in rows):
            features[f"{name} {column} top"] = commonest(place, rows[column], n) / some
            features[f"{name} {column} different"] = log_scale(different(place, rows[column], n))
    return pd.DataFrame(features)


def commonest(place: np.ndarray, values: "pd.Series[int]", n: int) -> FloatArray:
    """Return how many entities of each organization have the value that most of them have, shape (n,)."""
    sizes = values.groupby([place, values.to_numpy()]).size()
    largest = np.zeros(n)
    np.maximum.at(largest, sizes.index.get_level_values(0).to_numpy(dtype=int), sizes.to_numpy(dtype=float))
    return largest


def different(place: np.ndarray, values: "pd.Series[int]", n: int) -> FloatArray:
    """Return how many different values the entities of each organization have, shape (n,)."""
    pairs = pd.DataFrame({"place": place, "value": values.to_numpy()}).drop_duplicates()
    return np.bincount(pairs["place"], minlength=n).astype(float)


def top_share(
    organizations: pd.DataFrame, details: Mapping[str, pd.DataFrame], table: str, column: str
) -> float:
    """Return the mean share of the commonest link in organizations of at least five entities; NaN if none."""
    rows, place = organizations_rows(organizations, details[table])
    counts = np.bincount(place, minlength=len(organizations))
    enough = counts >= _FEWEST_ENTITIES
    shares = commonest(place, rows[column], len(organizations))[enough] / counts[enough]
    return float(shares.mean()) if len(shares) else float("nan")


def intraclass_correlation(place: np.ndarray, values: np.ndarray) -> float:
    """Return how alike the entities of an organization are: the share of the variance that lies between them.

    One-way analysis of variance on the logarithmic scale, for organizations of unequal size (Donner 1986).

    Examples
    --------
    >>> intraclass_correlation(np.array([0, 0, 1, 1]), np.array([3, 3, 8, 8]))
    1.0
    """
    y = log_scale(values)
    sizes = np.bincount(place).astype(float)
    means = np.bincount(place, y) / np.maximum(sizes, 1)
    sizes_kept = sizes[sizes > 0]
    groups, n = len(sizes_kept), len(y)
    if groups < 2 or n <= groups or y.std() == 0:
        return 0.0
    between = float((sizes * (means - y.mean()) ** 2).sum()) / (groups - 1)
    within = float(((y - means[place]) ** 2).sum()) / (n - groups)
    typical = (n - float((sizes_kept**2).sum()) / n) / (groups - 1)
    return (between - within) / (between + (typical - 1) * within)
