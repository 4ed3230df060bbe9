"""The hub's record of an engine: made at its first poll, filled by its info event."""

from typing import Any

from sqlalchemy import select

from psrlib.hub.runner.records import Record
from psrlib.hub.runner.work import Work
from psrlib.hub.store.schema.execution import engines
from psrlib.hub.store.schema.security import components
from psrlib.hub.web.access import Principal

EXECUTORS = {"dc": "COLLECTOR", "transformer": "TRANSFORMER", "dc-edge": "EDGE"}


def find_or_insert(work: Work, engine: Principal) -> Record:
    """Return the record of a polling engine, made from its registration when it is new.

    Edge sends its info event only once; when that was lost, registration is all there is.
    """
    row = work.engine(engine.id)
    if row is not None:
        return row
    statement = select(components.c.attributes).where(components.c.token_hash == engine.token_hash)
    attributes = work.db.execute(statement).scalar_one_or_none() or {}
    values = {
        "id": engine.id,
        "organization": engine.organization,
        "http_url": str(attributes.get("baseHttpUrl") or ""),
        "version": str(attributes.get("sdcVersion") or attributes.get("sdc2goVersion") or ""),
        "executor_type": EXECUTORS.get(engine.component_type, "COLLECTOR"),
        "reported_labels": ["all"],
        "start_up_time": work.now,
        "last_reported_time": work.now,
    }
    work.pools.clear()
    return work.records.insert(engines, values)


def take_info(work: Work, engine: Principal, payload: dict[str, Any]) -> None:
    """Store what an engine says of itself (2001)."""
    record = find_or_insert(work, engine)
    build = payload.get("sdcBuildInfo")
    build = build if isinstance(build, dict) else {}
    labels = payload.get("labels")
    is_edge = bool(payload.get("edge"))
    values: dict[str, Any] = {
        "executor_type": "EDGE" if is_edge else EXECUTORS.get(engine.component_type, "COLLECTOR"),
        "reported_labels": [str(label) for label in labels] if isinstance(labels, list) else [],
        "start_up_time": work.now,
        "total_memory": int(payload.get("totalMemory") or 0),
        "offset_protocol": int(payload.get("offsetProtocolVersion") or 0),
        "deployment_id": payload.get("deploymentId") or None,
        "build": {"javaVersion": payload.get("javaVersion"), **build},
    }
    if payload.get("httpUrl"):
        values["http_url"] = str(payload["httpUrl"])
    if build.get("version"):
        values["version"] = str(build["version"])
    work.change(record, **values)
    work.pools.clear()


def take_registration(work: Work, engine_id: str, attributes: dict[str, Any]) -> None:
    """Note that a known Edge began a new process: its info event comes once and may get lost."""
    record = work.engine(engine_id)
    if record is None:
        return
    values: dict[str, Any] = {"start_up_time": work.now}
    if attributes.get("baseHttpUrl"):
        values["http_url"] = str(attributes["baseHttpUrl"])
    if attributes.get("sdc2goVersion"):
        values["version"] = str(attributes["sdc2goVersion"])
    work.change(record, **values)
