"""`psr watch --record` and `--compare`, as they are called."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from support.scripted_hub import Reply, ScriptedHub
from support.simulated_background import Faults, simulate

from psrlib.cli import psr
from psrlib.errors import HubUnreachableError, InputError
from psrlib.watch import load_background

ORGANIZATIONS = "/security/rest/v1/organizations"


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    """A hub of two organizations beside the administrator's, with a job and an engine each."""
    hub = ScriptedHub()
    rows = [
        {"id": id, "name": id, "active": id != "org-0003"}
        for id in ("admin", "org-0001", "org-0002", "org-0003")
    ]
    hub.script(ORGANIZATIONS, Reply(body=rows))
    hub.script("/rest/v1/server/info", Reply(body={"version": "3.22.2"}))
    counts = {"data": [{"status": "ACTIVE_GREEN", "count": 1}]}
    hub.script("/jobrunner/rest/v1/metrics/jobCountByStatus", Reply(body=counts))
    engine = {"id": "e-1", "responding": True, "pipelinesCount": 1, "startUpTime": 1}
    hub.script("/jobrunner/rest/v1/sdcs", Reply(body=[engine]))
    yield hub
    hub.close()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(psr, ["watch", *arguments], catch_exceptions=False)


def record(hub: ScriptedHub, file: Path, *more: str) -> Result:
    where = ("--sch-url", hub.url, "--sch-password", "secret")
    return call(*where, "--record", str(file), "--rate", "200", *more)


def test_any_hub_is_recorded_for_the_time_given(hub: ScriptedHub, tmp_path: Path) -> None:
    """All its active organizations but the administrator's own; the summary says what it cost."""
    result = record(hub, tmp_path / "a.jsonl", "--duration", "1")
    assert result.exit_code == 0
    assert f"watched   {hub.url}" in result.output
    assert "2 organizations" in result.output
    assert "calls, " in result.output
    assert load_background(tmp_path / "a.jsonl").start.organizations == ["org-0001", "org-0002"]


def test_the_summary_is_json_when_asked_for(hub: ScriptedHub, tmp_path: Path) -> None:
    """Nothing else is on standard output."""
    facts = json.loads(record(hub, tmp_path / "a.jsonl", "--duration", "1", "--output", "json").output)
    assert facts["organizations"] == 2
    assert facts["cost"]["calls"] > 2


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_recording_that_is_ended_tells_what_it_saw(
    hub: ScriptedHub, tmp_path: Path, kind: signal.Signals
) -> None:
    """Exit status 0, no traceback; a second recording goes on in the same file."""
    file = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", "from psrlib.cli import main; main()", "watch", "--sch-url", hub.url]
    options = ["--sch-password", "secret", "--record", str(file), "--rate", "50"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not file.exists() or file.read_bytes().count(b"\n") < 5:
        time.sleep(0.05)
    process.send_signal(kind)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.startswith(f"recorded  {file}")
    assert errors == ""
    record(hub, file, "--duration", "0.5")
    assert len(load_background(file).starts) == 2


def test_a_hub_that_goes_away_is_told_once(hub: ScriptedHub, tmp_path: Path) -> None:
    """And again when it is back; the recording has the outage."""
    answer, looked = hub.reply, list[float]()

    def reply(path: str) -> Reply:
        """Be away from the first look on for seven seconds, longer than a call waits."""
        if path.startswith("/jobrunner"):
            looked.append(time.monotonic())
        return Reply(503) if looked and time.monotonic() - looked[0] < 7 else answer(path)

    hub.reply = reply  # type: ignore[method-assign]
    result = record(hub, tmp_path / "a.jsonl", "--duration", "10")
    told = [line.split("  ", 1)[1][:15] for line in result.stderr.splitlines()]
    assert told == ["no answer: GET ", "the hub answers"]
    (outage,) = load_background(tmp_path / "a.jsonl").outages
    assert 5 <= outage.duration_s <= 9


def test_a_hub_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Before anything is written."""
    where = ("--sch-url", "http://127.0.0.1:1", "--sch-password", "x", "--record", str(tmp_path / "a"))
    with pytest.raises(HubUnreachableError):
        call(*where)
    assert not (tmp_path / "a").exists()


def test_what_to_watch_must_be_said(tmp_path: Path) -> None:
    """The embedded hub is one of a run."""
    result = call("--record", str(tmp_path / "a"))
    assert result.exit_code == 2
    assert "expected RUN, the folder of a run" in result.output
    with pytest.raises(InputError, match=r"no run there \(seed\.json\)"):
        call(str(tmp_path))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two of the same background, one with red jobs, a short one."""
    folder = tmp_path_factory.mktemp("recordings")
    made = {
        "a": simulate(np.random.default_rng(1)),
        "b": simulate(np.random.default_rng(2)),
        "red": simulate(np.random.default_rng(3), faults=Faults(red=0.1)),
        "short": simulate(np.random.default_rng(4), minutes=2),
    }
    for name, lines in made.items():
        (folder / name).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return {name: folder / name for name in made}


@pytest.mark.parametrize(
    ("b", "status", "word"), [("b", 0, "Same"), ("red", 1, "Different"), ("short", 3, "Could")]
)
def test_the_exit_status_is_the_verdict(recordings: dict[str, Path], b: str, status: int, word: str) -> None:
    """0 the same, 1 different, 3 could not tell."""
    result = call("--compare", str(recordings["a"]), str(recordings[b]))
    assert result.exit_code == status
    assert result.output.splitlines()[-1].startswith(word)


def test_the_comparison_is_json_when_asked_for(recordings: dict[str, Path], tmp_path: Path) -> None:
    """With the page besides, whose place is told on standard error."""
    both = str(recordings["a"]), str(recordings["red"])
    result = call("--compare", *both, "--output", "json", "--report", str(tmp_path))
    assert json.loads(result.stdout)["outcome"] == "different"
    assert (tmp_path / "background.html").exists()
    assert str(tmp_path / "background.html") in result.stderr
