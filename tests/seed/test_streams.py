"""Streams are Philox, one per random seed, organization and purpose."""

import numpy as np
import pytest
from support import reference

from psrlib.model import QuantileTable
from psrlib.seed.streams import Streams, uniform


def test_words_are_those_of_the_published_algorithm() -> None:
    """An independent Philox in pure Python gives the same words and draws."""
    table = QuantileTable(["a", "b", "c"], [1, 2, 1])
    for (random_seed, purpose, organization), line in zip(reference.STREAMS, reference.lines(), strict=True):
        words = Streams(random_seed).words(purpose, organization, reference.N_WORDS)
        drawn = table.look_up(words).tolist()
        assert line == f"{(random_seed, purpose, organization)} {words.tolist()} {drawn}"


def test_streams_are_independent_of_the_order_of_asking() -> None:
    """Asking for other streams in between, or for more words, changes nothing."""
    streams = Streams(7)
    first = streams.words("jobs", 3, 100)
    streams.words("users", 3, 17)
    streams.words("jobs", 4, 5)
    assert np.array_equal(streams.words("jobs", 3, 150)[:100], first)


def test_streams_differ_in_each_part_of_their_name() -> None:
    """Another random seed, purpose or organization gives other words."""
    streams = [(7, "jobs", 1), (8, "jobs", 1), (7, "users", 1), (7, "jobs", 2), (-7, "jobs", 1)]
    words = {tuple(Streams(s).words(p, o, 8).tolist()) for s, p, o in streams}
    assert len(words) == len(streams)


def test_rows_give_each_organization_its_own_words() -> None:
    """Organizations without entities take no words, and the others keep theirs."""
    streams = Streams(1)
    rows = streams.rows("jobs", range(5, 8), np.array([2, 0, 1]), 3)
    assert rows.shape == (3, 3)
    assert np.array_equal(rows[:2].ravel(), streams.words("jobs", 5, 6))
    assert np.array_equal(rows[2], streams.words("jobs", 7, 3))


@pytest.mark.parametrize("width", [1, 4, 7])
def test_tables_do_not_depend_on_where_they_begin(width: int) -> None:
    """Each organization keeps its words whatever range they are asked for in, and shares them with nobody."""
    table = Streams(3).table("names", range(20), width)
    assert np.array_equal(Streams(3).table("names", range(5, 9), width), table[5:9])
    assert len(np.unique(table)) == table.size


def test_uniform_covers_its_range_evenly(rng: np.random.Generator) -> None:
    """Each of 7 numbers comes about as often; the tolerance is five standard deviations."""
    n = 70_000
    words = rng.integers(0, 2**64, size=n, dtype=np.uint64)
    counts = np.bincount(uniform(words, 7), minlength=7)
    assert len(counts) == 7
    assert np.abs(counts - n / 7).max() < 5 * (n / 7 * 6 / 7) ** 0.5
