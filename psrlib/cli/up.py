"""``psr up``, ``psr down``, ``psr status``: a whole run in one command, its end, and how it is."""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from psrlib import paths
from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, is_quiet, say

T = TypeVar("T")
RUN_DIR = click.option("--run-dir", type=options.FOLDER, help="Folder of the run [default: runs/SEED-ORGS].")
run_options = options.together(options.RANDOM_SEED, options.NUM_ORGS, RUN_DIR)


@click.command()
@run_options
@click.option("--model", type=options.PATH, help="Noise model to draw from [default: the kit's].")
@options.target_options
@options.STORE
@click.option(
    "--timeout", "timeout_s", default=120.0, show_default=True, help="Seconds to wait for jobs to run."
)
@OUTPUT
def up(
    random_seed: int,
    num_orgs: int,
    run_dir: Path | None,
    model: Path | None,
    settings: dict[str, str],
    store: str | None,
    timeout_s: float,
    **where: Any,
) -> None:
    """Do everything: seed document, populate, engines, jobs, verification.

    The same as populate.ipynb. Hub and engines stay up for the PSR, until psr down. Called again it goes on
    where it was interrupted. Exit status 0 when the hub is as the seed document says, 1 when it is not.
    """
    options.check_store_use(store, where["sch_url"])
    folder = paths.run_dir(run_dir or "", random_seed, num_orgs)
    say(f"run       {folder}")  # at once: what follows takes seconds to load
    from psrlib import plots, run, state, verify
    from psrlib.cli.state import open_hub
    from psrlib.engines import fleet_status, start_fleet
    from psrlib.model import NoiseModel
    from psrlib.seed import create_seed, resolve_variables, seed_sha256

    noise = NoiseModel.load(model or paths.default_model())
    seed = folder / "seed.json"
    with run.run_lock(folder, "psr up"), _telling_what_is_left(folder):
        document = _step("seed", lambda: create_seed(noise, random_seed, num_orgs), lambda d: seed_sha256(d))
        run.keep_seed(document, folder)
        desired = resolve_variables(document, settings)
        hub = _step("hub", lambda: open_hub(seed, make=True, document=desired, **where), lambda hub: hub.url)
        with hub:

            def populate() -> state.PopulateReport:
                return state.populate(desired, hub, progress=not is_quiet())

            report = _step("populate", populate, lambda report: report.summary())
            if report.difference:
                click.echo(f"left as it is: {report.difference.summary()}", err=True)
                answer({"run_dir": folder, "populate": report.record()})
                sys.exit(1)

            def engines() -> dict[str, Any]:
                state.setup_engines(desired, hub, folder, store)
                webhook_url = desired.variables["webhook_url"]
                start_fleet(folder, hub.url, webhook_url, ca_bundle=where["ca_bundle"], store=store)
                return fleet_status(folder)

            fleet = _step("engines", engines, lambda found: f"{found['polling']} of {found['engines']} poll")

            def jobs() -> int:
                started = state.start_jobs(desired, hub)
                state.wait_until_active(desired, hub, timeout_s)
                return started

            started = _step("jobs", jobs, lambda started: f"{started} started, all that should be ACTIVE run")
            result = _step("verify", lambda: verify.verify(desired, hub, noise), lambda found: found.verdict)
        page = verify.save_report(result, folder / "report", plots.review(result))
        say(f"report: {page}")
        say(f"hub and engines stay up; to stop: psr down --run-dir {shlex.quote(str(folder))}")
        answer(
            {
                "run_dir": folder,
                "seed_sha256": result.subject.seed_sha256,
                "hub": hub.url,
                "populate": report.record(),
                "engines": fleet,
                "jobs_started": started,
                "verification": result.summary(),
                "report": page,
            }
        )
        if not result.consistent:
            sys.exit(1)


@contextmanager
def _telling_what_is_left(folder: Path) -> Iterator[None]:
    """Say after an error or Ctrl-C what of the run stays up, and what stops it."""
    from psrlib.errors import PsrError
    from psrlib.run import left_running

    try:
        yield
    except (PsrError, KeyboardInterrupt):
        say(left_running(folder, folder / "seed.json"))
        raise


def _step(name: str, do: Callable[[], T], tell: Callable[[T], str]) -> T:
    """Do one step of a run and print its name, what came of it, and the seconds it took."""
    begun = time.monotonic()
    made = do()
    say(f"{name:9} {time.monotonic() - begun:6.1f} s  {tell(made)}")
    return made


@click.command()
@run_options
@OUTPUT
def down(random_seed: int, num_orgs: int, run_dir: Path | None) -> None:
    """Stop the engines and the embedded hub of a run; seed document, database, tokens and report stay.

    What a Control Hub of your own holds stays there too: psr teardown takes it away.
    """
    from psrlib import run
    from psrlib.engines import stop_fleet
    from psrlib.hub.process.hub_process import stop_hub

    folder = paths.run_dir(run_dir or "", random_seed, num_orgs)
    _check_run(folder)
    with run.run_lock(folder, "psr down"):
        parts = [
            part for part, stopped in (("engines", stop_fleet(folder)), ("hub", stop_hub(folder))) if stopped
        ]
    kept = [name for name in ("seed.json", "hub.db", "engines", "report") if (folder / name).exists()]
    say(f"stopped: {', '.join(parts) or 'nothing ran'}; kept in {folder}: {', '.join(kept)}")
    say(run.left_running(folder, folder / "seed.json"))
    answer({"run_dir": folder, "stopped": parts, "kept": kept})


@click.command()
@run_options
@OUTPUT
def status(random_seed: int, num_orgs: int, run_dir: Path | None) -> None:
    """Tell how a run is: hub, engines, jobs by status and color, last verification."""
    from psrlib.run import look_at_run

    folder = paths.run_dir(run_dir or "", random_seed, num_orgs)
    _check_run(folder)
    found = look_at_run(folder)
    answer(found, "\n".join(f"{name:9} {text}" for name, text in describe(folder, found).items()))


def describe(folder: Path, found: dict[str, Any]) -> dict[str, str]:
    """Return what `psrlib.run.look_at_run` found in words, by what they are about."""
    hub, engines, verification = found["hub"], found["engines"], found["verification"]
    jobs = ", ".join(f"{n} {name}" for name, n in found["jobs"].items())
    poll = f"{engines['polling']} of {engines['engines']} poll, {engines['pipelines_running']} pipelines run"
    elsewhere = engines.get("shards_elsewhere")
    rest = f"{elsewhere} shards on a cluster (psr engines status --scheduler)" if elsewhere else "stopped"
    return {
        "run": str(folder),
        "hub": hub["state"] + (f" at {hub['url']} (pid {hub['pid']})" if hub["pid"] else ""),
        "engines": poll if engines["running"] else rest,
        "jobs": jobs
        or ("none" if hub["state"] == "running" else f"not known, for the hub is {hub['state']}"),
        "verified": f"{verification['verified_at']}: {verification['verdict']}"
        if verification
        else "none yet",
    }


def _check_run(folder: Path) -> None:
    from psrlib.errors import InputError

    if not (folder / "seed.json").exists():
        raise InputError(f"{folder}: no run there (seed.json); psr up makes one, --run-dir names another")
