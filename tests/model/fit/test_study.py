"""Tables of the study."""

from psrlib.model.fit import Fit
from psrlib.model.fit.study import archetype_table, fit_table, goodness_table, tier_table
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
    """Three figures, drawn and real, with what is aimed at."""
    figures = {"auc": 0.5, "ks_complement": 0.98, "spearman_difference": 0.1}
    kinds = ("drawn_against_held_out", "drawn_independently", "real_against_real")
    table = goodness_table(dict.fromkeys(kinds, figures))
    assert table.loc["two-sample AUC", "aim"] == "at most 0.55"
