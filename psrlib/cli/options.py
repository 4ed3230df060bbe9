"""Arguments and options that several subcommands take."""

import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from psrlib.cli.profiles import ADMINISTRATOR, ORGANIZATION_PASSWORD_VARIABLE, load_profile
from psrlib.errors import InputError
from psrlib.hub import EMBEDDED

if TYPE_CHECKING:
    from psrlib.client import Credentials

PASSWORD_VARIABLE = "PSR_SCH_PASSWORD"
PORT = click.IntRange(0, 65_535)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)


def _pairs(context: click.Context, option: click.Parameter, settings: tuple[str, ...]) -> dict[str, str]:
    if wrong := [setting for setting in settings if setting.find("=") < 1]:
        raise click.BadParameter(f"{wrong[0]!r}: expected NAME=VALUE")
    return dict(setting.split("=", 1) for setting in settings)


def _checked(context: click.Context, option: click.Parameter, url: str | None) -> str | None:
    if url is None or url == EMBEDDED:
        return url
    from psrlib.client.http import ADDRESS, is_address

    if not is_address(url):
        raise click.BadParameter(f"{url!r} is no address; expected {ADDRESS}")
    return url


def ask_password(user: str) -> str:
    """Return the password of a user of a Control Hub, typed without echo.

    Raises
    ------
    InputError
        If nobody can be asked, for standard input is no terminal.
    """
    if not has_terminal():
        raise InputError(f"no password for {user}; set the environment variable {PASSWORD_VARIABLE}")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True))


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command all of these options, in this order."""
    return lambda command: reduce(lambda given, option: option(given), reversed(options), command)


SEED = click.argument("seed", metavar="SEED.json", type=FILE)
SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Value of a seed variable.",
)


def _load_credentials(
    context: click.Context, option: click.Parameter, path: Path | None
) -> "Credentials | None":
    from psrlib.client import load_credentials

    return load_credentials(path) if path else None


def _use_profile(context: click.Context, option: click.Parameter, name: str | None) -> None:
    """Take the values of a profile for options that are not given, neither here nor in the environment."""
    if name:
        context.default_map = {**(context.default_map or {}), **load_profile(name)}


def _address() -> str:
    """Return the address of the hub where none is given: the one in the credentials file, if there is one."""
    given: Credentials | None = click.get_current_context().params.get("credentials")
    return given.url if given else EMBEDDED


SCH_URL = click.option(
    "--sch-url",
    default=_address,
    show_default=EMBEDDED,
    metavar="URL",
    callback=_checked,
    help="Address of the Control Hub, or embedded.",
)
OTHER_SCH_URL = click.option(
    "--sch-url",
    metavar="URL",
    callback=_checked,
    help="Address of the Control Hub, such as https://HOST:PORT.",
)
RELEASE = together(
    click.option(
        "--release",
        type=click.Choice(["3", "4", "auto"]),
        default="auto",
        show_default=True,
        help="Release of the Control Hub, 4 for 4.x and later; auto: 4 where API credentials are given.",
    ),
    click.option(
        "--credentials",
        type=FILE,
        callback=_load_credentials,
        is_eager=True,  # it has the address of the hub in it
        help="File of API credentials of a 4.x hub, mode 600: one for each organization.",
    ),
)
PROFILE = click.option(
    "--profile",
    envvar="PSR_PROFILE",
    callback=_use_profile,
    is_eager=True,  # the other options take their values from it
    expose_value=False,
    help="Control Hub kept by psr profile under this name: address, release, user, CA bundle; better in "
    "PSR_PROFILE where all commands mean the same.",
)
LOGIN = together(
    click.option("--sch-username", default=ADMINISTRATOR, show_default=True, help="System administrator."),
    click.option(
        "--sch-password",
        envvar=PASSWORD_VARIABLE,
        help=f"Its password; better in {PASSWORD_VARIABLE}, else asked for (embedded hub: its initial one).",
    ),
)
ORGANIZATION_PASSWORD = click.option(
    "--organization-password",
    envvar=ORGANIZATION_PASSWORD_VARIABLE,
    help="Password of the organizations' users, where it is not their initial one, the user id; "
    "better in PSR_ORGANIZATION_PASSWORD.",
)
CA_BUNDLE = click.option(
    "--ca-bundle",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates to trust, for an https hub with one of its own.",
)
RANDOM_SEED = click.option(
    "--random-seed",
    type=int,
    default=19071990,  # of the original tool
    show_default=True,
    help="Root of every random stream.",
)
NUM_ORGS = click.option(
    "--num-orgs", type=click.IntRange(min=1), default=10, show_default=True, help="Organizations to draw."
)
SCHEDULER = click.option(
    "--scheduler",
    envvar="PSR_SCHEDULER",
    metavar="ADDRESS",
    help="Dask scheduler whose workers do the work, tls://HOST:PORT; passwords are theirs (docs/scale.md).",
)


def _store(context: click.Context, option: click.Parameter, url: str | None) -> str | None:
    """Return the URL of a store without its password, which other processes may see on a command line."""
    if url is None:
        return None
    from psrlib.engines.database import check_store, without_password

    if context.get_parameter_source(str(option.name)) is click.core.ParameterSource.COMMANDLINE:
        check_store(url)
    return without_password(url)


def check_store_use(store: str | None, sch_url: str) -> None:
    """Refuse a store for the engines of an embedded hub, whose address is not the same at each start."""
    if store and sch_url == EMBEDDED:
        raise click.UsageError(
            "--engine-store is for the engines of a hub at an address: give --sch-url, or leave out "
            "--engine-store (PSR_ENGINE_STORE)"
        )


STORE = click.option(
    "--engine-store",
    "store",
    envvar="PSR_ENGINE_STORE",
    metavar="URL",
    callback=_store,
    help="PostgreSQL database that keeps the engines, for machines that share no folder (docs/scale.md): "
    "postgresql://USER@HOST/DATABASE; with a password in PSR_ENGINE_STORE alone.",
)
# how to speak to a Control Hub
session_options = together(
    PROFILE,
    RELEASE,
    LOGIN,
    ORGANIZATION_PASSWORD,
    CA_BUNDLE,
    click.option(
        "--workers", type=click.IntRange(1, 256), help="Fixed number of connections; default: adapts."
    ),
)
# which Control Hub is meant, and how to speak to it
target_options = together(
    SCH_URL,
    session_options,
    SET,
    click.option("--yes", "allow_remote", is_flag=True, help="Allow a Control Hub on another machine."),
)
hub_options = together(SEED, target_options)
