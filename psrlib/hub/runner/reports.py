"""What engines send, as records (engine-protocol.md, sections 4 to 6 and 9).

An engine repeats for ever what is refused. So nothing is: a member of a wrong type counts as missing, and
what cannot be read at all is passed over.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from psrlib.hub.store.text import Json

R = TypeVar("R", bound=Struct)


class Ack(Struct, rename="camel"):
    """Acknowledgement of an event (5000)."""

    ack_event_status: str | None = None
    message: str | None = None


class PipelineStatus(Struct, rename="camel"):
    """The state of one pipeline on an engine (2000); ``time_stamp`` is the engine's, in milliseconds."""

    name: str | None = None
    title: str | None = None
    time_stamp: int | None = None
    remote: bool | None = None
    is_remote: bool | None = None
    pipeline_status: str | None = None
    message: str | None = None
    offset: str | None = None
    offset_protocol_version: int | None = None


class StatusListJson(Struct, rename="camel"):
    """The states of all pipelines of an engine (2002)."""

    pipeline_status_event_list: list[Any] | None = None

    def statuses(self) -> list[PipelineStatus]:
        """Return the states; what is no object is passed over."""
        listed = self.pipeline_status_event_list or []
        return [read(PipelineStatus, status) for status in listed if isinstance(status, dict)]


class EngineInfo(Struct, rename="camel"):
    """What an engine says of itself (2001); ``total_memory`` in bytes."""

    http_url: str | None = None
    java_version: str | None = None
    sdc_build_info: Json | None = None
    labels: list[str] | None = None
    edge: bool | None = None
    total_memory: int | None = None
    offset_protocol_version: int | None = None
    deployment_id: str | None = None
    csp_deployment_id: str | None = None


class ProcessFigures(Struct, rename="camel"):
    """Processor load in percent and memory in bytes of an engine (2003)."""

    cpu_load: float | None = None
    used_memory: float | None = None


def read(record: type[R], values: Json) -> R:
    """Return the record of an object an engine sent; a member of a wrong type counts as missing.

    Examples
    --------
    >>> read(Ack, {"ackEventStatus": "ERROR", "message": 5})
    Ack(ack_event_status='ERROR', message=None)
    """
    try:
        return msgspec.convert(values, record, strict=False)
    except msgspec.ValidationError:
        found = {}
        for field in msgspec.structs.fields(record):
            try:
                found[field.name] = msgspec.convert(values.get(field.encode_name), field.type, strict=False)
            except msgspec.ValidationError:
                continue
        return record(**found)


def read_text(record: type[R], text: str | None) -> R | None:
    """Return the record of a payload, JSON text of an object; None when it is none."""
    try:
        values = msgspec.json.decode(text or "")
    except msgspec.DecodeError:
        return None
    return read(record, values) if isinstance(values, dict) else None
