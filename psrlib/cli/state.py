"""``psr populate``, ``psr start-jobs``, ``psr teardown``: bring a Control Hub to a seed document, or back."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from psrlib.client import ControlHub
    from psrlib.seed import SeedDocument

EMBEDDED = "embedded"
EMBEDDED_PASSWORD = "admin@admin"  # initial password of the embedded hub's system administrator


def hub_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which Control Hub is meant and who logs in."""
    for option in (
        click.option(
            "--workers", type=click.IntRange(1, 256), help="Fixed number of connections; adapts without."
        ),
        click.option("--yes", is_flag=True, help="Allow a Control Hub that is not on this machine."),
        click.option(
            "--sch-password",
            envvar="PSR_SCH_PASSWORD",
            help="Password; better in the environment variable PSR_SCH_PASSWORD, else asked for.",
        ),
        click.option(
            "--sch-username", default="admin@admin", show_default=True, help="System administrator."
        ),
        click.option("--sch-url", default=EMBEDDED, show_default=True, help="URL, or embedded."),
        click.argument("seed", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    ):
        function = option(function)
    return function


def open_hub(
    seed: Path, sch_url: str, sch_username: str, sch_password: str | None, workers: int | None, yes: bool
) -> "ControlHub":
    """Log in to the Control Hub meant; the embedded one of the seed document's folder is started if need be."""
    from psrlib.client import ControlHub
    from psrlib.hub.process import start_hub

    if sch_url == EMBEDDED:
        url = start_hub(seed.resolve().parent).url
        password = sch_password or EMBEDDED_PASSWORD
    else:
        url = sch_url
        password = sch_password or click.prompt(f"Password of {sch_username}", hide_input=True, err=True)
    return ControlHub(url, sch_username, password, workers=workers)


def open_document(seed: Path) -> "SeedDocument":
    """Load a seed document with its variables resolved."""
    from psrlib.seed import load_seed, resolve_variables

    return resolve_variables(load_seed(seed), {})


@click.command()
@hub_options
@click.option("--plan", "plan_only", is_flag=True, help="Print the difference and touch nothing.")
@click.option("--engines/--no-engines", default=True, help="Ask for the engines' tokens (default: yes).")
def populate(
    seed: Path,
    sch_url: str,
    sch_username: str,
    sch_password: str | None,
    workers: int | None,
    yes: bool,
    plan_only: bool,
    engines: bool,
) -> None:
    """Create in a Control Hub what SEED names and the hub lacks; safe to repeat."""
    from psrlib import state

    document = open_document(seed)
    with open_hub(seed, sch_url, sch_username, sch_password, workers, yes) as hub:
        if plan_only:
            difference = state.diff(document, state.observe(document, hub), runtime=False)
            click.echo(difference.summary() or "no difference")
            return
        report = state.populate(document, hub)
        if engines:
            state.setup_engines(document, hub, seed.resolve().parent)
        click.echo(report.frame().to_string())
        click.echo(f"{report.n_calls} calls in {report.duration_s:.1f} s; Control Hub at {hub.url}")


@click.command("start-jobs")
@hub_options
@click.option(
    "--timeout", "timeout_s", default=120.0, show_default=True, help="Seconds to wait; 0 does not wait."
)
def start_jobs(
    seed: Path,
    sch_url: str,
    sch_username: str,
    sch_password: str | None,
    workers: int | None,
    yes: bool,
    timeout_s: float,
) -> None:
    """Start the jobs that SEED wants ACTIVE and wait until their pipelines run."""
    from psrlib import state

    document = open_document(seed)
    with open_hub(seed, sch_url, sch_username, sch_password, workers, yes) as hub:
        started = state.start_jobs(document, hub)
        click.echo(f"{started} jobs started")
        if timeout_s > 0:
            elapsed_s = state.wait_until_active(document, hub, timeout_s)
            click.echo(f"all active jobs run after {elapsed_s:.1f} s")
