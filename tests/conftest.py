"""Fixtures and options shared by all tests."""

import numpy as np
import pytest


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
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)
