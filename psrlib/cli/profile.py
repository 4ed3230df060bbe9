"""``psr profile``: how to reach a Control Hub, kept under a name; secrets are not kept."""

from urllib.parse import urlsplit

import click

from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.cli.profiles import load_profile, load_profiles, profile_file, save_profiles

NAME = click.argument("name")


@click.group()
def profile() -> None:
    """Keep how to reach a Control Hub under a name, for --profile and PSR_PROFILE."""


@profile.command("set")
@NAME
@options.OTHER_SCH_URL
@click.option("--release", type=click.Choice(["3", "4", "auto"]), help="Release of the Control Hub.")
@click.option("--sch-username", help="System administrator.")
@click.option(
    "--ca-bundle",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="Certificates to trust, for an https hub with one of its own.",
)
@click.option(
    "--credentials",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="File of API credentials of a 4.x hub; its path is kept, not what it holds.",
)
@OUTPUT
def set_profile(name: str, **values: str | None) -> None:
    """Keep the values given as profile NAME, in place of what it was; passwords are never kept."""
    given = {key: value for key, value in values.items() if value}
    if not given:
        raise click.UsageError("nothing to keep; give --sch-url at least")
    if "@" in urlsplit(given.get("sch_url", "")).netloc:
        raise click.UsageError(
            "no user and password in an address; the password belongs into PSR_SCH_PASSWORD"
        )
    path = save_profiles({**load_profiles(), name: given})
    say(f"profile {name} in {path}; use it with --profile {name}, or PSR_PROFILE={name}")
    answer({"profile": name, **given, "file": path})


@profile.command("list")
@OUTPUT
def list_profiles() -> None:
    """List the profiles with what they hold."""
    found = load_profiles()
    answer(found, "\n".join(_line(name, values) for name, values in found.items()))
    if not found:
        say(f"no profiles in {profile_file()}; psr profile set NAME makes one")


@profile.command()
@NAME
@OUTPUT
def remove(name: str) -> None:
    """Remove profile NAME."""
    load_profile(name)
    save_profiles({key: values for key, values in load_profiles().items() if key != name})
    say(f"removed: {name}")
    answer({"removed": name})


def _line(name: str, values: dict[str, str]) -> str:
    return f"{name}: " + ", ".join(f"{key.replace('_', '-')} {value}" for key, value in values.items())
