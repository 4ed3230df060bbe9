"""``psr collect``: an anonymized stats set from a live Control Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, is_quiet, say

if TYPE_CHECKING:
    from psrlib.client import Credentials
    from psrlib.collect import Collection


@click.command()
@options.OTHER_SCH_URL
@options.PROFILE
@options.RELEASE
@click.option(
    "--sql",
    "mapping_file",
    type=options.PATH,
    help="Mapping file: read a database with its SELECTs instead of a Control Hub.",
)
@click.option(
    "--sql-url",
    help="Address of the database, as SQLAlchemy writes it; password in PSR_SQL_PASSWORD.",
)
@click.option("--plan", is_flag=True, help="With --sql: show the SELECTs, read nothing.")
@options.together(options.LOGIN, options.ORGANIZATION_PASSWORD, options.CA_BUNDLE, options.SCHEDULER)
@click.option(
    "-o",
    "--out",
    "output",
    type=options.PATH,
    required=True,
    help="Folder of the stats set, such as data/stats/NAME; must not exist.",
)
@click.option(
    "--k", default=5, show_default=True, type=click.IntRange(1), help="Organizations to hide among."
)
@click.option("--noise", default=0.0, show_default=True, help="Share by which counts are blurred.")
@click.option(
    "--source", default="production", show_default=True, help="What meta.json says about the origin."
)
@click.option("--definitions/--no-definitions", default=True, help="Read pipeline definitions.")
@click.option(
    "--tasks/--no-tasks", default=True, help="Read scheduled tasks (3.x: needs organizations' logins)."
)
@click.option(
    "--rate",
    "rate_per_s",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.01),
    help="Requests a second.",
)
@OUTPUT
def collect(
    sch_url: str | None,
    mapping_file: Path | None,
    sql_url: str | None,
    plan: bool,
    release: str,
    credentials: "Credentials | None",
    sch_username: str,
    sch_password: str | None,
    organization_password: str | None,
    ca_bundle: str | None,
    scheduler: str | None,
    output: Path,
    **settings: Any,
) -> None:
    """Read a Control Hub, change nothing, and write an anonymized stats set. Run again to resume."""
    from psrlib.client import ControlHub
    from psrlib.collect import check_output, collect_sql, collect_stats, load_mapping
    from psrlib.run import check_release

    if mapping_file is not None:
        mapping = load_mapping(mapping_file)
        if plan:
            answer(mapping.selects, mapping.plan())
            return
        if not sql_url:
            raise click.UsageError("--sql needs --sql-url, the address of the database")
        done = collect_sql(
            sql_url, mapping, output, **{name: settings[name] for name in ("k", "noise", "source")}
        )
        _tell(done)
        return
    sch_url = sch_url or (credentials.url if credentials else None)
    if not sch_url:
        raise click.UsageError("give --sch-url, --credentials, or --sql with --sql-url")
    check_release(sch_url, release, credentials)
    check_output(output)
    if credentials:
        password = next(iter(credentials.organizations.values())).token
    else:
        password = sch_password or options.ask_password(sch_username)
    with ControlHub(
        sch_url,
        sch_username,
        password,
        credentials=credentials,
        workers=1,
        organization_password=organization_password,
        verify=ca_bundle or True,
    ) as hub:
        if scheduler:
            from psrlib.cluster import Cluster

            hub.crew = Cluster(scheduler, hub, workers=1, verify=ca_bundle or True)
        done = collect_stats(hub, output, password, progress=not is_quiet(), **settings)
    _tell(done)


def _tell(done: "Collection") -> None:
    for name, n in done.rows.items():
        say(f"{done.directory / name}.csv: {n} rows")
    say(f"{sum(done.calls.values())} requests, {done.calls_per_organization:.1f} an organization")
    answer(
        {
            "folder": done.directory,
            "rows": done.rows,
            "organizations": done.n_organizations,
            "calls": done.calls,
        }
    )
