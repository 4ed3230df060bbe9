"""One run at a time in a folder; what only looks leaves no trace; what keeps running is said."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from psrlib import paths
from psrlib.cli import psr
from psrlib.cli.hub import NOT_RUNNING
from psrlib.engines import fleet_status
from psrlib.errors import InputError, ProcessError
from psrlib.hub.process.hub_process import find_hub, find_hubs, look_at_hub, start_hub, stop_hub
from psrlib.lock import RUN_LOCK, find_holder
from psrlib.model import NoiseModel
from psrlib.run import hold_run, left_running, open_run, release_run, resolve_run, run_lock, stop_run
from psrlib.seed import SeedDocument, create_seed, load_seed, save_seed

ROOT = Path(paths.__file__).parent.parent
HOLDING = """
import sys
from psrlib.run import hold_run
hold_run(sys.argv[1], "psr populate")
print("held", flush=True)
input()
"""


@pytest.fixture(scope="module")
def document() -> SeedDocument:
    return create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 7, 1)


@pytest.fixture
def seed(document: SeedDocument, tmp_path: Path) -> Iterator[Path]:
    """A seed document in a folder of its own; a hub left there is stopped."""
    save_seed(document, tmp_path / "run" / "seed.json")
    yield tmp_path / "run" / "seed.json"
    stop_hub(tmp_path / "run")


@pytest.fixture(scope="module")
def busy(document: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A seed document in a folder with a process at work in it, which no test may change."""
    seed = tmp_path_factory.mktemp("busy") / "run" / "seed.json"
    save_seed(document, seed)
    command = [sys.executable, "-c", HOLDING, str(seed.parent)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield seed
        child.kill()


def run(*arguments: object) -> Result:
    environment = {"PSR_SCH_PASSWORD": ""}
    return CliRunner().invoke(psr, [str(a) for a in arguments], env=environment)


def digests(folder: Path) -> dict[str, str]:
    """Return the content of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_plan_touches_nothing(seed: Path) -> None:
    """Against no hub, one that runs, was killed, was stopped: the files are the same afterwards."""
    before = digests(seed.parent)
    first = run("populate", seed, "--plan")
    assert first.exit_code == 0, first.output
    assert "about " in first.output
    assert digests(seed.parent) == before
    assert look_at_hub(seed.parent).state == "stopped"

    assert run("populate", seed).exit_code == 0
    running = find_hub(seed.parent)
    assert running is not None
    names = set(digests(seed.parent))
    assert "nothing to do" in run("populate", seed, "--plan").output
    assert (find_hub(seed.parent), set(digests(seed.parent))) == (running, names)

    os.kill(running.pid, signal.SIGKILL)
    while look_at_hub(seed.parent).state != "stopped":
        time.sleep(0.02)
    for _ in ("killed", "stopped"):
        before = digests(seed.parent)
        assert "nothing to do" in run("populate", seed, "--plan").output
        assert digests(seed.parent) == before
        assert look_at_hub(seed.parent).state == "stopped"
        with start_hub(seed.parent):
            pass


@pytest.mark.parametrize(
    "words",
    [("start-jobs",), ("teardown", "--force"), ("engines", "start"), ("engines", "restart"), ("verify",)],
)
def test_what_needs_a_populated_hub_makes_none(seed: Path, words: tuple[str, ...]) -> None:
    """A folder without a hub is named; no database, no process."""
    before = set(digests(seed.parent)) | {RUN_LOCK}
    result = run(*words, seed)
    assert isinstance(result.exception, InputError), result.output
    assert "populate this run first" in str(result.exception)
    assert set(digests(seed.parent)) <= before
    assert look_at_hub(seed.parent).state == "stopped"


@pytest.mark.parametrize(
    "words",
    [
        ("populate", "SEED"),
        ("start-jobs", "SEED"),
        ("teardown", "SEED", "--force"),
        ("engines", "start", "SEED"),
        ("engines", "restart", "SEED"),
        ("engines", "configure", "SEED", "-o", "FOLDER/real"),
        ("verify", "SEED"),
        ("hub", "start", "--run-dir", "FOLDER"),
        ("hub", "restore", "--run-dir", "FOLDER"),
        ("create-json", "--num-orgs", "1", "-o", "SEED"),
        ("rewrite", "SEED", "--set", "engine_host=10.0.0.1", "-o", "SEED"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_second_command_in_the_folder_is_refused(busy: Path, words: tuple[str, ...]) -> None:
    """It says who is at work, and changes nothing."""
    (busy.parent / "hub.db").touch()
    before = digests(busy.parent)
    places = {"SEED": str(busy), "FOLDER": str(busy.parent), "FOLDER/real": str(busy.parent / "real")}
    result = run(*(places.get(word, word) for word in words))
    assert isinstance(result.exception, ProcessError), result.output
    assert "psr populate (pid " in str(result.exception)
    assert "wait for its end" in str(result.exception)
    assert digests(busy.parent) == before
    (busy.parent / "hub.db").unlink()


def test_a_plan_looks_while_another_is_at_work(busy: Path) -> None:
    """Nor is stopping refused: a run that hangs must have an end."""
    assert run("populate", busy, "--plan").exit_code == 0
    assert run("hub", "stop", "--run-dir", busy.parent).exit_code == 0
    assert run("engines", "stop", busy).exit_code == 0


def test_a_notebook_holds_its_run_and_may_be_run_again(tmp_path: Path) -> None:
    """Within one process blocks and notebooks nest; the end of one gives the folder back."""
    for _ in range(2):
        hold_run(tmp_path, "populate.ipynb")
        with run_lock(tmp_path, "psr verify"):
            holder = find_holder(tmp_path / RUN_LOCK)
            assert holder is not None
            assert holder.command == "populate.ipynb"
    release_run(tmp_path)
    assert find_holder(tmp_path / RUN_LOCK) is None
    release_run(tmp_path)


def test_the_last_line_says_what_is_left_running_and_how_to_stop_it(seed: Path) -> None:
    """The command that it names does so; afterwards there is nothing to say."""
    result = run("populate", seed)
    hub = find_hub(seed.parent)
    assert hub is not None
    last = result.output.splitlines()[-1]
    assert last.startswith(f"left running: embedded hub {hub.url} (pid {hub.pid}); to stop: psr hub stop")
    assert run(*last.split("psr ")[-1].split()).output == "stopped\n"
    assert left_running(seed.parent, seed) == ""


def test_hubs_are_listed_with_state_process_and_address(seed: Path) -> None:
    """One that runs, one that was stopped; a folder without a hub is none."""
    stopped = seed.parent.parent / "other"
    with start_hub(stopped) as other:
        pass
    with start_hub(seed.parent) as hub:
        lines = run("hub", "list", seed.parent.parent).output.splitlines()
        assert lines[0].split()[:3] == ["stopped", other.url, str(stopped)]
        assert lines[1].split()[:5] == ["running", "pid", str(hub.pid), hub.url, str(seed.parent)]
        found = json.loads(run("hub", "list", seed.parent.parent, "--output", "json").output)
        assert [(row["state"], row["pid"]) for row in found] == [("stopped", 0), ("running", hub.pid)]
        assert run("hub", "status", "--run-dir", seed.parent).exit_code == 0
        assert run("hub", "status", "--run-dir", stopped).exit_code == NOT_RUNNING
    assert [state.state for state in find_hubs(seed.parent.parent)] == ["stopped", "stopped"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"null", b"{}", b"[" * 100_000],
    ids=["empty", "bytes", "null", "object", "deep"],
)
@pytest.mark.parametrize("name", ["hub.json", "report/report.json", "engines/fleet.json", "run.lock"])
def test_a_status_is_told_whatever_is_in_a_folder(seed: Path, name: str, content: bytes) -> None:
    """Of files that a full disk or an editor broke nothing is known."""
    file = seed.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    found = run("status", "--run-dir", seed.parent, "--output", "json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.output)["verification"] is None


def test_a_verification_of_an_empty_hub_says_what_lacks(seed: Path, document: SeedDocument) -> None:
    """Organizations are missing; no word of a password."""
    start_hub(seed.parent)
    result = run("verify", seed)
    assert "holds no organization of this seed document" in str(result.exception)
    assert "password" not in str(result.exception)
    with open_run(seed.parent, None) as hub:
        assert [row["id"] for row in hub.security.organizations()] == ["admin"]


def test_two_runs_side_by_side_just_work(document: SeedDocument, tmp_path: Path) -> None:
    """The same seed document in two folders: hubs, fleets, webhooks and verdicts of their own."""
    seeds = [tmp_path / name / "seed.json" for name in ("one", "two")]
    try:
        for seed in seeds:
            save_seed(document, seed)
            for words in (("populate",), ("engines", "start"), ("start-jobs",)):
                result = run(*words, seed)
                assert result.exit_code == 0, result.output
        for seed in seeds:
            result = run("verify", seed)
            assert result.exit_code == 0, result.output
        sinks = {webhook_url(seed) for seed in seeds}
        assert len(sinks) == 2
        for url in sinks:
            assert urllib.request.urlopen(url, data=b"{}", timeout=5).status == 200
        assert all(fleet_status(seed.parent)["webhooks_received"] >= 1 for seed in seeds)
    finally:
        for seed in seeds:
            stop_run(seed.parent)


def webhook_url(seed: Path) -> str:
    return resolve_run(load_seed(seed), seed.parent, make=False).variables["webhook_url"]
