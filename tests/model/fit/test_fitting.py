"""Fitting models: ordinary, small and odd populations."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from psrlib.cli.model import fit as fit_command
from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.model.fit import Fit, evaluate_halves, fit_directory, fit_stats, fit_summary, report_path
from psrlib.model.fit.goodness import boosting_auc, compare
from psrlib.stats import StatsSet, summarize, write_stats
from psrlib.stats.sample import make_sample


def population(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Tenants of one kind: lognormal jobs, users by size, tasks on a tenth of the jobs."""
    jobs = np.floor(np.exp(rng.normal(2.5, 1.2, n))).astype(int)
    return pd.DataFrame(
        {
            "org": [str(i) for i in range(n)],
            "users": 1 + rng.poisson(1 + np.sqrt(jobs)),
            "engines": 1 + jobs // 25,
            "pipelines": jobs + rng.poisson(2, n),
            "jobs": jobs,
            "active_jobs": rng.binomial(jobs, 0.7),
            "scheduled_tasks": rng.binomial(jobs, 0.1),
            "subscriptions": np.where(jobs > 0, rng.poisson(1, n), 0),
        }
    )


def test_a_fitted_model_resembles_organizations_it_has_not_seen(tiny_fit: Fit) -> None:
    """Fitted to 300, compared with 1,000 others of the same process: AUC below 0.72, KS above 0.93."""
    others = make_sample(1000, 99).metrics()
    drawn = tiny_fit.model.draw(1000, 1).frame()[list(others.columns)]
    comparison = compare(drawn, others)
    assert comparison.auc < 0.72
    assert comparison.ks_complement > 0.93
    assert comparison.spearman_difference < 0.2


def test_the_same_stats_give_the_same_model(tiny_fit: Fit) -> None:
    """Fitting is deterministic on one machine."""
    again = fit_stats(make_sample(300, 8), "tiny", n_archetypes=2, evaluate=False)
    assert again.model.sha256 == tiny_fit.model.sha256


def test_a_model_file_holds_no_organization(tiny_fit: Fit) -> None:
    """No key, and no list of numbers as long as the organizations, stands in the file."""
    assert '"org"' not in tiny_fit.text
    for archetype in json.loads(tiny_fit.text)["archetypes"]:
        assert all(len(m["table"]["low"]) < 300 for m in archetype["metrics"].values())


def test_details_come_from_the_stats_set(tiny_fit: Fit) -> None:
    """Commits, stages and owners follow the detail tables; what no table tells is the default."""
    assert {"pipelines.commits", "pipelines.stages", "pipelines.owner"} <= set(tiny_fit.report["inside"])
    shapes = tiny_fit.model.archetypes[0].details["pipeline_shape"].values
    assert all(stages >= 1 + branches + event for stages, branches, event, _ in shapes)


@pytest.mark.parametrize("n", [2, 3, 12, 100])
def test_small_populations_are_fitted(n: int, rng: np.random.Generator) -> None:
    """From two organizations on there is a model, and its draws are of their size."""
    stats = StatsSet(population(rng, n))
    drawn = fit_stats(stats, evaluate=False).model.draw(200, 1).frame()
    assert drawn["jobs"].max() <= 1.6 * stats.organizations["jobs"].max() + 1


def odd_zero(frame: pd.DataFrame) -> None:
    frame["subscriptions"] = 0


def odd_constant(frame: pd.DataFrame) -> None:
    frame[["users", "engines"]] = [7, 3]


def odd_giant(frame: pd.DataFrame) -> None:
    frame.loc[0, ["users", "pipelines", "jobs", "active_jobs"]] = [3_000, 90_000, 80_000, 70_000]


def odd_no_jobs(frame: pd.DataFrame) -> None:
    frame[["jobs", "active_jobs", "scheduled_tasks", "subscriptions", "pipelines"]] = 0


def odd_extra(frame: pd.DataFrame) -> None:
    frame["fragments"] = frame["pipelines"] // 3


def odd_limits(frame: pd.DataFrame) -> None:
    frame["max_users"] = np.where(frame["users"] > 5, -1, 5)


