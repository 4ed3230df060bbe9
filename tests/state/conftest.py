"""Seed documents, hubs and the fault proxy for the state tests."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.hub.process import HubProcess, start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables

HERE = Path(__file__).parent
PASSWORD = "admin@admin"  # the embedded hub's initial one

# Every kind of entity, few of each: what a fault schedule can go through in a second.
METRICS = {
    "users": (3, 5),
    "groups": (1, 2),
    "engines": (1, 2),
    "pipelines": (3, 5),
    "active_jobs": (2, 3),
    "inactive_jobs": (3, 4),
    "job_templates": (1, 2),
    "scheduled_tasks": (1, 2),
    "subscriptions": (2, 3),
    "topologies": (1, 1),
    "connections": (1, 2),
}


def rich_model(folder: Path) -> NoiseModel:
    """Return a hand-written model that draws every kind of entity."""
    metrics = {name: {"family": "uniform", "low": low, "high": high} for name, (low, high) in METRICS.items()}
    limits = {"subscriptions_enabled": 1, "max_users": 50, "max_jobs": 1000}
    archetype = {"name": "rich", "weight": 1, "metrics": metrics, "limits": limits}
    details = msgspec.json.decode(paths.SAMPLE_MODEL.read_bytes())["details"]
    path = folder / "rich.json"
    path.write_bytes(
        msgspec.json.encode(
            {"format": "psr-model/1", "name": "rich", "archetypes": [archetype], "details": details}
        )
    )
    return NoiseModel.load(path)


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> SeedDocument:
    """Return three organizations with entities of every kind."""
    model = rich_model(tmp_path_factory.mktemp("model"))
    return resolve_variables(create_seed(model, 7, 3), {})


@pytest.fixture(scope="session")
def sample() -> SeedDocument:
    """Return five organizations of the sample model."""
    return resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 19071990, 5), {})


@pytest.fixture
def hub_process(tmp_path: Path) -> Iterator[HubProcess]:
    """Return an empty embedded hub in its own process."""
    with start_hub(tmp_path / "hub") as process:
        yield process


@pytest.fixture
def connect(hub_process: HubProcess) -> Iterator[Callable[..., ControlHub]]:
    """Return a function that logs in as system administrator, at the hub or at another address."""
    opened: list[ControlHub] = []

    def log_in(url: str = "", **options: Any) -> ControlHub:
        opened.append(ControlHub(url or hub_process.url, "admin@admin", PASSWORD, **options))
        return opened[-1]

    yield log_in
    for hub in opened:
        hub.close()


@pytest.fixture(scope="session")
def fault() -> ModuleType:
    """The fault proxy, ``fault_proxy.py`` beside this file."""
    spec = importlib.util.spec_from_file_location("state_fault_proxy", HERE / "fault_proxy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["state_fault_proxy"] = module
    spec.loader.exec_module(module)
    return module
