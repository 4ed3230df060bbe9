"""Gaussian and forest dependence."""

import numpy as np
import pytest

from psrlib.model.dependence import Conditional, Gaussian, Window, gaussian_ranks
from psrlib.model.specs import NodeSpec
from psrlib.model.table import SCALE


def everything(n: int) -> Window:
    return Window(np.zeros(n, dtype=np.uint64), np.full(n, SCALE, dtype=np.uint64))


def test_a_correlation_is_recovered_from_draws(words: np.ndarray) -> None:
    """Scores drawn with correlation 0.6 and -0.3 have it within five standard errors."""
    gaussian = Gaussian(["a", "b", "c"], [[1, 0.6, 0], [0.6, 1, -0.3], [0, -0.3, 1]])
    scores = np.stack(list(gaussian.scores(words[:, :3]).values()))
    found = np.corrcoef(scores)
    assert abs(found[0, 1] - 0.6) < 5 / np.sqrt(len(words))
    assert abs(found[1, 2] + 0.3) < 5 / np.sqrt(len(words))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]], "not positive definite"),
        ([[1, 0.5, 0], [0.4, 1, 0], [0, 0, 1]], "not symmetric"),
        ([[2, 0, 0], [0, 1, 0], [0, 0, 1]], "diagonal"),
        ([[1, 0], [0, 1]], "not 3 x 3"),
    ],
)
def test_an_impossible_matrix_is_refused(matrix: list[list[float]], message: str) -> None:
    """A correlation matrix is square, symmetric, with a unit diagonal and positive definite."""
    with pytest.raises(ValueError, match=message):
        Gaussian(["a", "b", "c"], matrix)


def test_gaussian_ranks_stay_in_their_window(words: np.ndarray) -> None:
    """A window maps all scores into it, in order."""
    scores = np.sort(Gaussian(["a"], [[1.0]]).scores(words[:, :1])["a"])
    window = Window(
        np.full(len(words), 10**9, dtype=np.uint64), np.full(len(words), 2 * 10**9, dtype=np.uint64)
    )
    ranks = gaussian_ranks(scores, window)
    assert ((ranks >= 10**9) & (ranks < 2 * 10**9)).all()
    assert (np.diff(ranks.astype(np.int64)) >= 0).all()


TREE = NodeSpec("jobs", 3, NodeSpec(cells=[0], weights=[1]), NodeSpec(cells=[0, 1], weights=[1, 3]))


def test_a_forest_follows_its_splits(words: np.ndarray) -> None:
    """At most 3 jobs: always the lower half; more: the upper half in three of four cases."""
    forest = Conditional(["jobs"], [0, SCALE // 2, SCALE], [TREE])
    few = forest.ranks({"jobs": np.full(len(words), 3)}, words[:, :2], everything(len(words)))
    many = forest.ranks({"jobs": np.full(len(words), 4)}, words[:, :2], everything(len(words)))
    assert (few < SCALE // 2).all()
    assert abs((many >= SCALE // 2).mean() - 0.75) < 5 * 0.43 / np.sqrt(len(words))


def test_a_forest_respects_the_window_even_against_its_leaf(words: np.ndarray) -> None:
    """Where the leaf gives the window no chance, ranks are spread over the window."""
    forest = Conditional(["jobs"], [0, SCALE // 2, SCALE], [TREE])
    first = np.full(len(words), SCALE // 2 + 7, dtype=np.uint64)
    window = Window(first, np.full(len(words), SCALE, dtype=np.uint64))
    ranks = forest.ranks({"jobs": np.zeros(len(words), dtype=np.int64)}, words[:, :2], window)
    assert (ranks >= first).all()


def test_trees_are_chosen_equally_often(words: np.ndarray) -> None:
    """Two trees with opposite leaves give half of the ranks each."""
    trees = [NodeSpec(cells=[0], weights=[1]), NodeSpec(cells=[1], weights=[1])]
    forest = Conditional(["jobs"], [0, SCALE // 2, SCALE], trees)
    ranks = forest.ranks({"jobs": np.zeros(len(words), dtype=np.int64)}, words[:, :2], everything(len(words)))
    assert abs((ranks < SCALE // 2).mean() - 0.5) < 5 * 0.5 / np.sqrt(len(words))


@pytest.mark.parametrize("cells", [[0, SCALE - 1], [1, SCALE], [0, 5, 5, SCALE], [0]])
def test_cells_must_cover_all_ranks(cells: list[int]) -> None:
    """Cells ascend from 0 to 2**32."""
    with pytest.raises(ValueError, match="cells"):
        Conditional(["jobs"], cells, [NodeSpec(cells=[0], weights=[1])])
