"""What an engine does with each event of the hub, and how it acknowledges (engine-protocol, 5 and 7).

Texts of acknowledgements are those of a real Data Collector 3.23 where it has been seen to give them.
"""

import logging
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from psrlib.engines import wire
from psrlib.engines.definition import read_definition
from psrlib.engines.engine import BLOB_BYTES, Engine, local_id
from psrlib.engines.pipeline import NO_OFFSET, Pipeline, read_offset, received_offset

logger = logging.getLogger(__name__)
T = TypeVar("T")
DEFAULT_FORCE_TIMEOUT_MS = 120_000
SAVE, START, STOP_DELETE, PREVIEW, DYNAMIC_PREVIEW = 1001, 1003, 1009, 1016, 1017
LONGEST_MESSAGE = 2000
UNREADABLE = "Can't parse event JSON"
STOPPABLE = ("STARTING", "RUNNING", "RETRY")
Text = Annotated[str, Meta(max_length=1 << 20)]  # more than any offset; a definition is longer


class UncheckedError(Exception):
    """What breaks off a whole answer in Data Collector: later events and all acks of it are lost (4)."""


class _UnreadableError(Exception):
    """A payload that is not JSON, or has a value of a wrong type."""


class Named(Struct):
    """What most events say: which pipeline they mean."""

    name: wire.Id


class _Documents(Struct, rename="camel"):
    pipeline_config: str
    pipeline_rules: str


class _SavePipeline(Named, rename="camel"):
    pipeline_configuration_and_rules: _Documents
    rev: wire.Id | None = None
    offset: Text | None = None
    offset_protocol_version: int | None = None


class _SaveRules(Named, rename="camel"):
    rule_definitions: str


class _StopDelete(Named, rename="camel"):
    force_timeout_millis: int | None = None


class _PingFrequency(Struct, rename="camel"):
    ping_frequency: int


class _Credentials(Struct):
    entries: Raw


class _Acl(Struct, rename="camel"):
    resource_id: str


class _SyncAcl(Struct):
    acl: _Acl | None = None


class _Blob(Struct):
    namespace: Annotated[str, Meta(max_length=200)]
    id: Annotated[str, Meta(max_length=200)]

    @property
    def key(self) -> str:
        """The object, in any version."""
        return f"{self.namespace} {self.id}"


class _BlobVersion(_Blob):
    version: int


class _Configuration(Struct):
    configuration: dict[str, str | None]


def duration_ms(engine: Engine, event: wire.ServerEvent) -> int:
    """Return how long an engine is busy with an event, and does not poll."""
    return engine.event_ms if event.event_type_id in (SAVE, START) else 0


def handle_event(engine: Engine, event: wire.ServerEvent, now_ms: int) -> dict[str, Any] | None:
    """Carry out an event; return its acknowledgement, None when there is none (yet).

    Raises
    ------
    UncheckedError
        When Data Collector would drop the rest of the answer.
    """
    code = event.event_type_id
    if event.payload is None:
        raise UncheckedError("no payload")
    if code == DYNAMIC_PREVIEW:
        raise UncheckedError("dynamic preview is no message")
    if code == STOP_DELETE:
        return _stop_delete(engine, event, now_ms)
    try:
        status, message = _carry_out(engine, code, event.payload, now_ms)
    except _UnreadableError as error:
        logger.info("engine %s: event %d: %.500s", engine.identity.id, code, error)
        status, message = "ERROR", UNREADABLE
    except (ValueError, OverflowError) as error:  # its text goes into the acknowledgement
        text = f"Remote event type: '{_HANDLERS[code].name}' encountered exception '{error}'"
        status, message = "ERROR", text[:LONGEST_MESSAGE]
    return wire.ack_event(event.event_id, status, message) if event.requires_ack else None


def _carry_out(engine: Engine, code: int, text: str, now_ms: int) -> tuple[str, str | None]:
    handler = _HANDLERS.get(code)
    if handler is not None:
        handler.run(engine, _read(text, handler.type), now_ms)
        return "SUCCESS", None
    _read(text, dict[str, Raw])
    if code == PREVIEW:
        return "ERROR", "Unrecognized event: 'PREVIEW_PIPELINE'"
    return "IGNORE", f"Cannot understand remote event code {code}"


