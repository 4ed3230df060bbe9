"""A hub that allows so many calls in each window of time, and a clock that a test moves."""

import threading
from typing import Any


class FakeClock:
    """Time that passes only while somebody waits; all threads share it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        """Let time pass."""
        until = self.now_s + duration_s
        with self._lock:
            self.now_s = max(self.now_s, until)


class Throttling:
    """An ASGI application around a hub that answers 429 beyond ``allowed`` calls a window.

    ``names_time`` says whether the answer has a Retry-After.
    """

    def __init__(
        self, app: Any, clock: FakeClock, allowed: int, window_s: float = 60.0, names_time: bool = True
    ) -> None:
        self._app = app
        self._clock = clock
        self._allowed = allowed
        self._window_s = window_s
        self._names_time = names_time
        self._window = -1
        self._used = 0
        self.n_refused = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection event, or refuse it."""
        if scope["type"] == "http":
            window, left_s = divmod(self._clock(), self._window_s)
            if window != self._window:
                self._window, self._used = int(window), 0
            self._used += 1
            if self._used > self._allowed:
                self.n_refused += 1
                headers = [(b"content-length", b"0")]
                if self._names_time:
                    headers.append((b"retry-after", str(int(self._window_s - left_s) + 1).encode()))
                await send({"type": "http.response.start", "status": 429, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)
