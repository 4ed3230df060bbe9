"""Collect a stats set from a live Control Hub: only reads, anonymizes before anything touches the disk."""

import logging
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from psrlib.client import ControlHub
from psrlib.client.login import Login
from psrlib.client.wire import Json
from psrlib.collect.anonymize import Tables, anonymize, check_settings
from psrlib.collect.progress import Progress
from psrlib.collect.rows import Listings, OrganizationRows, is_pipeline, to_rows
from psrlib.collect.session import Pace, ReadingSession
from psrlib.errors import AuthenticationError, HubError, InputError
from psrlib.state.observe import if_present
from psrlib.state.schedule import Steps
from psrlib.stats import StatsSet, read_stats, write_stats
from psrlib.stats.schema import DETAIL_TABLES

log = logging.getLogger(__name__)

SYSTEM_ORGANIZATION = "admin"
COMMITS_PER_CALL = 50  # a commit may carry 600 kB of library definitions (pipeline-json, 1.2)
RATE_PER_S = 10.0  # requests a second: a twentieth of what one small hub answers


@dataclass(frozen=True)
class Collection:
    """What was collected.

    ``rows`` are counted per table, ``calls`` (HTTP requests) per kind; ``n_resumed`` of the organizations
    had been read by an earlier attempt.
    """

    directory: Path
    rows: dict[str, int]
    n_organizations: int
    n_resumed: int
    calls: dict[str, int]

    def frame(self) -> pd.DataFrame:
        """Return one row per file: table and its rows."""
        return pd.DataFrame(self.rows.items(), columns=["table", "rows"]).set_index("table")

    @property
    def calls_per_organization(self) -> float:
        """HTTP requests per organization read this time."""
        return sum(self.calls.values()) / max(1, self.n_organizations - self.n_resumed)


def collect_stats(
    hub: ControlHub,
    directory: str | Path,
    password: str,
    *,
    k: int = 5,
    noise: float = 0.0,
    source: str = "production",
    definitions: bool = True,
    tasks: bool = True,
    rate_per_s: float = RATE_PER_S,
    progress: bool = True,
    rng: np.random.Generator | None = None,
) -> Collection:
    """Read a hub and write an anonymized stats set.

    On 3.x the system administrator reads all organizations; on 4.x those of the API credentials are read,
    each with its own (control-hub-4x, 2).

    Parameters
    ----------
    hub : ControlHub
        Session of a system administrator, or with API credentials.
    directory : path
        Folder of the stats set; must not exist. Until the end there is ``<directory>.partial``, encrypted.
    password : str
        The key of the unfinished collection: the administrator's, or the token of an API credential.
    k, noise
        See `psrlib.collect.anonymize.anonymize`.
    source : str
        What ``meta.json`` says about the origin.
    definitions : bool
        Read pipeline definitions, for stages, parameters and size.
    tasks : bool
        Read scheduled tasks. Their listing knows no organization but the caller's (control-hub-rest, 7.1), so
        on 3.x each organization's administrator logs in for it. Without, a fit takes their numbers
        from another model.
    rate_per_s : float
        Requests a second at most.
    progress : bool
        Show progress on a terminal or in a notebook.
    rng : Generator or None
        Random order and noise; None takes fresh randomness.

    Raises
    ------
    InputError
        If the folder exists, the unfinished collection in its place cannot be resumed, or two API credentials
        are of one organization.
    HubError
        If the hub refuses a listing, an API credential, or an organization's administrator; what was read is
        kept.
    """
    directory = check_output(directory)
    before = hub.calls.by_kind()
    pace = Pace(rate_per_s)
    names = _organizations(hub, pace)
    ids = sorted(names)
    check_settings(len(ids), k, noise)
    kept = Progress(directory.with_name(f"{directory.name}.partial"), password, hub.url)
    n_resumed = sum(id in kept.entries for id in ids)
    todo = [(names[id], id) for id in ids if id not in kept.entries]
    options = {"definitions": definitions, "tasks": tasks}
    for id, rows in _read(hub, todo, pace, progress=progress, **options):
        kept.add(id, rows)
    organizations = {id: OrganizationRows(**kept.entries[id]) for id in ids}
    tables = anonymize(organizations, rng or np.random.default_rng(), k=k, noise=noise)
    settings = {"k": k, "noise": noise, "shuffled": True, "surrogate_keys": True}
    write_set(tables, directory, source, settings)
    kept.finish()
    return Collection(
        directory=directory,
        rows={name: len(table) for name, table in tables.items()},
        n_organizations=len(ids),
        n_resumed=n_resumed,
        calls=hub.calls.since(before),
    )


def _organizations(hub: ControlHub, pace: Pace) -> dict[str, str]:
    """Return what sessions of organizations are called, by the hub's ids: on 3.x the same."""

    def login(name: str) -> Login:
        pace.wait()  # a credential is asked who it is
        return hub.for_organization(name).login

    listed = hub.dialect.organizations(ReadingSession(hub, SYSTEM_ORGANIZATION, pace).security, login)
    return {str(row["id"]): name for name, row in listed.items() if row["id"] != SYSTEM_ORGANIZATION}