def _read(text: str, type: type[T]) -> T:
    """Return a payload; what it lacks is found by whoever handles it, as in Data Collector."""
    try:
        return msgspec.json.decode(text, type=type)
    except (ValueError, RecursionError) as error:
        if "missing required field" in str(error):
            raise
        raise _UnreadableError(str(error)) from error


def _pipeline(engine: Engine, payload: Named) -> Pipeline:
    pipeline = engine.pipelines.get(local_id(payload.name))
    if pipeline is None:
        raise ValueError(f"CONTAINER_0200 - Pipeline '{local_id(payload.name)}' does not exist")
    return pipeline


def _validate(engine: Engine, payload: Named, now_ms: int) -> None:
    _pipeline(engine, payload).validation = "VALID"


def _save(engine: Engine, payload: _SavePipeline, now_ms: int) -> None:
    id = local_id(payload.name)
    if id in engine.pipelines:
        raise ValueError(f"CONTAINER_0201 - Pipeline '{id}' already exists")
    documents = payload.pipeline_configuration_and_rules
    definition = read_definition(documents.pipeline_config)
    _check_json(documents.pipeline_rules)  # mandatory, and parsed, but nothing reports rules back
    offset = received_offset(payload.offset, payload.offset_protocol_version or 0)
    pipeline = Pipeline(
        name=payload.name,
        rev=payload.rev or "0",
        definition=definition,
        since_ms=now_ms,
        offset=offset,
        offset_base=read_offset(offset),
    )
    engine.add(pipeline)


def _check_json(text: str) -> None:
    msgspec.json.decode(text, type=Raw)


def _save_rules(engine: Engine, payload: _SaveRules, now_ms: int) -> None:
    _pipeline(engine, payload)
    _check_json(payload.rule_definitions)


