"""`psr up`, `psr status`, `psr down`: a run in one command."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.ports import free_port

from psrlib.cli import psr
from psrlib.errors import InputError, PsrError
from psrlib.run import stop_run

WEBHOOK_PORT = free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run of two organizations, brought up once for all tests here."""
    folder = tmp_path_factory.mktemp("run")
    up(folder)
    yield folder
    stop_run(folder)


def call(command: str, folder: Path, *more: str) -> Result:
    orgs = ("--num-orgs", "2", "--run-dir", str(folder))
    return CliRunner().invoke(psr, [command, *orgs, *more], catch_exceptions=False)


def up(folder: Path, *more: str) -> Result:
    return call("up", folder, "--set", f"webhook_url=http://127.0.0.1:{WEBHOOK_PORT}/webhook", *more)


def test_up_ends_with_a_verified_run_and_can_be_repeated(folder: Path) -> None:
    """The second time there is nothing to create; every step says what came of it."""
    again = up(folder)
    assert again.exit_code == 0, again.output
    words = [line.split()[0] for line in again.output.splitlines()]
    assert words[:7] == ["run", "seed", "hub", "populate", "engines", "jobs", "verify"]
    assert "0 entities created" in again.output
    assert "Consistent: 2 organizations" in again.output
    assert f"psr down --run-dir {folder}" in again.output
    assert (folder / "report" / "report.html").exists()


def test_ctrl_c_says_how_to_go_on_and_what_stays_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence and a status of its own, no traceback."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("psrlib.state.populate", interrupt)
    orgs = ["--num-orgs", "2", "--run-dir", str(folder)]
    result = CliRunner().invoke(psr, ["up", *orgs])
    assert isinstance(result.exception, PsrError)
    assert result.exception.exit_status == 130
    assert "the same command goes on" in str(result.exception)
    assert "left running:" in result.output


def test_release_4_elsewhere_asks_for_credentials_and_not_for_a_password(folder: Path) -> None:
    """A password would not help."""
    with pytest.raises(InputError, match="takes API credentials"):
        up(folder, "--release", "4", "--sch-url", "http://127.0.0.1:9")


def test_status_counts_jobs_by_status_and_names_the_last_verification(folder: Path) -> None:
    """As text and as JSON."""
    found = json.loads(call("status", folder, "--output", "json").output)
    seed = json.loads((folder / "seed.json").read_text())
    jobs = [job for organization in seed["organizations"] for job in organization["jobs"]]
    active = sum(job["status"] == "ACTIVE" for job in jobs)
    assert found["jobs"]["ACTIVE_GREEN"] == active > 0
    assert found["hub"]["state"] == "running"
    assert found["engines"]["polling"] == found["engines"]["engines"] > 0
    assert found["verification"]["consistent"] is True
    text = call("status", folder).output
    assert f"{active} ACTIVE_GREEN" in text
    assert "Consistent" in text


def test_down_stops_what_runs_and_says_what_is_left(folder: Path) -> None:
    """Twice is no error; up brings the same run back."""
    first = call("down", folder)
    assert "stopped: engines, hub" in first.output
    assert "seed.json, hub.db, engines, report" in first.output
    assert "nothing ran" in call("down", folder).output
    stopped = json.loads(call("status", folder, "--output", "json").output)
    assert stopped["hub"]["state"] == "stopped"
    assert stopped["jobs"] == {}
    assert "0 entities created" in up(folder).output


def test_another_seed_in_the_folder_is_refused(folder: Path) -> None:
    """The run that is there stays as it is."""
    with pytest.raises(InputError, match="seed document of another run"):
        up(folder, "--random-seed", "7")


@pytest.mark.parametrize("command", ["down", "status"])
def test_a_folder_without_a_run_is_named(tmp_path: Path, command: str) -> None:
    """With what makes one."""
    with pytest.raises(InputError, match=r"no run there \(seed\.json\); psr up makes one"):
        call(command, tmp_path)
