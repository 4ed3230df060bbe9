"""Tables of the study: what was fitted, and how well."""

from typing import Any

import pandas as pd

from psrlib.model.noise_model import NoiseModel
from psrlib.stats.inside import intraclass_correlation
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


def inside_table(goodness: dict[str, Any]) -> pd.DataFrame:
    """Return, per detail, its Kolmogorov-Smirnov distance, and how alike entities of an organization are.

    That is the intraclass correlation of a number; of a link, the mean share of the commonest owner,
    pipeline or job. Drawn beside held out.
    """
    inside = goodness["inside"]
    columns = ["KS distance", "alike, drawn", "alike, held out"]
    rows = {
        name: [one["ks_distance"], one["icc_drawn"], one["icc_held_out"]]
        for name, one in inside["details"].items()
    }
    rows |= {
        f"{name}, share of the commonest": [float("nan"), one["drawn"], one["held_out"]]
        for name, one in inside["links"].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def alike_by_owner(public: pd.DataFrame) -> pd.DataFrame:
    """Return how alike the public pipelines of one owner of repositories are: intraclass correlations.

    Parameters
    ----------
    public : DataFrame
        A row per pipeline (``data/stats/public_pipelines.csv``).
    """
    place = pd.factorize(public["source_repo"].str.partition("/")[0])[0]
    columns = ["stages", "parameters", "json_bytes", "rules"]
    alike = {name: intraclass_correlation(place, public[name].to_numpy()) for name in columns}
    return pd.DataFrame({"intraclass correlation": alike}).round(2)


def goodness_table(goodness: dict[str, Any]) -> pd.DataFrame:
    """Return figures of drawn against held out beside independent draws, real against real, and aims.

    The cross AUC and the relational one judge independent draws.
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
    table = table.rename(index=names)
    inside = goodness.get("inside", {})
    judges = {
        "cross AUC": (goodness.get("cross_auc"), "at most 0.57"),
        "relational AUC": (inside.get("relational_auc"), "at most 0.65"),
    }
    for name, (figures, aim) in judges.items():
        if figures:
            drawn, real = figures["drawn_against_held_out"], figures["real_against_real"]
            table.loc[name] = [float("nan"), drawn, real, aim]
    return table
