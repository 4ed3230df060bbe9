"""Messaging app: the poll of the engines (engine-protocol.md, 3.3)."""

import logging
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct

from psrlib.hub.runner import engine_records, outbox
from psrlib.hub.runner.intake import take_acks, take_statuses
from psrlib.hub.runner.words import ACK, FIGURES, INFO, STATUS, STATUSES
from psrlib.hub.runner.work import Work
from psrlib.hub.store.contacts import Figures
from psrlib.hub.web.access import Principal
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import forbidden
from psrlib.hub.web.routing import COMPONENT, App

logger = logging.getLogger(__name__)
app = App("messaging", "Polls of engines")
NOTHING = b"[]"
SHORT_POLL = 20  # events taken at once; more of them are taken in the writer thread


class ClientEvent(Struct):
    """An event from an engine (engine-protocol.md, section 4)."""

    eventTypeId: int
    eventId: str = ""
    payload: str | None = None
    destinations: list[str] | None = None
    requiresAck: bool | None = False
    ackEvent: bool | None = False
    isAckEvent: bool | None = False
    orgId: str | None = None


@app.route(
    "POST",
    "/messaging/rest/v1/events",
    COMPONENT,
    body=list[ClientEvent],
    direct=True,
    choice="events that are not acknowledged within 30 s (STOP_DELETE: 300 s) are handed out "
    "again; an event that "
    "cannot be read is passed over, the rest of the poll counts; NUL characters are left out, here and in "
    "all that engines send",
)
async def events(call: Call) -> Any:
    """Take the events of an engine and hand out those that wait for it."""
    engine = call.principal
    if engine.component_type == "provisioning-agent":
        raise forbidden("a provisioning agent is not an engine")
    contacts = call.hub.contacts
    first = engine.id not in contacts.last_poll
    if not call.body and not first and engine.id not in contacts.waiting:
        contacts.note_poll(engine.id, call.now)
        return Raw(NOTHING)
    with contacts.poll(engine.id, call.hub.now):
        handed = await call.hub.write(
            lambda db: take_poll(Work(call.hub, db, call.now), engine, call.body),
            short=len(call.body) <= SHORT_POLL,
        )
    return Raw(handed)


def take_poll(work: Work, engine: Principal, arrived: list[ClientEvent]) -> list[dict[str, Any]]:
    """Take an engine's events in order; return the server events it is due."""
    record = engine_records.find_or_insert(work, engine)
    for kind, same in groupby(arrived, key=lambda event: event.eventTypeId):
        payloads = [
            (event.eventId, payload) for event in same if (payload := _payload(engine, event)) is not None
        ]
        if kind == ACK:
            take_acks(work, engine.id, [_ack(event_id, payload) for event_id, payload in payloads])
        elif kind == STATUS:
            take_statuses(work, record, [payload for _, payload in payloads], full=False)
        for _, payload in payloads:
            if kind == INFO:
                engine_records.take_info(work, engine, payload)
            elif kind == STATUSES:
                found = payload.get("pipelineStatusEventList")
                take_statuses(work, record, _objects(found), full=True)
            elif kind == FIGURES:
                take_figures(work, engine, payload)
    handed = outbox.hand_out(work, engine.id)
    work.flush()
    return handed


def _ack(event_id: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventId": event_id,
        "ackEventStatus": payload.get("ackEventStatus"),
        "message": payload.get("message"),
    }


def take_figures(work: Work, engine: Principal, payload: dict[str, Any]) -> None:
    """Remember CPU and memory of an engine."""
    figures = Figures(
        int(_number(payload.get("timestamp")) or work.now),
        float(_number(payload.get("cpuLoad"))),
        float(_number(payload.get("usedMemory"))),
    )
    work.hub.contacts.note_figures(engine.id, engine.organization, figures)


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _payload(engine: Principal, event: ClientEvent) -> dict[str, Any] | None:
    """Return the payload, or None when it cannot be read."""
    try:
        payload = msgspec.json.decode(event.payload or "")
    except msgspec.DecodeError:
        payload = None
    if isinstance(payload, dict):
        return payload
    logger.warning("engine %s: event %d cannot be read", engine.id, event.eventTypeId)
    return None
