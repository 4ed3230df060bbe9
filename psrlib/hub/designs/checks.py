"""The form of a pipeline's definition: what in it has another type than real definitions have."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call


class Setting(Struct):
    """A configuration entry of a pipeline or stage."""

    name: str
    value: Any = None


class Stage(Struct, rename="camel"):
    """A stage, as far as its form is the same for all (control-hub-rest.md, 4.4)."""

    instance_name: str | None = None
    library: str | None = None
    stage_name: str | None = None
    stage_version: str | None = None
    configuration: list[Setting] | None = None
    ui_info: Json | None = None
    input_lanes: list[str] | None = None
    output_lanes: list[str] | None = None
    event_lanes: list[str] | None = None
    services: list[Json] | None = None


class Definition(Struct, rename="camel"):
    """A pipeline or fragment (pipeline-json.md, section 2); its metadata is looked at one by one."""

    schema_version: int | None = None
    version: int | None = None
    pipeline_id: str | None = None
    fragment_id: str | None = None
    title: str | None = None
    description: str | None = None
    uuid: str | None = None
    configuration: list[Setting] | None = None
    ui_info: Json | None = None
    fragments: list[Json] | None = None
    stages: list[Stage] | None = None
    error_stage: Stage | None = None
    stats_aggregator_stage: Stage | None = None
    test_origin_stage: Stage | None = None
    start_event_stages: list[Stage] | None = None
    stop_event_stages: list[Stage] | None = None
    info: Json | None = None
    metadata: Json | None = None
    valid: bool | None = None
    previewable: bool | None = None
    issues: Json | None = None


def check_definition(call: Call, definition: Json) -> None:
    """Note the wrong types in a definition; a strict hub refuses it with 400 naming the first."""
    for name, detail in wrong_types(definition):
        call.note("wrong type", name, detail)


def wrong_types(definition: Json) -> Iterator[tuple[str, str]]:
    """Yield the name of each value of a wrong type in a definition, and what is wrong with it.

    The labels are a list of texts, what the hub writes into the metadata (``dpm.…``, ``last…Id``) is text
    throughout, the connections too: ids joined by commas. Other metadata is text, a number or a boolean. Of
    the rest of a definition the first wrong type is told.

    Examples
    --------
    >>> list(wrong_types({"metadata": {"dpm.pipeline.connections": ["a:acme"]}}))
    [('metadata.dpm.pipeline.connections', ': expected a text, received a list')]
    """
    try:
        msgspec.convert(definition, Definition)
    except msgspec.ValidationError as error:
        yield "pipelineDefinition", f": {error}"
    metadata = definition.get("metadata")
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        expected = _expected(name, value)
        if expected:
            yield f"metadata.{name}", f": expected {expected}, received {_received(value)}"


def _expected(name: str, value: Any) -> str:
    """Return what a metadata value should have been; empty when it is right."""
    if value is None:
        return ""
    if name == "labels":
        right = isinstance(value, list) and all(isinstance(text, str) for text in value)
        return "" if right else "a list of texts"
    if name.startswith("dpm.") or name in ("lastConfigId", "lastRulesId"):
        return "" if isinstance(value, str) else "a text"
    return "a text, a number or a boolean" if isinstance(value, list | dict) else ""


def _received(value: Any) -> str:
    kinds = {str: "a text", bool: "a boolean", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")
