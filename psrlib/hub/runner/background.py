"""Work the hub does by itself: flushing heartbeats, failover, timeouts, scheduler, webhooks."""

import asyncio
import logging

import aiohttp
from sqlalchemy import Connection

from psrlib.hub.events.webhooks import MAX_PER_ROUND, deliver_waiting
from psrlib.hub.runner.retention import ROUND_MS, forget_old
from psrlib.hub.runner.schedule import fire_due_tasks
from psrlib.hub.runner.slas import watch_slas
from psrlib.hub.runner.watch import watch
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.store.schema.security import sessions
from psrlib.hub.web.hub import Hub

logger = logging.getLogger(__name__)
TICK_S = 1.0  # resolution of cron times and timeouts


class Background:
    """Two tasks that live as long as the application: the tick, and the webhooks."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin on the running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._tick()), loop.create_task(self._deliver())]

    async def stop(self) -> None:
        """Stop, and write what memory holds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hub.write(self.hub.contacts.flush)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.hub.write(self.tick)
            except Exception:
                logger.exception("background work failed; it is repeated at the next tick")

    async def _deliver(self) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                await asyncio.sleep(TICK_S)
                try:
                    while await deliver_waiting(self.hub, session) == MAX_PER_ROUND:
                        logger.info("more than %d webhooks wait", MAX_PER_ROUND)
                except Exception:
                    logger.exception("webhooks failed; they are repeated at the next tick")

    def tick(self, connection: Connection) -> None:
        """Do everything that is due, in one transaction."""
        now = self.hub.now()
        work = RunnerWork(self.hub, connection, now)
        self.hub.contacts.flush(connection)
        watch(work)
        watch_slas(work)
        fire_due_tasks(work)
        work.flush()
        self._end_sessions(connection, now)
        self._clean(connection, now)

    def _clean(self, connection: Connection, now: int) -> None:
        """Forget what is too old, every hour and then until there is no more; give the space back."""
        if now >= self.hub.clean_on and not forget_old(connection, now):
            self.hub.clean_on = now + ROUND_MS
        self.hub.database.shrink(connection)

    def _end_sessions(self, connection: Connection, now: int) -> None:
        expired = [digest for digest, p in self.hub.callers.sessions.items() if p.expires_on <= now]
        for digest in expired:
            self.hub.callers.sessions.pop(digest, None)
        if expired:
            connection.execute(sessions.delete().where(sessions.c.expires_on <= now))