def _start(engine: Engine, payload: Named, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.active:
        logger.info("engine %s: %s is active already", engine.identity.id, pipeline.name)
        return
    if engine.max_pipelines is not None and engine.n_active >= engine.max_pipelines:
        raise ValueError(
            f"CONTAINER_0166 - Cannot start pipeline '{local_id(pipeline.name)}' as there are not enough "
            "threads available."
        )
    pipeline.counted = pipeline.retries = 0  # totals begin anew
    engine.change(pipeline, "STARTING", now_ms)


def _stop(engine: Engine, payload: Named, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.state not in STOPPABLE:
        raise ValueError(_no_stop(pipeline))
    engine.change(pipeline, "STOPPING", now_ms)


def _no_stop(pipeline: Pipeline) -> str:
    return f"CONTAINER_0102 - Cannot change state from {pipeline.state} to STOPPING"


def _reset_offset(engine: Engine, payload: Named, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.active:
        raise ValueError("CONTAINER_0104 - Cannot reset the source offset when the pipeline is running")
    pipeline.offset, pipeline.offset_base = NO_OFFSET, 0
    engine.dirty = True


def _delete(engine: Engine, payload: Named, now_ms: int) -> None:
    pipeline = _pipeline(engine, payload)
    if pipeline.active:
        raise ValueError(f"CONTAINER_0208 - Pipeline in state '{pipeline.state}' cannot be saved")
    engine.delete(pipeline, now_ms)


def _delete_history(engine: Engine, payload: Named, now_ms: int) -> None:
    _pipeline(engine, payload)  # no history is kept


def _ping_frequency(engine: Engine, payload: _PingFrequency, now_ms: int) -> None:
    engine.interval_ms = max(1, payload.ping_frequency)  # applied at once, not clamped to 5 s


def _stop_delete(engine: Engine, event: wire.ServerEvent, now_ms: int) -> dict[str, Any] | None:
    """Stop and delete in the background: acknowledged at its end, whether or not the hub asked for it."""
    try:
        payload = _read(event.payload or "", _StopDelete)
    except (_UnreadableError, ValueError):
        return wire.ack_event(event.event_id, "ERROR", UNREADABLE) if event.requires_ack else None
    pipeline = engine.pipelines.get(local_id(payload.name))
    if pipeline is None:  # nothing is left to do
        engine.deletion_acks.append(wire.ack_event(event.event_id, "SUCCESS", None))
    elif pipeline.deletion is not None and pipeline.deletion.event_id == event.event_id:
        pass  # the same event again while it is under way
    elif pipeline.state == "STOPPING":
        text = f"Remote event type STOP_DELETE_PIPELINE encountered error {_no_stop(pipeline)}"
        engine.deletion_acks.append(wire.ack_event(event.event_id, "ERROR", text[:LONGEST_MESSAGE]))
    else:
        timeout = payload.force_timeout_millis
        timeout = DEFAULT_FORCE_TIMEOUT_MS if timeout is None else timeout
        engine.begin_deletion(pipeline, event.event_id, now_ms + timeout, now_ms)
    return None


def _take_credentials(engine: Engine, payload: _Credentials, now_ms: int) -> None:
    """Accept credentials for a disconnected engine; nobody logs in there, so no hash is kept."""


def _sync_acl(engine: Engine, payload: _SyncAcl, now_ms: int) -> None:
    acl = payload.acl
    if acl is not None and acl.resource_id not in engine.pipelines:
        logger.warning(
            "engine %s: access list of unknown pipeline %.200s", engine.identity.id, acl.resource_id
        )


def _store_blob(engine: Engine, payload: _BlobVersion, now_ms: int) -> None:
    versions = engine.blobs.get(payload.key, [])
    if payload.version in versions:
        raise ValueError(
            f"BLOB_STORE_0003 - Object {payload.id} in namespace {payload.namespace} has version "
            f"{payload.version} already"
        )
    engine.budget.take(BLOB_BYTES)
    engine.blobs[payload.key] = [*versions, payload.version]  # content is of no use to a mock
    engine.dirty = True


def _delete_blob(engine: Engine, payload: _Blob, now_ms: int) -> None:
    engine.budget.give(BLOB_BYTES * len(engine.blobs.pop(payload.key, ())))
    engine.dirty = True


def _delete_blob_version(engine: Engine, payload: _BlobVersion, now_ms: int) -> None:
    versions = engine.blobs.get(payload.key, [])
    if payload.version not in versions:
        raise ValueError(
            f"BLOB_STORE_0007 - Object {payload.id} in namespace {payload.namespace} has no version "
            f"{payload.version}"
        )
    versions.remove(payload.version)
    engine.budget.give(BLOB_BYTES)
    engine.dirty = True


def _save_configuration(engine: Engine, payload: _Configuration, now_ms: int) -> None:
    engine.push(payload.configuration)


class _Handler(NamedTuple):
    name: str
    type: type[Struct]
    run: Callable[[Engine, Any, int], None]


_HANDLERS: dict[int, _Handler] = {
    1000: _Handler("VALIDATE_PIPELINE", Named, _validate),
    SAVE: _Handler("SAVE_PIPELINE", _SavePipeline, _save),
    1002: _Handler("SAVE_RULES_PIPELINE", _SaveRules, _save_rules),
    START: _Handler("START_PIPELINE", Named, _start),
    1004: _Handler("STOP_PIPELINE", Named, _stop),
    1005: _Handler("RESET_OFFSET_PIPELINE", Named, _reset_offset),
    1006: _Handler("DELETE_PIPELINE", Named, _delete),
    1007: _Handler("DELETE_HISTORY_PIPELINE", Named, _delete_history),
    1008: _Handler("PING_FREQUENCY_ADJUSTMENT", _PingFrequency, _ping_frequency),
    1010: _Handler("SSO_DISCONNECTED_MODE_CREDENTIALS", _Credentials, _take_credentials),
    1011: _Handler("SYNC_ACL", _SyncAcl, _sync_acl),
    1012: _Handler("BLOB_STORE", _BlobVersion, _store_blob),
    1013: _Handler("BLOB_DELETE", _Blob, _delete_blob),
    1014: _Handler("BLOB_DELETE_VERSION", _BlobVersion, _delete_blob_version),
    1015: _Handler("SAVE_CONFIGURATION", _Configuration, _save_configuration),
}
