"""A populated and running hub, shared by the tests of this folder, which must not change it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ports import free_port

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.engines import start_fleet
from psrlib.hub.process.hub_process import HubProcess, start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import populate, setup_engines, start_jobs, wait_until_active

PASSWORD = "admin@admin"


@pytest.fixture(scope="session")
def document() -> SeedDocument:
    """Six organizations of the sample model."""
    webhook = {"webhook_url": f"http://127.0.0.1:{free_port()}/webhook"}
    return resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 11, 6), webhook)


@pytest.fixture(scope="module")  # it polls all the time; "package" would mean "session" here
def process(document: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that holds the document, with jobs that run on engines."""
    folder = tmp_path_factory.mktemp("run")
    with start_hub(folder) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        populate(document, hub, progress=False)
        setup_engines(document, hub, folder)
        with start_fleet(folder, process.url, document.variables["webhook_url"], poll_interval_s=0.25):
            start_jobs(document, hub)
            wait_until_active(document, hub, timeout_s=60)
            yield process


@pytest.fixture
def hub(process: HubProcess) -> Iterator[ControlHub]:
    with ControlHub(process.url, "admin@admin", PASSWORD, workers=1) as hub:
        yield hub


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "stats"
