"""Fixtures and options shared by all tests."""

from typing import TYPE_CHECKING

import pytest

import psrlib  # noqa: F401 - before numpy, which it tells how many threads to take

if TYPE_CHECKING:
    import numpy as np


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/ for review")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the long set and the tests of the images only when asked for, with ``-m long`` or ``-m images``."""
    asked = config.getoption("-m") or ""
    left_out = [name for name in ("long", "images") if name not in asked]
    items[:] = [item for item in items if not any(item.get_closest_marker(name) for name in left_out)]


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def rng() -> "np.random.Generator":
    import numpy as np

    return np.random.default_rng(20260101)
