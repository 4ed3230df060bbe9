"""``psr doctor``: has a Control Hub what the populator needs?"""

import json
import sys
from pathlib import Path

import click

from psrlib.cli import options


@click.command()
@click.option("--sch-url", required=True, help="Address of the Control Hub.")
@options.together(options.LOGIN, options.ORGANIZATION_PASSWORD, options.CA_BUNDLE)
@click.option(
    "--write",
    is_flag=True,
    help="Also populate a scratch organization, which is named, and remove it as far as the hub can.",
)
@click.option(
    "--yes", "allow_remote", is_flag=True, help="Allow --write on a Control Hub on another machine."
)
@options.OUTPUT
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a capability file for psr populate --capabilities.",
)
def doctor(
    sch_url: str,
    sch_username: str,
    sch_password: str | None,
    organization_password: str | None,
    ca_bundle: str | None,
    write: bool,
    allow_remote: bool,
    output: str,
    save: Path | None,
) -> None:
    """Tell whether a Control Hub has what the populator needs; reads only, unless --write is given.

    Exit status 0 when psr populate can fill it, 1 when not or when it cannot be reached, 2 for wrong use.
    """
    from psrlib.doctor import examine, learned
    from psrlib.state import check_address
    from psrlib.state.capabilities import save_capabilities

    if write:
        check_address(sch_url, allow_remote)
    password = sch_password or click.prompt(f"Password of {sch_username}", hide_input=True, err=True)
    report = examine(
        sch_url,
        sch_username,
        password,
        write=write,
        organization_password=organization_password,
        verify=ca_bundle or True,
    )
    click.echo(json.dumps(report.record(), indent=1) if output == "json" else report.text())
    if save:
        click.echo(f"capabilities: {save_capabilities(learned(report), save)}", err=True)
    sys.exit(report.exit_status)
