"""The Control Hub of a run: the embedded one of its folder, or one given by its address."""

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from psrlib.client import ControlHub
from psrlib.engines import fleet_status, start_fleet, stop_fleet
from psrlib.errors import InputError
from psrlib.hub import EMBEDDED, EMBEDDED_PASSWORD
from psrlib.hub.process.hub_process import find_hub, start_hub, stop_hub
from psrlib.seed import SeedDocument, load_seed, save_seed
from psrlib.state import check_address
from psrlib.state.guards import content_names, is_other_content

PASSWORD_VARIABLE = "PSR_SCH_PASSWORD"


def open_hub(
    run_dir: Path,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    sch_password: str | None = None,
    *,
    allow_remote: bool = True,
    **options: Any,
) -> ControlHub:
    """Log in to the Control Hub meant; the embedded one is started when it does not run yet.

    The embedded hub (``sch_url="embedded"``) keeps its database in the run's folder. A password of None is
    taken from the environment variable ``PSR_SCH_PASSWORD``; ``allow_remote`` accepts a hub that is not on
    this machine, since populating one has to be meant; the other options are those of `ControlHub`.

    Raises
    ------
    InputError
        If there is no password for a hub that is not the embedded one, or it is not on this machine.
    ProcessError
        If the embedded hub does not start.
    HubError
        If the hub cannot be reached or refuses the login.
    """
    password = sch_password or os.environ.get(PASSWORD_VARIABLE)
    if sch_url == EMBEDDED:
        started_here = find_hub(run_dir) is None
        url, password = start_hub(run_dir).url, password or EMBEDDED_PASSWORD
    else:
        check_address(sch_url, allow_remote)
        started_here, url = False, sch_url
    if not password:
        raise InputError(
            f"no password for {sch_username} at {url}; set the environment variable {PASSWORD_VARIABLE}"
        )
    try:
        return ControlHub(url, sch_username, password, **options)
    except BaseException:
        if started_here:
            stop_hub(run_dir)
        raise


@contextmanager
def open_run(
    run_dir: str | Path,
    document: SeedDocument | None,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    *,
    sch_password: str | None = None,
) -> Iterator[ControlHub]:
    """Log in to a run's hub; an embedded hub and its engines that are down are up inside the ``with`` block.

    The folder holds ``hub.db`` and ``engines/``. The variables of the document are resolved; its
    ``webhook_url`` tells the fleet where subscriptions post to. Without document the engines stay down.
    Address, user and password are those of `open_hub`.

    Raises
    ------
    InputError
        If the folder holds no embedded hub, or no password is set for another one.
    """
    folder = Path(run_dir)
    embedded = sch_url == EMBEDDED
    if embedded and not (folder / "hub.db").exists():
        raise InputError(f"{folder}: no embedded hub (hub.db) in this folder; populate this run first")
    with ExitStack() as stack:
        if embedded and find_hub(folder) is None:
            stack.callback(stop_hub, folder)
        hub = stack.enter_context(open_hub(folder, sch_url, sch_username, sch_password))
        if embedded and document is not None and _has_engines_down(folder):
            stack.enter_context(start_fleet(folder, hub.url, document.variables.get("webhook_url")))
        yield hub


def _has_engines_down(folder: Path) -> bool:
    """Whether a run has engines, with identities from an earlier start, and they are not running."""
    status = fleet_status(folder)
    return bool(status["engines"]) and not status["running"]


def keep_seed(document: SeedDocument, run_dir: Path) -> Path:
    """Write the seed document of a run into its folder and return the file.

    Raises
    ------
    InputError
        If the folder holds the run of another seed document. One of the same content, with other variables
        or more organizations, is replaced.
    """
    path = run_dir / "seed.json"
    if path.exists():
        before = load_seed(path)
        both = {o.id for o in before.organizations} & {o.id for o in document.organizations}
        names, known = (
            content_names(o for o in one.organizations if o.id in both) for one in (document, before)
        )
        if is_other_content(names, known):
            origin = before.provenance
            raise InputError(
                f"{path} is the seed document of another run (random seed {origin.random_seed}, model "
                f"{origin.model}, generator {origin.generator}); take another run_dir, or delete that one"
            )
    save_seed(document, path)
    return path


def stop_at_exit(run_dir: Path) -> None:
    """Stop the engines and the embedded hub of a run when this process ends, whether it succeeded or not."""
    atexit.register(stop_run, run_dir)


def stop_run(run_dir: Path) -> None:
    """Stop the engines and the embedded hub of a run, those of them that run."""
    stop_fleet(run_dir)
    stop_hub(run_dir)
