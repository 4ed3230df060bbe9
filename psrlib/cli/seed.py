"""``psr create-json`` and ``psr rewrite``: seed documents from a noise model, and for other environments."""

from pathlib import Path

import click

from psrlib import paths

DEFAULT_RANDOM_SEED = 19071990  # of the original tool
DEFAULT_NUM_ORGS = 10


@click.command("create-json")
@click.option("--random-seed", type=int, default=DEFAULT_RANDOM_SEED, show_default=True)
@click.option("--num-orgs", type=click.IntRange(min=1), default=DEFAULT_NUM_ORGS, show_default=True)
@click.option("--use-sample-schema", is_flag=True, help="Use the hand-written models/sample.json.")
@click.option(
    "--data-model-root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder holding models/; the kit's own data/ otherwise.",
)
@click.option("--model", type=click.Path(path_type=Path), help="A model file, instead of the two above.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A .json, .jsonl or .jsonl.gz file [default: runs/SEED-ORGS/seed.json].",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes [default: one per processor].")
def create_json(
    random_seed: int,
    num_orgs: int,
    use_sample_schema: bool,
    data_model_root: Path | None,
    model: Path | None,
    output: Path | None,
    workers: int | None,
) -> None:
    """Draw a seed document from a noise model."""
    from psrlib.seed import create_seed_file

    model_path = model or paths.default_model(use_sample_schema, data_model_root)
    path = output or paths.run_dir("", random_seed, num_orgs) / "seed.json"
    sha256 = create_seed_file(model_path, random_seed, num_orgs, path, workers)
    click.echo(f"{path}: {num_orgs} organizations from {model_path.name}, sha256 {sha256}")


@click.command("rewrite")
@click.argument("seed", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another value for a variable.")
@click.option("--rules", type=click.Path(path_type=Path), help="YAML file of rules.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The new document.")
@click.option("--apply", "apply", is_flag=True, help="Also update a Control Hub that holds SEED, in place.")
@click.option("--sch-url", default="embedded", show_default=True, help="URL, or embedded (with --apply).")
@click.option("--sch-username", default="admin@admin", show_default=True, help="System administrator.")
@click.option("--sch-password", envvar="PSR_SCH_PASSWORD", help="Password; better in PSR_SCH_PASSWORD.")
def rewrite(
    seed: Path,
    settings: tuple[str, ...],
    rules: Path | None,
    output: Path,
    apply: bool,
    sch_url: str,
    sch_username: str,
    sch_password: str | None,
) -> None:
    """Write a seed document for another environment: variables and fields replaced."""
    from psrlib.seed import load_seed, save_seed
    from psrlib.seed.rewrite import load_rules, rewrite_seed, variable_rules

    pairs = dict(_name_and_value(setting) for setting in settings)
    wanted = variable_rules(pairs) + (load_rules(rules) if rules else [])
    if not wanted:
        raise click.UsageError("nothing to do; give --set or --rules")
    original = load_seed(seed)
    document, counts = rewrite_seed(original, wanted)
    if apply:
        from psrlib.verify import apply_to_run

        click.echo(
            apply_to_run(original, document, seed.resolve().parent, sch_url, sch_username, sch_password)
        )
    sha256 = save_seed(document, output)
    for rule, count in counts.items():
        click.echo(f"{rule}: {count} texts")
    click.echo(f"{output}: sha256 {sha256}")


def _name_and_value(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{setting!r}: expected NAME=VALUE", param_hint="--set")
    return name, value
