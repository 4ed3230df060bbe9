"""Seed documents and hubs for the state tests."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.canon import canon
from support.rich_model import rich_model
from support.served_hub import serve_hub
from support.shared_statements import share_statements

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import populate

PASSWORD = "admin@admin"  # the embedded hub's initial one


@pytest.fixture(scope="session", autouse=True)
def statements() -> Iterator[None]:
    with share_statements():
        yield


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> SeedDocument:
    """Return three organizations with entities of every kind."""
    model = rich_model(tmp_path_factory.mktemp("model"))
    return resolve_variables(create_seed(model, 7, 3), {})


@pytest.fixture(scope="session")
def sample() -> SeedDocument:
    """Return five organizations of the sample model."""
    return resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 19071990, 5), {})


@pytest.fixture(scope="session")
def reference(rich: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[str, str, str]]:
    """Return what a hub holds that was populated without faults, without ids and times."""
    database = tmp_path_factory.mktemp("reference") / "hub.db"
    with serve_hub(database) as url, ControlHub(url, "admin@admin", PASSWORD) as hub:
        populate(rich, hub, progress=False)
    return canon(database)


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
