"""``psr credentials``: the file of API credentials for a Control Hub 4.x."""

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer


@click.group()
def credentials() -> None:
    """Look at a file of API credentials."""


@credentials.command()
@click.argument("file", metavar="FILE", type=options.FILE)
@options.CA_BUNDLE
@OUTPUT
def check(file: Path, ca_bundle: str | None) -> None:
    """Tell for each organization in FILE who its API credential is, and which roles that user lacks.

    Asks the hub once for each credential and changes nothing. Exit status 0 when all of them can be used, 1
    when one cannot, 2 for a file that others may read or that is none.
    """
    from psrlib.client import load_credentials
    from psrlib.client.dialect import Release4
    from psrlib.client.http import HttpClient
    from psrlib.state.adoption import check_credentials

    known = load_credentials(file)
    with closing(HttpClient(known.url, verify=ca_bundle or True)) as http:
        checked = check_credentials(Release4(known), http)
    answer([{**asdict(one), "usable": one.is_usable} for one in checked], "\n".join(map(str, checked)))
    sys.exit(0 if all(one.is_usable for one in checked) else 1)
