"""The hub's record of an engine: made at its first poll, filled by its info event."""

from sqlalchemy import select

from psrlib.hub.runner.entities import Engine
from psrlib.hub.runner.reports import EngineInfo
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.store.schema.security import components
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import Principal

EXECUTORS = {"dc": "COLLECTOR", "transformer": "TRANSFORMER", "dc-edge": "EDGE"}


def find_or_insert(work: RunnerWork, engine: Principal) -> Engine:
    """Return the record of a polling engine, made from its registration when it is new.

    Edge sends its info event only once; when that was lost, registration is all there is.
    """
    known = work.get(Engine, engine.id)
    if known is not None:
        return known
    statement = select(components.c.attributes).where(components.c.token_hash == engine.token_hash)
    attributes = work.db.execute(statement).scalar_one_or_none() or {}
    work.pools.clear()
    return work.insert(
        Engine(
            id=engine.id,
            organization=engine.organization,
            http_url=str(attributes.get("baseHttpUrl") or ""),
            version=str(attributes.get("sdcVersion") or attributes.get("sdc2goVersion") or ""),
            executor_type=EXECUTORS.get(engine.component_type, "COLLECTOR"),
            reported_labels=["all"],
            start_up_time=work.now,
            last_reported_time=work.now,
        )
    )


def take_info(work: RunnerWork, engine: Principal, info: EngineInfo) -> None:
    """Store what an engine says of itself (2001)."""
    record = find_or_insert(work, engine)
    build = info.sdc_build_info or {}
    work.change(
        record,
        executor_type="EDGE" if info.edge else EXECUTORS.get(engine.component_type, "COLLECTOR"),
        reported_labels=info.labels or [],
        start_up_time=work.now,
        total_memory=info.total_memory or 0,
        offset_protocol=info.offset_protocol_version or 0,
        deployment_id=info.deployment_id or None,
        csp_deployment_id=info.csp_deployment_id or None,
        build={"javaVersion": info.java_version, **build},
        http_url=info.http_url or record.http_url,
        version=str(build.get("version") or record.version),
    )
    work.pools.clear()


def take_registration(work: RunnerWork, engine_id: str, attributes: Json) -> None:
    """Note that a known Edge began a new process: its info event comes once and may get lost."""
    record = work.get(Engine, engine_id)
    if record is not None:
        work.change(
            record,
            start_up_time=work.now,
            http_url=str(attributes.get("baseHttpUrl") or record.http_url),
            version=str(attributes.get("sdc2goVersion") or record.version),
        )
