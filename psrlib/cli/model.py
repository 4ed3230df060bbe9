"""``psr fit``: from production stats to a noise model."""

from pathlib import Path

import click

from psrlib.cli.options import PATH
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.errors import InputError


@click.command()
@click.argument("stats_dir", type=PATH)
@click.option("-o", "--out", "output", type=PATH, required=True, help="Model file to write.")
@click.option("--name", default="", help="Name of the model; empty takes the file's.")
@click.option(
    "--n-archetypes", type=click.IntRange(min=1), help="Number of archetypes; chosen when not given."
)
@click.option("--evaluate/--no-evaluate", default=True, help="Measure goodness of fit on held-out halves.")
@click.option(
    "--from",
    "other",
    type=PATH,
    help="Model that counts are taken from which STATS_DIR does not tell; the kit's own when not given.",
)
@OUTPUT
def fit(
    stats_dir: Path, output: Path, name: str, n_archetypes: int | None, evaluate: bool, other: Path | None
) -> None:
    """Fit a noise model to STATS_DIR: a folder with orgs.csv, or a summary.json alone."""
    from psrlib.model import NoiseModel

    try:
        from psrlib.model.fit import fit_directory, report_path
    except ModuleNotFoundError as error:
        raise InputError(
            f"psr fit needs {error.name}, which is not installed here; the container image psr:lab has it,"
            " and pip install psr-db-populator brings it"
        ) from None
    told = NoiseModel.load(other) if other else None
    fitted = fit_directory(stats_dir, name or output.stem, n_archetypes, evaluate, told)
    fitted.save(output)
    for note in fitted.report.get("left_out", []):
        click.echo(note, err=True)
    for metric, model in fitted.model.assumed.items():
        click.echo(f'{metric}: not told by the stats set, taken from the model "{model}"', err=True)
    weights = {archetype.name: archetype.weight for archetype in fitted.model.archetypes}
    say(f"{output}: {len(weights)} archetypes: " + "; ".join(f"{k} ({v})" for k, v in weights.items()))
    goodness = fitted.report.get("goodness")
    if goodness:
        drawn, real = goodness["drawn_against_held_out"], goodness["real_against_real"]
        say(
            f"two-sample AUC {drawn['auc']:.3f} (real against real {real['auc']:.3f}),"
            f" KS complement {drawn['ks_complement']:.3f} ({real['ks_complement']:.3f}),"
            f" Spearman difference {drawn['spearman_difference']:.3f} ({real['spearman_difference']:.3f})"
        )
        say(f"privacy: {goodness['privacy']}")
    say(f"sha256 {fitted.model.sha256}; report: {report_path(output)}")
    answer(
        {
            "model": output,
            "sha256": fitted.model.sha256,
            "archetypes": weights,
            "assumed": fitted.model.assumed,
            "left_out": fitted.report.get("left_out", []),
            "goodness": goodness,
            "report": report_path(output),
        }
    )
