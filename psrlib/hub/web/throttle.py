"""How many calls an organization may make a second."""

from psrlib.hub.web.access import Principal
from psrlib.hub.web.issues import IssueError

SECOND_MS = 1000


class Throttle:
    """Refuses calls of users beyond a number a second and organization; those of engines never.

    Parameters
    ----------
    calls_per_s : int
        0 for any number.
    """

    def __init__(self, calls_per_s: int = 0) -> None:
        self.calls_per_s = calls_per_s
        self._second = 0
        self._counts: dict[str, int] = {}  # of this second, by organization

    def take(self, caller: Principal, now_ms: int) -> None:
        """Count a call; IssueError 429, without Retry-After, when it is one too many."""
        if not self.calls_per_s or caller.is_component:
            return
        second = now_ms // SECOND_MS
        if second != self._second:
            self._second, self._counts = second, {}
        count = self._counts[caller.organization] = self._counts.get(caller.organization, 0) + 1
        if count > self.calls_per_s:
            message = f"more than {self.calls_per_s} calls a second of organization '{caller.organization}'"
            raise IssueError(429, "SECURITY_06", message)
