"""Columns: entities of several organizations in one array, details of several archetypes in one table."""

import dataclasses

import numpy as np
import pytest

from psrlib.errors import InputError
from psrlib.model import NoiseModel, QuantileTable
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Details, Drawer, Rows


def test_rows_know_organization_and_number() -> None:
    """Positions, organizations and numbers fit the counts."""
    rows = Rows(np.array([2, 0, 3]))
    assert rows.offsets.tolist() == [0, 2, 2, 5]
    assert rows.organization.tolist() == [0, 0, 2, 2, 2]
    assert rows.index.tolist() == [0, 1, 0, 1, 2]
    assert rows.spread(np.array([10, 20, 30])).tolist() == [10, 10, 30, 30, 30]


def test_details_draw_from_the_table_of_each_archetype() -> None:
    """Entities of different archetypes in one column each use their own table, limits included."""
    first, second = QuantileTable([1, 2], [1, 1]), QuantileTable([7, 8, 9], [1, 1, 2])
    details = Details([first, second])
    archetype = np.array([0, 1, 1, 0, 1])
    words = np.array([0, 0, 2**64 - 1, 2**63, 2**64 - 1], dtype=np.uint64)
    assert details.draw(archetype, words).tolist() == [1, 7, 9, 2, 9]
    limit = np.array([1, 1, 2, 1, 3])
    assert details.draw(archetype, words, limit).tolist() == [1, 7, 8, 1, 9]


def test_equal_tables_are_looked_up_once() -> None:
    """Archetypes that share a table cost one look-up."""
    table = QuantileTable([1, 2], [1, 1])
    assert len(Details([table, QuantileTable([1, 2], [3, 3])]).tables) == 1


def test_draws_of_jobs_without_pipelines_are_refused(
    sample_model: NoiseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names model, archetype and both metrics, should a model ever draw that."""
    drawer = Drawer(sample_model, 1)
    draws = drawer.organizations(range(5))
    counts = draws.counts | {"pipelines": np.zeros(5, dtype=np.int64)}
    monkeypatch.setattr(drawer, "organizations", lambda _: dataclasses.replace(draws, counts=counts))
    with pytest.raises(InputError, match=r'archetype ".*" draws jobs without pipelines'):
        Chunk(drawer, range(5))


def test_active_jobs_have_an_engine(sample_model: NoiseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where jobs are active there is at least one engine, whatever was drawn."""
    drawer = Drawer(sample_model, 1)
    draws = drawer.organizations(range(3))
    counts = draws.counts | {"engines": np.array([0, 0, 4]), "active_jobs": np.array([0, 2, 1])}
    monkeypatch.setattr(drawer, "organizations", lambda _: dataclasses.replace(draws, counts=counts))
    assert Chunk(drawer, range(3)).count("engines").tolist() == [0, 1, 4]
