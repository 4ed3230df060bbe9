"""Bounds of a model file: it may come from a stranger, and what it draws is built in memory."""

from collections.abc import Sequence
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from psrlib.bounds import (
    MAX_COMMITS,
    MAX_DEFINITION_BYTES,
    MAX_ENTITIES,
    MAX_INSTANCES,
    MAX_PARAMETERS,
    MAX_STAGES,
    MAX_WORDS,
    Line,
    Name,
)
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import INACTIVE
from psrlib.model.specs import ColumnSpec
from psrlib.scale import SHARE_ONE, Scale
from psrlib.words import COUNTS

MAX_ARCHETYPES = 1000
MAX_METRICS = 200  # of an archetype; each takes 16 bytes per organization that is drawn at once
MAX_DEPTH = 64  # of a tree; those that are fitted have at most 30
MAX_CELLS = 1024  # of a metric; those that are fitted have some hundred at most
MAX_TABLE = 10**6  # weights of all leaves of a tree
LARGEST = 10**12  # of a limit, or of a metric that no entity is made of


def _whole(low: int, high: int) -> Any:
    return Annotated[int, Meta(ge=low, le=high)]


# detail -> type of its values
_DETAILS: dict[str, Any] = {
    "pipeline_shape": GenericAlias(
        tuple, (_whole(2, MAX_STAGES), _whole(1, MAX_STAGES), _whole(0, 1), _whole(0, MAX_PARAMETERS))
    ),
    "commits": _whole(1, MAX_COMMITS),
    "pipeline_labels": _whole(0, MAX_WORDS),
    "job_tags": _whole(0, MAX_WORDS),
    "job_instances": _whole(1, MAX_INSTANCES),
    "schedule_cron": Line,
    "schedule_action": Literal["START", "STOP", "UPGRADE"],
    "subscription_event": Name,
    "subscription_action": Literal["WEBHOOK", "EMAIL"],
    "user_roles": Annotated[list[Name], Meta(max_length=MAX_WORDS)],
}

# kind, column of the inside -> smallest and largest number, or type of its texts
NUMBERS = {
    ("pipelines", "stages"): (2, MAX_STAGES),
    ("pipelines", "commits"): (1, MAX_COMMITS),
    ("pipelines", "labels"): (0, MAX_WORDS),
    ("pipelines", "parameters"): (0, MAX_PARAMETERS),
    ("pipelines", "definition_bytes"): (0, MAX_DEFINITION_BYTES),
    ("jobs", "instances"): (1, MAX_INSTANCES),
    ("jobs", "engine_labels"): (0, MAX_WORDS),
    ("jobs", "tags"): (0, MAX_WORDS),
    ("subscriptions", "enabled"): (0, 1),
    ("users", "roles"): (0, MAX_WORDS),
    ("users", "groups"): (0, MAX_WORDS),
}
_TEXTS: dict[tuple[str, str], Any] = {
    ("scheduled_tasks", "cron"): _DETAILS["schedule_cron"],
    ("scheduled_tasks", "action"): _DETAILS["schedule_action"],
    ("subscriptions", "event"): _DETAILS["subscription_event"],
    ("subscriptions", "action"): _DETAILS["subscription_action"],
}


def check_names(model: str, archetypes: Sequence[str]) -> None:
    """Check the name of a model and those of its archetypes, which documents repeat.

    Raises
    ------
    ValueError
        If one is too long, blank or has control characters, or there are too many archetypes.
    """
    msgspec.convert(model, Line)
    msgspec.convert(list(archetypes), Annotated[list[Name], Meta(max_length=MAX_ARCHETYPES)])


def check_metrics(names: Sequence[str]) -> None:
    """Check the names of an archetype's metrics; ValueError if there are too many, or one is no name."""
    msgspec.convert(list(names), Annotated[list[Name], Meta(max_length=MAX_METRICS)])


def check_range(name: str, marginal: Marginal, scale: Scale) -> None:
    """Check what a metric or limit can be on its scale; ValueError beyond its bound.

    A count that a scale makes larger than its bound is drawn as the bound.
    """
    largest = largest_on(name, scale)
    found = max(int(marginal.high.max()), -int(marginal.low.min()))
    if found > largest:
        raise ValueError(f"can be {found}; expected at most {largest}")


def largest_on(name: str, scale: Scale) -> int:
    """Return the largest number that a metric may have on a scale: of shares that all its entities to one.

    A share times the largest base stays within 63 bits.
    """
    if scale.kind != "share":
        return largest_of(name)
    return min(largest_of(name) * SHARE_ONE, (1 << 62) // largest_of(scale.base))


def largest_of(name: str) -> int:
    """Return the largest value that a metric or limit may have."""
    return MAX_ENTITIES if name in (*COUNTS, INACTIVE, "fragments") else LARGEST


def check_column(kind: str, name: str, column: ColumnSpec) -> None:
    """Check the values of a column of the inside; ValueError for one that is unknown or beyond its bound."""
    if (kind, name) in _TEXTS and column.texts is not None:
        msgspec.convert(list(column.texts), GenericAlias(list, _TEXTS[kind, name]))
        low, high = 0, len(column.texts) - 1
    elif (kind, name) in NUMBERS and column.texts is None:
        low, high = NUMBERS[kind, name]
    else:
        raise ValueError(f"{kind} have no column {name} of this type")
    for table in column.tables:
        smallest, largest = min(table.low), max(table.high or table.low)
        if smallest < low or largest > high:
            raise ValueError(f"{kind}.{name} can be {smallest} to {largest}; expected {low} to {high}")


def check_values(name: str, values: Sequence[Any]) -> None:
    """Check the values of a detail table; ValueError for one of another type or beyond its bound."""
    if name in _DETAILS:
        msgspec.convert(list(values), GenericAlias(list, _DETAILS[name]))
    if name == "pipeline_shape":
        for stages, branches, event_lane, _ in values:
            if branches > stages - 1 - event_lane:
                raise ValueError(
                    f"{[stages, branches, event_lane]}: {stages} stages have room for at most"
                    f" {stages - 1 - event_lane} branches"
                )
