"""Histograms and trees of a summary as marginals and forests."""

import numpy as np
import pytest

from psrlib.model.summary_tables import conditional_spec, histogram_table
from psrlib.model.unit import SHARE_ONE, Unit
from psrlib.stats import relation
from psrlib.stats.relation import Relation


@pytest.mark.parametrize("kind", ["share", "difference"])
def test_relations_of_a_summary_are_the_units_of_a_model(kind, rng: np.random.Generator) -> None:
    """What a summary tells as a share or difference, a model draws as one."""
    known = {"jobs": rng.integers(0, 50, 200)}
    counts = rng.integers(0, 80, 200)
    told, unit = Relation(kind, "jobs"), Unit(kind, "jobs")
    assert relation.SHARE_ONE == SHARE_ONE
    assert (told.values(counts, known) == unit.value(counts, known)).all()
    for mine, theirs in zip(told.window(counts, known), unit.window(counts, counts, known), strict=True):
        assert (mine == theirs).all()
    assert told.feature("users") == unit.feature("users")


def test_no_value_exceeds_its_limit() -> None:
    """Organizations beyond the largest limit are counted with the last range below it."""
    histogram = {"low": [0, 10, 200], "high": [0, 99, 400], "organizations": [5, 10, 5]}
    table = histogram_table(histogram, 50)
    assert table["high"][-1] == 50
    assert table["weight"][0] / sum(table["weight"]) == pytest.approx(0.25, abs=1e-3)


def test_leaves_keep_their_organizations_when_cells_are_joined() -> None:
    """A cell beyond the limit has no probability; its organizations go to the cell before."""
    table = histogram_table({"low": [0, 10], "high": [0, 10], "organizations": [10, 10]})
    leaf = {"cells": [0, 1, 2], "organizations": [10, 5, 5]}
    spec = conditional_spec({"given": ["jobs"], "cells": [0, 10, 60], "tree": leaf}, table)
    assert spec["cells"] == [0, 2**31, 2**32]
    assert spec["trees"] == [{"cells": [0, 1], "weights": [1000, 1000]}]
