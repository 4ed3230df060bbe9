"""The seed document: the state a Control Hub must reach, organization by organization.

Every entity has a ``key``, its stable name inside its organization; ``owner``, ``job``, ``pipeline``,
``groups`` and the like refer to keys of the same organization. Names are unique per organization and kind,
so an entity on a hub is recognised by (organization, kind, name). Strings may hold ``${variable}``.
Integers, booleans and strings only: no float, hence one spelling of every value. Keys, ids, texts and numbers
have bounds (`psrlib.bounds`), which are checked when a document is loaded, rewritten or its variables are
resolved: a document may come from a stranger.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from psrlib.bounds import (
    MAX_COMMITS,
    MAX_DEFINITION_BYTES,
    MAX_ENTITIES,
    MAX_INSTANCES,
    MAX_INTEGER,
    MAX_STAGES,
    Key,
    Keys,
    Line,
    Login,
    Name,
    Text,
    Texts,
    Words,
)

GENERATOR = 5  # raised whenever the same model and random seed would give other bytes

EngineType = Literal["COLLECTOR", "TRANSFORMER"]
JobStatus = Literal["ACTIVE", "INACTIVE"]
TaskAction = Literal["START", "STOP", "UPGRADE"]
Integer = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
MANY = Meta(max_length=MAX_ENTITIES)
DefinitionBytes = Annotated[int, Meta(ge=0, le=MAX_DEFINITION_BYTES)]
Stages = Annotated[int, Meta(ge=1, le=MAX_STAGES)]


class Record(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A part of a seed document.

    Records are never part of a reference cycle, so the garbage collector need not look at them: a document
    has hundreds of thousands. Equal lists and maps may be shared among records; read them, do not change
    them.
    """


class Provenance(Record, frozen=True):
    """What the document was made from; ``model_sha256`` is the digest of the model file's bytes."""

    random_seed: Integer
    num_orgs: Count
    model: Line
    model_sha256: Line
    generator: Count


class Config(Record, frozen=True):
    """Configuration of an organization; a limit of None is left as the hub has it."""

    subscriptions_enabled: bool
    max_users: Count | None = None
    max_engines: Count | None = None
    max_pipelines: Count | None = None
    max_jobs: Count | None = None
    max_job_runs: Count | None = None
    max_scheduled_runs: Count | None = None


class Group(Record, frozen=True):
    """A group besides ``all@<organization>``, which every organization has by itself."""

    key: Key
    id: Login
    name: Name


class User(Record, frozen=True):
    """A user; the first one of an organization is its first administrator."""

    key: Key
    id: Login
    name: Name
    email: Line
    roles: Words
    groups: Keys


class Engine(Record, frozen=True):
    """An engine; ``labels`` are what it reports, ``["all"]`` when no job asks for more."""

    key: Key
    type: EngineType
    url: Line
    labels: Words


class Connection(Record, frozen=True):
    """A connection to an outside system that nothing contacts."""

    key: Key
    name: Name
    type: Name
    owner: Key
    configuration: Texts
    tags: Words


class Fragment(Record, frozen=True):
    """A pipeline fragment of ``stages`` stages."""

    key: Key
    name: Name
    owner: Key
    stages: Stages
    labels: Words


class Pipeline(Record, frozen=True):
    """A pipeline; the numbers fix its definition (``psrlib.seed.pipelines``) completely.

    ``stages`` counts origin, processors, destinations and executors (at least 2); ``branches`` the terminal
    stages fed by data lanes (at least 1); ``event_lane`` says whether the origin's events are consumed.
    ``definition_bytes`` is how large each commit's definition is at least, as JSON text.
    """

    key: Key
    name: Name
    owner: Key
    stages: Annotated[int, Meta(ge=2, le=MAX_STAGES)]
    branches: Stages
    event_lane: bool
    commits: Annotated[int, Meta(ge=1, le=MAX_COMMITS)]
    definition_bytes: DefinitionBytes
    labels: Words
    parameters: Texts
    fragment: Key | None = None
    connection: Key | None = None


class Job(Record, frozen=True):
    """A job, or a job template; ``template`` is the key of the template it is an instance of."""

    key: Key
    name: Name
    pipeline: Key
    owner: Key
    status: JobStatus
    labels: Words
    instances: Annotated[int, Meta(ge=1, le=MAX_INSTANCES)]
    tags: Words
    parameters: Texts
    is_template: bool = False
    template: Key | None = None


class ScheduledTask(Record, frozen=True):
    """A scheduled task on a job; ``cron`` is a Quartz expression (seconds first) in UTC."""

    key: Key
    name: Name
    job: Key
    action: TaskAction
    cron: Line
    owner: Key


class Subscription(Record, frozen=True):
    """A subscription to events of a job; ``event`` is a wire id such as ``JOB_STATUS_CHANGE``."""

    key: Key
    name: Name
    job: Key
    event: Name
    action: Literal["WEBHOOK", "EMAIL"]
    target: Line
    owner: Key
    enabled: bool = True


class Topology(Record, frozen=True):
    """A topology over jobs of the organization."""

    key: Key
    name: Name
    owner: Key
    jobs: Keys


class Organization(Record, frozen=True):
    """One organization with everything in it."""

    id: Key
    name: Name
    archetype: Name
    config: Config
    groups: Annotated[list[Group], MANY]
    users: Annotated[list[User], MANY]
    engines: Annotated[list[Engine], MANY]
    connections: Annotated[list[Connection], MANY]
    fragments: Annotated[list[Fragment], MANY]
    pipelines: Annotated[list[Pipeline], MANY]
    jobs: Annotated[list[Job], MANY]
    scheduled_tasks: Annotated[list[ScheduledTask], MANY]
    subscriptions: Annotated[list[Subscription], MANY]
    topologies: Annotated[list[Topology], MANY]


class Head(Record, frozen=True):
    """What a document says before its organizations; the first line of a line-based file."""

    format: Literal["psr-seed/1"]
    provenance: Provenance
    variables: dict[Name, Text]


class SeedDocument(Head, frozen=True):
    """The whole document.

    ``sha256`` is the digest of the canonical bytes of all that comes before it. It stands at the end, so that
    a document can be written without being held in memory.
    """

    organizations: list[Organization]
    sha256: Line | None = None
