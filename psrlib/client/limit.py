"""How many requests may be under way at once: grows while the hub keeps up, shrinks when it does not."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

log = logging.getLogger(__name__)

START = 4  # requests under way at the beginning
LARGEST = 32  # upper bound; measurements.md, section 3: 32 threads already saturate one client core
TOLERATED_RISE = 2.0  # answer time over the best one seen, above which the hub counts as loaded
BEST_DECAY = 1.02  # growth of the remembered best answer time per window, so an old optimum is forgotten
PAUSE_S = 1.0  # shortest time between two reductions: one overload gives many bad answers at once
TOLD_S = 1.0  # shortest wait for a hub that throttles, of which people are told
THROTTLED = "waiting for the hub (throttled)"


class AdaptiveLimit:
    """Bound on concurrent requests, additive increase and multiplicative decrease with a doubling start.

    Parameters
    ----------
    fixed : int or None
        Keep exactly this bound; None adapts between 1 and `LARGEST`.
    clock, sleep : callable or None
        Time in seconds, and waiting for some; None takes the real ones.

    Attributes
    ----------
    largest : int
        Requests that may ever be under way at once; threads beyond it would only wait.
    n_paused : int
        Requests that were refused or lost and wait for their next attempt.
    peak : int
        The most requests that were under way at once.
    closed_s : float
        Seconds in which the hub throttled, so that nothing was sent.
    interrupted : Event
        Set, nothing is waited for any more: what would be sent again ends instead.
    tell : callable
        Takes True when the hub throttles and is waited for, and False when it answers again.

    Notes
    -----
    A window is as many answers as the limit allows at once. When a window's mean answer time stays within
    ``TOLERATED_RISE`` times the best window, the limit grows (doubling until the first reduction, then by
    one); otherwise it shrinks by a tenth. An overload answer (429, 503) or a lost connection halves it.

    A hub that throttles (429) counts all calls together, so all wait until the time that it names.
    """

    def __init__(
        self,
        fixed: int | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.interrupted = threading.Event()
        self.tell: Callable[[bool], None] = _tell
        self._clock = clock
        self._sleep = sleep or self.interrupted.wait
        self._closed_until = 0.0
        self.closed_s = 0.0
        self._throttled_since: float | None = None
        self._told = False
        self._fixed = fixed is not None
        self.largest = fixed or LARGEST
        self._limit = float(fixed or START)
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

    def __enter__(self) -> float:
        """Wait for a free place and hold it for one request; return when it was found, by the clock."""
        with self._lock:
            while self._in_flight >= self.limit:
                self._free.wait()
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            return self._clock()

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
            self._sleep(duration_s)
        finally:
            with self._lock:
                self.n_paused -= 1

    def wait_open(self) -> float:
        """Wait while the hub throttles; return the seconds that it took."""
        began = self._clock()
        while (left_s := self._closed_until - self._clock()) > 0 and not self.interrupted.is_set():
            with self._lock:
                is_news = left_s >= TOLD_S and not self._told
                self._told |= is_news
            if is_news:
                self.tell(True)
            self._sleep(left_s)
        return self._clock() - began

    def throttled(self, pause_s: float) -> float:
        """Note an answer 429: nothing is sent for a while.

        Returns the seconds since the first such answer in a row, until that while is over.
        """
        self.overloaded()
        with self._lock:
            now = self._clock()
            self.closed_s += max(0.0, now + pause_s - max(self._closed_until, now))
            self._closed_until = max(self._closed_until, now + pause_s)
            if self._throttled_since is None:
                self._throttled_since = now
            return now + pause_s - self._throttled_since

    def answered(self, duration_s: float, sent_at: float) -> None:
        """Note a normal answer that took ``duration_s`` seconds, to what was sent at ``sent_at``.

        What was sent before the hub throttled, and is answered after, does not say that it answers again.
        """
        self._throttled_since = None
        if self._told and sent_at >= self._closed_until:
            self._told = False
            self.tell(False)
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
            if self._fixed or self._clock() - self._reduced_at < PAUSE_S:
                return
            self._reduced_at = self._clock()
            self._doubling = False
            self._limit = max(1.0, self._limit / 2)


def _tell(waits: bool) -> None:
    if waits:
        log.warning(THROTTLED)
