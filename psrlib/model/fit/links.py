"""How entities share what they refer to: owners, pipelines of jobs, jobs of tasks, fitted by simulation.

A style of a link is (in_turn, repeat): how many entities take the next one in turn, and how much the rest
follow earlier ones (``psrlib.model.inside.share_out``). For each organization and style as many entities are
shared out again and again; the style is likely where that comes near what was seen: how many different ones,
and the share of the commonest.
"""

from dataclasses import dataclass

import numpy as np

from psrlib.arrays import FloatArray, IntArray
from psrlib.model.fit.styles import StyleForest, fit_forest
from psrlib.model.inside import CHANCE_ONE, REPEAT_ONE, share_out

STYLES = [
    *((0, 0, round(REPEAT_ONE * repeat)) for repeat in (0.125, 0.5, 1, 2, 4, 8, 16, 32, 64, 0)),
    # many different ones beside one that most refer to: neither an urn nor turns alone give that
    *((0, CHANCE_ONE // 4, round(REPEAT_ONE * repeat)) for repeat in (0.125, 0.5, 1, 4)),
    *((0, CHANCE_ONE // 2, round(REPEAT_ONE * repeat)) for repeat in (0.125, 0.5, 1, 4, 16, 0)),
    (0, 7 * CHANCE_ONE // 8, 0),
    *((round(run * CHANCE_ONE), CHANCE_ONE, 0) for run in (0, 0.15, 0.3, 0.5, 0.7, 0.85)),
]
_REPEATS = 60  # times that each is shared out
_MOST = 200  # entities of an organization that count
_WIDTH = 0.03  # of the kernel, as a share of the entities
_EXACT, _STEP = 20, 0.05  # choices from which their number is rounded, and by how much (logarithm)
_ITERATIONS, _WITH_TREES = 24, 6


@dataclass(frozen=True)
class Sharing:
    """What was seen of a link in each organization, shape (n_organizations,) each."""

    n_entities: IntArray
    n_choices: IntArray
    different: IntArray
    commonest: IntArray


def observe_sharing(place: IntArray, key: IntArray, n_choices: IntArray, rng: np.random.Generator) -> Sharing:
    """Count the links of each organization; of very many entities a part.

    Parameters
    ----------
    place, key : array of int, shape (n_entities,)
        Organization of each entity, and what it refers to.
    n_choices : array of int, shape (n_organizations,)
    """
    n = len(n_choices)
    order = rng.permutation(len(place))
    order = order[np.argsort(place[order], kind="stable")]
    place, key = place[order], key[order]
    keep = np.arange(len(place)) - np.searchsorted(place, place) < _MOST
    pairs, sizes = np.unique(np.stack([place[keep], key[keep]]), axis=1, return_counts=True)
    different = np.bincount(pairs[0], minlength=n)
    commonest = np.zeros(n, dtype=np.int64)
    np.maximum.at(commonest, pairs[0], sizes)
    every = np.unique(np.stack([place, key]), axis=1)[0]
    choices = np.maximum(n_choices, np.bincount(every, minlength=n))
    return Sharing(np.bincount(place[keep], minlength=n), choices, different, commonest)


def style_likelihoods(seen: Sharing, rng: np.random.Generator) -> FloatArray:
    """Return how likely what was seen is under each style, shape (n_organizations, n_styles)."""
    likelihood = np.ones((len(seen.n_entities), len(STYLES)))
    shared = (seen.n_entities > 1) & (seen.n_choices > 1)
    steps = np.round(np.log(np.maximum(seen.n_choices, _EXACT) / _EXACT) / _STEP)
    choices = np.where(seen.n_choices < _EXACT, seen.n_choices, np.round(_EXACT * np.exp(steps * _STEP)))
    for n_choices in np.unique(choices[shared]).astype(int).tolist():
        rows = np.flatnonzero(shared & (choices == n_choices))
        different, commonest = _simulate(int(seen.n_entities[rows].max()), n_choices, rng)
        for row in rows.tolist():
            last = seen.n_entities[row] - 1
            distance = (different[:, :, last] - seen.different[row]) ** 2
            distance += (commonest[:, :, last] - seen.commonest[row]) ** 2
            kernel = np.exp(-0.5 * distance / max(_WIDTH * seen.n_entities[row], 0.3) ** 2)
            likelihood[row] = kernel.mean(axis=1) + 0.02 / _REPEATS
    return likelihood


def fit_sharing(seen: Sharing, features: FloatArray, min_leaf: int, rng: np.random.Generator) -> StyleForest:
    """Fit how likely each style is, given features of an organization (expectation maximization)."""
    likelihood = style_likelihoods(seen, rng)
    prior = np.full(likelihood.shape, 1 / likelihood.shape[1])
    for iteration in range(_ITERATIONS):
        member = likelihood * prior
        member /= member.sum(axis=1, keepdims=True)
        if iteration < _ITERATIONS - _WITH_TREES:
            prior = np.repeat(member.mean(axis=0)[None, :], len(member), axis=0)
        else:
            forest = fit_forest(features, member, min_leaf)
            prior = np.maximum(forest.predict(features), 1e-4)
    return forest


def _simulate(n_entities: int, n_choices: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return how many different ones, and the commonest's entities, among the first 1, 2, ... entities.

    Both have shape (n_styles, repeats, n_entities): an entity follows earlier ones only, so that the first of
    many are shared out as a few are.
    """
    n = len(STYLES) * _REPEATS
    styles = np.repeat(np.array(STYLES), _REPEATS * n_entities, axis=0)
    index = np.tile(np.arange(n_entities), n)
    words = list(rng.integers(0, 2**64, (2, len(index)), dtype=np.uint64))
    chosen = share_out(styles, index, np.full(len(index), n_choices), words).reshape(n, n_entities)
    order = np.argsort(chosen, axis=1, kind="stable")
    ordered = np.take_along_axis(chosen, order, axis=1)
    new = np.concatenate([np.ones((n, 1), dtype=bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    start = np.maximum.accumulate(np.where(new, np.arange(n_entities), 0), axis=1)
    nth = np.empty_like(start)  # the first, second, ... that refers to the same
    np.put_along_axis(nth, order, np.arange(n_entities) - start + 1, axis=1)
    shape = (len(STYLES), _REPEATS, n_entities)
    return np.cumsum(nth == 1, axis=1).reshape(shape), np.maximum.accumulate(nth, axis=1).reshape(shape)
