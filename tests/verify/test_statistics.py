"""Organizations drawn from the model pass; others do not."""

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from psrlib import paths
from psrlib.model import NoiseModel
from psrlib.seed import create_seed
from psrlib.verify import statistics
from psrlib.verify.statistics import (
    auc_check,
    distance_check,
    distance_table,
    draw_reference,
    inside_check,
    ridge_auc,
)


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    return draw_reference(NoiseModel.load(paths.SAMPLE_MODEL), 7)


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return draw_reference(NoiseModel.load(paths.SAMPLE_MODEL), 1907, 60)


def test_distances_are_those_of_scipy(
    found: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator
) -> None:
    """The Kolmogorov-Smirnov statistic of two samples."""
    table = distance_table(found, reference, rng).set_index("metric")
    for metric in ("users", "jobs", "subscriptions"):
        assert table.loc[metric, "distance"] == pytest.approx(
            ks_2samp(found[metric], reference[metric]).statistic
        )


def test_organizations_of_the_model_pass(
    found: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Within all bands, and the classifier is lost."""
    assert distance_check(distance_table(found, reference, rng)).ok
    assert auc_check(found, reference, rng).ok


def test_a_shifted_metric_is_found_and_named(
    found: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Two users more in each organization."""
    shifted = found.assign(users=found["users"] + 2)
    check = distance_check(distance_table(shifted, reference, rng))
    assert not check.ok
    assert "users: distance" in check.answer
    assert check.failed == 1


def test_broken_dependence_is_found_by_the_classifier_alone(
    found: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Each metric shuffled by itself keeps its distribution, but big organizations with few users appear."""
    columns = [column for column in found.columns if column != "archetype"]
    broken = pd.DataFrame({column: rng.permutation(found[column]) for column in columns})
    assert distance_check(distance_table(broken, reference, rng)).ok
    check = auc_check(broken, reference, rng)
    assert not check.ok
    assert "AUC" in check.answer


def test_bands_hold_as_often_as_they_say(
    reference: pd.DataFrame, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a significance of 20 %, about 20 % of samples of the model leave some band."""
    monkeypatch.setattr(statistics, "SIGNIFICANCE", 0.2)
    monkeypatch.setattr(statistics, "BOOTSTRAP", 400)
    monkeypatch.setattr(statistics, "BOOTSTRAP_FEWEST", 400)
    samples = [reference.sample(30, random_state=i, replace=True) for i in range(60)]
    outside = [not distance_table(sample, reference, rng)["ok"].all() for sample in samples]
    assert 0.07 < np.mean(outside) < 0.37


def test_a_classifier_separates_what_is_separate(rng: np.random.Generator) -> None:
    """AUC 1 for samples far apart, about one half for the same distribution."""
    first, second = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    assert ridge_auc(first + 9, second, rng) == 1.0
    assert ridge_auc(first, second, rng) == pytest.approx(0.5, abs=0.1)


def test_few_organizations_are_not_judged_by_the_classifier(
    found: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator
) -> None:
    """The answer says so instead of pretending."""
    check = auc_check(found.head(4), reference, rng)
    assert check.ok
    assert "too few organizations (4)" in check.answer


def test_organizations_of_the_model_pass_inside_too(rng: np.random.Generator) -> None:
    """The inside of a seed document is the model's own; one pipeline in two a stage longer is found."""
    model = NoiseModel.load(paths.MODEL)
    organizations = create_seed(model, 5, 80).organizations
    assert inside_check(organizations, model, 5, rng).ok
    longer = [
        msgspec.structs.replace(
            one, pipelines=[msgspec.structs.replace(p, stages=p.stages + 4) for p in one.pipelines]
        )
        for one in organizations
    ]
    check = inside_check(longer, model, 5, rng)
    assert not check.ok
    assert "AUC" in check.findings[0]


def test_too_few_organizations_tell_nothing_of_the_inside(rng: np.random.Generator) -> None:
    """Below ten no classifier is asked."""
    model = NoiseModel.load(paths.SAMPLE_MODEL)
    check = inside_check(create_seed(model, 5, 4).organizations, model, 5, rng)
    assert "too few organizations (4)" in check.answer
