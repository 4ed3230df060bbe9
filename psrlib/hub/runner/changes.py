"""What can happen to a run and its pipelines: `decisions` and `reactions` say what, `writer` does it."""

from msgspec import Struct, field

from psrlib.hub.runner.entities import Engine, EngineEvent, Instance

FORCE_STOP_MS = 120_000  # how long a stop may take before the engine is forced, when the job does not say


class Change(Struct):
    """One thing that happens to a run."""


class SetStatus(Change):
    """The run gets a status and a color; its history and the event are written when one of them is new."""

    status: str
    color: str
    user_id: str | None = None  # who wanted it; None: who started the run
    error: str | None = None


class SetWarnings(Change):
    """The run's warnings are replaced."""

    warnings: list[str]


class Put(Change):
    """The run's pipeline goes to an engine: a new instance, SAVE and START; ``failover``: it is counted."""

    engine: Engine
    slot: int
    offset: str | None = None
    protocol: int = 2
    failover: bool = False


class Remove(Change):
    """An instance is taken off its engine by an event; taken back where its SAVE never left the hub."""

    instance: Instance
    kind: int
    user_id: str | None = None  # who wanted it; None: who started the run
    force_ms: int = FORCE_STOP_MS  # of STOP_DELETE


class Gone(Change):
    """An instance left its engine, or nobody counts on it any more; ``drop``: its events are taken back."""

    instance: Instance
    drop: bool = False


class Send(Change):
    """An event for an instance's engine, unless one of the kind waits there."""

    kind: int
    instance: Instance


class SendAgain(Change):
    """SAVE and START of an instance that its engine lost."""

    instance: Instance


class StartAgain(Change):
    """The START of an instance again, after STOP where the engine takes it for running."""

    instance: Instance
    start: EngineEvent
    stop: bool


class Store(Change):
    """Columns of an instance, or of an event that an engine acknowledged."""

    record: Instance | EngineEvent
    values: dict[str, object]


class Tell(Change):
    """Subscriptions hear of an event."""

    event: str
    values: dict[str, str]


class Failed(Change):
    """An instance failed; what that means for the run is decided when all before it is done."""

    instance: Instance
    message: str


class Settle(Change):
    """The states of the run's pipelines decide its status; when all before it is done."""


class Place(Change):
    """The run gets the engines it lacks, none of the excluded; decided when all before it is done."""

    excluded: set[str] = field(default_factory=set)
