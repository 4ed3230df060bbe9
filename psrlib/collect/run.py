"""Collect from the hub of a run: what ``collect.ipynb`` does."""

import os
from pathlib import Path
from typing import Any

from psrlib.client import Credentials
from psrlib.collect.collection import RATE_PER_S, Collection, check_output, collect_stats
from psrlib.hub import EMBEDDED, EMBEDDED_PASSWORD
from psrlib.run import check_embedded, find_target, open_to_read
from psrlib.worker import PASSWORD_VARIABLE

HIDE_AMONG = 5  # organizations; the embedded hub holds nothing private


def collect_run(
    run_dir: str | Path,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    output_dir: str | Path = "",
    *,
    k: int = 0,
    noise: float = 0.0,
    rate_per_s: float = RATE_PER_S,
    tasks: bool = True,
    credentials: Credentials | None = None,
    **options: Any,
) -> Collection:
    """Collect a stats set from a run's embedded hub, from a copy if it is down, or from another hub.

    Parameters
    ----------
    output_dir : path
        Folder of the stats set; empty means ``stats`` in the run's folder.
    k : int
        Organizations to hide among; 0 means 5, or 1 on the embedded hub.
    noise, rate_per_s, tasks
        See `psrlib.collect.collect_stats`.
    credentials, options
        See `psrlib.run.open_hub`; the workers of a scheduler read at this rate together.

    Raises
    ------
    InputError
        If there is no such hub, no password for it (environment variable PSR_SCH_PASSWORD), or the folder
        exists.
    """
    sch_url, credentials = find_target(run_dir, sch_url, credentials)
    embedded = sch_url == EMBEDDED
    password = os.environ.get(PASSWORD_VARIABLE) or (EMBEDDED_PASSWORD if embedded else "")
    if credentials is not None:
        password = next(iter(credentials.organizations.values())).token
    directory = Path(output_dir).resolve() if str(output_dir) else Path(run_dir) / "stats"
    check_output(directory)
    if embedded:
        check_embedded(Path(run_dir))
    with open_to_read(run_dir, sch_url, sch_username, password, credentials=credentials, **options) as hub:
        return collect_stats(
            hub,
            directory,
            password,
            k=k or (1 if embedded else HIDE_AMONG),
            noise=noise,
            source="synthetic" if embedded else "production",
            rate_per_s=rate_per_s,
            tasks=tasks,
        )
