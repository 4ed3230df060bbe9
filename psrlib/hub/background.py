"""Work the hub does by itself: flushing heartbeats, failover, timeouts, scheduler, webhooks."""

import asyncio
import logging

from sqlalchemy import Connection

from psrlib.hub.runner.watch import watch
from psrlib.hub.runner.work import Work
from psrlib.hub.runtime import Hub

logger = logging.getLogger(__name__)
TICK_S = 1.0  # resolution of cron times and timeouts


class Background:
    """One task that ticks while the application lives."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin ticking on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop ticking and write what memory holds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.hub.write(self.hub.fleet.flush)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.hub.write(self.tick)
            except Exception:
                logger.exception("background work failed; it is repeated at the next tick")

    def tick(self, connection: Connection) -> None:
        """Do everything that is due."""
        self.hub.fleet.flush(connection)
        watch(Work(self.hub, connection, self.hub.now()))
