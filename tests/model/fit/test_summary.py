"""Histograms and trees of a summary as marginals and forests."""

import pytest

from psrlib.model.fit.summary import conditional_spec, histogram_table
from psrlib.model.marginal import Marginal
from psrlib.model.specs import NodeSpec


def test_no_value_exceeds_its_limit() -> None:
    """Organizations beyond the largest limit are counted with the last range below it."""
    histogram = {"low": [0, 10, 200], "high": [0, 99, 400], "organizations": [5, 10, 5]}
    table = histogram_table(histogram, 50)
    assert Marginal.from_table(table).largest == 50
    assert table.weight[0] / sum(table.weight) == pytest.approx(0.25, abs=1e-3)


def test_leaves_keep_their_organizations_when_cells_are_joined() -> None:
    """A cell beyond the limit has no probability; its organizations go to the cell before."""
    table = histogram_table({"low": [0, 10], "high": [0, 10], "organizations": [10, 10]})
    leaf = {"cells": [0, 1, 2], "organizations": [10, 5, 5]}
    spec = conditional_spec({"given": ["jobs"], "cells": [0, 10, 60], "tree": leaf}, table)
    assert spec.cells == [0, 2**31, 2**32]
    assert spec.trees == [NodeSpec(cells=[0, 1], weights=[1000, 1000])]
