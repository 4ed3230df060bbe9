"""Messaging app: the poll of the engines (engine-protocol.md, 3.3)."""

import logging
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TypeVar

from msgspec import Struct

from psrlib.hub.runner import engine_records, intake, outbox, reports, words
from psrlib.hub.runner.outbox import ServerEvent
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.web.access import Principal
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import forbidden
from psrlib.hub.web.routing import COMPONENT, App

logger = logging.getLogger(__name__)
app = App("messaging")
SHORT_POLL = 20  # events taken at once; more of them are taken in the writer thread
R = TypeVar("R", bound=Struct)


class ClientEvent(Struct, rename="camel"):
    """An event from an engine (engine-protocol.md, section 4)."""

    event_type_id: int
    event_id: str = ""
    payload: str | None = None
    destinations: list[str] | None = None
    requires_ack: bool | None = False
    ack_event: bool | None = False
    is_ack_event: bool | None = False
    org_id: str | None = None


@app.route(
    "POST",
    "/messaging/rest/v1/events",
    COMPONENT,
    direct=True,
    choice="events that are not acknowledged within 30 s (STOP_DELETE: 300 s) are handed out again; an event "
    "that cannot be read is passed over, the rest of the poll counts; NUL characters are left out of texts, "
    "here and in all that engines send",
)
async def events(call: Call, body: list[ClientEvent]) -> list[ServerEvent] | Raw:
    """Take the events of an engine and hand out those that wait for it."""
    engine = call.principal
    if engine.component_type == "provisioning-agent":
        raise forbidden("a provisioning agent is not an engine")
    contacts = call.hub.contacts
    first = engine.id not in contacts.last_poll
    if not body and not first and engine.id not in contacts.waiting:
        contacts.note_poll(engine.id, call.now)
        return Raw(b"[]")
    with contacts.poll(engine.id, call.hub.now):
        return await call.hub.write(
            lambda db: take_poll(RunnerWork(call.hub, db, call.now), engine, body),
            short=len(body) <= SHORT_POLL,
        )


def take_poll(work: RunnerWork, engine: Principal, arrived: list[ClientEvent]) -> list[ServerEvent]:
    """Take an engine's events in order, acks last; return the server events it is due.

    An engine writes acks before the statuses that led to them. A removal's ack ends what is known of the
    pipeline, and its last offset is in those statuses.
    """
    record = engine_records.find_or_insert(work, engine)
    ordered = sorted(arrived, key=lambda event: event.event_type_id == words.ACK)
    for kind, same in groupby(ordered, key=lambda event: event.event_type_id):
        match kind:
            case words.ACK:
                acks = [(event.event_id, ack) for event, ack in _read(reports.Ack, engine, same)]
                intake.take_acks(work, engine.id, acks)
            case words.STATUS:
                statuses = [status for _, status in _read(reports.PipelineStatus, engine, same)]
                intake.take_status(work, record, statuses)
            case words.STATUSES:
                for _, listed in _read(reports.StatusListJson, engine, same):
                    intake.take_all_statuses(work, record, listed.statuses())
            case words.INFO:
                for _, info in _read(reports.EngineInfo, engine, same):
                    engine_records.take_info(work, engine, info)
            case words.FIGURES:
                for _, figures in _read(reports.ProcessFigures, engine, same):
                    intake.take_figures(work, engine, figures)
    handed = outbox.hand_out(work, engine.id)
    work.flush()
    return handed


def _read(
    record: type[R], engine: Principal, arrived: Iterable[ClientEvent]
) -> Iterator[tuple[ClientEvent, R]]:
    """Yield events with their payloads; one that cannot be read is passed over."""
    for event in arrived:
        payload = reports.read_text(record, event.payload)
        if payload is None:
            logger.warning("engine %s: event %d cannot be read", engine.id, event.event_type_id)
        else:
            yield event, payload
