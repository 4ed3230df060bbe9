"""Events for engines: queued in order, handed out in poll replies, repeated until acknowledged."""

import uuid
from collections.abc import Iterable

from msgspec import Struct, field
from sqlalchemy import ColumnElement

from psrlib.hub.runner import words
from psrlib.hub.runner.entities import Engine, EngineEvent, Instance, Run
from psrlib.hub.runner.payload import save_payloads
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.store.schema.execution import engine_events
from psrlib.hub.store.text import dump, load

# Whether a real hub repeats unacknowledged events is unknown (engine-protocol.md, section 7). An engine acks
# in its next poll, 5 s later; after six silent polls the answer that held the event was lost on its way.
REDELIVER_AFTER_MS = 30_000
STOP_REDELIVER_AFTER_MS = 300_000  # 1009 is acked when the stop is done, up to forceTimeoutMillis later
MAX_EVENTS_PER_POLL = 50
STRAY_STOP_MS = 120_000  # how long a pipeline may take to stop that no run of ours has
# A Data Collector works off an answer before it polls again: 22 SAVE and START took 15 s on a quiet machine,
# 113 s on a loaded one.
HANDLING_MS = 3_000
REMOVALS = (words.STOP, words.DELETE, words.STOP_DELETE)
_WAITING = engine_events.c.state.in_(("QUEUED", "DELIVERED"))


class ServerEvent(Struct, rename="camel"):
    """An event as an engine takes it: exactly these eight fields (engine-protocol.md, section 4)."""

    event_id: str
    event_type_id: int
    payload: str
    received_time: int
    org_id: str
    sender: str = field(default="jobrunner-app", name="from")
    requires_ack: bool = True
    ack_event: bool = False


def _insert(
    work: RunnerWork, kind: int, engine_id: str, organization: str, instance: int, payload: str | None
) -> None:
    event_id = f"{uuid.uuid4()}:{organization}"
    event = EngineEvent(event_id, engine_id, organization, kind, "QUEUED", instance, payload)
    event.created_on = work.now
    work.insert(event)
    work.hub.contacts.waiting.add(engine_id)


def queue(work: RunnerWork, kind: int, instance: Instance, payload: str | None) -> None:
    """Put an event at the end of the queue of an instance's engine; None is built when it is handed out."""
    _insert(work, kind, instance.engine_id, instance.organization, instance.id, payload)


def queue_start(work: RunnerWork, run: Run, instance: Instance) -> None:
    """Queue SAVE and START of a pipeline instance (engine-protocol.md, section 10)."""
    queue(work, words.SAVE, instance, None)
    queue_simple(work, words.START, instance, run.user_id, interceptorConfiguration=None, groups=run.groups)


def queue_simple(work: RunnerWork, kind: int, instance: Instance, user: str, **more: object) -> None:
    """Queue an event that names an instance's pipeline, and says ``more`` of it."""
    queue(work, kind, instance, dump({"name": instance.name, "rev": "0", "user": user, **more}))


def queue_stray_removal(work: RunnerWork, engine: Engine, name: str, kind: int) -> None:
    """Queue the removal of a pipeline that no run of ours has on this engine, unless that waits already."""
    payload = {"name": name, "rev": "0", "user": "", "forceTimeoutMillis": STRAY_STOP_MS}
    if name not in removals(work, engine.id):
        _insert(work, kind, engine.id, engine.organization, 0, dump(payload))


def removals(work: RunnerWork, engine_id: str) -> dict[str, int]:
    """Return the pipelines whose removal waits for an engine or its ack: instance (0: no run's) by name."""
    own = (engine_events.c.engine_id == engine_id, engine_events.c.type.in_(REMOVALS))
    return _by_name(work.find(EngineEvent, *own, _WAITING))


def _by_name(events: Iterable[EngineEvent]) -> dict[str, int]:
    return {load(event.payload)["name"]: event.instance for event in events}


def drop_events(work: RunnerWork, instance_id: int) -> None:
    """Forget what is queued for an instance."""
    for event in _of(work, instance_id, _WAITING):
        work.change(event, state="DROPPED")


def waits(work: RunnerWork, instance_id: int, kind: int) -> bool:
    """Whether an event of a kind waits for an instance's engine, or for its acknowledgement."""
    return bool(_of(work, instance_id, engine_events.c.type == kind, _WAITING))


def never_delivered(work: RunnerWork, instance_id: int) -> bool:
    """Whether an instance's SAVE never left the hub."""
    return not _of(work, instance_id, engine_events.c.type == words.SAVE, engine_events.c.deliveries > 0)


def last_starts(work: RunnerWork, ids: list[int]) -> dict[int, EngineEvent]:
    """Return the newest START event of each instance."""
    if not ids:
        return {}
    mine = (engine_events.c.instance.in_(ids), engine_events.c.type == words.START)
    found = work.find(EngineEvent, *mine, engine_events.c.state != "DROPPED")
    return {event.instance: event for event in found}


def _of(work: RunnerWork, instance_id: int, *conditions: ColumnElement[bool]) -> list[EngineEvent]:
    return work.find(EngineEvent, engine_events.c.instance == instance_id, *conditions)


def hand_out(work: RunnerWork, engine_id: str) -> list[ServerEvent]:
    """Return the server events an engine is due, in order, and note the delivery."""
    own = engine_events.c.engine_id == engine_id
    waiting = work.find(EngineEvent, own, _WAITING, limit=MAX_EVENTS_PER_POLL)
    if not waiting:
        work.hub.contacts.waiting.discard(engine_id)
        return []
    held = _held(work, waiting)
    due = [event for event in waiting if event.instance not in held and is_due(event, work.now)]
    saves = save_payloads(work, [event.instance for event in due if event.payload is None])
    handed = []
    for event in due:
        payload = event.payload if event.payload is not None else saves.get(event.instance)
        work.change(event, state="DELIVERED", delivered_on=work.now, deliveries=event.deliveries + 1)
        if payload is not None:
            handed.append(ServerEvent(event.id, event.type, payload, work.now, event.organization))
    if handed:
        work.hub.contacts.note_handed(engine_id, work.now + HANDLING_MS * len(handed))
    return handed


def _held(work: RunnerWork, waiting: list[EngineEvent]) -> set[int]:
    """Return instances whose SAVE has to wait: a pipeline of the same name is being removed.

    A Data Collector removes in the background, and refuses a SAVE of a name that it still has.
    """
    leaving = _by_name(event for event in waiting if event.type in REMOVALS)
    saves = [event.instance for event in waiting if event.type == words.SAVE] if leaving else []
    work.load(Instance, saves)
    named = {number: instance.name for number in saves if (instance := work.get(Instance, number))}
    return {number for number, name in named.items() if leaving.get(name, number) != number}


def is_due(event: EngineEvent, now_ms: int) -> bool:
    """Whether an event that waits is handed out now: for the first time, or again after a while."""
    wait_ms = STOP_REDELIVER_AFTER_MS if event.type == words.STOP_DELETE else REDELIVER_AFTER_MS
    return event.state == "QUEUED" or now_ms - event.delivered_on >= wait_ms
