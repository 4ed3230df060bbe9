"""A session that can only read, slowly."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from psrlib.client import ControlHub
from psrlib.client.apps.connection import Connections
from psrlib.client.apps.jobrunner import JobRunner
from psrlib.client.apps.notification import Notification
from psrlib.client.apps.pipelinestore import PipelineStore
from psrlib.client.apps.scheduler import Scheduler
from psrlib.client.apps.security import Security
from psrlib.client.apps.topology import Topologies
from psrlib.client.transport import Answer, Upload
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


class ReadingSession:
    """A session's view of one organization that refuses every call that could change something.

    Parameters
    ----------
    hub : ControlHub
        A system administrator's session, which may look into other organizations, or one of the organization.
    organization : str
        The organization that listings name.
    pace : Pace
        Shared by all sessions of a collection.
    """

    def __init__(self, hub: ControlHub, organization: str, pace: Pace) -> None:
        self._hub = hub
        self._organization = organization
        self._pace = pace
        self.security = Security(self)
        self.pipelinestore = PipelineStore(self)
        self.jobrunner = JobRunner(self)
        self.scheduler = Scheduler(self)
        self.notification = Notification(self)
        self.topology = Topologies(self)
        self.connection = Connections(self)

    @property
    def organization(self) -> str:
        """The organization that listings name."""
        return self._organization

    def call(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        upload: Upload | None = None,
        repeatable: bool | None = None,
    ) -> Any:
        """Send a reading request and return the parsed body; see `ControlHub.call`."""
        found = self.answer(
            method, path, kind=kind, query=query, body=body, upload=upload, repeatable=repeatable
        )
        return found.body

    def answer(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        upload: Upload | None = None,
        repeatable: bool | None = None,
    ) -> Answer:
        """Send a reading request when its turn comes.

        Raises
        ------
        HubError
            If the request is not one that only reads; it is not sent.
        """
        if upload is not None or not (method == "GET" or (method == "POST" and path in READING_POSTS)):
            raise HubError(f"{method} {path} was not sent: this session only reads")
        self._pace.wait()
        return self._hub.answer(method, path, kind=kind, query=query, body=body, repeatable=True)
