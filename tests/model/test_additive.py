"""Drawing along a curve: terms, residual, windows."""

import numpy as np
import pytest

from psrlib.model.additive import Additive, Term, predict, read_additive
from psrlib.model.dependence import Conditional, Window
from psrlib.model.marginal import Marginal
from psrlib.model.normal import Z_ONE, normal_rank
from psrlib.model.specs import AdditiveSpec, NodeSpec, TableSpec, TermSpec
from psrlib.model.table import SCALE

NARROW = Marginal([-4], [4], [1])  # a residual of about a thousandth of a standard deviation
TERM = Term("jobs", np.array([0, 10, 1000]), np.array([-Z_ONE, 0, 2 * Z_ONE]))


def everything(n: int) -> Window:
    return Window(np.zeros(n, dtype=np.uint64), np.full(n, SCALE, dtype=np.uint64))


def test_a_term_is_linear_between_its_points_and_flat_outside() -> None:
    """At the points, half way between two, and beyond both ends."""
    values = TERM.value(np.array([-7, 0, 5, 10, 505, 1000, 10**9]))
    assert values.tolist() == [-Z_ONE, -Z_ONE, -Z_ONE // 2, 0, Z_ONE, 2 * Z_ONE, 2 * Z_ONE]


def test_a_term_of_one_point_is_constant() -> None:
    """A single point holds everywhere."""
    assert Term("jobs", np.array([3]), np.array([7])).value(np.array([0, 3, 9])).tolist() == [7, 7, 7]


def test_terms_add_up() -> None:
    """Two terms of the same metric give twice its score."""
    assert predict([TERM, TERM], {"jobs": np.array([1000])}, 1).tolist() == [4 * Z_ONE]


def test_ranks_follow_the_curve(words: np.ndarray) -> None:
    """With a narrow residual each organization is where the curve says."""
    jobs = np.arange(len(words)) % 1000
    ranks = Additive([TERM], NARROW, None).ranks({"jobs": jobs}, words[:, :2], everything(len(words)))
    meant = normal_rank(TERM.value(jobs)).astype(float)
    assert np.abs(ranks.astype(float) - meant).max() < 0.001 * SCALE


def test_the_residual_keeps_its_distribution(words: np.ndarray) -> None:
    """A residual of one of two values, one three times as likely, splits the ranks so."""
    residual = Marginal([-Z_ONE, Z_ONE], [-Z_ONE, Z_ONE], [1, 3])
    ranks = Additive([], residual, None).ranks({}, words[:, :2], everything(len(words)))
    upper = (ranks > SCALE // 2).mean()
    assert abs(upper - 0.75) < 5 * 0.43 / np.sqrt(len(words))


def test_a_forest_moves_the_residual(words: np.ndarray) -> None:
    """A tree that puts few jobs into the lower and many into the upper half of the residual's ranks."""
    tree = NodeSpec("jobs", 3, NodeSpec(cells=[0], weights=[1]), NodeSpec(cells=[1], weights=[1]))
    forest = Conditional(["jobs"], [0, SCALE // 2, SCALE], [tree])
    additive = Additive([], Marginal([-Z_ONE, 1], [0, Z_ONE], [1, 1]), forest)
    for jobs, upper in ((3, False), (4, True)):
        known = {"jobs": np.full(len(words), jobs)}
        ranks = additive.ranks(known, words[:, :2], everything(len(words)))
        assert ((ranks > normal_rank(np.array([0]))) == upper).all()


@pytest.mark.parametrize(
    ("first", "end"), [(0, 1), (10**9, 10**9 + 1), (3 * 10**9, SCALE), (SCALE - 1, SCALE)]
)
def test_ranks_stay_in_their_window(words: np.ndarray, first: int, end: int) -> None:
    """Also where the curve points elsewhere and the window is a single rank."""
    n = len(words)
    window = Window(np.full(n, first, dtype=np.uint64), np.full(n, end, dtype=np.uint64))
    ranks = Additive([TERM], NARROW, None).ranks({"jobs": np.zeros(n, dtype=np.int64)}, words[:, :2], window)
    assert ((ranks >= first) & (ranks < end)).all()


@pytest.mark.parametrize(
    "term",
    [{"at": [3, 3], "score": [0, 1]}, {"at": [1, 2], "score": [0]}, {"at": [], "score": []}],
    ids=["points repeat", "a score lacks", "no point"],
)
def test_a_wrong_term_is_refused(term: dict[str, list[int]]) -> None:
    """Points ascend, each with its score."""
    spec = AdditiveSpec({"jobs": TermSpec(**term)}, TableSpec(low=[0], high=[1], weight=[1]))
    with pytest.raises(ValueError, match='term of "jobs"'):
        read_additive(spec, None)
