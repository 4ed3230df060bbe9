"""How many requests may be under way at once: grows while the hub keeps up, shrinks when it does not."""

import threading
from time import monotonic, sleep

START = 4  # requests under way at the beginning
LARGEST = 32  # upper bound; measurements.md, section 3: 32 threads already saturate one client core
TOLERATED_RISE = 2.0  # answer time over the best one seen, above which the hub counts as loaded
BEST_DECAY = 1.02  # growth of the remembered best answer time per window, so an old optimum is forgotten
PAUSE_S = 1.0  # shortest time between two reductions: one overload gives many bad answers at once


class AdaptiveLimit:
    """Bound on concurrent requests, additive increase and multiplicative decrease with a doubling start.

    Parameters
    ----------
    fixed : int or None
        Keep exactly this bound; None adapts between 1 and ``largest``.
    largest : int
        Upper bound while adapting.

    Attributes
    ----------
    largest : int
        Requests that may ever be under way at once; threads beyond it would only wait.
    n_paused : int
        Requests that were refused or lost and wait for their next attempt.
    peak : int
        The most requests that were under way at once.

    Notes
    -----
    A window is as many answers as the limit allows at once. When a window's mean answer time stays within
    ``TOLERATED_RISE`` times the best window, the limit grows (doubling until the first reduction, then by
    one); otherwise it shrinks by a tenth. An overload answer (429, 503) or a lost connection halves it.
    """

    def __init__(self, fixed: int | None = None, largest: int = LARGEST) -> None:
        self._fixed = fixed is not None
        self.largest = fixed or largest
        self._limit = float(fixed or min(START, largest))
        self._in_flight = 0
        self._doubling = True
        self._best_s: float | None = None
        self._window: list[float] = []
        self._reduced_at = -PAUSE_S
        self.n_paused = 0
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self.peak = 0

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return max(1, int(self._limit))

    def __enter__(self) -> None:
        """Wait for a free place and hold it for one request."""
        with self._lock:
            while self._in_flight >= self.limit:
                self._free.wait()
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)

    def __exit__(self, *_: object) -> None:
        """Give the place back."""
        with self._lock:
            self._in_flight -= 1
            self._free.notify()

    def pause(self, duration_s: float) -> None:
        """Wait before the next attempt; meanwhile others may send."""
        with self._lock:
            self.n_paused += 1
        try:
            sleep(duration_s)
        finally:
            with self._lock:
                self.n_paused -= 1

    def answered(self, duration_s: float) -> None:
        """Note a normal answer that took ``duration_s`` seconds."""
        if self._fixed:
            return
        with self._lock:
            self._window.append(duration_s)
            if len(self._window) < self.limit:
                return
            mean_s = sum(self._window) / len(self._window)
            self._window.clear()
            self._best_s = mean_s if self._best_s is None else min(mean_s, self._best_s * BEST_DECAY)
            if mean_s <= TOLERATED_RISE * self._best_s:
                grown = self._limit * 2 if self._doubling else self._limit + 1
                self._limit = min(grown, float(self.largest))
                self._free.notify_all()
            else:
                self._doubling = False
                self._limit = max(1.0, self._limit * 0.9)

    def overloaded(self) -> None:
        """Note an answer 429 or 503, or a connection that failed."""
        with self._lock:
            if self._fixed or monotonic() - self._reduced_at < PAUSE_S:
                return
            self._reduced_at = monotonic()
            self._doubling = False
            self._limit = max(1.0, self._limit / 2)
