"""A scheduler with two workers over TCP, a hub, and seed documents."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.dask_cluster import DaskCluster
from support.postgres import Postgres, serve_postgres
from support.rich_model import rich_model
from support.served_hub import serve_hub

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.cluster import Cluster
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables

PASSWORD = "admin@admin"  # the embedded hub's initial one
Connect = Callable[..., ControlHub]


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> SeedDocument:
    """Return six organizations with entities of every kind."""
    model = rich_model(tmp_path_factory.mktemp("model"))
    return resolve_variables(create_seed(model, 7, 6), {})


@pytest.fixture(scope="session")
def sample() -> SeedDocument:
    """Return twelve organizations of the sample model."""
    return resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 19071990, 12), {})


@pytest.fixture(scope="module")  # its processes are never idle; "package" would mean "session" here
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Return a scheduler with two workers, "left" and "right"; a test that kills one starts it again."""
    with DaskCluster(tmp_path_factory.mktemp("dask")) as cluster:
        for name in ("left", "right"):
            cluster.add_worker(name, environment={"PSR_SCH_PASSWORD": PASSWORD})
        yield cluster


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return where the hub of a test has its database."""
    return tmp_path / "hub.db"


@pytest.fixture
def hub_url(database: Path) -> Iterator[str]:
    """Return the URL of an empty embedded hub."""
    with serve_hub(database) as url:
        yield url


@pytest.fixture
def connect(hub_url: str, dask: DaskCluster) -> Iterator[Connect]:
    """Return a function that logs in, with the workers as crew unless told otherwise."""
    opened: list[ControlHub] = []

    def log_in(url: str = "", *, scheduler: str | None = dask.address) -> ControlHub:
        hub = ControlHub(url or hub_url, "admin@admin", PASSWORD)
        opened.append(hub)
        if scheduler:
            hub.crew = Cluster(scheduler, hub)
        return hub

    yield log_in
    for hub in opened:
        hub.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server without databases."""
    with serve_postgres() as server:
        yield server