def _read(
    hub: ControlHub,
    organizations: Sequence[tuple[str, str]],
    pace: Pace,
    *,
    progress: bool,
    definitions: bool,
    tasks: bool,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of each organization: read one after the other, or by a crew that shares the rate."""
    if hub.crew is None:
        bar = tqdm(organizations, desc="collect", unit="organization", disable=None if progress else True)
        for name, id in bar:
            yield id, _rows(hub, name, id, pace, definitions=definitions, tasks=tasks)
        return
    common = (pace.rate_per_s / hub.crew.n_machines, definitions, tasks)
    read = hub.crew.each(_collect, None, organizations, common, newcomers=False, progress=progress)
    for number, _, rows in read:
        yield organizations[number][1], rows


def _collect(
    hub: ControlHub, document: None, name: str, id: str, rate_per_s: float, definitions: bool, tasks: bool
) -> Steps[dict[str, Any]]:
    """Read one organization on a machine of a crew, which keeps to its share of the rate."""
    pace = _pace(hub.url, rate_per_s)
    (rows,) = yield [partial(_rows, hub, name, id, pace, definitions=definitions, tasks=tasks)]
    return rows  # type: ignore[no-any-return]


@cache
def _pace(url: str, rate_per_s: float) -> Pace:
    return Pace(rate_per_s)


def _rows(
    hub: ControlHub, name: str, id: str, pace: Pace, *, definitions: bool, tasks: bool
) -> dict[str, Any]:
    try:
        found = read_organization(hub, name, id, pace, definitions=definitions, tasks=tasks)
    except HubError as error:
        if not (hub.dialect.adopts and error.status == 403):
            raise
        raise HubError(
            f"the API credential of {name} may not read all of its organization: {error}; give its user the "
            "role Organization Administrator (psr credentials check)",
            error.status,
            error.codes,
        ) from error
    return asdict(to_rows(found, random.SystemRandom().shuffle))


def check_output(directory: str | Path) -> Path:
    """Return the folder that a stats set is to be written to; InputError if it exists or cannot be made."""
    directory = Path(directory)
    if directory.exists():
        raise InputError(f"{directory} exists already; choose another folder, or remove it first")
    if not directory.parent.is_dir():
        raise InputError(f"{directory}: there is no folder {directory.parent}; make it first")
    return directory


def read_organization(
    hub: ControlHub,
    name: str,
    organization: str,
    pace: Pace,
    *,
    definitions: bool = True,
    tasks: bool = True,
) -> Listings:
    """Read everything of one organization that a stats set needs, each thing once.

    ``name`` is what its administrator's session is called, ``organization`` the hub's id. On 3.x the hub's
    own session reads all but scheduled tasks.
    """
    member = ReadingSession(hub.for_organization(name), organization, pace)
    session = member if hub.dialect.adopts else ReadingSession(hub, organization, pace)
    found = Listings(
        configs=session.security.configs(organization),
        users=session.security.users(organization),
        groups=session.security.groups(organization),
        jobs=session.jobrunner.jobs(),
        subscriptions=session.notification.subscriptions(),
        topologies=session.topology.topologies(),
        connections=if_present(session.connection.connections),
        engines=session.jobrunner.engines(),
    )
    rows = session.pipelinestore.pipelines()
    _check_organization(organization, [*rows, *found.jobs, *found.engines])
    told = all("fragment" in row for row in rows)
    fragments = [] if told else session.pipelinestore.fragments()
    found.pipelines = [row for row in rows if is_pipeline(row, fragments)]
    if definitions:
        ids = [str(row["commitId"]) for row in found.pipelines]
        for start in range(0, len(ids), COMMITS_PER_CALL):
            found.commits += session.pipelinestore.commits(ids[start : start + COMMITS_PER_CALL])
    if tasks:
        found.tasks = _tasks(member)
    return found


def _check_organization(organization: str, rows: list[Json]) -> None:
    """Raise HubError when a hub answered for another organization than the one asked for."""
    others = {str(row["organization"]) for row in rows if row.get("organization")} - {organization}
    if others:
        raise HubError(
            f"asked for {organization}, the hub answered with objects of {min(others)}; "
            "is the user a system administrator?"
        )


def write_set(tables: Tables, directory: Path, source: str, settings: dict[str, Any]) -> None:
    """Write a stats set into a folder that takes its name when it is complete and reads back well."""
    try:
        folder = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    except OSError as error:
        raise InputError(f"{directory}: cannot be written ({error.strerror})") from error
    month = datetime.now(UTC).strftime("%Y-%m")
    meta = {"source": source, "collected_on": month, "anonymization": settings}
    details = {name: table for name, table in tables.items() if _is_complete(name, table)}
    try:
        write_stats(StatsSet(tables["orgs"], details, meta), folder)
        if len(tables["orgs"]) > 1:
            read_stats(folder)
        os.chmod(folder, 0o755)
        os.rename(folder, directory)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_complete(name: str, table: pd.DataFrame) -> bool:
    """Whether it is a detail table with all columns that are required; pipelines need their definitions."""
    columns = DETAIL_TABLES.get(name, {})
    return bool(columns) and all(column in table for column, kind in columns.items() if kind.required)


def _tasks(session: ReadingSession) -> list[Json]:
    try:
        return session.scheduler.tasks()
    except AuthenticationError as error:
        raise HubError(
            f"scheduled tasks are listed to members of an organization only, and the administrator of "
            f"{session.organization} cannot log in: {error}; give the organizations' password, or leave "
            "tasks out"
        ) from error
