"""A session that can only read, slowly."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.session import Session
from psrlib.client.wire import Json
from psrlib.errors import HubError

READING_POSTS = ("/pipelinestore/rest/v1/pipelineCommit",)  # ids in the body, changes nothing (4.1)


class Pace:
    """Lets through at most ``rate_per_s`` requests a second, evenly spaced, whatever the thread."""

    def __init__(
        self,
        rate_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate_per_s = rate_per_s
        self._interval_s = 1 / rate_per_s
        self._clock, self._sleep = clock, sleep
        self._next = clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            now = self._clock()
            at = max(self._next, now)
            self._next = at + self._interval_s
        if at > now:
            self._sleep(at - now)


class ReadingSession(Session):
    """A session's view of one organization that refuses every call that could change something.

    ``hub`` is the session of a system administrator, who may look into other organizations, or of a member of
    the organization, which is named by the hub's id; all sessions of a collection share their pace.
    """

    def __init__(self, hub: ControlHub, organization: str, pace: Pace) -> None:
        super().__init__()
        self._hub = hub
        self._organization = organization
        self._pace = pace

    @property
    def organization(self) -> str:
        """The organization that listings name."""
        return self._organization

    def answer(self, request: Request) -> Answer:
        """Send a reading request when its turn comes.

        Raises
        ------
        HubError
            If the request is not one that only reads; it is not sent.
        """
        reads = request.method == "GET" or (request.method == "POST" and request.path in READING_POSTS)
        if request.upload is not None or not reads:
            raise HubError(f"{request} was not sent: this session only reads")
        self._pace.wait()
        return self._hub.answer(replace(request, repeatable=True))

    def rows(self, request: Request) -> list[Json]:
        """Return all rows of a listing; each page waits for its turn."""
        return self._hub.dialect.rows(self.answer, request)
