"""A metric that follows the ones before it along a smooth curve: an additive predictor and what is left over.

The normal score of the metric's rank is a sum of piecewise linear functions of metrics drawn before, plus a
residual from a frozen table (Hastie and Tibshirani's additive model, on ordered counts). A forest may say how
the residual depends on the same metrics. Integers only: functions are look-ups with products divided exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model.dependence import Conditional, Window, independent_ranks
from psrlib.model.marginal import Marginal
from psrlib.model.normal import normal_rank, normal_score
from psrlib.model.specs import AdditiveSpec
from psrlib.model.table import SCALE

_FAR = 1 << 20  # beyond any normal score, in units of 1/4096 standard deviation


@dataclass(frozen=True)
class Term:
    """A piecewise linear function of one metric: normal score ``score`` at ``at``, flat outside.

    Examples
    --------
    >>> Term("jobs", np.array([0, 10]), np.array([-100, 100])).value(np.array([-1, 0, 5, 99])).tolist()
    [-100, -100, 0, 100]
    """

    metric: str
    at: IntArray
    score: IntArray

    def value(self, values: IntArray) -> IntArray:
        """Return the function of each value, in units of 1/4096 standard deviation."""
        inside = np.clip(values, self.at[0], self.at[-1])
        index = np.clip(np.searchsorted(self.at, inside, side="right") - 1, 0, max(len(self.at) - 2, 0))
        if len(self.at) == 1:
            return np.full(len(values), self.score[0])
        rise, run = np.diff(self.score)[index], np.diff(self.at)[index]
        result: IntArray = self.score[index] + (inside - self.at[index]) * rise // run
        return result


class Additive:
    """Terms, the residual in units of 1/4096 standard deviation, and the forest of its ranks (None: none)."""

    def __init__(self, terms: Sequence[Term], residual: Marginal, forest: Conditional | None) -> None:
        self.terms = list(terms)
        self.residual = residual
        self.forest = forest
        self.given = [term.metric for term in self.terms] + (forest.given if forest else [])

    def ranks(self, known: Mapping[str, IntArray], words: WordArray, window: Window) -> WordArray:
        """Return a rank inside the window for each row, given the values drawn before, shape (n,)."""
        score = predict(self.terms, known, len(words))
        low, high = residual_window(window.first, window.end, score)
        first = np.minimum(self.residual.first_rank(low), np.uint64(SCALE - 1))
        end = np.maximum(self.residual.first_rank(high), first + np.uint64(1))
        left = Window(first, end)
        forest = self.forest
        chosen = forest.ranks(known, words, left) if forest else independent_ranks(words, left)
        ranks = normal_rank(score + self.residual.value(chosen))
        inside: WordArray = np.minimum(np.maximum(ranks, window.first), window.end - np.uint64(1))
        return inside


def predict(terms: Sequence[Term], known: Mapping[str, IntArray], n: int) -> IntArray:
    """Return the sum of the terms, shape (n,)."""
    score = np.zeros(n, dtype=np.int64)
    for term in terms:
        score += term.value(known[term.metric])
    return score


def residual_window(first: WordArray, end: WordArray, score: IntArray) -> tuple[IntArray, IntArray]:
    """Return the residuals (from, up to) that put the rank between ``first`` and ``end``."""
    low = np.where(first == 0, -_FAR, normal_score(first) - score)
    high = np.where(
        end >= np.uint64(SCALE), _FAR, normal_score(np.minimum(end, np.uint64(SCALE - 1))) - score
    )
    return low, high


def read_additive(spec: AdditiveSpec, forest: Conditional | None) -> Additive:
    """Return what a model file says about a metric that follows a curve.

    Raises
    ------
    ValueError
        If a term's points do not ascend or lack a score, or the residual is no distribution.
    """
    terms = []
    for metric, term in spec.terms.items():
        at, score = np.array(term.at, dtype=np.int64), np.array(term.score, dtype=np.int64)
        if not len(at) == len(score) > 0 or (np.diff(at) <= 0).any():
            raise ValueError(f'the term of "{metric}" needs ascending "at" and as many "score"')
        terms.append(Term(metric, at, score))
    return Additive(terms, Marginal.from_table(spec.residual), forest)
