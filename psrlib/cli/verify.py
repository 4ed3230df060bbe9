"""``psr verify``: does a hub hold what the seed document says?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from psrlib.cli import options
from psrlib.cli.state import open_document
from psrlib.hub import EMBEDDED

if TYPE_CHECKING:
    from psrlib.client import Credentials


@click.command()
@options.together(
    options.SEED, options.SCH_URL, options.RELEASE, options.LOGIN, options.SET, options.SCHEDULER
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Noise model to compare with; the one SEED.json was drawn from when it is the kit's or in models/.",
)
@click.option(
    "--report",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, report.json and junit.xml.",
)
@click.option("--against", type=click.Path(path_type=Path), help="Earlier report: tell what changed since.")
@click.option("--wait", "timeout_s", default=60.0, show_default=True, help="Seconds to wait for jobs to run.")
def verify(
    seed: Path,
    sch_url: str,
    sch_username: str,
    sch_password: str | None,
    settings: dict[str, str],
    scheduler: str | None,
    model_path: Path | None,
    directory: Path | None,
    against: Path | None,
    timeout_s: float,
    release: str,
    credentials: "Credentials | None",
) -> None:
    """Verify a Control Hub against SEED.json; exit status 0 when consistent, 1 when not, 2 for wrong use.

    The embedded hub of its folder and its engines are brought up when they are down, then stopped again.
    """
    from psrlib.model import NoiseModel
    from psrlib.verify import compare_reports, find_model, load_report, review_run, save_report

    earlier = load_report(against) if against else None
    document = open_document(seed, settings)
    model = NoiseModel.load(model_path) if model_path else find_model(document)
    if sch_url != EMBEDDED and not (sch_password or credentials):
        sch_password = click.prompt(f"Password of {sch_username}", hide_input=True, err=True)
    report = review_run(
        document,
        seed.resolve().parent,
        sch_url,
        sch_username,
        sch_password=sch_password,
        scheduler=scheduler,
        model=model,
        timeout_s=timeout_s,
        release=release,
        credentials=credentials,
    )
    comparison = compare_reports(earlier, report) if earlier else None
    if directory:
        from psrlib import plots

        click.echo(f"report: {save_report(report, directory, plots.review(report))}")
    if comparison is not None:
        click.echo(comparison.changes.to_string(index=False) if comparison else "", nl=bool(comparison))
        click.echo(comparison.verdict)
    click.echo(f"{report.n_calls} requests in {report.duration_s:.1f} s")
    click.echo(report.verdict)
    sys.exit(0 if report.consistent else 1)
