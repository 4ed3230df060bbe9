"""``psr verify``: does a hub hold what the seed document says?"""

import sys
from pathlib import Path
from typing import Any

import click

from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.cli.state import login, open_document


@click.command()
@options.together(options.SEED, options.SCH_URL, options.session_options, options.SET, options.SCHEDULER)
@click.option(
    "--model",
    "model_path",
    type=options.FILE,
    help="Noise model to compare with; the one SEED.json was drawn from when it is the kit's or in models/.",
)
@click.option(
    "--report", "directory", type=options.FOLDER, help="Folder for report.html, report.json and junit.xml."
)
@click.option(
    "--against",
    "paths",
    multiple=True,
    metavar="REPORT",
    type=options.PATH,
    help="Earlier report: tell what changed since. Given several times, the report shows the trend over all.",
)
@click.option("--wait", "timeout_s", default=60.0, show_default=True, help="Seconds to wait for jobs to run.")
@OUTPUT
def verify(
    seed: Path,
    settings: dict[str, str],
    scheduler: str | None,
    model_path: Path | None,
    directory: Path | None,
    paths: tuple[Path, ...],
    timeout_s: float,
    **where: Any,
) -> None:
    """Verify a Control Hub against SEED.json; exit status 0 when consistent, 1 when not, 2 for wrong use.

    The embedded hub of its folder and its engines are brought up when they are down, then stopped again.
    """
    from psrlib.model import NoiseModel
    from psrlib.verify import compare_reports, find_model, load_report, review_run, save_report, trend
    from psrlib.verify.save import to_record

    earlier = sorted((load_report(path) for path in paths), key=lambda found: str(found["verified_at"]))
    document = open_document(seed, settings)
    model = NoiseModel.load(model_path) if model_path else find_model(document)
    report = review_run(
        document,
        seed.resolve().parent,
        scheduler=scheduler,
        model=model,
        timeout_s=timeout_s,
        **login(where),
    )
    comparison = [compare_reports(found, report) for found in earlier][-1] if earlier else None
    runs = trend([*earlier, to_record(report)]) if earlier else None
    if directory:
        from psrlib import plots

        page = save_report(report, directory, plots.review(report, runs), comparison, runs)
        say(f"report: {page}")
    if comparison:
        say(comparison.changes.to_string(index=False))
    if comparison is not None:
        say(comparison.verdict)
    say(f"{report.n_calls} requests in {report.duration_s:.1f} s")
    say(report.verdict)
    changes = None if comparison is None else comparison.changes.to_dict("records")
    answer({**to_record(report), "changes": changes})
    sys.exit(0 if report.consistent else 1)
