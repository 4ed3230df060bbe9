"""A run that was left over night: whichever command comes first in the morning, it verifies."""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from support.ports import free_port

from psrlib import cli, paths
from psrlib.client import ControlHub
from psrlib.collect import collect_run
from psrlib.engines import fleet_status, start_fleet
from psrlib.hub.process.hub_process import find_hub, start_hub
from psrlib.hub.security.configuration import HEARTBEAT_S
from psrlib.model import NoiseModel
from psrlib.run import stop_run
from psrlib.seed import create_seed, resolve_variables, save_seed
from psrlib.state import populate, setup_engines, start_jobs, wait_until_active

PASSWORD = "admin@admin"
NIGHT_MS = 12 * 3600 * 1000
HEARTBEAT = 12  # seconds, in place of 60, to be silent sooner; the engines poll every 5
AGING = {  # what a night makes older
    "engines": ("last_reported_time", "start_up_time"),
    "runs": ("start_time", "changed_on"),
    "run_events": ("time",),
    "instances": ("status_time", "last_reported", "created_on"),
    "engine_events": ("created_on", "delivered_on"),
    "tasks": ("next_time",),
}


def change(folder: Path, *statements: str) -> None:
    """Change the database of a hub that is down."""
    with closing(sqlite3.connect(folder / "hub.db")) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was populated and ran, with hub and engines down."""
    folder = tmp_path_factory.mktemp("evening")
    drawn = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 7, 1)
    variables = {**drawn.variables, "webhook_url": f"http://127.0.0.1:{free_port()}/webhook"}
    document = msgspec.structs.replace(drawn, variables=variables)
    save_seed(document, folder / "seed.json")
    resolved = resolve_variables(document)
    with start_hub(folder) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        populate(resolved, hub, progress=False)
        setup_engines(resolved, hub, folder)
        with start_fleet(folder, process.url, poll_interval_s=0.25):
            assert start_jobs(resolved, hub) > 0
            wait_until_active(resolved, hub, timeout_s=60)
    return folder


def grow_older(folder: Path) -> None:
    """Let a night pass for a run that is down: what was is that much longer ago."""
    change(
        folder,
        *(
            f"UPDATE {table} SET {column} = {column} - {NIGHT_MS} WHERE {column} > 0"
            for table, columns in AGING.items()
            for column in columns
        ),
    )


def colors(folder: Path) -> Counter[str]:
    """How many running jobs have each color, by the database."""
    with closing(sqlite3.connect(folder / "hub.db")) as database:
        return Counter(color for (color,) in database.execute("SELECT color FROM runs WHERE open"))


@pytest.fixture(scope="module")
def forgotten(evening: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the evening whose hub was up without engines, until every job was red; then a night."""
    folder = tmp_path_factory.mktemp("forgotten") / "run"
    shutil.copytree(evening, folder)
    change(folder, f"UPDATE configs SET value = '{HEARTBEAT}' WHERE id = '{HEARTBEAT_S}'")
    with start_hub(folder):
        give_up_at = time.monotonic() + 60
        while set(colors(folder)) != {"RED"} and time.monotonic() < give_up_at:
            time.sleep(0.2)
    assert set(colors(folder)) == {"RED"}
    grow_older(folder)
    return folder


@pytest.fixture
def morning(forgotten: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that a test may change."""
    folder = tmp_path / "run"
    shutil.copytree(forgotten, folder)
    yield folder
    stop_run(folder)


def psr(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.psr, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def verify(folder: Path) -> None:
    """Verify a run; its hub and engines are as before afterwards."""
    before = find_hub(folder) is not None, fleet_status(folder)["running"]
    assert "Consistent: " in psr("verify", folder / "seed.json").output
    assert (find_hub(folder) is not None, fleet_status(folder)["running"]) == before


def test_verify_is_the_first_command_after_a_quiet_night(evening: Path, tmp_path: Path) -> None:
    """Hub and engines were down: whoever was there in the evening has time to come back."""
    folder = tmp_path / "run"
    shutil.copytree(evening, folder)
    grow_older(folder)
    verify(folder)


def test_verify_is_the_first_command(morning: Path) -> None:
    """Red jobs are green again when the engines are back."""
    verify(morning)
    assert set(colors(morning)) == {"GREEN"}


def test_start_jobs_is_the_first_command(morning: Path) -> None:
    """It brings the engines up and leaves them up; nothing has to be started."""
    output = psr("start-jobs", morning / "seed.json", "--balance", "--timeout", 60).output
    assert "engines started again" in output
    assert "0 jobs started" in output
    assert fleet_status(morning)["running"]
    verify(morning)


def test_collect_is_the_first_command(morning: Path) -> None:
    """It reads a copy: nobody in it looks for engines, and nothing is left running."""
    before = (morning / "hub.db").read_bytes()
    assert collect_run(morning, rate_per_s=1000).directory.exists()
    assert (find_hub(morning), fleet_status(morning)["running"]) == (None, False)
    assert (morning / "hub.db").read_bytes() == before
    verify(morning)


def test_a_hub_alone_is_the_first_command(morning: Path) -> None:
    """Up and down without engines once more, and populated again: verify still brings everything right."""
    start_hub(morning)
    time.sleep(2)
    stop_run(morning)
    psr("populate", morning / "seed.json")
    verify(morning)
