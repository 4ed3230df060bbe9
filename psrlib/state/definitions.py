"""What a pipeline definition on a hub says in the words of the seed document."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct

from psrlib.client.wire import Json
from psrlib.errors import HubError
from psrlib.seed.pipelines import CONNECTIONS


@dataclass(frozen=True)
class Shape:
    """Numbers and names read back from a pipeline definition; see `psrlib.seed.document.Pipeline`."""

    fragment_id: str  # of a fragment, on the engine's side; empty for a pipeline
    stages: int
    branches: int
    event_lane: bool
    labels: list[str]
    parameters: dict[str, str]
    fragment_ids: list[str]
    connection_ids: list[str]


def parse(text: Any) -> Json:
    """Return JSON text (or an object already parsed) as an object; {} for what is none."""
    with suppress(ValueError):
        text = orjson.loads(text) if isinstance(text, str) else text
    return text if isinstance(text, dict) else {}


def definition_size(text: Any) -> int:
    """Return the bytes of a pipeline definition as JSON text; it may be parsed already."""
    return len(text.encode()) if isinstance(text, str) else len(orjson.dumps(text or {}))


def read_shape(text: Any) -> Shape:
    """Return the shape of a ``pipelineConfig`` or ``pipelineFragmentConfig``, JSON text or an object.

    Branches are the stages without outgoing lane that are fed by a data lane; the origin is the first stage
    without incoming lane. Only what the shape needs is decoded: definitions are most of what a hub sends.

    Raises
    ------
    HubError
        If it is no pipeline definition.
    """
    try:
        definition = _DECODER.decode(orjson.dumps(text) if isinstance(text, dict) else text or "{}")
    except msgspec.MsgspecError as error:
        raise HubError(f"a pipeline definition of the Control Hub is not understood: {error}") from error
    stages = definition.stages or []
    data_lanes = {lane for stage in stages for lane in stage.output_lanes or []}
    origin = next((stage for stage in stages if not stage.input_lanes), _Stage())
    event_lanes = set(origin.event_lanes or [])
    fed = [set(stage.input_lanes or []) for stage in stages]
    metadata = definition.metadata or _Metadata()
    return Shape(
        fragment_id=definition.fragment_id or "",
        stages=len(stages),
        branches=sum(
            bool(lanes & data_lanes) and not stage.output_lanes
            for stage, lanes in zip(stages, fed, strict=True)
        ),
        event_lane=any(lanes & event_lanes for lanes in fed),
        labels=list(metadata.labels or []),
        parameters=_constants(definition.configuration or []),
        fragment_ids=[
            str((fragment.metadata or _Metadata()).pipeline_id or fragment.fragment_id)
            for fragment in definition.fragments or []
        ],
        connection_ids=_connections(metadata.connections),
    )


class _Metadata(Struct):
    labels: list[str] | None = None
    pipeline_id: str | None = msgspec.field(default=None, name="dpm.pipeline.id")
    connections: Any = msgspec.field(default=None, name=CONNECTIONS)


class _Stage(Struct, rename="camel"):
    input_lanes: list[str] | None = None
    output_lanes: list[str] | None = None
    event_lanes: list[str] | None = None


class _Fragment(Struct, rename="camel"):
    fragment_id: str | None = None
    metadata: _Metadata | None = None


class _Entry(Struct):
    name: str | None = None
    value: Raw = Raw(b"null")


class _Definition(Struct):
    fragment_id: str | None = msgspec.field(default=None, name="fragmentId")
    stages: list[_Stage] | None = None
    fragments: list[_Fragment] | None = None
    configuration: list[_Entry] | None = None
    metadata: _Metadata | None = None


_DECODER = msgspec.json.Decoder(_Definition)


def _constants(configuration: list[_Entry]) -> dict[str, str]:
    value = next((entry.value for entry in configuration if entry.name == "constants"), Raw(b"null"))
    return {str(constant["key"]): str(constant["value"]) for constant in msgspec.json.decode(value) or []}


def _connections(value: Any) -> list[str]:
    """Return the ids in a text joined by commas; a hub takes no connection from a value of another type."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else []
