"""Tables of the study: what was fitted, and how well."""

from typing import Any

import pandas as pd

from psrlib.model.noise_model import NoiseModel
from psrlib.words import CONFIG, COUNTED


def tier_table(organizations: pd.DataFrame) -> pd.DataFrame:
    """Return how many organizations have each combination of limits, and their median size."""
    limits = [name for name in COUNTED if name in organizations]
    if not limits:
        return pd.DataFrame({"organizations": [len(organizations)]}, index=["no limits in this stats set"])
    groups = organizations.groupby(limits)
    table = groups[["users", "pipelines", "jobs"]].median()
    table.insert(0, "organizations", groups.size())
    return table


def archetype_table(model: NoiseModel, drawn: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each archetype and the mean of each count (entities) among organizations drawn."""
    counts = [name for name in drawn if name not in {*CONFIG, "archetype"}]
    means = drawn.groupby("archetype")[counts].mean().round(1)
    table = means.reindex([archetype.name for archetype in model.archetypes])
    total = sum(archetype.weight for archetype in model.archetypes)
    table.insert(0, "share", [round(archetype.weight / total, 3) for archetype in model.archetypes])
    return table.T


def fit_table(report: dict[str, Any]) -> pd.DataFrame:
    """Return what was chosen per archetype and metric: unit, family, p-value, nearest rejected family."""
    rows = []
    for archetype, metrics in report["metrics"].items():
        for metric, chosen in metrics.items():
            if metric in CONFIG:
                continue
            rejected = chosen["rejected"]
            nearest = min(rejected, key=lambda name: _rank(rejected[name])) if rejected else ""
            rows.append(
                {
                    "archetype": archetype,
                    "metric": metric,
                    "unit": chosen["unit"],
                    "family": chosen["family"],
                    "p": chosen["p_value"],
                    "from": report.get("assumed", {}).get(metric, "data"),
                    "nearest rejected": f"{nearest}: {rejected[nearest]}" if nearest else "",
                }
            )
    return pd.DataFrame(rows).set_index(["archetype", "metric"])


def _rank(reason: str) -> float:
    """Order reasons: the best family rejected by its p-value, then by distance of the criterion."""
    if reason.startswith("best"):
        return -1.0
    return float(reason.split()[1]) if reason.startswith("AIC") else 1e9


def goodness_table(goodness: dict[str, Any]) -> pd.DataFrame:
    """Return the three figures of drawn against held out beside those of independent draws, of real against
    real, and the aims.
    """
    names = {
        "auc": "two-sample AUC",
        "ks_complement": "KS complement",
        "spearman_difference": "Spearman difference",
    }
    table = pd.DataFrame(
        {
            "drawn against held out": {k: goodness["drawn_against_held_out"][k] for k in names},
            "drawn independently": {k: goodness["drawn_independently"][k] for k in names},
            "real against real": {k: goodness["real_against_real"][k] for k in names},
            "aim": {
                "auc": "at most 0.55",
                "ks_complement": "at least 0.97",
                "spearman_difference": "at most 0.10",
            },
        }
    )
    return table.rename(index=names)
