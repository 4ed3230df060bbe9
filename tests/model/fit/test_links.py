"""Links fitted by simulation: what many share with one, and what the others have each for themselves."""

import numpy as np

from psrlib.arrays import IntArray
from psrlib.model.fit.links import STYLES, fit_sharing, observe_sharing
from psrlib.model.inside import share_out

N, ENTITIES, CHOICES = 300, 40, 60


def pitman_yor(discount: float, strength: float, rng: np.random.Generator) -> IntArray:
    """Return what each of some entities refers to: one that others have, or a new one (Pitman, Yor 1997)."""
    sizes: list[int] = []
    found = []
    for number in range(ENTITIES):
        weights = np.array([*(size - discount for size in sizes), strength + discount * len(sizes)])
        key = int(rng.choice(len(weights), p=weights / (strength + number))) if number else 0
        if key == len(sizes):
            sizes.append(0)
        sizes[key] += 1
        found.append(key)
    return np.array(found)


def test_many_different_ones_beside_one_that_most_refer_to(rng: np.random.Generator) -> None:
    """A power law, which no style is: the share of the commonest and the number of different ones hold."""
    place = np.repeat(np.arange(N), ENTITIES)
    key = np.concatenate([pitman_yor(0.5, 0.5, rng) for _ in range(N)])
    seen = observe_sharing(place, key, np.full(N, CHOICES), rng)
    shares = fit_sharing(seen, np.zeros((N, 1)), 20, rng).predict(np.zeros((1, 1)))[0]
    chosen = rng.choice(len(STYLES), N, p=shares / shares.sum())
    words = list(rng.integers(0, 2**64, (2, len(place)), dtype=np.uint64))
    index = np.tile(np.arange(ENTITIES), N)
    drawn = share_out(
        np.repeat(np.array(STYLES)[chosen], ENTITIES, axis=0), index, np.full(len(place), CHOICES), words
    )
    again = observe_sharing(place, drawn, np.full(N, CHOICES), rng)
    assert abs(again.commonest.mean() - seen.commonest.mean()) < 0.06 * ENTITIES
    assert abs(again.different.mean() - seen.different.mean()) < 0.06 * ENTITIES
