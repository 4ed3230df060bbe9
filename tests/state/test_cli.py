"""The commands as a user types them: what they print, and how they end."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from psrlib.cli import psr
from psrlib.client import ControlHub
from psrlib.errors import InputError, PsrError
from psrlib.hub.process.hub_process import find_hub, stop_hub
from psrlib.seed import SeedDocument, save_seed

PASSWORD = "admin@admin"


@pytest.fixture
def seed_json(rich: SeedDocument, tmp_path: Path) -> Path:
    save_seed(rich, tmp_path / "seed.json")
    return tmp_path / "seed.json"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody can be asked."""
    for module in ("options", "state"):
        monkeypatch.setattr(f"psrlib.cli.{module}.has_terminal", lambda: True)


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


def test_teardown_says_what_is_gone_and_what_cannot_go(seed_json: Path, hub_url: str, terminal: None) -> None:
    """It asks before; organizations are deactivated and said to be, as words and as JSON."""
    where = ("--sch-url", hub_url)
    run("populate", seed_json, *where)
    assert run("teardown", seed_json, *where, input="n\n").exit_code == 1
    result = run("teardown", seed_json, *where, "--force")
    assert result.exit_code == 0
    assert "cannot delete" in result.output
    assert "jobs removed" in result.output
    again = run("teardown", seed_json, *where, "--force", "--output", "json")
    assert json.loads(again.stdout)["deactivated"] == ["org-0001", "org-0002", "org-0003"]


def test_teardown_does_nothing_where_nobody_can_be_asked(seed_json: Path) -> None:
    """Without a terminal --force says that it is meant."""
    assert "--force" in failure(run("teardown", seed_json))


def test_populate_tells_programs_what_it_did(seed_json: Path, hub_url: str) -> None:
    """One JSON document on standard output, all words on standard error; with -q no words at all."""
    first = run("populate", seed_json, "--sch-url", hub_url, "--output", "json")
    told = json.loads(first.stdout)
    assert told["hub"] == hub_url
    assert told["created"]["organizations"] == 3
    assert told["engine_tokens"] == sum(
        len(o["engines"]) for o in json.loads(seed_json.read_text())["organizations"]
    )
    assert "entities created" in first.stderr
    assert run("-q", "populate", seed_json, "--sch-url", hub_url).output == ""


def test_a_plan_names_what_will_be_done_and_its_exit_status_whether(seed_json: Path, hub_url: str) -> None:
    """Exit status 2 with changes, 0 without, 1 for any error; words and JSON name the same."""
    plan = ("--sch-url", hub_url, "--plan", "--detailed-exitcode")
    result = run("populate", seed_json, *plan, "--output", "json")
    assert result.exit_code == 2
    seed = json.loads(seed_json.read_text())
    named = {(i["organization"], i["name"]) for i in json.loads(result.stdout)["difference"]}
    assert named >= {(o["id"], job["name"]) for o in seed["organizations"] for job in o["jobs"]}
    run("populate", seed_json, "--sch-url", hub_url)
    assert run("populate", seed_json, *plan).exit_code == 0
    error = run("populate", seed_json.parent / "none.json", *plan).exception
    assert isinstance(error, InputError)
    assert error.exit_status == 1


def test_a_plan_is_carried_out_as_long_as_it_holds(seed_json: Path, hub_url: str, tmp_path: Path) -> None:
    """A hub, or a seed document, that has changed since is refused, and a file that is no plan."""
    where, file = ("--sch-url", hub_url), tmp_path / "plan.json"
    assert run("populate", seed_json, *where, "--plan", "-o", file).exit_code == 0
    other_values = ("--set", "engine_host=elsewhere")
    assert "of settings {}" in failure(run("populate", seed_json, *where, "--from-plan", file, *other_values))
    done = run("populate", seed_json, *where, "--from-plan", file)
    assert done.exit_code == 0, done.output
    stale = failure(run("populate", seed_json, *where, "--from-plan", file))
    assert "has changed since this plan was made" in stale
    assert "no longer to be done" in stale
    assert "no plan" in failure(run("populate", seed_json, *where, "--from-plan", seed_json))


def test_a_plan_for_an_embedded_hub_holds_when_that_has_been_started(seed_json: Path) -> None:
    """It was made of a copy of its database, before a webhook's port was chosen."""
    file = seed_json.parent / "plan.json"
    try:
        assert run("populate", seed_json, "--plan", "-o", file, password="").exit_code == 0
        done = run("populate", seed_json, "--from-plan", file, password="")
        assert done.exit_code == 0, done.output
        with_another = run("populate", seed_json, "--plan", "-o", file, password="")
        assert "nothing to do" in with_another.output
        with ControlHub(find_hub(seed_json.parent).url, "admin@admin", PASSWORD) as hub:  # type: ignore[union-attr]
            hub.security.create_group("org-0001", "own@org-0001", "Own", ["user"], [])
        stale = failure(run("populate", seed_json, "--from-plan", file, password=""))
        assert 'groups "own@org-0001" of org-0001 extra (not planned)' in stale
    finally:
        stop_hub(seed_json.parent)


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


def test_a_password_that_nobody_can_type_is_named_by_its_variable(seed_json: Path, hub_url: str) -> None:
    """Without a terminal there is no prompt."""
    result = run("populate", seed_json, "--sch-url", hub_url, "--plan", password="", input=PASSWORD + "\n")
    assert "set the environment variable PSR_SCH_PASSWORD" in failure(result)


@pytest.mark.parametrize("address", ["nonsense", "ftp://hub", "http://hub:99999", "http://[::1", "hub:18631"])
def test_an_address_that_is_none_is_told_what_one_looks_like(seed_json: Path, address: str) -> None:
    """Wherever one is taken."""
    for command in (("populate", seed_json), ("verify", seed_json), ("doctor",), ("collect", "-o", "x")):
        result = run(*command, "--sch-url", address)
        assert result.exit_code == 2
        assert "expected http://HOST:PORT or https://HOST:PORT" in " ".join(result.output.split())


def test_the_password_is_asked_for_without_echo(seed_json: Path, hub_url: str, terminal: None) -> None:
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
