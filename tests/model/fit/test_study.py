"""Tables of the study."""

import pandas as pd
import pytest

from psrlib import paths
from psrlib.model.fit import Fit
from psrlib.model.fit.study import (
    AIMS,
    alike_by_owner,
    archetype_table,
    fit_table,
    goodness_table,
    inside_table,
    tier_table,
)
from psrlib.stats.sample import make_sample
from psrlib.words import CONFIG


def test_tables_show_every_archetype_and_metric(tiny_fit: Fit) -> None:
    """Shares sum to one, each metric of each archetype has a row with unit and family."""
    shares = archetype_table(tiny_fit.model, tiny_fit.model.draw(500, 1).frame()).loc["share"]
    assert abs(shares.sum() - 1) < 0.01
    table = fit_table(tiny_fit.report)
    counts = [name for name in make_sample(5, 1).metrics() if name not in CONFIG]
    assert len(table) == 2 * len(counts)
    assert table["unit"].str.contains("share of jobs").any()


def test_tiers_are_counted() -> None:
    """Three plans in the sample, one line without limits."""
    organizations = make_sample(300, 1).metrics()
    assert tier_table(organizations)["organizations"].sum() == 300
    assert len(tier_table(organizations[["users", "jobs", "pipelines"]])) == 1


def test_figures_stand_beside_aims() -> None:
    """Each aim is that of real against real and what a model may cost; what misses it is said to."""
    figures = {"auc": 0.5, "ks_complement": 0.98, "spearman_difference": 0.1}
    kinds = ("drawn_against_held_out", "drawn_independently", "real_against_real")
    table = goodness_table(dict.fromkeys(kinds, figures), 2000)
    assert table["held"].all()
    assert table.loc["two-sample AUC", "aim"] == "at most 0.580"
    assert table.loc["KS complement", "aim"] == "at least 0.960"
    judges = {"drawn_against_held_out": 0.66, "real_against_real": 0.5}
    worse = {"auc": 0.59, "ks_complement": 0.95, "spearman_difference": 0.17}
    goodness = dict.fromkeys(kinds, figures) | {
        "drawn_against_held_out": worse,
        "cross_auc": judges,
        "inside": {"relational_auc": judges},
    }
    table = goodness_table(goodness, 2000)
    assert table.loc["cross AUC", "drawn independently"] == 0.66
    assert not table["held"].any()


def test_an_aim_gives_fewer_organizations_more_room() -> None:
    """Comparisons of few waver more."""
    aim = AIMS["auc"]
    assert aim.allowed(0.5, 2000) < aim.allowed(0.5, 200)
    assert aim.allowed(0.5, 200) == pytest.approx(0.5 + 0.08 * 10**0.5)


def test_public_pipelines_of_one_owner_are_alike() -> None:
    """Between owners lies a fifth of the variance of stages, and half of that of parameters."""
    alike = alike_by_owner(pd.read_csv(paths.STATS / "public_pipelines.csv"))["intraclass correlation"]
    assert alike["stages"] == pytest.approx(0.22, abs=0.02)
    assert alike["parameters"] == pytest.approx(0.51, abs=0.02)
    assert alike["json_bytes"] == pytest.approx(0.42, abs=0.02)


def test_details_stand_beside_those_of_held_out_organizations() -> None:
    """A row per number and per link."""
    number = {"ks_distance": 0.02, "icc_drawn": 0.3, "icc_held_out": 0.35}
    inside = {
        "details": {"pipelines.stages": number},
        "links": {"jobs.owner": {"drawn": 0.5, "held_out": 0.6}},
    }
    table = inside_table({"inside": inside})
    assert table.loc["pipelines.stages"].tolist() == [0.02, 0.3, 0.35]
    assert table.loc["jobs.owner, share of the commonest", "alike, held out"] == 0.6
