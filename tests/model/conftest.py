"""Small stats and models for the tests of the noise model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from psrlib import paths
from psrlib.model.fit import Fit, fit_stats
from psrlib.stats.sample import make_sample


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of several tests at a time would wait for each other, busily."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def details() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(paths.SAMPLE_MODEL.read_text())["details"]
    return found


@pytest.fixture
def document(details: dict[str, Any]) -> dict[str, Any]:
    """A hand-written model file of one archetype."""
    metrics = {
        name: {"family": "uniform", "low": low, "high": high}
        for name, low, high in (
            ("users", 2, 5),
            ("engines", 1, 3),
            ("pipelines", 0, 5),
            ("jobs", 0, 8),
            ("active_jobs", 0, 8),
            ("scheduled_tasks", 0, 2),
            ("subscriptions", 0, 6),
        )
    }
    limits = {"subscriptions_enabled": 1, "max_users": 50}
    archetype = {"name": "small", "weight": 1, "metrics": metrics, "limits": limits}
    return {"format": "psr-model/1", "name": "test", "archetypes": [archetype], "details": details}


@pytest.fixture
def words(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2**64, size=(4000, 60), dtype=np.uint64)


@pytest.fixture(scope="session")
def tiny_fit() -> Fit:
    """A model fitted to 300 synthetic organizations, two archetypes."""
    return fit_stats(make_sample(300, 8), "tiny", n_archetypes=2, evaluate=False)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    return tmp_path / "model.json"
