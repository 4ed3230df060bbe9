"""The sequence behind the words of organizations spreads them evenly, and each of them fairly."""

import numpy as np
import pytest
from scipy.stats import kstest, qmc

from psrlib import paths
from psrlib.arrays import WordArray
from psrlib.model import NoiseModel
from psrlib.model.sobol import GROUP, _sobol, n_keys, spread_evenly

COLUMNS = [0, 1, 3, 5, 7, 9, 11, 13]  # more than one group
WIDTH = 15


def raw(rng: np.random.Generator, *shape: int) -> WordArray:
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def upper(words: WordArray) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return (words >> np.uint64(32)).astype(float) / 2**32


def test_the_points_are_those_of_sobol() -> None:
    """SciPy's sequence, which takes them in another order (Gray code), has the same first 1,024 points."""
    index = np.arange(1024, dtype=np.uint32)
    own = np.stack([_sobol(index, dimension) for dimension in range(GROUP)], axis=1)
    theirs = (qmc.Sobol(GROUP, scramble=False, bits=32).random(1024) * 2**32).astype(np.uint32)
    assert {tuple(point) for point in own.tolist()} == {tuple(point) for point in theirs.tolist()}


@pytest.mark.parametrize("n", [2, 8, 64, 1024])
def test_the_first_organizations_are_one_in_each_part(rng: np.random.Generator, n: int) -> None:
    """Among the first n, a power of two, each n-th part of each column has exactly one."""
    words = spread_evenly(raw(rng, n, WIDTH), 0, COLUMNS, raw(rng, n_keys(len(COLUMNS))))
    for column in COLUMNS:
        assert sorted(np.floor(upper(words[:, column]) * n).astype(int)) == list(range(n))


def test_columns_of_a_group_are_spread_together(rng: np.random.Generator) -> None:
    """Of 1,024 points every cell of an 8 x 8 grid over two columns holds 16; by chance 4 to 28."""
    words = spread_evenly(raw(rng, 1024, WIDTH), 0, COLUMNS, raw(rng, n_keys(len(COLUMNS))))
    grid = np.floor(upper(words[:, COLUMNS[:2]]) * 8).astype(int)
    assert np.unique(grid[:, 0] * 8 + grid[:, 1], return_counts=True)[1].tolist() == [16] * 64


def test_an_organization_does_not_depend_on_the_others(rng: np.random.Generator) -> None:
    """Any range of positions gives the same words, also far from the first."""
    words, keys = raw(rng, 100, WIDTH), raw(rng, n_keys(len(COLUMNS)))
    together = spread_evenly(words, 70_000, COLUMNS, keys)
    assert np.array_equal(spread_evenly(words[30:40], 70_030, COLUMNS, keys), together[30:40])


def test_other_bits_stay_raw(rng: np.random.Generator) -> None:
    """Lower halves, and columns not named, are the bits that were given."""
    words = raw(rng, 50, WIDTH)
    spread = spread_evenly(words, 0, COLUMNS, raw(rng, n_keys(len(COLUMNS))))
    rest = [column for column in range(WIDTH) if column not in COLUMNS]
    assert np.array_equal(spread[:, rest], words[:, rest])
    assert np.array_equal(spread & np.uint64(2**32 - 1), words & np.uint64(2**32 - 1))
    assert not (spread[:, COLUMNS] == words[:, COLUMNS]).any()


@pytest.mark.parametrize("position", [3, 1000])
def test_each_organization_by_itself_is_fair(rng: np.random.Generator, position: int) -> None:
    """Over random seeds every column of a position is uniform, and no two columns go together."""
    words = np.concatenate(
        [
            spread_evenly(raw(rng, 1, WIDTH), position, COLUMNS, raw(rng, n_keys(len(COLUMNS))))
            for _ in range(3000)
        ]
    )
    halves = upper(words[:, COLUMNS])
    assert min(kstest(halves[:, index], "uniform").pvalue for index in range(len(COLUMNS))) > 1e-4
    assert np.abs(np.corrcoef(halves.T) - np.eye(len(COLUMNS))).max() < 5 / np.sqrt(3000)


def test_ten_organizations_show_the_model(rng: np.random.Generator) -> None:
    """The mean size of ten organizations wavers less between random seeds than that of independent ones."""
    model = NoiseModel.load(paths.MODELS / "model.json")
    spread, independent = (
        np.std([np.log1p(model.draw(10, seed, flag).counts["jobs"]).mean() for seed in range(100)])
        for flag in (False, True)
    )
    assert spread < 0.6 * independent


def test_sixteen_organizations_have_the_shares_of_the_archetypes() -> None:
    """Each archetype comes as often as its weight says, but for the organization at either border."""
    model = NoiseModel.load(paths.MODELS / "model.json")
    weights = np.array([archetype.weight for archetype in model.archetypes])
    for seed in range(20):
        seen = np.bincount(model.draw(16, seed).archetype, minlength=len(weights))
        assert np.abs(seen - 16 * weights / weights.sum()).max() < 2
