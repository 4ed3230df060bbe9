"""The commands as a user types them: what they print, and how they end."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from psrlib.cli import psr
from psrlib.errors import PsrError
from psrlib.hub.process.hub_process import find_hub, stop_hub
from psrlib.seed import SeedDocument, save_seed

PASSWORD = "admin@admin"


@pytest.fixture
def seed_json(rich: SeedDocument, tmp_path: Path) -> Path:
    save_seed(rich, tmp_path / "seed.json")
    return tmp_path / "seed.json"


def run(*arguments: object, password: str = PASSWORD, **options: str) -> Result:
    environment = {"PSR_SCH_PASSWORD": password}
    return CliRunner().invoke(psr, [str(a) for a in arguments], env=environment, **options)  # type: ignore[arg-type]


def failure(result: Result) -> str:
    """Return the sentence that ``psr`` would print."""
    assert isinstance(result.exception, PsrError), result.output
    return str(result.exception)


def test_the_embedded_hub_is_started_filled_and_found_again(seed_json: Path) -> None:
    """Populate, plan and populate again on the hub of the seed document's folder."""
    try:
        first = run("populate", seed_json, password="")
        assert first.exit_code == 0, first.output
        assert "entities created" in first.output
        assert "engine tokens in" in first.output
        running = find_hub(seed_json.parent)
        assert running is not None
        assert running.url in first.output
        assert "nothing to do" in run("populate", seed_json, "--plan").output
        again = run("populate", seed_json)
        assert again.exit_code == 0
        assert "0 entities created, 0 changed" in again.output
        assert find_hub(seed_json.parent) == running
    finally:
        stop_hub(seed_json.parent)
    assert (seed_json.parent / "engines" / "identities.json").stat().st_mode & 0o777 == 0o600


def test_a_plan_prints_the_difference_and_an_estimate(seed_json: Path, hub_url: str) -> None:
    """Missing entities and calls per kind, then one sentence with time and data."""
    result = run("populate", seed_json, "--sch-url", hub_url, "--plan")
    assert result.exit_code == 0
    assert "pipelines" in result.output
    assert "MB to send" in result.output


def test_teardown_says_what_is_gone_and_what_cannot_go(seed_json: Path, hub_url: str) -> None:
    """Organizations are deactivated and said to be."""
    run("populate", seed_json, "--sch-url", hub_url)
    assert run("teardown", seed_json, "--sch-url", hub_url, input="n\n").exit_code == 1
    result = run("teardown", seed_json, "--sch-url", hub_url, "--force")
    assert result.exit_code == 0
    assert "cannot delete" in result.output
    assert "jobs removed" in result.output


def test_a_hub_elsewhere_needs_yes(seed_json: Path) -> None:
    """Nothing is sent before that."""
    result = run("populate", seed_json, "--sch-url", "https://hub.example.com")
    assert "--yes" in failure(result)
    assert result.exception.exit_status == 2  # type: ignore[union-attr]


def test_an_edited_seed_document_is_refused(seed_json: Path, hub_url: str) -> None:
    """Its digest no longer matches its content."""
    seed_json.write_text(seed_json.read_text().replace('"instances":1', '"instances":2', 1))
    result = run("populate", seed_json, "--sch-url", hub_url)
    assert "sha256" in failure(result)
    assert result.exception.exit_status == 2  # type: ignore[union-attr]


def test_a_wrong_password_is_one_sentence_without_it(seed_json: Path, hub_url: str) -> None:
    """User and address are named, the password is not."""
    result = run("populate", seed_json, "--sch-url", hub_url, password="not the right one")
    assert "refused user admin@admin" in failure(result)
    assert "not the right one" not in result.output + str(result.exception)


def test_the_password_is_asked_for_without_echo(seed_json: Path, hub_url: str) -> None:
    """Without environment variable and flag there is a prompt."""
    result = run("populate", seed_json, "--sch-url", hub_url, "--plan", password="", input=PASSWORD + "\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output.replace("admin@admin:", "")


@pytest.mark.parametrize("setting", ["webhook_url", "=x", "no_such_variable=1"])
def test_wrong_settings_are_refused(seed_json: Path, hub_url: str, setting: str) -> None:
    """A setting needs a known name and a value."""
    result = run("populate", seed_json, "--sch-url", hub_url, "--set", setting)
    assert getattr(result.exception, "exit_status", result.exit_code) == 2
    assert setting.removesuffix("=1") in f"{result.exception} {result.output}"


def test_strangers_work_is_reported_and_left(seed_json: Path, hub_url: str) -> None:
    """Exit status 1: the hub holds more than the document says."""
    from psrlib.client import ControlHub

    run("populate", seed_json, "--sch-url", hub_url)
    with ControlHub(hub_url, "admin@admin", PASSWORD) as hub:
        hub.security.create_group("org-0001", "own@org-0001", "Own", ["user"], [])
    result = run("populate", seed_json, "--sch-url", hub_url)
    assert result.exit_code == 1
    assert "1 groups extra" in result.output


def test_an_unknown_authoring_engine_is_refused(seed_json: Path, hub_url: str) -> None:
    """Pipelines do not need one, so the error says to leave it out."""
    options = ("--sch-url", hub_url, "--sch-authoring-sdc", "http://127.0.0.1:18630")
    assert "leave the authoring engine out" in failure(run("populate", seed_json, *options))


def test_start_jobs_needs_a_populated_hub(seed_json: Path, hub_url: str) -> None:
    """The first missing job is named."""
    assert "opulate" in failure(run("start-jobs", seed_json, "--sch-url", hub_url))
