"""Time for a fleet: the system's, or any other clock of the same two methods."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

TICK_S = 0.02  # how exactly a fleet keeps its schedule


class Clock(Protocol):
    """What a fleet needs of time."""

    def now_ms(self) -> int:
        """Return epoch milliseconds; never runs backwards."""

    async def wait(self, until_ms: int | None, is_busy: Callable[[], bool]) -> None:
        """Let time pass, at most until ``until_ms``; ``is_busy`` tells whether exchanges are under way."""


class SystemClock:
    """Real time, steady even when somebody sets the computer's clock."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        return int((self._offset_s + time.monotonic()) * 1000)

    async def wait(self, until_ms: int | None, is_busy: Callable[[], bool]) -> None:
        """Sleep for one tick."""
        await asyncio.sleep(TICK_S)
