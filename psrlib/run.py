"""The Control Hub of a run: the embedded one of its folder, or one given by its address."""

import atexit
import os
from pathlib import Path

from psrlib.client import ControlHub
from psrlib.engines import stop_fleet
from psrlib.errors import InputError
from psrlib.hub.process import find_hub, start_hub, stop_hub

EMBEDDED = "embedded"
EMBEDDED_PASSWORD = "admin@admin"  # initial password of the embedded hub's system administrator
PASSWORD_VARIABLE = "PSR_SCH_PASSWORD"


def open_hub(
    run_dir: Path,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    sch_password: str | None = None,
    workers: int | None = None,
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
    workers : int or None
        Fixed number of connections; None adapts to the hub.

    Raises
    ------
    InputError
        If there is no password for a hub that is not the embedded one.
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
        started_here, url = False, sch_url
    if not password:
        raise InputError(
            f"no password for {sch_username} at {url}; set the environment variable {PASSWORD_VARIABLE}"
        )
    try:
        return ControlHub(url, sch_username, password, workers=workers)
    except BaseException:
        if started_here:
            stop_hub(run_dir)
        raise


def stop_at_exit(run_dir: Path) -> None:
    """Stop the engines and the embedded hub of a run when this process ends, whether it succeeded or not."""
    atexit.register(stop_run, run_dir)


def stop_run(run_dir: Path) -> None:
    """Stop the engines and the embedded hub of a run, those of them that run."""
    stop_fleet(run_dir)
    stop_hub(run_dir)
