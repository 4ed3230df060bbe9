"""Marginals by rank."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psrlib.model.marginal import Marginal
from psrlib.model.table import SCALE


@st.composite
def marginals(draw: st.DrawFn) -> Marginal:
    """Marginals of up to eight ranges, some without weight."""
    ends = np.cumsum(
        draw(st.lists(st.integers(1, 40), min_size=2, max_size=16).filter(lambda e: len(e) % 2 == 0))
    )
    weights = draw(st.lists(st.integers(0, 9), min_size=len(ends) // 2, max_size=len(ends) // 2))
    weights[0] += 1
    return Marginal(ends[0::2].tolist(), ends[1::2].tolist(), weights)


@given(marginals())
def test_first_rank_is_the_first_rank_of_a_value(marginal: Marginal) -> None:
    """The rank itself has at least the value, the one before has less: windows of ranks are exact."""
    values = np.arange(-2, marginal.largest + 5)
    ranks = marginal.first_rank(values)
    inside = ranks < SCALE
    assert (marginal.value(ranks[inside]) >= values[inside]).all()
    later = inside & (ranks > 0)
    assert (marginal.value(ranks[later] - np.uint64(1)) < values[later]).all()
    assert (values[~inside] > marginal.largest).all()


def test_the_integers_of_a_range_are_equally_likely(words: np.ndarray) -> None:
    """A range of ten integers gives each a tenth."""
    drawn = Marginal([5], [14], [3]).value(words[:, 0] >> np.uint64(32))
    assert np.abs(np.bincount(drawn, minlength=15)[5:] / len(drawn) - 0.1).max() < 4 * 0.3 / np.sqrt(
        len(drawn)
    )


@pytest.mark.parametrize(
    ("low", "high"), [([0, 3], [3, 5]), ([4], [3]), ([0, 1], [0])], ids=["overlap", "empty", "lengths"]
)
def test_ranges_that_make_no_sense_are_refused(low: list[int], high: list[int]) -> None:
    """Ranges must ascend without overlap."""
    with pytest.raises(ValueError, match=r"ranges|lengths"):
        Marginal(low, high, [1] * len(low))
