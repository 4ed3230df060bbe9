"""Names are combinations of words and never come twice in an organization."""

import numpy as np
import pytest

from psrlib.seed import vocabulary
from psrlib.seed.vocabulary import Names

ALL = {name: value for name, value in vars(vocabulary).items() if isinstance(value, Names)}


@pytest.mark.parametrize("names", ALL.values(), ids=ALL)
def test_a_walk_never_repeats_a_name(names: Names, rng: np.random.Generator) -> None:
    """From any start with any step, even more names than there are combinations are all different."""
    n = len(names.all) + 50
    for _ in range(3):
        start, step = (np.full(n, rng.integers(0, 2**64, dtype=np.uint64)) for _ in range(2))
        assert len(set(names.walk(start, step, np.arange(n)))) == n


@pytest.mark.parametrize("names", ALL.values(), ids=ALL)
def test_names_are_plain_text(names: Names) -> None:
    """Logins and ids are made of them."""
    assert all(name.isascii() and not set(name) & set('"\\') for name in names.all)


def test_names_are_many() -> None:
    """A thousand users or pipelines need no numbers behind their names."""
    assert len(vocabulary.USER_NAMES.all) > 1000
    assert len(vocabulary.PIPELINE_NAMES.all) > 10_000