@pytest.mark.parametrize("change", [odd_zero, odd_constant, odd_giant, odd_no_jobs, odd_extra, odd_limits])
def test_odd_populations_are_fitted(change, rng: np.random.Generator) -> None:
    """All zero, constant, a single giant, no jobs, a further count, unlimited: marginals still agree."""
    frame = population(rng, 120)
    change(frame)
    stats = StatsSet(frame)
    columns = list(stats.metrics().columns)
    drawn = fit_stats(stats, evaluate=False).model.draw(1500, 1).frame()[columns]
    assert compare(drawn, stats.metrics()).ks_complement > 0.93
    for column in columns:
        if frame[column].nunique() == 1:
            assert set(drawn[column]) == set(frame[column])


def test_a_summary_alone_gives_a_model() -> None:
    """Counts of at least five organizations are enough for a model that is hard to tell from production."""
    stats = make_sample(1200, 12)
    fitted = fit_summary(json.loads(json.dumps(summarize(stats))))
    others = make_sample(1000, 13).metrics()
    drawn = fitted.model.draw(1000, 1).frame()[list(others.columns)]
    comparison = compare(drawn, others)
    assert comparison.auc < 0.65
    assert comparison.ks_complement > 0.95


@pytest.mark.parametrize("n", [20, 45, 100])
def test_small_summaries_are_fitted(n: int, rng: np.random.Generator) -> None:
    """From twenty organizations on there is a model, and its draws are of their size."""
    stats = StatsSet(population(rng, n))
    drawn = fit_summary(summarize(stats)).model.draw(200, 1).frame()
    assert drawn["jobs"].max() <= stats.organizations["jobs"].max()


def test_halves_are_evaluated_beside_real_against_real() -> None:
    """The figures of the fit report: drawn against held out, real against real, privacy."""
    figures = evaluate_halves(make_sample(160, 4), n_archetypes=1)
    expected = {"drawn_against_held_out", "drawn_independently", "real_against_real", "privacy"}
    expected |= {"cross_auc", "inside"}
    assert set(figures) >= expected
    assert 0.3 < figures["drawn_against_held_out"]["auc"] < 0.8


def test_the_classifier_sees_a_wrong_model(rng: np.random.Generator) -> None:
    """Columns shuffled independently lose their dependence, and the classifier finds it."""
    real = make_sample(800, 5).metrics()
    shuffled = real.apply(lambda column: rng.permutation(column))
    assert boosting_auc(shuffled, make_sample(800, 6).metrics()) > 0.8


def test_the_command_writes_model_and_report(tmp_path: Path) -> None:
    """psr fit on a folder, then on the summary in it."""
    stats = make_sample(90, 3)
    write_stats(stats, tmp_path / "stats")
    out = tmp_path / "m.json"
    result = CliRunner().invoke(fit_command, [str(tmp_path / "stats"), "-o", str(out), "--no-evaluate"])
    assert result.exit_code == 0, result.output
    assert NoiseModel.load(out).name == "m"
    assert json.loads(report_path(out).read_text())["source"]["source"] == "synthetic"
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "summary.json").write_text(json.dumps(summarize(stats)))
    assert len(fit_directory(tmp_path / "only").model.archetypes) == 1


def test_nothing_is_written_when_the_stats_are_wrong(tmp_path: Path) -> None:
    """A wrong stats set leaves no model and no report."""
    (tmp_path / "orgs.csv").write_text("org,users\na,x\n")
    out = tmp_path / "out" / "m.json"
    result = CliRunner().invoke(fit_command, [str(tmp_path), "-o", str(out)])
    assert isinstance(result.exception, InputError)
    assert not out.parent.exists()


def test_organizations_above_their_limits_are_fitted(rng: np.random.Generator) -> None:
    """A limit lowered later does not stop the fit; what is drawn stays within its limits."""
    frame = population(rng, 300)
    frame["max_users"] = int(frame["users"].quantile(0.9))
    model = fit_stats(StatsSet(frame), evaluate=False).model
    drawn = model.draw(500, 1).frame()
    limited = drawn[drawn["max_users"] != -1]
    assert 300 < len(limited) < 500
    assert (limited["users"] <= limited["max_users"]).all()


def test_fifty_organizations_keep_their_dependence(rng: np.random.Generator) -> None:
    """Few for trees: pipelines still follow jobs."""
    frame = population(rng, 50)
    model = fit_stats(StatsSet(frame), evaluate=False).model
    drawn = model.draw(1000, 1).frame()
    meant = frame["jobs"].corr(frame["pipelines"], method="spearman")
    assert abs(drawn["jobs"].corr(drawn["pipelines"], method="spearman") - meant) < 0.1
