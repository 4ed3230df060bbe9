"""What a Control Hub holds, in the records of the seed document, and what only a running hub knows."""

from dataclasses import dataclass, field

from psrlib.client.wire import Json
from psrlib.seed.document import Organization
from psrlib.state.details import Detail


@dataclass(frozen=True)
class ObservedJob:
    """The current run of a job.

    ``status`` and ``color`` are None before the first start; ``pipeline_statuses`` maps engine ids to the
    state the engine reported (``RUNNING``); ``engine_ids`` are the engines the hub chose.
    """

    id: str
    status: str | None
    color: str | None
    run_count: int
    engine_ids: tuple[str, ...]
    pipeline_statuses: dict[str, str]
    error: str | None


@dataclass(frozen=True)
class ObservedEngine:
    """An engine as the hub sees it; ``key`` is its seed key, or its id when the seed does not name it."""

    id: str
    key: str
    responding: bool
    labels: tuple[str, ...]


@dataclass
class ObservedOrganization:
    """One organization of a hub.

    Parameters
    ----------
    organization : Organization
        What the hub holds; entities that the seed document names have their seed keys, others their names.
    rows : dict
        Kind -> the hub's own records, in the order of ``organization``'s lists.
    jobs, engines : dict
        Runtime of each job and engine by key.
    entries, row
        The hub's configuration entries and its record of the organization.
    unseen : set of str
        Configuration fields this hub does not publish.
    referenced : set of str
        Hub ids that other entities refer to: of two entities with one name, the one in use.
    drafts : list of str
        Names of topologies that were never published.
    n_unused_registrations : int
        Registrations of engines that no engine has used, beyond one for each engine yet to come.
    n_undeployed : int
        Engines that report a self-managed deployment which is not there or not active (4.x).
    details : list of (kind, name, Detail)
        What of the seed document's entities is otherwise than populating sets it, beside their fields.
    wrong_commits : dict
        Key of a pipeline -> the first of its commits that is not as desired, or is missing before others.
    active, locked : bool
        Whether the organization is active, and whether its administrator could not log in.
    """

    organization: Organization
    rows: dict[str, list[Json]] = field(default_factory=dict)
    jobs: dict[str, ObservedJob] = field(default_factory=dict)
    engines: dict[str, ObservedEngine] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    referenced: set[str] = field(default_factory=set)
    entries: list[Json] = field(default_factory=list)
    row: Json = field(default_factory=dict)
    drafts: list[str] = field(default_factory=list)
    n_unused_registrations: int = 0
    n_undeployed: int = 0
    details: list[tuple[str, str, Detail]] = field(default_factory=list)
    wrong_commits: dict[str, int] = field(default_factory=dict)
    active: bool = True
    locked: bool = False


@dataclass
class ObservedState:
    """What a hub holds of a seed document's organizations, and the ids of those it does not name."""

    organizations: dict[str, ObservedOrganization]
    foreign: list[str]
