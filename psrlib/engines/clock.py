"""Time for a fleet; tests put another clock in its place."""

import asyncio
import time
from collections.abc import Callable

TICK_S = 0.02  # how exactly a fleet keeps its schedule


class Clock:
    """Real time, steady even when somebody sets the computer's clock."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now_ms(self) -> int:
        """Return epoch milliseconds; never runs backwards."""
        return int((self._offset_s + time.monotonic()) * 1000)

    async def wait(self, until_ms: int | None, is_busy: Callable[[], bool]) -> None:
        """Let a tick pass; a clock that jumps goes on to ``until_ms`` unless exchanges are under way."""
        await asyncio.sleep(TICK_S)
