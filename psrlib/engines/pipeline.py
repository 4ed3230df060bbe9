"""One job pipeline on an engine: its state, its offset and what is due to happen to it."""

import json
from typing import Any

import msgspec

from psrlib.engines.definition import Definition
from psrlib.engines.statuses import ACTIVE

OFFSET_KEY = "$com.streamsets.datacollector.pollsource.offset$"
# A real engine prints its offsets over several lines.
NO_OFFSET = '{\n  "version" : 2,\n  "offsets" : { }\n}'
NO_ISSUES = '{"pipelineIssues":[],"stageIssues":{},"issueCount":0}'
_PROCESSING = frozenset({"RUNNING", "FINISHING", "STOPPING"})


class Deletion(msgspec.Struct):
    """A STOP_DELETE under way: the event to acknowledge, and when patience ends."""

    event_id: str
    force_at_ms: int


class Pipeline(msgspec.Struct, kw_only=True):
    """A pipeline saved by the hub.

    ``stretch_ms`` is when the current stretch of processing began (None: none); ``counted`` the batches of
    this run before it, kept over automatic retries; ``offset_base`` the batches that the offset counts
    before it, None when the offset is not ours to count on. ``next_*`` is the transition that is due,
    ``retries`` how many automatic ones this run has had, ``held_bytes`` what is counted for holding it.
    """

    name: str
    rev: str
    definition: Definition
    state: str = "EDITED"
    since_ms: int = 0
    message: str | None = None
    offset: str = NO_OFFSET
    offset_base: int | None = 0
    counted: int = 0
    retries: int = 0
    stretch_ms: int | None = None
    next_state: str | None = None
    next_at_ms: int = 0
    next_message: str | None = None
    validation: str | None = None
    deletion: Deletion | None = None
    metrics_at_ms: int | None = None
    held_bytes: int = 0

    @property
    def active(self) -> bool:
        """Whether the state is one of the active ones."""
        return self.state in ACTIVE

    def batches(self, now_ms: int) -> int:
        """Return the number of batches since the pipeline was last started."""
        return self.counted + self._stretch(now_ms)

    def enter(self, state: str, at_ms: int, message: str | None = None) -> None:
        """Change the state; leaving the processing states freezes offset and totals."""
        if state not in _PROCESSING:
            self.freeze(at_ms)
        if state == "RUNNING":
            self.stretch_ms = at_ms
        self.state, self.since_ms, self.message = state, at_ms, message
        self.next_state = None

    def freeze(self, at_ms: int) -> None:
        """End the stretch of processing: offset and totals stay what they are at this moment."""
        if self.stretch_ms is not None:
            self.offset, self.counted = self.offset_at(at_ms), self.batches(at_ms)
            self.offset_base, self.stretch_ms = read_offset(self.offset), None

    def offset_at(self, now_ms: int) -> str:
        """Return the offset text at a moment (engine-protocol, 9.3)."""
        if self.offset_base is None or self.stretch_ms is None:
            return self.offset
        return offset_text(self.offset_base + self._stretch(now_ms))

    def report(self, now_ms: int, *, full: bool = False) -> dict[str, Any]:
        """Return the state as the wire has it: event 2000, or with ``full`` an element of event 2002 (6.2).

        Only the full report tells how a validation went.
        """
        validation = self.validation if full else None
        return {
            "name": self.name,
            "title": self.definition.title,
            "rev": self.rev,
            "timeStamp": self.since_ms,
            "remote": True,
            "pipelineStatus": self.state,
            "message": self.message,
            "validationStatus": validation,
            "issues": NO_ISSUES if validation else "null",
            "workerInfos": [],
            "clusterMode": False,
            "offset": self.offset_at(now_ms),
            "offsetProtocolVersion": 2,
            "acl": None,
            "runnerCount": 1 if self.state in _PROCESSING else 0,
        }

    def _stretch(self, now_ms: int) -> int:
        if self.stretch_ms is None:
            return 0
        return max(0, now_ms - self.stretch_ms) // self.definition.batch_ms


def offset_text(batches: int) -> str:
    """Return the offset of an origin that counts its batches.

    Examples
    --------
    >>> read_offset(offset_text(7))
    7
    """
    return f'{{\n  "version" : 2,\n  "offsets" : {{\n    "{OFFSET_KEY}" : "{batches}"\n  }}\n}}'


def read_offset(text: str) -> int | None:
    """Return the batches that an offset counts: 0 for an empty one, None when it is not our counting."""
    try:
        offsets = json.loads(text)["offsets"]
        return int(offsets[OFFSET_KEY]) if offsets else 0
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def received_offset(text: str | None, protocol_version: int) -> str:
    """Return the offset to start from: as sent for version 2, wrapped for older ones (9.3)."""
    if text is None:
        return NO_OFFSET
    if protocol_version >= 2:
        return text
    return json.dumps({"version": 2, "offsets": {OFFSET_KEY: text}}, separators=(",", ":"))
