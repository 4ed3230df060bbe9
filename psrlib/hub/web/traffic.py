"""Requests and the times of their answers, counted as they leave."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

OTHER = "other"  # paths that belong to no app, unknown ones too
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Traffic:
    """What was answered since the start of the hub.

    Attributes
    ----------
    requests : dict
        Number by app and status.
    waits : dict
        By app: how many answers took as long as each of `BOUNDS_S` at most, and more than the one before; the
        last number is of those that took longer. Seconds from the request to the end of its answer.
    seconds : dict
        By app: their sum.
    """

    def __init__(self, apps: Iterable[str]) -> None:
        self._apps = frozenset(apps)
        self.requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.waits: dict[str, list[int]] = {app: [0] * (len(BOUNDS_S) + 1) for app in (*self._apps, OTHER)}
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def note(self, path: str, status: int, seconds: float) -> None:
        """Count an answer; called for every request, so it does as little as it can.

        Examples
        --------
        >>> traffic = Traffic(["security"])
        >>> traffic.note("/security/rest/v1/currentUser", 200, 0.002)
        >>> traffic.note("/no/such/path", 501, 0.0)
        >>> dict(traffic.requests), traffic.waits["security"][:3]
        ({('security', 200): 1, ('other', 501): 1}, [0, 1, 0])
        """
        app = path[1:].partition("/")[0]
        if app not in self._apps:
            app = OTHER
        self.requests[app, status] += 1
        self.waits[app][bisect_left(BOUNDS_S, seconds)] += 1
        self.seconds[app] += seconds
