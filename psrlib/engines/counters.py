"""Counts of what a fleet did: requests, answers, lateness."""

from bisect import bisect_left

from psrlib.engines.exchange import IO_ERROR, Answer

# Upper bounds of the lateness histogram, milliseconds.
LATENESS_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000, 60_000)


class Counters:
    """Totals since the fleet's process began; their size does not grow with time."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}  # by kind
        self.errors: dict[str, int] = {}  # by "kind reason"
        self.lateness = [0] * (len(LATENESS_MS) + 1)  # of polls, by bound
        self.longest_late_ms = 0

    def count(self, kind: str, answer: Answer) -> None:
        """Count one exchange."""
        self.requests[kind] = self.requests.get(kind, 0) + 1
        if answer.status not in (200, 201):
            reason = answer.fault if answer.status == IO_ERROR else f"HTTP {answer.status}"
            self.add_error(f"{kind}: {reason}")

    def add_error(self, name: str) -> None:
        """Count an error under a name."""
        self.errors[name] = self.errors.get(name, 0) + 1

    def note_lateness(self, late_ms: int) -> None:
        """Count how long after its time a poll began."""
        self.lateness[bisect_left(LATENESS_MS, late_ms)] += 1
        self.longest_late_ms = max(self.longest_late_ms, late_ms)


def quantile_s(histogram: list[int], share: float) -> float:
    """Return the upper bound in seconds of a quantile of a lateness histogram (0.0 when empty).

    Examples
    --------
    >>> quantile_s([0, 0, 99, 1] + [0] * 16, 0.99)
    0.005
    """
    wanted = share * sum(histogram)
    seen = 0
    for bound, number in zip((*LATENESS_MS, 10 * LATENESS_MS[-1]), histogram, strict=True):
        seen += number
        if seen >= wanted and seen:
            return bound / 1000
    return 0.0
