"""`psr profile`: how to reach a Control Hub, kept under a name."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from psrlib.cli import options, psr
from psrlib.cli.profiles import hub_target, profile_file
from psrlib.errors import HubUnreachableError, InputError

URL = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of settings of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("PSR_PROFILE", raising=False)


def call(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(psr, list(words), env=environment)


@click.command()
@options.target_options
def target(**where: str) -> None:
    """Print what was understood."""
    click.echo(json.dumps({key: where[key] for key in ("sch_url", "release", "sch_username", "ca_bundle")}))


def understood(*words: str, **environment: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(CliRunner().invoke(target, list(words), env=environment).stdout)
    return found


def test_a_profile_is_kept_listed_and_removed(tmp_path: Path) -> None:
    """In the folder of settings; a second one is beside it."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    kept = call("profile", "set", "lab", "--sch-url", URL, "--ca-bundle", str(bundle), "--output", "json")
    assert json.loads(kept.stdout)["file"] == str(tmp_path / "psr" / "profiles.json")
    call("profile", "set", "other", "--sch-url", URL, "--release", "3")
    assert f"lab: sch-url {URL}, ca-bundle {bundle}" in call("profile", "list").stdout
    call("profile", "remove", "lab")
    assert list(json.loads(call("profile", "list", "--output", "json").stdout)) == ["other"]


def test_options_take_from_a_profile_what_is_not_given(tmp_path: Path) -> None:
    """An option given wins over the profile; PSR_PROFILE names it for all commands."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    words = ("--sch-url", URL, "--release", "3", "--sch-username", "root@admin", "--ca-bundle", str(bundle))
    call("profile", "set", "lab", *words)
    expected = {"sch_url": URL, "release": "3", "sch_username": "root@admin", "ca_bundle": str(bundle)}
    assert understood("--profile", "lab") == understood(PSR_PROFILE="lab") == expected
    assert understood("--sch-url", "embedded", "--profile", "lab") == expected | {"sch_url": "embedded"}
    assert understood()["sch_url"] == "embedded"
    doctor = call("doctor", "--profile", "lab", PSR_SCH_PASSWORD="x")
    assert URL in doctor.stdout + str(doctor.exception)


def test_a_profile_holds_no_secret() -> None:
    """There is no option for one, and an address with a password in it is refused."""
    refused = call("profile", "set", "lab", "--sch-url", "http://admin:secret@hub:18631")
    assert refused.exit_code == 2
    assert not profile_file().exists()
    options_of_set = psr.get_command(click.Context(psr), "profile").commands["set"].params  # type: ignore[union-attr]
    assert not [option for option in options_of_set if "password" in str(option.name)]


def test_an_unknown_profile_names_those_that_there_are() -> None:
    """As does a file that holds none."""
    call("profile", "set", "lab", "--sch-url", URL)
    for words in (("doctor", "--profile", "lib"), ("profile", "remove", "lib")):
        assert "there: lab" in str(call(*words).exception)
    profile_file().write_text('{"lab": {"sch_password": "x"}}')
    error = call("profile", "list").exception
    assert isinstance(error, InputError)
    assert "expected profiles" in str(error)
    assert not isinstance(error, HubUnreachableError)


def test_a_notebook_takes_from_a_profile_what_it_is_not_given(tmp_path: Path) -> None:
    """As the commands do; without a profile what is not given is the embedded hub's."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    more = ["--release", "3", "--sch-username", "root@admin", "--ca-bundle", str(bundle)]
    call("profile", "set", "lab", "--sch-url", URL, *more)
    kept = hub_target("lab", "embedded", "admin@admin", 0, "", "")
    assert (kept["sch_url"], kept["release"], kept["sch_username"], kept["verify"]) == (
        *(URL, "3", "root@admin"),
        str(bundle),
    )
    given = hub_target("lab", "http://127.0.0.1:8", "me@admin", 4, "", "other.pem")
    assert (given["sch_url"], given["release"], given["sch_username"], given["verify"]) == (
        *("http://127.0.0.1:8", "4", "me@admin"),
        "other.pem",
    )
    plain = hub_target("", "embedded", "admin@admin", 0, "", "")
    assert (plain["sch_url"], plain["release"], plain["verify"]) == ("embedded", "auto", True)
    with pytest.raises(InputError, match="no profile attic"):
        hub_target("attic", "embedded", "admin@admin", 0, "", "")
