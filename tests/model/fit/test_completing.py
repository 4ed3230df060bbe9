"""Stats sets that do not tell every count: taken from another model, and said."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from psrlib import paths
from psrlib.cli import psr
from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.model.fit import fit_stats, fit_summary
from psrlib.model.fit.completing import complete
from psrlib.model.fit.study import fit_table
from psrlib.seed import create_seed
from psrlib.seed.check import check_document
from psrlib.stats import StatsSet, summarize, write_stats
from psrlib.stats.sample import make_sample
from psrlib.words import COUNTS, NEEDED_COUNTS, NOT_SET

LEAST = ["org", *NEEDED_COUNTS]


@pytest.fixture(scope="module")
def other() -> NoiseModel:
    return NoiseModel.load(paths.MODEL)


@pytest.fixture(scope="module")
def least() -> StatsSet:
    """Two hundred organizations of which nothing but users, pipelines and jobs is known."""
    stats = make_sample(200, 3)
    return StatsSet(stats.organizations[LEAST])


def test_what_is_known_stays_and_rules_hold(least: StatsSet, other: NoiseModel) -> None:
    """Users, pipelines and jobs are as they were; nothing acts on jobs that are not there."""
    frame = complete(least.metrics(), other)
    assert set(COUNTS) == set(frame.columns)
    for name in NEEDED_COUNTS:
        assert frame[name].tolist() == least.organizations[name].tolist()
    assert (frame["active_jobs"] <= frame["jobs"]).all()
    without = frame[frame["jobs"] == 0]
    assert (without[["active_jobs", "scheduled_tasks", "subscriptions"]] == 0).all(axis=None)


def test_organizations_get_the_counts_of_their_like(other: NoiseModel) -> None:
    """Where the other model is of the same population, the dependence on the jobs is found again."""
    truth = make_sample(600, 4).metrics()
    frame = complete(truth.drop(columns=["active_jobs", "scheduled_tasks"]), other)
    for name in ("active_jobs", "scheduled_tasks"):
        found = frame[name].corr(frame["jobs"], method="spearman")
        assert found == pytest.approx(truth[name].corr(truth["jobs"], method="spearman"), abs=0.1)
        assert frame[name].mean() == pytest.approx(truth[name].mean(), rel=0.5, abs=0.5)


def test_a_complete_table_stays_as_it_is(other: NoiseModel) -> None:
    """Nothing is assumed where everything is told."""
    frame = make_sample(50, 1).metrics()
    assert complete(frame, other) is frame


def test_three_counts_make_a_model_that_says_what_it_assumed(least: StatsSet, other: NoiseModel) -> None:
    """Model file, report and table name each count with the model it was taken from."""
    fitted = fit_stats(least, "least", n_archetypes=1)
    assumed = {name: other.name for name in COUNTS if name not in NEEDED_COUNTS}
    assert fitted.report["assumed"] == assumed == fitted.model.assumed
    assert NoiseModel.from_bytes(fitted.text.encode()).assumed == assumed
    table = fit_table(fitted.report)["from"].droplevel(0)
    assert table["jobs"] == "data"
    assert table["engines"] == other.name
    judged = fitted.report["goodness"]["drawn_against_held_out"]
    assert np.isfinite(judged["auc"])
    check_document(create_seed(fitted.model, 1, 20), "seed.json")


def test_another_model_can_be_named(least: StatsSet) -> None:
    """The hand-written one, for example; one that assumed the same itself is refused."""
    sample = NoiseModel.load(paths.SAMPLE_MODEL)
    fitted = fit_stats(least, "least", n_archetypes=1, evaluate=False, other=sample)
    assert set(fitted.model.assumed.values()) == {sample.name}
    with pytest.raises(InputError, match=r'model "least" has itself assumed groups, engines.*--from'):
        fit_stats(least, "again", n_archetypes=1, evaluate=False, other=fitted.model)


def test_a_summary_may_lack_counts_too(least: StatsSet, other: NoiseModel) -> None:
    """Its model draws them independently of the others, but for the rules."""
    fitted = fit_summary(summarize(least), "least")
    assert set(fitted.model.assumed) == set(COUNTS) - set(NEEDED_COUNTS)
    drawn = fitted.model.draw(2000, 1).frame()
    expected = other.draw(2000, 1).frame()
    assert (drawn["active_jobs"] <= drawn["jobs"]).all()
    assert drawn["engines"].mean() == pytest.approx(expected["engines"].mean(), rel=0.1)
    assert (drawn["max_jobs"] == NOT_SET).all()


def test_the_command_says_what_was_taken_from_where(least: StatsSet, tmp_path: Path) -> None:
    """Each count with its model, on the error stream."""
    write_stats(least, tmp_path / "stats")
    arguments = ["fit", str(tmp_path / "stats"), "-o", str(tmp_path / "m.json"), "--no-evaluate"]
    result = CliRunner().invoke(psr, [*arguments, "--n-archetypes", "1", "--from", str(paths.SAMPLE_MODEL)])
    assert result.exit_code == 0, result.output
    name = NoiseModel.load(paths.SAMPLE_MODEL).name
    assert f'scheduled_tasks: not told by the stats set, taken from the model "{name}"' in result.output
