"""What can happen to a run and its pipelines: `decisions` and `reactions` say what, `writer` does it."""

from msgspec import Struct, field

from psrlib.hub.runner.entities import Engine, EngineEvent, Instance

FORCE_STOP_MS = 120_000  # how long a stop may take before the engine is forced, when the job does not say


class SetStatus(Struct):
    """The run gets a status and a color; its history and the event are written when one of them is new."""

    status: str
    color: str
    user_id: str | None = None  # who wanted it; None: who started the run
    error: str | None = None


class SetWarnings(Struct):
    """The run's warnings are replaced."""

    warnings: list[str]


class CountFailover(Struct):
    """One more failover of the run."""


class Put(Struct):
    """The run's pipeline goes to an engine: a new instance, SAVE and START."""

    engine: Engine
    slot: int
    offset: str | None = None
    protocol: int = 2


class Remove(Struct):
    """An instance is taken off its engine by an event; taken back where its SAVE never left the hub."""

    instance: Instance
    kind: int
    user_id: str | None = None  # who wanted it; None: who started the run
    force_ms: int = FORCE_STOP_MS  # of STOP_DELETE


class Gone(Struct):
    """An instance left its engine, or nobody counts on it any more; ``drop``: its events are taken back."""

    instance: Instance
    drop: bool = False


class Send(Struct):
    """An event for an instance's engine, unless one of the kind waits there."""

    kind: int
    instance: Instance


class SendAgain(Struct):
    """SAVE and START of an instance that its engine lost."""

    instance: Instance


class StartAgain(Struct):
    """The START of an instance again, after STOP where the engine takes it for running."""

    instance: Instance
    start: EngineEvent
    stop: bool


class Store(Struct):
    """Columns of an instance."""

    instance: Instance
    values: dict[str, object]


class Acknowledge(Struct):
    """An event is done."""

    event: EngineEvent
    state: str
    message: str | None


class Tell(Struct):
    """Subscriptions hear of an event."""

    event: str
    values: dict[str, str]


class Failed(Struct):
    """An instance failed; what that means for the run is decided when all before it is done."""

    instance: Instance
    message: str


class Place(Struct):
    """The run gets the engines it lacks, none of the excluded; decided when all before it is done."""

    excluded: set[str] = field(default_factory=set)


Change = (
    SetStatus
    | SetWarnings
    | CountFailover
    | Put
    | Remove
    | Gone
    | Send
    | SendAgain
    | StartAgain
    | Store
    | Acknowledge
    | Tell
    | Failed
    | Place
)
