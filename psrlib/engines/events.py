"""What an engine does with each event of the hub, and how it acknowledges (engine-protocol, 5 and 7)."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from psrlib.engines import wire
from psrlib.engines.definition import read_definition
from psrlib.engines.engine import Engine, local_id
from psrlib.engines.pipeline import NO_OFFSET, Pipeline, read_offset, received_offset

logger = logging.getLogger(__name__)
Payload = dict[str, Any]
DEFAULT_FORCE_TIMEOUT_MS = 120_000
STOP_DELETE, PREVIEW, DYNAMIC_PREVIEW = 1009, 1016, 1017


class _UncheckedError(Exception):
    """What breaks off a whole answer in Data Collector: later events and all acks of it are lost (4)."""


def handle_events(engine: Engine, events: Sequence[wire.ServerEvent], now_ms: int) -> None:
    """Carry out the events of one answer in order and queue their acks."""
    acks: list[dict[str, Any]] = []
    for event in events:
        try:
            ack = _handle(engine, event, now_ms)
        except _UncheckedError as error:
            code = event.event_type_id
            logger.warning("engine %s: event %d breaks off its answer: %s", engine.identity.id, code, error)
            return
        if ack is not None:
            acks.append(ack)
    engine.acks.extend(acks)


def _handle(engine: Engine, event: wire.ServerEvent, now_ms: int) -> dict[str, Any] | None:
    code = event.event_type_id
    if event.payload is None:
        raise _UncheckedError("no payload")
    if code == DYNAMIC_PREVIEW:
        raise _UncheckedError("dynamic preview is no message")
    status, message = "SUCCESS", None
    try:
        payload = orjson.loads(event.payload)
        if not isinstance(payload, dict):
            raise ValueError("not an object")
    except ValueError:
        text = "Can't parse event JSON"
        return wire.ack_event(event.event_id, "ERROR", text) if event.requires_ack else None
    if code == STOP_DELETE:
        return _stop_delete(engine, event.event_id, payload, now_ms)
    if code in _HANDLERS:
        name, handle = _HANDLERS[code]
        try:
            handle(engine, payload, now_ms)
        except (ValueError, TypeError, KeyError) as error:  # its text goes into the acknowledgement
            status, message = "ERROR", f"Remote event type: '{name}' encountered exception '{_text(error)}'"
    elif code == PREVIEW:
        status, message = "ERROR", "Unrecognized event"
    else:
        status, message = "IGNORE", f"Cannot understand remote event code {code}"
    return wire.ack_event(event.event_id, status, message) if event.requires_ack else None


def _text(error: Exception) -> str:
    return f"missing field {error}" if isinstance(error, KeyError) else str(error)


def _pipeline(engine: Engine, payload: Payload) -> Pipeline:
    name = payload["name"]
    pipeline = engine.pipelines.get(local_id(name))
    if pipeline is None:
        raise ValueError(f"CONTAINER_0200 - Pipeline '{local_id(name)}' does not exist")
    return pipeline


def _validate(engine: Engine, payload: Payload, now_ms: int) -> None:
    _pipeline(engine, payload).validation = "VALID"


def _save(engine: Engine, payload: Payload, now_ms: int) -> None:
    name = payload["name"]
    if local_id(name) in engine.pipelines:
        raise ValueError(f"CONTAINER_0201 - Pipeline '{local_id(name)}' already exists")
    documents = payload["pipelineConfigurationAndRules"]
    definition = read_definition(documents["pipelineConfig"])
    orjson.loads(documents["pipelineRules"])  # mandatory, and parsed, but nothing reports rules back
    offset = received_offset(payload.get("offset"), int(payload.get("offsetProtocolVersion") or 0))
    engine.pipelines[local_id(name)] = Pipeline(
        name=name,
        rev=payload.get("rev") or "0",
        definition=definition,
        since_ms=now_ms,
        offset=offset,
        offset_base=read_offset(offset),
    )
    engine.dirty = True


def _save_rules(engine: Engine, payload: Payload, now_ms: int) -> None:
    _pipeline(engine, payload)
    orjson.loads(payload["ruleDefinitions"])


def _start(engine: Engine, payload: Payload, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.active:
        logger.info("engine %s: %s is active already", engine.identity.id, pipeline.name)
    else:
        pipeline.counted = 0  # totals begin anew
        engine.change(pipeline, "STARTING", now_ms)


def _stop(engine: Engine, payload: Payload, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.state not in ("STARTING", "RUNNING", "RETRY"):
        raise ValueError(f"CONTAINER_0102 - Cannot change state from {pipeline.state} to STOPPING")
    engine.change(pipeline, "STOPPING", now_ms)


def _reset_offset(engine: Engine, payload: Payload, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.active:
        raise ValueError("CONTAINER_0104 - Cannot reset the source offset when the pipeline is running")
    pipeline.offset, pipeline.offset_base = NO_OFFSET, 0
    engine.dirty = True


def _delete(engine: Engine, payload: Payload, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.active:
        raise ValueError(f"CONTAINER_0208 - Pipeline in state '{pipeline.state}' cannot be saved")
    engine.delete(pipeline, now_ms)


def _delete_history(engine: Engine, payload: Payload, now_ms: int) -> None:
    _pipeline(engine, payload)  # no history is kept


def _ping_frequency(engine: Engine, payload: Payload, now_ms: int) -> None:
    engine.interval_ms = max(1, int(payload["pingFrequency"]))  # applied at once, not clamped to 5 s


def _stop_delete(engine: Engine, event_id: str, payload: Payload, now_ms: int) -> dict[str, Any] | None:
    """Stop and delete in the background: acknowledged at its end, whether or not the hub asked for it."""
    try:
        pipeline = _pipeline(engine, payload)
        if pipeline.deletion is not None and pipeline.deletion.event_id == event_id:
            return None  # the same event again while it is under way
        timeout = payload.get("forceTimeoutMillis")
        timeout = DEFAULT_FORCE_TIMEOUT_MS if timeout is None else int(timeout)
        engine.begin_deletion(pipeline, event_id, now_ms + timeout, now_ms)
    except (ValueError, TypeError, KeyError) as error:
        text = f"Remote event type STOP_DELETE_PIPELINE encountered error {_text(error)}"
        engine.deletion_acks.append(wire.ack_event(event_id, "ERROR", text))
    return None


def _take_credentials(engine: Engine, payload: Payload, now_ms: int) -> None:
    list(payload["entries"])  # for log-in at a disconnected engine; nobody logs in: no hash is kept


def _sync_acl(engine: Engine, payload: Payload, now_ms: int) -> None:
    acl = payload.get("acl")
    if acl is not None and acl["resourceId"] not in engine.pipelines:
        logger.warning("engine %s: access list of unknown pipeline %s", engine.identity.id, acl["resourceId"])


def _blob_key(payload: Payload) -> str:
    return f"{payload['namespace']} {payload['id']}"


def _store_blob(engine: Engine, payload: Payload, now_ms: int) -> None:
    versions = engine.blobs.setdefault(_blob_key(payload), [])
    version = int(payload["version"])
    if version in versions:
        raise ValueError(f"object {_blob_key(payload)} has version {version} already")
    versions.append(version)  # content is of no use to a mock
    engine.dirty = True


def _delete_blob(engine: Engine, payload: Payload, now_ms: int) -> None:
    if engine.blobs.pop(_blob_key(payload), None) is None:
        raise ValueError(f"object {_blob_key(payload)} does not exist")
    engine.dirty = True


def _delete_blob_version(engine: Engine, payload: Payload, now_ms: int) -> None:
    versions = engine.blobs.get(_blob_key(payload), [])
    version = int(payload["version"])
    if version not in versions:
        raise ValueError(f"object {_blob_key(payload)} has no version {version}")
    versions.remove(version)
    engine.dirty = True


def _save_configuration(engine: Engine, payload: Payload, now_ms: int) -> None:
    engine.push(payload["configuration"])


_HANDLERS: dict[int, tuple[str, Callable[[Engine, Payload, int], None]]] = {
    1000: ("VALIDATE_PIPELINE", _validate),
    1001: ("SAVE_PIPELINE", _save),
    1002: ("SAVE_RULES_PIPELINE", _save_rules),
    1003: ("START_PIPELINE", _start),
    1004: ("STOP_PIPELINE", _stop),
    1005: ("RESET_OFFSET_PIPELINE", _reset_offset),
    1006: ("DELETE_PIPELINE", _delete),
    1007: ("DELETE_HISTORY_PIPELINE", _delete_history),
    1008: ("PING_FREQUENCY_ADJUSTMENT", _ping_frequency),
    1010: ("SSO_DISCONNECTED_MODE_CREDENTIALS", _take_credentials),
    1011: ("SYNC_ACL", _sync_acl),
    1012: ("BLOB_STORE", _store_blob),
    1013: ("BLOB_DELETE", _delete_blob),
    1014: ("BLOB_DELETE_VERSION", _delete_blob_version),
    1015: ("SAVE_CONFIGURATION", _save_configuration),
}
