"""``psr populate``, ``psr start-jobs``, ``psr teardown``: bring a Control Hub to a seed document, or back."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from psrlib.cli.options import SCHEDULER, hub_options
from psrlib.hub import EMBEDDED

if TYPE_CHECKING:
    from psrlib.client import ControlHub
    from psrlib.seed import SeedDocument

SHOWN = 10  # deviations printed


def open_document(seed: Path, settings: dict[str, str], *, make: bool = False) -> "SeedDocument":
    """Load a seed document with its variables resolved for its run; ``make`` chooses what a new run needs."""
    from psrlib.run import resolve_run
    from psrlib.seed import load_seed

    return resolve_run(load_seed(seed), seed.resolve().parent, settings, make=make)


@contextmanager
def working(seed: Path, command: str) -> Iterator[Path]:
    """Be the only one at work in the folder of a seed document; say at the end what is left running there."""
    from psrlib import run

    with run.run_lock(seed.resolve().parent, command):
        try:
            yield seed.resolve().parent
        finally:
            if left := run.left_running(seed.parent, seed):
                click.echo(left)


def open_hub(seed: Path, *, make: bool = False, **where: Any) -> "ControlHub":
    """Log in as the options of `hub_options` say; the embedded hub is started unless it runs.

    Where there is none, it is made if that is meant (``make``), and an error otherwise.
    """
    from psrlib import run

    if where["sch_url"] == EMBEDDED and not make:
        run.check_embedded(seed.resolve().parent)
    return run.open_hub(seed.resolve().parent, **_login(where))


def _login(where: dict[str, Any]) -> dict[str, Any]:
    """Return the options as `psrlib.run` takes them, the password asked for where none is given."""
    from psrlib.state import check_address

    if where["sch_url"] != EMBEDDED and not (where["sch_password"] or where["credentials"]):
        check_address(where["sch_url"], where["allow_remote"])
        where["sch_password"] = click.prompt(
            f"Password of {where['sch_username']}", hide_input=True, err=True
        )
    return {"verify": where.pop("ca_bundle") or True, **where}


@click.command()
@hub_options
@SCHEDULER
@click.option(
    "--plan", "plan_only", is_flag=True, help="Print the difference and an estimate; touch nothing."
)
@click.option(
    "--definition-size",
    type=click.Choice(["small", "production"]),
    default="small",
    show_default=True,
    help="production: every commit carries about 560 kB of library definitions.",
)
@click.option(
    "--sch-authoring-sdc", "authoring_url", metavar="URL", help="Registered engine named as author."
)
@click.option(
    "--capabilities",
    "capability_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What psr doctor --save learned of this hub, so that it is not tried again.",
)
@click.option("--allow-foreign", is_flag=True, help="Leave alone organizations that SEED.json does not name.")
@click.option("--engines/--no-engines", default=True, show_default=True, help="Get the engines' tokens too.")
def populate(
    seed: Path,
    settings: dict[str, str],
    plan_only: bool,
    definition_size: Literal["small", "production"],
    authoring_url: str | None,
    capability_file: Path | None,
    allow_foreign: bool,
    engines: bool,
    **where: Any,
) -> None:
    """Create in a Control Hub what SEED.json names and the hub lacks.

    Safe to repeat, and to go on with after an interruption. The tokens of the engines are kept in the folder
    of SEED.json, for psr engines start.
    """
    from psrlib import run, state
    from psrlib.state.capabilities import load_capabilities

    if plan_only:
        document = open_document(seed, settings)
        with run.open_to_read(seed.resolve().parent, **_login(where)) as hub:
            plan = state.plan(document, hub, definition_size=definition_size)
        if plan.difference:
            click.echo(plan.frame().to_string())
        click.echo(plan.summary())
        for shortage in plan.shortages[:SHOWN]:
            click.echo(str(shortage))
        if len(plan.shortages) > SHOWN:
            click.echo(f"{len(plan.shortages) - SHOWN} more organizations want more of their engines")
        return
    with ExitStack() as stack:
        folder = stack.enter_context(working(seed, "psr populate"))
        document = open_document(seed, settings, make=True)
        hub = stack.enter_context(open_hub(seed, make=True, **where))
        report = state.populate(
            document,
            hub,
            allow_foreign=allow_foreign,
            definition_size=definition_size,
            authoring_url=authoring_url,
            capabilities=load_capabilities(capability_file, hub.url) if capability_file else None,
        )
        click.echo(report.frame().to_string())
        click.echo(report.summary())
        if engines:
            identities = state.setup_engines(document, hub, folder)
            click.echo(f"{len(identities)} engine tokens in {folder / 'engines'}")
        click.echo(f"Control Hub: {hub.url}")
        if report.difference:
            click.echo(f"left as it is: {report.difference.summary()}", err=True)
            click.echo(report.left_frame().head(SHOWN).to_string(), err=True)
            sys.exit(1)


@click.command("start-jobs")
@hub_options
@SCHEDULER
@click.option(
    "--timeout", "timeout_s", default=120.0, show_default=True, help="Seconds to wait; 0: do not wait."
)
@click.option("--balance", is_flag=True, help="Spread running jobs evenly again, as after a failover.")
def start_jobs(seed: Path, settings: dict[str, str], timeout_s: float, balance: bool, **where: Any) -> None:
    """Start the jobs that SEED.json wants ACTIVE, and wait until their pipelines run.

    With the embedded hub, mock engines that ran before and are down are started again, and stay up.
    """
    from psrlib import run, state

    document = open_document(seed, settings)
    with working(seed, "psr start-jobs"), open_hub(seed, **where) as hub:
        if where["sch_url"] == EMBEDDED and run.bring_up_engines(seed.resolve().parent, hub.url, document):
            click.echo(f"engines started again; psr engines stop {seed} stops them")
        click.echo(f"{state.start_jobs(document, hub)} jobs started")
        if balance:
            click.echo(f"{state.balance_jobs(document, hub)} jobs balanced")
        if timeout_s > 0:
            click.echo(f"all run after {state.wait_until_active(document, hub, timeout_s):.1f} s")


@click.command()
@hub_options
@SCHEDULER
@click.confirmation_option("--force", prompt="Remove everything that the seed document names?")
def teardown(seed: Path, settings: dict[str, str], **where: Any) -> None:
    """Remove from a Control Hub what SEED.json names, and nothing else.

    Organizations cannot be deleted in Control Hub 3.x: those left empty are deactivated.
    """
    from psrlib import state

    document = open_document(seed, settings)
    with working(seed, "psr teardown"), open_hub(seed, **where) as hub:
        report = state.teardown(document, hub)
        for kind, n in report.removed.items():
            click.echo(f"{n:7d} {kind.replace('_', ' ')} removed")
        done = f"{len(report.deactivated):7d} organizations deactivated"
        click.echo(f"{done} (Control Hub 3.x cannot delete them)")
        for organization, kept in report.kept.items():
            others = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in kept.items())
            click.echo(f"{organization} stays active: it holds {others} that the seed document does not name")
