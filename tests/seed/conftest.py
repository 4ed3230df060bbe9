"""Models and documents for the tests of seed documents."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from psrlib import paths
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed


@pytest.fixture(scope="session")
def sample_model() -> NoiseModel:
    return NoiseModel.load(paths.SAMPLE_MODEL)


@pytest.fixture(scope="session")
def rich_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hand-written model in which every kind of entity occurs, zeros and crowds too."""
    model: dict[str, Any] = json.loads(paths.SAMPLE_MODEL.read_text())
    model["name"] = "rich"
    everything = {
        "groups": (0, 4),
        "job_templates": (0, 3),
        "topologies": (0, 3),
        "connections": (0, 6),
    }
    for archetype in model["archetypes"]:
        for metric, (low, high) in everything.items():
            archetype["metrics"][metric] = {"family": "uniform", "low": low, "high": high}
    trial = copy.deepcopy(model["archetypes"][-1])
    trial["name"] = "trial"
    only_users = {metric: {"family": "uniform", "low": 0, "high": 0} for metric in trial["metrics"]}
    trial["metrics"] = only_users | {"users": {"family": "uniform", "low": 1, "high": 2}}
    model["archetypes"].append(trial)
    path = tmp_path_factory.mktemp("models") / "rich.json"
    path.write_text(json.dumps(model))
    return path


@pytest.fixture(scope="session")
def rich_model(rich_model_file: Path) -> NoiseModel:
    return NoiseModel.load(rich_model_file)


@pytest.fixture(scope="session")
def rich_seed(rich_model: NoiseModel) -> SeedDocument:
    """Sixty organizations of the rich model."""
    return create_seed(rich_model, 19071990, 60)


@pytest.fixture(scope="session")
def tiny_seed(sample_model: NoiseModel) -> SeedDocument:
    return create_seed(sample_model, 7, 2)
