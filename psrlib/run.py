"""The Control Hub of a run: the embedded one of its folder, or one given by its address."""

import atexit
import os
from pathlib import Path
from typing import Any

from psrlib.client import ControlHub
from psrlib.engines import stop_fleet
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

    Parameters
    ----------
    run_dir : Path
        Folder of the run; the embedded hub keeps its database there.
    sch_url : str
        Address, or ``embedded``.
    sch_username : str
        System administrator.
    sch_password : str or None
        None takes the environment variable ``PSR_SCH_PASSWORD``.
    allow_remote : bool
        Accept a hub that is not on this machine; populating one has to be meant.
    **options
        Passed on to `ControlHub`: ``workers``, ``verify``, ``organization_password``.

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
