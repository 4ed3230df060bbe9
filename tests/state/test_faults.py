"""Whatever goes wrong on the way, the hub ends up holding exactly what the seed document says.

What it holds is compared twice: by the difference, and table by table with a hub that was populated without
faults.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.canon import canon, compare
from support.fault_proxy import FAULT_KINDS, LATE_S, LOSSY_KINDS, LYING_KINDS, FaultProxy, Faults

from psrlib.client import ControlHub
from psrlib.errors import HubError
from psrlib.hub.process.hub_process import start_hub
from psrlib.seed import SeedDocument, save_seed
from psrlib.state import diff, observe, populate
from psrlib.words import KINDS

Connect = Callable[..., ControlHub]
Canon = Counter[tuple[str, str, str]]
PASSWORD = "admin@admin"
REPEATS = 9  # a user who starts populate again after an error, at most so often
RUN_TIMEOUT_S = 60
LONGEST_RUN_S = 12.0  # until which a client is killed at a random point in time


@pytest.fixture
def holds_exactly(
    rich: SeedDocument, reference: Canon, connect: Connect, tmp_path: Path
) -> Callable[[], None]:
    """Return a function that checks the hub."""

    def check() -> None:
        with connect() as hub:
            assert_holds_exactly(rich, hub)
        comparison = compare(canon(tmp_path / "hub.db"), reference)
        assert comparison.is_equal, comparison

    return check


def test_two_hubs_with_one_content_are_equal(
    rich: SeedDocument, reference: Canon, connect: Connect, tmp_path: Path
) -> None:
    """The canon knows no ids and times; it sees a row too few, one too many and one that is otherwise."""
    with connect(workers=1) as hub:
        populate(rich, hub, progress=False)
        assert compare(canon(tmp_path / "hub.db"), reference).is_equal
        app = hub.for_organization(rich.organizations[0].id).jobrunner
        first, second, third, *_ = app.jobs()
        app.delete_jobs([first["id"]])
        app.update_job({**second, "runtimeParameters": '{"a": "b"}'})
        app.create_job({key: value for key, value in third.items() if key != "id"})
    found = compare(canon(tmp_path / "hub.db"), reference)
    words = rich.organizations[0].id
    assert f"jobs {words} {first['name']}" in found.lost
    assert any(line.startswith(f"jobs {words} {second['name']} ") for line in found.wrong)
    assert f"jobs {words} {third['name']}" in found.doubled


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
                if not populate(document, hub, progress=False).difference:
                    return attempt
        except HubError:
            if attempt == REPEATS:
                raise
    raise AssertionError(f"populate left something each of {REPEATS} times")


def random_rates(kinds: tuple[str, ...], seed: int, most: float) -> dict[str, float]:
    """Return a random total fault rate up to ``most``, spread over the kinds at random."""
    generator = random.Random(seed)
    weights = {kind: generator.random() ** 2 for kind in kinds}
    for slow in {"hang", "drip_after"} & set(weights):
        weights[slow] /= 10  # each one costs seconds
    scale = generator.uniform(0.02, most) / sum(weights.values())
    return {kind: weight * scale for kind, weight in weights.items()}


@pytest.mark.parametrize("kind", ["reset_after", "error_500_after", "cut_body"])
def test_answers_lost_after_the_work_leave_no_duplicates(
    kind: str, rich: SeedDocument, hub_url: str, holds_exactly: Callable[[], None]
) -> None:
    """Every fifth request is carried out without its answer arriving."""
    with FaultProxy(hub_url, Faults({kind: 0.2}), seed=1) as proxy:
        populate_through(rich, proxy.url)
    assert proxy.injected[kind] > 5
    holds_exactly()


@pytest.mark.parametrize("kind", ["reset_before", "error_503", "error_429", "expired"])
def test_refused_requests_are_made_up_for(
    kind: str, rich: SeedDocument, hub_url: str, holds_exactly: Callable[[], None]
) -> None:
    """Every fifth request never reaches the hub."""
    with FaultProxy(hub_url, Faults({kind: 0.2}), seed=2) as proxy:
        populate_through(rich, proxy.url)
    assert proxy.injected[kind] > 5
    holds_exactly()


@pytest.mark.parametrize("kind", LYING_KINDS)
def test_lies_are_found_out(
    kind: str, rich: SeedDocument, hub_url: str, connect: Connect, holds_exactly: Callable[[], None]
) -> None:
    """Every tenth answer is none; what could not be noticed at the time, the next populate repairs."""
    rate = 0.05 if kind == "drip_after" else 0.1
    with FaultProxy(hub_url, Faults({kind: rate}), seed=4) as proxy:
        populate_through(rich, proxy.url)
        assert proxy.injected[kind] > 0
        time.sleep(LATE_S[1] if kind == "late" else 0)
    with connect() as hub:
        report = populate(rich, hub, progress=False)
        assert not report.difference, report.left_frame().to_string()
    holds_exactly()


def test_a_connection_whose_creation_was_answered_with_nothing_is_looked_up(
    rich: SeedDocument, hub_url: str, connect: Connect, holds_exactly: Callable[[], None]
) -> None:
    """An empty 200 to a PUT used to leave pipelines without their connection, for good."""

    def is_creation(request: bytes) -> bool:
        return request.startswith(b"PUT /connection/rest/v1/connections")

    with FaultProxy(hub_url, Faults({"empty_after": 1.0}), concerns=is_creation) as proxy:
        assert populate_through(rich, proxy.url) == 1
        assert proxy.injected["empty_after"] == sum(len(o.connections) for o in rich.organizations)
    with connect() as hub:
        assert populate(rich, hub, progress=False).changed == {}
    holds_exactly()


def test_work_done_after_the_timeout_is_not_done_twice(
    rich: SeedDocument, hub_url: str, connect: Connect, holds_exactly: Callable[[], None]
) -> None:
    """The hub carries out late what the client gave up on and looked for in vain."""
    with FaultProxy(hub_url, Faults({"hang": 0.04}, hang_s=2.0), seed=3) as proxy:
        populate_through(rich, proxy.url)
        assert proxy.injected["hang"] > 0
        populate_through(rich, proxy.url)
    with connect() as hub:
        populate(rich, hub, progress=False)
    holds_exactly()


@pytest.mark.parametrize("seed", range(2))
def test_mixed_faults(
    seed: int, rich: SeedDocument, hub_url: str, connect: Connect, holds_exactly: Callable[[], None]
) -> None:
    """Faults of all kinds at random rates."""
    survive_mixed_faults(seed, rich, hub_url)
    settle(rich, connect)
    holds_exactly()


def test_a_killed_populate_is_resumed_exactly(
    rich: SeedDocument, hub_url: str, connect: Connect, tmp_path: Path, holds_exactly: Callable[[], None]
) -> None:
    """SIGKILL at any request; the next run does the rest, once."""
    survive_kills([9, 60], {}, 0, rich, hub_url, tmp_path)
    settle(rich, connect)
    holds_exactly()


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
@pytest.mark.parametrize("seed", range(100, 300))
def test_random_faults_and_kills(
    seed: int,
    rich: SeedDocument,
    hub_url: str,
    connect: Connect,
    tmp_path: Path,
    holds_exactly: Callable[[], None],
) -> None:
    """Two hundred runs: a lossy line, one that lies too, kills at requests, kills at any time alone."""
    generator = random.Random(seed)
    kinds = LOSSY_KINDS if seed % 4 == 0 else FAULT_KINDS
    if seed % 4 == 3:
        survive_kills_in_time(generator, rich, hub_url, tmp_path)
    elif kills := sorted(generator.sample(range(1, 150), generator.randint(0, 3))):
        fast = tuple(kind for kind in kinds if kind != "drip_after")  # psr waits a minute for each
        survive_kills(kills, random_rates(fast, seed, most=0.15), seed, rich, hub_url, tmp_path)
    else:
        survive_mixed_faults(seed, rich, hub_url, kinds)
    settle(rich, connect)
    holds_exactly()


def survive_mixed_faults(
    seed: int, document: SeedDocument, hub_url: str, kinds: tuple[str, ...] = FAULT_KINDS
) -> None:
    """Populate under random faults."""
    rates = random_rates(kinds, seed, most=0.3)
    with FaultProxy(hub_url, Faults(rates, hang_s=2.0), seed=seed) as proxy:
        populate_through(document, proxy.url)
        assert proxy.injected.total() > 0
        time.sleep(LATE_S[1])


def survive_kills(
    kills: list[int],
    rates: dict[str, float],
    seed: int,
    document: SeedDocument,
    hub_url: str,
    folder: Path,
) -> None:
    """Run ``psr populate`` as its own process, and kill it at the given requests."""
    path = folder / "seed.json"
    save_seed(document, path)
    victim: list[subprocess.Popen[str]] = []
    pending = list(kills)
    killed: set[int] = set()
    lock = threading.Lock()

    def kill_if_due(n_requests: int) -> None:
        with lock:
            pid = victim[-1].pid
            if (
                pending and n_requests >= pending[0] and pid not in killed
            ):  # others of its requests may follow
                pending.pop(0)
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

    faults = Faults(rates, hang_s=2.0)
    with FaultProxy(hub_url, faults, seed=seed, on_request=kill_if_due) as proxy:
        for _ in range(len(kills) + REPEATS):
            victim.append(start_populate(path, proxy.url))
            if finish(victim[-1]) == 0:
                break
        else:
            pytest.fail(f"not populated after {len(victim)} runs")
        assert len(victim) > len(kills) - len(pending)
        time.sleep(LATE_S[1])


def survive_kills_in_time(
    generator: random.Random, document: SeedDocument, hub_url: str, folder: Path
) -> None:
    """Run ``psr populate`` as its own process, and kill it after random times, nothing else being wrong."""
    path = folder / "seed.json"
    save_seed(document, path)
    for _ in range(generator.randint(1, 4)):
        process = start_populate(path, hub_url)
        killer = threading.Timer(LONGEST_RUN_S * generator.random() ** 2, process.kill)
        killer.start()
        finish(process)
        killer.cancel()
    assert finish(start_populate(path, hub_url)) == 0


def finish(process: subprocess.Popen[str]) -> int:
    """Wait for a populate and return its status: killed, done, or an error in one sentence."""
    _, errors = process.communicate(timeout=RUN_TIMEOUT_S)
    assert "Traceback" not in errors, errors
    assert process.returncode in (0, 1, -signal.SIGKILL), errors
    return process.returncode


def start_populate(seed: Path, url: str) -> subprocess.Popen[str]:
    code = "from psrlib.cli import main; main()"
    command = [sys.executable, "-c", code, "populate", str(seed), "--sch-url", url, "--no-engines"]
    environment = {**os.environ, "PSR_SCH_PASSWORD": PASSWORD}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def settle(document: SeedDocument, connect: Connect) -> None:
    """Populate once more: a lie may go unnoticed, and a dead client's requests may be carried out late."""
    with connect() as hub:
        report = populate(document, hub, progress=False)
        assert not report.difference, report.left_frame().to_string()
