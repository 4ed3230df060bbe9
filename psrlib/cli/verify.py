"""``psr verify``: does a hub hold what the seed document says?"""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("seed_json", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--sch-url", required=True, help="Address of the Control Hub.")
@click.option("--sch-username", default="admin@admin", show_default=True, help="A system administrator.")
@click.option(
    "--sch-password",
    envvar="PSR_SCH_PASSWORD",
    prompt=True,
    hide_input=True,
    help="Better: PSR_SCH_PASSWORD.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Variable as used when populating."
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also compare with this noise model.",
)
@click.option(
    "--report",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, report.json, junit.xml.",
)
def verify(
    seed_json: Path,
    sch_url: str,
    sch_username: str,
    sch_password: str,
    settings: tuple[str, ...],
    model_path: Path | None,
    directory: Path | None,
) -> None:
    """Verify a Control Hub against SEED_JSON; exit status 0 when consistent, 1 when not, 2 for wrong use."""
    from psrlib import plots
    from psrlib.client import ControlHub
    from psrlib.model import NoiseModel
    from psrlib.seed import load_seed, resolve_variables
    from psrlib.verify import verify as verify_hub

    overrides = dict(setting.partition("=")[::2] for setting in settings)
    document = resolve_variables(load_seed(seed_json), overrides)
    model = NoiseModel.load(model_path) if model_path else None
    with ControlHub(sch_url, sch_username, sch_password) as hub:
        report = verify_hub(document, hub, model)
    if directory:
        click.echo(f"report: {report.save(directory, plots.review(report))}")
    click.echo(report.verdict)
    sys.exit(0 if report.consistent else 1)
