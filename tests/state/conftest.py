"""Seed documents and hubs for the state tests."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.hub.server import create_app
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables

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


@contextmanager
def serve_hub(database: Path, wrap: Callable[[Any], Any] = lambda app: app) -> Iterator[str]:
    """Serve an embedded hub from a thread, which starts faster than a process; yield its URL.

    ``wrap`` may put another ASGI application around it.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = wrap(create_app(f"sqlite:///{database}", url))
    config = uvicorn.Config(app, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def hub_url(tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty embedded hub."""
    with serve_hub(tmp_path / "hub.db") as url:
        yield url


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Callable[[Any], Any]], str]]:
    """Return a function that serves an empty hub inside another ASGI application."""
    with ExitStack() as stack:
        yield lambda wrap: stack.enter_context(serve_hub(tmp_path / "variant.db", wrap))


@pytest.fixture
def other_hub_url(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a second empty hub."""
    with serve_hub(tmp_path / "other.db") as url:
        yield url


@pytest.fixture
def connect(hub_url: str) -> Iterator[Callable[..., ControlHub]]:
    """Return a function that logs in as system administrator, at the hub or at another address."""
    opened: list[ControlHub] = []

    def log_in(url: str = "", **options: Any) -> ControlHub:
        opened.append(ControlHub(url or hub_url, "admin@admin", PASSWORD, **options))
        return opened[-1]

    yield log_in
    for hub in opened:
        hub.close()
