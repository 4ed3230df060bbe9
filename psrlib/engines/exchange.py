"""One HTTP exchange of an engine, and what the fleet needs to know of whoever makes it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from psrlib.engines.engine import Engine
from psrlib.engines.wire import component_headers

IO_ERROR = 0  # status of an answer that never came


class Request(NamedTuple):
    """A POST to the hub; ``kind`` names it in counters, ``body`` is None when there is none."""

    kind: str
    base: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


class Answer(NamedTuple):
    """What came back; ``status`` is ``IO_ERROR`` when nothing usable did.

    Then ``fault`` names what is counted, in few words, and ``body`` may say more.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    fault: str = "no answer"


class Lane(ABC):
    """A sequence of exchanges of one engine: one at a time, the next one at ``due_ms`` (None: not now)."""

    def __init__(self, engine: Engine, due_ms: int | None) -> None:
        self.engine = engine
        self.due_ms = due_ms
        self.queued_ms: int | None = None  # for the fleet: its place in the schedule
        self._headers = component_headers(engine.identity)

    @abstractmethod
    def next_request(self, now_ms: int) -> Request | None:
        """Return the request to make now, or None when there is none after all."""

    @abstractmethod
    def take_answer(self, request: Request, answer: Answer, now_ms: int) -> None:
        """Take the answer in and fix ``due_ms``."""
