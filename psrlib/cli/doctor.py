"""``psr doctor``: has a Control Hub what the populator needs?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, say

if TYPE_CHECKING:
    from psrlib.client import Credentials


@click.command()
@options.together(options.OTHER_SCH_URL, options.PROFILE, options.RELEASE, options.LOGIN)
@options.together(options.ORGANIZATION_PASSWORD, options.CA_BUNDLE)
@click.option(
    "--write",
    is_flag=True,
    help="Also populate a scratch organization, which is named, and remove it as far as the hub can.",
)
@click.option(
    "--yes", "allow_remote", is_flag=True, help="Allow --write on a Control Hub on another machine."
)
@OUTPUT
@click.option("--save", type=options.FILE, help="Write a capability file for psr populate --capabilities.")
def doctor(
    sch_url: str | None,
    sch_username: str,
    sch_password: str | None,
    organization_password: str | None,
    ca_bundle: str | None,
    write: bool,
    allow_remote: bool,
    save: Path | None,
    release: str,
    credentials: "Credentials | None",
) -> None:
    """Tell whether a Control Hub has what the populator needs; reads only, unless --write is given.

    Exit status 0 when psr populate can fill it, 1 when not or when it cannot be reached, 2 for wrong use.
    """
    from psrlib.doctor import examine, learned
    from psrlib.run import check_release
    from psrlib.state import check_address
    from psrlib.state.capabilities import save_capabilities

    sch_url = sch_url or (credentials.url if credentials else None)
    if not sch_url:
        raise click.UsageError("give --sch-url, the address of the Control Hub")
    check_release(sch_url, release, credentials)
    if write:
        check_address(sch_url, allow_remote)
    password = "" if credentials else sch_password or options.ask_password(sch_username)
    report = examine(
        sch_url,
        sch_username,
        password,
        write=write,
        credentials=credentials,
        organization_password=organization_password,
        verify=ca_bundle or True,
    )
    answer(report.record(), report.text())
    if save:
        say(f"capabilities: {save_capabilities(learned(report), save)}")
    sys.exit(report.exit_status)
