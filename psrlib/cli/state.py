"""``psr populate``, ``psr start-jobs``, ``psr teardown``: bring a Control Hub to a seed document, or back."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from psrlib.cli.options import (
    FILE,
    SCHEDULER,
    STORE,
    ask_password,
    check_store_use,
    has_terminal,
    hub_options,
)
from psrlib.cli.output import OUTPUT, answer, is_quiet, say
from psrlib.errors import InputError, PsrError
from psrlib.hub import EMBEDDED

if TYPE_CHECKING:
    from psrlib.client import ControlHub
    from psrlib.seed import SeedDocument
    from psrlib.state import Estimate
    from psrlib.state.plan_file import Target

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
            say(run.left_running(seed.parent, seed))


def open_hub(seed: Path, *, make: bool = False, **where: Any) -> "ControlHub":
    """Log in as the options of `hub_options` say; the embedded hub is started unless it runs.

    Where there is none, it is made if that is meant (``make``), and an error otherwise.
    """
    from psrlib import run

    if where["sch_url"] == EMBEDDED and not make:
        run.check_embedded(seed.resolve().parent)
    return run.open_hub(seed.resolve().parent, **login(where))


def login(where: dict[str, Any]) -> dict[str, Any]:
    """Return the options as `psrlib.run` takes them, the password asked for where none is given."""
    from psrlib.run import check_release
    from psrlib.state import check_address

    check_release(where["sch_url"], where["release"], where["credentials"])
    if where["sch_url"] != EMBEDDED and not (where["sch_password"] or where["credentials"]):
        check_address(where["sch_url"], where.get("allow_remote", True))
        where["sch_password"] = ask_password(where["sch_username"])
    return {"verify": where.pop("ca_bundle") or True, **where}


@click.command()
@hub_options
@SCHEDULER
@click.option(
    "--plan", "plan_only", is_flag=True, help="Print the difference and an estimate; touch nothing."
)
@click.option(
    "-o",
    "--out",
    "plan_file",
    type=FILE,
    help="With --plan: file that names all that will be done, for --from-plan.",
)
@click.option(
    "--detailed-exitcode",
    "detailed",
    is_flag=True,
    help="With --plan: exit status 0 when there is nothing to do, 2 when there is, 1 for every error.",
)
@click.option(
    "--from-plan",
    type=FILE,
    help="Do what this plan says, and nothing when seed document or hub have changed since it was made.",
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
    type=FILE,
    help="What psr doctor --save learned of this hub, so that it is not tried again.",
)
@click.option("--allow-foreign", is_flag=True, help="Leave alone organizations that SEED.json does not name.")
@click.option(
    "--invite-users",
    default="",
    metavar="DOMAIN",
    help="4.x: invite the users too, at addresses of a mail domain that you control and nobody reads.",
)
@click.option("--engines/--no-engines", default=True, show_default=True, help="Get the engines' tokens too.")
@STORE
@OUTPUT
def populate(
    seed: Path,
    settings: dict[str, str],
    plan_only: bool,
    plan_file: Path | None,
    detailed: bool,
    from_plan: Path | None,
    definition_size: Literal["small", "production"],
    authoring_url: str | None,
    capability_file: Path | None,
    allow_foreign: bool,
    engines: bool,
    store: str | None,
    **where: Any,
) -> None:
    """Create in a Control Hub what SEED.json names and the hub lacks.

    Safe to repeat, and to go on with after an interruption. The tokens of the engines are kept in the folder
    of SEED.json, for psr engines start.
    """
    from psrlib import state
    from psrlib.state.capabilities import load_capabilities

    if plan_only:
        if from_plan:
            raise click.UsageError("--plan makes a plan, --from-plan carries one out; give one of them")
        try:
            plan = _plan(seed, settings, plan_file, definition_size, where)
        except PsrError as error:
            error.exit_status = 1 if detailed else error.exit_status
            raise
        sys.exit(2 if detailed and plan.difference else 0)
    if plan_file or detailed:
        raise click.UsageError("--out and --detailed-exitcode go with --plan")
    check_store_use(store, where["sch_url"])
    with ExitStack() as stack:
        folder = stack.enter_context(working(seed, "psr populate"))
        document = open_document(seed, settings, make=True)
        hub = stack.enter_context(open_hub(seed, make=True, document=document, **where))
        if from_plan:
            target = _target(seed, settings, where["sch_url"], definition_size)
            state.check_plan(from_plan, target, document, hub)
        report = state.populate(
            document,
            hub,
            progress=not is_quiet(),
            allow_foreign=allow_foreign,
            definition_size=definition_size,
            authoring_url=authoring_url,
            capabilities=load_capabilities(capability_file, hub.url) if capability_file else None,
        )
        say(report.frame().to_string())
        say(report.summary())
        n_tokens = 0
        if engines:
            n_tokens = len(state.setup_engines(document, hub, folder, store))
            say(f"{n_tokens} engine tokens in {folder / 'engines'}")
        say(f"Control Hub: {hub.url}")
        answer({"hub": hub.url, **report.record(), "engine_tokens": n_tokens})
        if report.difference:
            click.echo(f"left as it is: {report.difference.summary()}", err=True)
            click.echo(report.left_frame().head(SHOWN).to_string(), err=True)
            sys.exit(1)


def _plan(
    seed: Path, settings: dict[str, str], path: Path | None, definition_size: str, where: dict[str, Any]
) -> "Estimate":
    """Make a plan, print it, and write it where that is wanted."""
    from psrlib import run, state

    sch_url = where["sch_url"]
    document = open_document(seed, settings)
    with run.open_to_read(seed.resolve().parent, document=document, **login(where)) as hub:
        plan = state.plan(document, hub, definition_size=definition_size)
    words = [plan.frame().to_string()] * bool(plan.difference) + [plan.summary()]
    words += [str(shortage) for shortage in plan.shortages[:SHOWN]]
    if len(plan.shortages) > SHOWN:
        words.append(f"{len(plan.shortages) - SHOWN} more organizations want more of their engines")
    answer(plan.record(), "\n".join(words))
    if path:
        target = _target(seed, settings, sch_url, definition_size)
        say(f"plan: {state.save_plan(plan, target, path)}; psr populate --from-plan carries it out")
    return plan


def _target(seed: Path, settings: dict[str, str], sch_url: str, definition_size: str) -> "Target":
    from psrlib.seed import load_seed, seed_sha256
    from psrlib.state.plan_file import Target

    return Target(seed_sha256(load_seed(seed)), settings, sch_url.rstrip("/"), definition_size)


@click.command("start-jobs")
@hub_options
@SCHEDULER
@click.option(
    "--timeout", "timeout_s", default=120.0, show_default=True, help="Seconds to wait; 0: do not wait."
)
@click.option("--balance", is_flag=True, help="Spread running jobs evenly again, as after a failover.")
@OUTPUT
def start_jobs(seed: Path, settings: dict[str, str], timeout_s: float, balance: bool, **where: Any) -> None:
    """Start the jobs that SEED.json wants ACTIVE, and wait until their pipelines run.

    With the embedded hub, mock engines that ran before and are down are started again, and stay up.
    """
    from psrlib import run, state
    from psrlib.state.adoption import without_credential

    document = open_document(seed, settings)
    with working(seed, "psr start-jobs"), open_hub(seed, **where) as hub:
        if where["sch_url"] == EMBEDDED and run.bring_up_engines(seed.resolve().parent, hub.url, document):
            say(f"engines started again; psr engines stop {seed} stops them")
        done: dict[str, float] = {"started": state.start_jobs(document, hub)}
        say(f"{done['started']} jobs started")
        say(without_credential(document, state.held(document, hub)))
        if balance:
            done["balanced"] = state.balance_jobs(document, hub)
            say(f"{done['balanced']} jobs balanced")
        if timeout_s > 0:
            done["active_after_s"] = round(state.wait_until_active(document, hub, timeout_s), 3)
            say(f"all run after {done['active_after_s']:.1f} s")
        answer(done)


@click.command()
@hub_options
@SCHEDULER
@click.option("--force", is_flag=True, help="Do not ask whether that is meant.")
@OUTPUT
def teardown(seed: Path, settings: dict[str, str], force: bool, **where: Any) -> None:
    """Remove from a Control Hub what SEED.json names, and nothing else.

    Organizations cannot be deleted in Control Hub 3.x: those left empty are deactivated. In 4.x they stay.
    """
    from psrlib import state
    from psrlib.state.adoption import without_credential

    if not force:
        if not has_terminal():
            raise InputError("teardown asks whether it is meant; give --force where nobody can answer")
        click.confirm("Remove everything that the seed document names?", abort=True, err=True)
    document = open_document(seed, settings)
    with working(seed, "psr teardown"), open_hub(seed, **where) as hub:
        report = state.teardown(document, hub)
        for kind, n in report.removed.items():
            say(f"{n:7d} {kind.replace('_', ' ')} removed")
        say(without_credential(document, state.held(document, hub)))
        why = "they were there before" if hub.dialect.adopts else "Control Hub 3.x cannot delete them"
        say(f"{len(report.deactivated):7d} organizations deactivated ({why})")
        for organization, kept in report.kept.items():
            others = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in kept.items())
            say(f"{organization} stays active: it holds {others} that the seed document does not name")
        answer(asdict(report))
