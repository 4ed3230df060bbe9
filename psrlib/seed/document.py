"""The seed document: the state a Control Hub must reach, organization by organization.

Every entity has a ``key``, its stable name inside its organization; ``owner``, ``job``, ``pipeline``,
``groups`` and the like refer to keys of the same organization. Names are unique per organization and kind,
so an entity on a hub is recognised by (organization, kind, name). Strings may hold ``${variable}``.
Integers, booleans and strings only: no float, hence one spelling of every value.
"""

from typing import Literal

from msgspec import Struct

GENERATOR = 4  # raised whenever the same model and random seed would give other bytes

EngineType = Literal["COLLECTOR", "TRANSFORMER"]
JobStatus = Literal["ACTIVE", "INACTIVE"]
TaskAction = Literal["START", "STOP", "UPGRADE"]


class Record(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A part of a seed document.

    Records are never part of a reference cycle, so the garbage collector need not look at them: a document
    has hundreds of thousands. Equal lists and maps may be shared among records; read them, do not change
    them.
    """


class Provenance(Record, frozen=True):
    """What the document was made from; ``model_sha256`` is the digest of the model file's bytes."""

    random_seed: int
    num_orgs: int
    model: str
    model_sha256: str
    generator: int


class Config(Record, frozen=True):
    """Configuration of an organization; a limit of None is left as the hub has it."""

    subscriptions_enabled: bool
    max_users: int | None = None
    max_engines: int | None = None
    max_pipelines: int | None = None
    max_jobs: int | None = None
    max_job_runs: int | None = None
    max_scheduled_runs: int | None = None


class Group(Record, frozen=True):
    """A group besides ``all@<organization>``, which every organization has by itself."""

    key: str
    id: str
    name: str


class User(Record, frozen=True):
    """A user; the first one of an organization is its first administrator."""

    key: str
    id: str
    name: str
    email: str
    roles: list[str]
    groups: list[str]


class Engine(Record, frozen=True):
    """An engine; ``labels`` are what it reports, ``["all"]`` when it has no specific label."""

    key: str
    type: EngineType
    url: str
    labels: list[str]


class Connection(Record, frozen=True):
    """A connection to an outside system that nothing contacts."""

    key: str
    name: str
    type: str
    owner: str
    configuration: dict[str, str]
    tags: list[str]


class Fragment(Record, frozen=True):
    """A pipeline fragment of ``stages`` stages."""

    key: str
    name: str
    owner: str
    stages: int
    labels: list[str]


class Pipeline(Record, frozen=True):
    """A pipeline; the numbers fix its definition (``psrlib.seed.pipelines``) completely.

    ``stages`` counts origin, processors, destinations and executors (at least 2); ``branches`` the terminal
    stages fed by data lanes (at least 1); ``event_lane`` says whether the origin's events are consumed.
    """

    key: str
    name: str
    owner: str
    stages: int
    branches: int
    event_lane: bool
    commits: int
    labels: list[str]
    parameters: dict[str, str]
    fragment: str | None = None
    connection: str | None = None


class Job(Record, frozen=True):
    """A job, or a job template; ``template`` is the key of the template it is an instance of."""

    key: str
    name: str
    pipeline: str
    owner: str
    status: JobStatus
    labels: list[str]
    instances: int
    tags: list[str]
    parameters: dict[str, str]
    is_template: bool = False
    template: str | None = None


class ScheduledTask(Record, frozen=True):
    """A scheduled task on a job; ``cron`` is a Quartz expression (seconds first) in UTC."""

    key: str
    name: str
    job: str
    action: TaskAction
    cron: str
    owner: str


class Subscription(Record, frozen=True):
    """A subscription to events of a job; ``event`` is a wire id such as ``JOB_STATUS_CHANGE``."""

    key: str
    name: str
    job: str
    event: str
    action: Literal["WEBHOOK", "EMAIL"]
    target: str
    owner: str
    enabled: bool = True


class Topology(Record, frozen=True):
    """A topology over jobs of the organization."""

    key: str
    name: str
    owner: str
    jobs: list[str]


class Organization(Record, frozen=True):
    """One organization with everything in it."""

    id: str
    name: str
    archetype: str
    config: Config
    groups: list[Group]
    users: list[User]
    engines: list[Engine]
    connections: list[Connection]
    fragments: list[Fragment]
    pipelines: list[Pipeline]
    jobs: list[Job]
    scheduled_tasks: list[ScheduledTask]
    subscriptions: list[Subscription]
    topologies: list[Topology]


class Head(Record, frozen=True):
    """What a document says before its organizations; the first line of a line-based file."""

    format: Literal["psr-seed/1"]
    provenance: Provenance
    variables: dict[str, str]


class SeedDocument(Head, frozen=True):
    """The whole document.

    ``sha256`` is the digest of the canonical bytes of all that comes before it. It stands at the end, so that
    a document can be written without being held in memory.
    """

    organizations: list[Organization]
    sha256: str | None = None
