"""Count of the HTTP requests sent, per kind of entity."""

import threading
from collections import Counter
from collections.abc import Mapping


class CallCounter:
    """Requests sent per kind (``users``, ``pipelines``, ``sessions``, ...), repeats included; thread-safe.

    ``waited_s`` adds up the seconds until each answer came; connections overlap. ``received_bytes`` adds up
    the bodies of the answers.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.waited_s = 0.0
        self.received_bytes = 0
        self._lock = threading.Lock()

    def add(self, kind: str) -> None:
        """Count one request of a kind."""
        with self._lock:
            self._counts[kind] += 1

    def add_all(self, counts: Mapping[str, int]) -> None:
        """Count requests that another machine sent, per kind."""
        with self._lock:
            self._counts.update(counts)

    def add_answer(self, duration_s: float, n_bytes: int) -> None:
        """Add the time that an answer took, and the length of its body."""
        with self._lock:
            self.waited_s += duration_s
            self.received_bytes += n_bytes

    @property
    def total(self) -> int:
        """All requests sent so far."""
        with self._lock:
            return self._counts.total()

    def by_kind(self) -> dict[str, int]:
        """Return the number of requests per kind, in the order of the names."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def since(self, earlier: dict[str, int]) -> dict[str, int]:
        """Return the requests per kind sent after ``earlier = by_kind()``; kinds without any are left out.

        Examples
        --------
        >>> calls = CallCounter()
        >>> before = calls.by_kind()
        >>> calls.add("users")
        >>> calls.since(before)
        {'users': 1}
        """
        return dict(Counter(self.by_kind()) - Counter(earlier))
