"""Tables of the study: what was fitted, and how well."""

import math
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Aim:
    """How far a figure may be from that of real organizations against real ones.

    ``worse`` is the direction of worse figures, ``gap`` what the model may cost, ``wavers`` the standard
    deviation of one comparison, both for halves of 1,000 organizations (docs/model.md, Figures). What a model
    costs is mostly the accidents of the sample it was fitted to, so both go with the root of its size.
    """

    name: str
    worse: int
    gap: float
    wavers: float

    def allowed(self, real: float, n_organizations: int) -> float:
        """Return the worst figure that keeps to the aim; two halves of n organizations are compared."""
        return real + self.worse * (self.gap + 2 * self.wavers) * math.sqrt(2000 / n_organizations)


AIMS = {
    "auc": Aim("two-sample AUC", 1, 0.05, 0.015),
    "ks_complement": Aim("KS complement", -1, 0.01, 0.005),
    "spearman_difference": Aim("Spearman difference", 1, 0.03, 0.015),
    "cross_auc": Aim("cross AUC", 1, 0.07, 0.015),
    "relational_auc": Aim("relational AUC", 1, 0.12, 0.015),
}


def goodness_table(goodness: dict[str, Any], n_organizations: int) -> pd.DataFrame:
    """Return figures of drawn against held out beside independent draws, real against real, and aims.

    Aims are relative to real against real, by `AIMS`; ``held`` tells whether the figure keeps to it. The
    cross AUC and the relational one judge independent draws.
    """
    kinds = ("drawn_against_held_out", "drawn_independently", "real_against_real")
    rows = {name: [goodness[kind].get(name) for kind in kinds] for name in AIMS}
    judges = {
        "cross_auc": goodness.get("cross_auc"),
        "relational_auc": goodness.get("inside", {}).get("relational_auc"),
    }
    for name, figures in judges.items():
        if figures:
            drawn, real = figures["drawn_against_held_out"], figures["real_against_real"]
            rows[name] = [float("nan"), drawn, real]
    table = []
    for name, (drawn, independent, real) in rows.items():
        if real is not None:
            aim, judged = AIMS[name], independent if name in judges else drawn
            limit = aim.allowed(real, n_organizations)
            held = bool(aim.worse * (limit - judged) >= 0)
            words = f"at {'most' if aim.worse > 0 else 'least'} {limit:.3f}"
            table.append([aim.name, drawn, independent, real, words, held])
    columns = ["", *(kind.replace("_", " ") for kind in kinds), "aim", "held"]
    return pd.DataFrame(table, columns=columns).set_index("")
