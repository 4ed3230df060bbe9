"""Drawing organizations."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from psrlib import paths
from psrlib.model import NoiseModel
from psrlib.model.fit import Fit
from psrlib.words import COUNTED, COUNTS


def build(document: dict[str, Any]) -> NoiseModel:
    return NoiseModel.from_bytes(json.dumps(document).encode())


def assert_rules(model: NoiseModel, n: int = 3000) -> None:
    frame = model.draw(n, 4).frame()
    assert (frame["active_jobs"] <= frame["jobs"]).all()
    assert (frame.loc[frame["jobs"] > 0, "pipelines"] > 0).all()
    assert (frame.loc[frame["jobs"] == 0, ["scheduled_tasks", "subscriptions", "active_jobs"]] == 0).all(
        axis=None
    )
    assert (frame["users"] >= 1).all()
    assert (frame[list(COUNTS)] >= 0).all(axis=None)
    for limit, metrics in COUNTED.items():
        counted = frame[[metric for metric in metrics if metric in frame]].sum(axis=1)
        assert ((frame[limit] == -1) | (counted <= frame[limit])).all()


def test_rules_hold_for_a_model_whose_ranges_ignore_them(document: dict[str, Any]) -> None:
    """Ranges that could give active jobs above jobs or jobs without pipelines never do."""
    assert_rules(build(document))


def test_rules_hold_for_the_sample_and_a_fitted_model(tiny_fit: Fit) -> None:
    """By construction, whatever the tables say."""
    assert_rules(NoiseModel.load(paths.SAMPLE_MODEL))
    assert_rules(tiny_fit.model)


def test_the_sample_model_draws_the_ranges_of_its_file() -> None:
    """One big organization for every four small ones, within the hand-written ranges."""
    frame = NoiseModel.load(paths.SAMPLE_MODEL).draw(4000, 1).frame()
    big = frame[frame["archetype"] == "big"]
    assert abs(len(big) / len(frame) - 0.2) < 0.03
    assert big["users"].min() == 20
    assert big["users"].max() == 25
    assert set(big["jobs"] - big["active_jobs"]) == set(range(30, 41))
    assert set(frame["max_job_runs"]) == {1000}


def test_organizations_do_not_depend_on_their_neighbours(tiny_fit: Fit) -> None:
    """Each row of words gives the same organization alone and among others."""
    model = tiny_fit.model
    words = np.random.default_rng(3).integers(0, 2**64, (50, model.n_words), dtype=np.uint64)
    together = model.draw_organizations(words).frame()
    for row in (0, 17, 49):
        alone = model.draw_organizations(words[row : row + 1]).frame()
        assert alone.iloc[0].tolist() == together.iloc[row].tolist()


def test_no_word_at_all_draws_no_organization() -> None:
    """An empty array of words is fine."""
    model = NoiseModel.load(paths.SAMPLE_MODEL)
    assert model.draw_organizations(np.empty((0, model.n_words), dtype=np.uint64)).frame().empty


def test_a_marginal_edited_by_hand_is_drawn(tiny_fit: Fit) -> None:
    """Replacing a fitted marginal by a constant keeps the dependence of everything else."""
    document = json.loads(tiny_fit.text)
    for archetype in document["archetypes"]:
        archetype["metrics"]["users"] = {"family": "constant", "value": 4}
    edited = build(document).draw(500, 2).frame()
    assert (edited["users"] == 4).all()
    assert edited["jobs"].nunique() > 20


@pytest.mark.parametrize("word", [0, 2**64 - 1])
def test_extreme_words_are_drawn(tiny_fit: Fit, word: int) -> None:
    """All bits zero and all bits one stay inside every table."""
    words = np.full((3, tiny_fit.model.n_words), word, dtype=np.uint64)
    frame = tiny_fit.model.draw_organizations(words).frame()
    assert (frame["active_jobs"] <= frame["jobs"]).all()


def test_drawing_needs_neither_scikit_learn_nor_pandas() -> None:
    """What psr create-json imports of the model is numpy and the standard library."""
    code = "import sys, psrlib.model, psrlib.model.model_file; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sklearn", "pandas", "scipy", "psrlib.model.fit"} & set(done.stdout.split())
