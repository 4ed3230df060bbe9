"""``psr create-json`` and ``psr rewrite``: seed documents from a noise model, and for other environments."""

from pathlib import Path
from typing import Any

import click

from psrlib import paths
from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.lock import RUN_LOCK, check_free


@click.command("create-json")
@options.RANDOM_SEED
@options.NUM_ORGS
@click.option("--use-sample-schema", is_flag=True, help="Use the hand-written models/sample.json.")
@click.option(
    "--data-model-root",
    type=options.FOLDER,
    help="Folder of model.json or sample.json, itself or in models/; the kit's own otherwise.",
)
@click.option("--model", type=options.PATH, help="A model file, instead of the two above.")
@click.option(
    "-o",
    "--out",
    "output",
    type=options.PATH,
    help="A .json, .jsonl or .jsonl.gz file [default: runs/SEED-ORGS/seed.json].",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes [default: one per processor].")
@OUTPUT
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
    check_free(path.parent / RUN_LOCK, f"run {path.parent}")
    sha256 = create_seed_file(model_path, random_seed, num_orgs, path, workers)
    say(f"{path}: {num_orgs} organizations from {model_path.name}, sha256 {sha256}")
    answer({"seed": path, "num_orgs": num_orgs, "model": model_path, "sha256": sha256})


@click.command("rewrite")
@options.SEED
@options.SET
@click.option("--rules", type=options.PATH, help="YAML file of rules.")
@click.option("-o", "--out", "output", type=options.PATH, required=True, help="The new document.")
@click.option(
    "--apply", "apply", is_flag=True, help="Also update a Control Hub that holds SEED.json, in place."
)
@options.together(options.SCH_URL, options.session_options)
@OUTPUT
def rewrite(
    seed: Path, settings: dict[str, str], rules: Path | None, output: Path, apply: bool, **where: Any
) -> None:
    """Write SEED.json anew for another environment: variables and fields replaced."""
    from psrlib.seed import load_seed, save_seed
    from psrlib.seed.rewrite import load_rules, rewrite_seed, variable_rules

    wanted = variable_rules(settings) + (load_rules(rules) if rules else [])
    if not wanted:
        raise click.UsageError("nothing to do; give --set or --rules")
    original = load_seed(seed)
    report = None
    document, counts = rewrite_seed(original, wanted)
    if apply:
        from psrlib.cli.state import login
        from psrlib.verify import apply_to_run

        report = apply_to_run(original, document, seed.resolve().parent, **login(where))
        say(f"{where['sch_url']}: {report.summary()}")
    check_free(output.parent / RUN_LOCK, f"run {output.parent}")
    sha256 = save_seed(document, output)
    for rule, count in counts.items():
        say(f"{rule}: concerns {count} texts")
    say(f"{output}: sha256 {sha256}")
    answer({"seed": output, "sha256": sha256, "rules": counts, "applied": report and report.record()})
