"""Events for engines: queued in order, handed out in poll replies, repeated until acknowledged."""

import uuid
from typing import Any

from psrlib.hub.runner.payload import save_payloads
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.words import DELETE, SAVE, START, STOP, STOP_DELETE
from psrlib.hub.runner.work import Work
from psrlib.hub.store.schema.execution import engine_events
from psrlib.hub.store.text import dump, load

# Whether a real hub repeats unacknowledged events is unknown (engine-protocol.md, section 7). An
# engine acks in
# its next poll, 5 s later; after six silent polls the answer that held the event was lost on its way.
REDELIVER_AFTER_MS = 30_000
STOP_REDELIVER_AFTER_MS = 300_000  # 1009 is acked when the stop is done, up to forceTimeoutMillis later
MAX_EVENTS_PER_POLL = 50
_WAITING = engine_events.c.state.in_(("QUEUED", "DELIVERED"))


def queue_event(
    work: Work,
    engine_id: str,
    organization: str,
    kind: int,
    instance: int,
    payload: dict[str, Any] | str | None,
) -> None:
    """Put an event at the end of an engine's queue; a payload of None is built when it is handed out."""
    work.records.insert(
        engine_events,
        {
            "id": f"{uuid.uuid4()}:{organization}",
            "engine_id": engine_id,
            "organization": organization,
            "type": kind,
            "instance": instance,
            "payload": dump(payload) if isinstance(payload, dict) else payload,
            "state": "QUEUED",
            "created_on": work.now,
        },
    )
    work.hub.contacts.waiting.add(engine_id)


def queue_start(work: Work, run: Record, instance_id: int, engine_id: str, name: str) -> None:
    """Queue SAVE and START of a pipeline instance (engine-protocol.md, section 10)."""
    queue_event(work, engine_id, run.organization, SAVE, instance_id, None)
    start = {
        "name": name,
        "rev": "0",
        "user": run.user_id,
        "interceptorConfiguration": None,
        "groups": run.groups,
    }
    queue_event(work, engine_id, run.organization, START, instance_id, start)


def queue_simple(work: Work, kind: int, instance: Record, user: str, **more: Any) -> None:
    """Queue STOP, DELETE or STOP_DELETE for an instance."""
    payload = {"name": instance.name, "rev": "0", "user": user, **more}
    queue_event(work, instance.engine_id, instance.organization, kind, instance.id, payload)


def queue_stray_removal(work: Work, engine: Record, name: str, active: bool) -> None:
    """Queue the removal of a pipeline that no run of ours has on this engine."""
    payload = {"name": name, "rev": "0", "user": "", "forceTimeoutMillis": 120_000}
    removals = engine_events.c.type.in_((STOP, DELETE, STOP_DELETE))
    pending = work.find(engine_events, engine_events.c.engine_id == engine.id, _WAITING, removals)
    if any(load(event.payload).get("name") == name for event in pending):
        return
    kinds = (STOP_DELETE,)
    if engine.executor_type == "EDGE":
        kinds = (STOP,) if active else (DELETE,)
    for kind in kinds:
        queue_event(work, engine.id, engine.organization, kind, 0, payload)


def drop_events(work: Work, instance_id: int) -> None:
    """Forget what is queued for an instance."""
    for event in work.find(engine_events, engine_events.c.instance == instance_id, _WAITING):
        work.change(event, state="DROPPED")


def never_delivered(work: Work, instance_id: int) -> bool:
    """Whether an instance's SAVE never left the hub."""
    delivered = (engine_events.c.type == SAVE, engine_events.c.deliveries > 0)
    return not work.find(engine_events, engine_events.c.instance == instance_id, *delivered)


def hand_out(work: Work, engine_id: str) -> list[dict[str, Any]]:
    """Return the server events an engine is due, in order, and note the delivery."""
    own = engine_events.c.engine_id == engine_id
    waiting = work.find(engine_events, own, _WAITING, limit=MAX_EVENTS_PER_POLL)
    if not waiting:
        work.hub.contacts.waiting.discard(engine_id)
        return []
    due = [event for event in waiting if event.state == "QUEUED" or _overdue(event, work.now)]
    saves = save_payloads(work, [event.instance for event in due if event.payload is None])
    events = []
    for event in due:
        payload = event.payload if event.payload is not None else saves.get(event.instance)
        work.change(event, state="DELIVERED", delivered_on=work.now, deliveries=event.deliveries + 1)
        if payload is not None:
            events.append(_server_event(event, payload, work.now))
    return events


def _overdue(row: Record, now: int) -> bool:
    wait = STOP_REDELIVER_AFTER_MS if row.type == STOP_DELETE else REDELIVER_AFTER_MS
    return bool(now - row.delivered_on >= wait)


def _server_event(row: Record, payload: str, now: int) -> dict[str, Any]:
    """Return exactly the eight fields of a ServerEvent (engine-protocol.md, section 4)."""
    return {
        "eventId": row.id,
        "from": "jobrunner-app",
        "requiresAck": True,
        "ackEvent": False,
        "eventTypeId": row.type,
        "payload": payload,
        "receivedTime": now,
        "orgId": row.organization,
    }
