"""What a pipeline definition on a hub says in the words of the seed document."""

from dataclasses import dataclass
from typing import Any

import orjson

from psrlib.client.wire import Json


@dataclass(frozen=True)
class Shape:
    """Numbers and names read back from a pipeline definition; see `psrlib.seed.document.Pipeline`."""

    stages: int
    branches: int
    event_lane: bool
    labels: list[str]
    parameters: dict[str, str]
    fragment_ids: list[str]
    connection_ids: list[str]


def parse(text: Any) -> Json:
    """Return JSON text (or an object already parsed) as an object; {} for nothing."""
    if isinstance(text, dict):
        return text
    return orjson.loads(text) if text else {}


def read_shape(definition: Json) -> Shape:
    """Return the shape of a ``pipelineConfig`` or ``pipelineFragmentConfig``.

    Branches are the stages without outgoing lane that are fed by a data lane; the origin is the first stage
    without incoming lane.
    """
    stages = definition.get("stages") or []
    data_lanes = {lane for stage in stages for lane in stage.get("outputLanes") or []}
    origin: Json = next((stage for stage in stages if not stage.get("inputLanes")), {})
    event_lanes = set(origin.get("eventLanes") or [])
    fed = [set(stage.get("inputLanes") or []) for stage in stages]
    metadata = definition.get("metadata") or {}
    constants = next(
        (c.get("value") for c in definition.get("configuration") or [] if c.get("name") == "constants"), None
    )
    return Shape(
        stages=len(stages),
        branches=sum(
            bool(lanes & data_lanes) and not stage.get("outputLanes")
            for stage, lanes in zip(stages, fed, strict=True)
        ),
        event_lane=any(lanes & event_lanes for lanes in fed),
        labels=list(metadata.get("labels") or []),
        parameters={str(entry["key"]): str(entry["value"]) for entry in constants or []},
        fragment_ids=[
            str(fragment.get("metadata", {}).get("dpm.pipeline.id") or fragment.get("fragmentId"))
            for fragment in definition.get("fragments") or []
        ],
        connection_ids=_connections(metadata.get("dpm.pipeline.connections")),
    )


def _connections(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part for part in value.split(",") if part]
    return [str(part) for part in value or []]
