"""Whatever goes wrong on the way, the hub ends up holding exactly what the seed document says."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fault_proxy import FAULT_KINDS, FaultProxy, Faults

from psrlib.client import ControlHub
from psrlib.errors import HubError
from psrlib.hub.process.hub_process import start_hub
from psrlib.seed import SeedDocument, save_seed
from psrlib.state import diff, observe, populate
from psrlib.words import KINDS

Connect = Callable[..., ControlHub]
PASSWORD = "admin@admin"
REPEATS = 6  # a user who starts populate again after an error, at most so often
RUN_TIMEOUT_S = 60


def assert_holds_exactly(document: SeedDocument, hub: ControlHub) -> None:
    """Nothing missing, nothing different, nothing there twice."""
    observed = observe(document, hub)
    difference = diff(document, observed, runtime=False)
    assert not difference, difference.frame().to_string()
    for organization in document.organizations:
        held = observed.organizations[organization.id].organization
        for kind in KINDS:
            if kind != "engines":
                assert len(getattr(held, kind)) == len(getattr(organization, kind)), (organization.id, kind)


def populate_through(document: SeedDocument, url: str) -> int:
    """Populate through a bad line, again after an error as a user would; return the number of attempts."""
    for attempt in range(1, REPEATS + 1):
        try:
            with ControlHub(url, "admin@admin", PASSWORD, timeout_s=1.5, deadline_s=20, workers=4) as hub:
                populate(document, hub, progress=False)
            return attempt
        except HubError:
            if attempt == REPEATS:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def random_rates(kinds: tuple[str, ...], seed: int, most: float) -> dict[str, float]:
    """Return a random total fault rate up to ``most``, spread over the kinds at random."""
    generator = random.Random(seed)
    weights = {kind: generator.random() ** 2 for kind in kinds}
    weights["hang"] /= 10  # each one costs seconds
    scale = generator.uniform(0.02, most) / sum(weights.values())
    return {kind: weight * scale for kind, weight in weights.items()}


@pytest.mark.parametrize("kind", ["reset_after", "error_500_after", "cut_body"])
def test_answers_lost_after_the_work_leave_no_duplicates(
    kind: str, rich: SeedDocument, hub_url: str, connect: Connect
) -> None:
    """Every fifth request is carried out without its answer arriving."""
    with FaultProxy(hub_url, Faults({kind: 0.2}), seed=1) as proxy:
        populate_through(rich, proxy.url)
    assert proxy.injected[kind] > 5
    assert_holds_exactly(rich, connect())


@pytest.mark.parametrize("kind", ["reset_before", "error_503", "error_429", "expired"])
def test_refused_requests_are_made_up_for(
    kind: str, rich: SeedDocument, hub_url: str, connect: Connect
) -> None:
    """Every fifth request never reaches the hub."""
    with FaultProxy(hub_url, Faults({kind: 0.2}), seed=2) as proxy:
        populate_through(rich, proxy.url)
    assert proxy.injected[kind] > 5
    assert_holds_exactly(rich, connect())


def test_work_done_after_the_timeout_is_not_done_twice(
    rich: SeedDocument, hub_url: str, connect: Connect
) -> None:
    """The hub carries out late what the client gave up on and looked for in vain."""
    with FaultProxy(hub_url, Faults({"hang": 0.04}, hang_s=2.0), seed=3) as proxy:
        populate_through(rich, proxy.url)
        assert proxy.injected["hang"] > 0
        populate_through(rich, proxy.url)
    with connect() as hub:
        populate(rich, hub, progress=False)
        assert_holds_exactly(rich, hub)


@pytest.mark.parametrize("seed", range(2))
def test_mixed_faults(seed: int, rich: SeedDocument, hub_url: str, connect: Connect) -> None:
    """Faults of all kinds at random rates."""
    survive_mixed_faults(seed, rich, hub_url, connect)


def test_a_killed_populate_is_resumed_exactly(
    rich: SeedDocument, hub_url: str, connect: Connect, tmp_path: Path
) -> None:
    """SIGKILL at any request; the next run does the rest, once."""
    survive_kills([9, 60], {}, 0, rich, hub_url, connect, tmp_path)


def test_a_hub_restarted_in_mid_run_is_waited_for(rich: SeedDocument, tmp_path: Path) -> None:
    """The hub's process is killed and comes back on its database; nothing is lost or done twice."""
    with start_hub(tmp_path) as first:
        restarts: list[threading.Thread] = []

        def restart() -> None:
            os.kill(first.pid, signal.SIGKILL)
            os.waitpid(first.pid, 0)
            proxy.retarget(start_hub(tmp_path).url)

        def restart_once(n_requests: int) -> None:
            if n_requests == 30:
                restarts.append(threading.Thread(target=restart))
                restarts[0].start()

        with FaultProxy(first.url, Faults(), on_request=restart_once) as proxy:
            populate_through(rich, proxy.url)
            restarts[0].join()
        running = start_hub(tmp_path)
        with running, ControlHub(running.url, "admin@admin", PASSWORD) as hub:
            assert running.pid != first.pid
            assert_holds_exactly(rich, hub)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 150))
