"""How well the inside of drawn organizations resembles that of organizations the model has not seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from psrlib.arrays import IntArray
from psrlib.model.fit.goodness import cross_auc
from psrlib.model.inside import Inside
from psrlib.model.noise_model import NoiseModel
from psrlib.stats import StatsSet
from psrlib.stats.inside import (
    NUMBERS,
    inside_features,
    intraclass_correlation,
    organizations_rows,
    top_share,
)
from psrlib.stats.two_samples import ks_distance
from psrlib.words import LINKS


def draw_stats(model: NoiseModel, n_organizations: int, random_seed: int) -> StatsSet:
    """Draw organizations with their details as a stats set, independent of each other, for studies.

    A seed document bends them a little: a START task gets a job that is ACTIVE, an instance of a template the
    template's pipeline, a job no more instances than there are engines.
    """
    draws = model.draw(n_organizations, random_seed, independent=True)
    bits: Any = np.random.Philox(key=[random_seed, 1])

    def words(name: str, counts: IntArray, width: int) -> list[Any]:
        n = int(counts.sum())
        return list(bits.random_raw(n * width).reshape(width, n))

    inside = model.inside
    style_words = bits.random_raw(n_organizations * inside.n_words).reshape(n_organizations, inside.n_words)
    drawn = inside.draw({**draws.counts, **draws.config}, style_words, words)
    organizations = draws.frame().drop(columns="archetype")
    organizations.insert(0, "org", [f"o{number:06d}" for number in range(n_organizations)])
    return StatsSet(organizations, detail_tables(inside, organizations, drawn))


def detail_tables(
    inside: Inside, organizations: pd.DataFrame, drawn: Mapping[str, Mapping[str, IntArray]]
) -> dict[str, pd.DataFrame]:
    """Return what was drawn for organizations as the detail tables of a stats set."""
    details = {}
    for kind, columns in drawn.items():
        texts = {name: inside.text(kind, name, values) for name, values in columns.items()}
        keys = np.repeat(organizations["org"].to_numpy(), organizations[kind].to_numpy())
        table = pd.DataFrame({"org": keys, **texts})
        # the first user is the administrator, whom no table of users has
        details[kind] = table[table["org"].duplicated()] if kind == "users" else table
    return details


def take(stats: StatsSet, chosen: "np.ndarray[Any, np.dtype[np.bool_]]") -> StatsSet:
    """Return some organizations of a stats set with their details."""
    organizations = stats.organizations[chosen].reset_index(drop=True)
    keys = set(organizations["org"])
    details = {
        name: table[table["org"].isin(keys)].reset_index(drop=True) for name, table in stats.details.items()
    }
    return StatsSet(organizations, details, stats.meta)


def compare_inside(model: NoiseModel, training: StatsSet, held_out: StatsSet) -> dict[str, Any]:
    """Compare drawn organizations with held-out ones by their inside.

    Returns
    -------
    dict
        ``relational_auc``: the cross AUC over features of the inside, of as many drawn as held out, and of
        training against held-out organizations; ``details``: per number its Kolmogorov-Smirnov distance and
        intraclass correlation; ``links``: per link the mean share of the commonest.
    """
    drawn = [draw_stats(model, len(held_out.organizations), 11 + number) for number in range(2)]
    features = [_features(one, held_out) for one in (*drawn, training, held_out)]
    half = np.random.default_rng(0).permutation(len(features[2])) % 2 == 0
    details: dict[str, dict[str, float]] = {}
    for kind, columns in NUMBERS.items():
        for column in columns:
            if all(kind in one.details and column in one.details[kind] for one in (drawn[0], held_out)):
                details[f"{kind}.{column}"] = _compare_numbers(kind, column, drawn[0], held_out)
    links = {
        f"{kind}.{column}": {
            "drawn": round(top_share(drawn[0].organizations, drawn[0].details, kind, column), 3),
            "held_out": round(top_share(held_out.organizations, held_out.details, kind, column), 3),
        }
        for kind, column in LINKS
        if kind in held_out.details and column in held_out.details[kind]
    }
    return {
        "relational_auc": {
            "drawn_against_held_out": round(cross_auc(features[0], features[1], features[3]), 4),
            "real_against_real": round(cross_auc(features[2][half], features[2][~half], features[3]), 4),
        },
        "details": details,
        "links": links,
    }


def _features(stats: StatsSet, like: StatsSet) -> pd.DataFrame:
    """Return features of the inside, of the columns that the other set has too."""
    details = {
        name: stats.details[name][[c for c in table if c in stats.details[name]]]
        for name, table in like.details.items()
        if name in stats.details
    }
    return inside_features(stats.organizations, details)


def _compare_numbers(kind: str, column: str, drawn: StatsSet, held_out: StatsSet) -> dict[str, float]:
    values = []
    for stats in (drawn, held_out):
        rows, place = organizations_rows(stats.organizations, stats.details[kind])
        values.append((place, rows[column].to_numpy()))
    (own_place, own), (place, seen) = values
    return {
        "ks_distance": round(ks_distance(own, seen), 4),
        "icc_drawn": round(intraclass_correlation(own_place, own), 3),
        "icc_held_out": round(intraclass_correlation(place, seen), 3),
    }
