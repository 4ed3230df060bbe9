"""Hub and fleet as the process of a container: SIGTERM ends them with 0, logs go to standard output."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

import pytest
from support.ports import free_port

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.engines import fleet_status
from psrlib.hub.process.hub_process import HubProcess, find_hub, start_hub
from psrlib.model import NoiseModel
from psrlib.seed import create_seed, resolve_variables, save_seed
from psrlib.state import populate, setup_engines

T = TypeVar("T")
PASSWORD = "admin@admin"
END_S = 5.0  # a container is killed after ten


@contextmanager
def foreground(log: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``psr`` with its standard output in a file; killed at the end."""
    command = [sys.executable, "-c", "from psrlib.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "PSR_SCH_PASSWORD": PASSWORD}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=paths.PACKAGE.parent, env=environment, stdout=output) as child,
    ):
        yield child
        child.kill()


def wait_for(look: Callable[[], T | None], child: subprocess.Popen[bytes]) -> T:
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert child.poll() is None, "it has ended"
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
    return found


def end(child: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> float:
    """Ask a process to end; return the seconds it took."""
    started = time.monotonic()
    child.send_signal(number)
    assert child.wait(timeout=30) == 0
    return time.monotonic() - started


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubProcess, Path]]:
    """A hub with an organization, and its seed document with engine tokens in another folder."""
    document = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 7, 1)
    folder = tmp_path_factory.mktemp("run")
    save_seed(document, folder / "seed.json")
    desired = resolve_variables(document)
    with (
        start_hub(tmp_path_factory.mktemp("hub")) as process,
        ControlHub(process.url, "admin@admin", PASSWORD) as hub,
    ):
        populate(desired, hub, progress=False)
        setup_engines(desired, hub, folder)
        yield process, folder / "seed.json"


def test_a_hub_in_the_foreground_ends_with_0_at_once(tmp_path: Path) -> None:
    """With a connection that an engine keeps; the same folder is served again after."""
    for number in (signal.SIGTERM, signal.SIGINT):
        log = tmp_path / "log"
        with foreground(log, "hub", "start", "--foreground", "--port", 0, "--run-dir", tmp_path) as child:
            hub = wait_for(lambda: find_hub(tmp_path), child)
            assert hub.pid == child.pid
            kept = HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
            kept.request("GET", "/public-rest/v1/health")
            kept.getresponse().read()
            assert end(child, number) < END_S
            kept.close()
        assert f"embedded hub listens on {hub.url}" in log.read_text()
        assert find_hub(tmp_path) is None


def test_a_hub_that_is_asked_to_go_at_its_start_goes(tmp_path: Path) -> None:
    """A container that is stopped right away does not wait for the end of its grace."""
    words = ("hub", "start", "--foreground", "--port", 0, "--run-dir", tmp_path)
    with foreground(tmp_path / "log", *words) as child:
        wait_for(lambda: (tmp_path / "hub.json").exists(), child)
        assert end(child) < END_S


def test_a_job_that_is_told_to_end_does(tmp_path: Path) -> None:
    """As the first process of a container it gets no signal that it does not ask for; 143 is no success."""
    save_seed(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 7, 1), tmp_path / "seed.json")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = ("--sch-url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with foreground(tmp_path / "log", "populate", tmp_path / "seed.json", *where) as child:
            asked, _ = silent.accept()
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=60) == 143
            asked.close()


def test_a_second_hub_in_the_folder_is_refused(tmp_path: Path) -> None:
    """One sentence and a status, in place of two hubs on one database."""
    with start_hub(tmp_path) as hub:
        command = [sys.executable, "-c", "from psrlib.cli import main; main()", "hub", "start"]
        command += ["--foreground", "--port", "0", "--run-dir", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert f"has a hub already: embedded hub (pid {hub.pid}" in second.stderr
        assert find_hub(tmp_path) == hub


def test_engines_in_the_foreground_end_with_0_at_once(
    populated: tuple[HubProcess, Path], tmp_path: Path
) -> None:
    """Their status and webhook sink listen where they are told, whatever name the webhook has."""
    hub, seed = populated
    port, log = free_port(), tmp_path / "log"
    where = ("--sch-url", hub.url, "--listen", "0.0.0.0", "--set", f"webhook_url=http://fleet:{port}/webhook")
    with foreground(log, "engines", "start", seed, "--foreground", *where) as child:
        wait_for(lambda: fleet_status(seed.parent).get("polling"), child)
        assert fleet_status(seed.parent)["pid"] == child.pid
        sink = urllib.request.Request(f"http://127.0.0.1:{port}/webhook", data=b"{}", method="POST")
        assert urllib.request.urlopen(sink, timeout=5).status == 200
        assert fleet_status(seed.parent)["webhooks_received"] == 1
        assert end(child) < END_S
    assert not fleet_status(seed.parent)["running"]
    assert "fleet of " in log.read_text()
    assert "fleet stopped" in log.read_text()