def test_random_faults_and_kills(
    seed: int, rich: SeedDocument, hub_url: str, connect: Connect, tmp_path: Path
) -> None:
    """Fifty runs, each with its own fault rates and up to three kill points."""
    generator = random.Random(seed)
    kills = sorted(generator.sample(range(1, 150), generator.randint(0, 3)))
    if kills:
        rates = random_rates(FAULT_KINDS, seed, most=0.15)
        survive_kills(kills, rates, seed, rich, hub_url, connect, tmp_path)
    else:
        survive_mixed_faults(seed, rich, hub_url, connect)


def survive_mixed_faults(seed: int, document: SeedDocument, hub_url: str, connect: Connect) -> None:
    """Populate under random faults, then check."""
    rates = random_rates(FAULT_KINDS, seed, most=0.3)
    with FaultProxy(hub_url, Faults(rates, hang_s=2.0), seed=seed) as proxy:
        populate_through(document, proxy.url)
        assert proxy.injected.total() > 0
    settle(document, proxy, connect)


def survive_kills(
    kills: list[int],
    rates: dict[str, float],
    seed: int,
    document: SeedDocument,
    hub_url: str,
    connect: Connect,
    folder: Path,
) -> None:
    """Run ``psr populate`` as its own process, kill it at the given requests, and check what is left."""
    path = folder / "seed.json"
    save_seed(document, path)
    victim: list[subprocess.Popen[bytes]] = []
    pending = list(kills)
    lock = threading.Lock()

    def kill_if_due(n_requests: int) -> None:
        with lock:
            if pending and n_requests >= pending[0]:
                pending.pop(0)
                os.kill(victim[-1].pid, signal.SIGKILL)

    faults = Faults(rates, hang_s=2.0)
    with FaultProxy(hub_url, faults, seed=seed, on_request=kill_if_due) as proxy:
        for _ in range(len(kills) + REPEATS):
            victim.append(start_populate(path, proxy.url))
            status = victim[-1].wait(RUN_TIMEOUT_S)
            if status == 0:
                break
            assert status in (-signal.SIGKILL, 1)
        assert status == 0
        assert len(victim) > len(kills) - len(pending)
    settle(document, proxy, connect)


def start_populate(seed: Path, url: str) -> subprocess.Popen[bytes]:
    code = "from psrlib.cli import main; main()"
    command = [sys.executable, "-c", code, "populate", str(seed), "--sch-url", url, "--no-engines"]
    environment = {**os.environ, "PSR_SCH_PASSWORD": PASSWORD}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def settle(document: SeedDocument, proxy: Any, connect: Connect) -> None:
    """Check; a dead client's requests may have been carried out after the last look: populate once more."""
    with connect() as hub:
        if proxy.injected["hang"]:
            populate(document, hub, progress=False)
        assert_holds_exactly(document, hub)
