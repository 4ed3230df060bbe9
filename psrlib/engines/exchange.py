"""One HTTP exchange of an engine, and what the fleet needs to know of whoever makes it."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

IO_ERROR = 0  # status of an answer that never came


class Request(NamedTuple):
    """A POST to the hub; ``kind`` names it in counters, ``body`` is None when there is none."""

    kind: str
    base: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


class Answer(NamedTuple):
    """What came back; ``status`` is ``IO_ERROR`` when nothing did, then ``body`` is the reason."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Lane(Protocol):
    """A sequence of exchanges of one engine: one at a time, the next one at ``due_ms`` (None: not now)."""

    due_ms: int | None
    queued_ms: int | None
    """For the fleet: when the lane stands in its schedule, None while an exchange is under way."""

    def next_request(self, now_ms: int) -> Request | None:
        """Return the request to make now, or None when there is none after all."""

    def take_answer(self, request: Request, answer: Answer, now_ms: int) -> None:
        """Take the answer in and fix ``due_ms``."""
