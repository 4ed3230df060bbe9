"""The fleet: a schedule of engines, and a bounded number of workers that make their exchanges."""

import asyncio
import heapq
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psrlib.engines.behaviour import Behaviour
from psrlib.engines.budget import Budget
from psrlib.engines.clock import Clock
from psrlib.engines.counters import Counters
from psrlib.engines.engine import EVENT_MS, Engine
from psrlib.engines.exchange import IO_ERROR, Lane, Request
from psrlib.engines.identity import EngineIdentity
from psrlib.engines.poll import PollLane
from psrlib.engines.sender import Sender
from psrlib.engines.store import Store
from psrlib.engines.sync import SyncLane, last_words
from psrlib.engines.uploads import UploadLane

logger = logging.getLogger(__name__)
BUSY = -1  # queued_ms of a lane whose exchange is under way
CONNECTIONS = 128  # exchanges under way at once: at 50 ms per answer, enough for 12,000 engines
SAVE_EVERY_MS = 500
LAST_WORDS_S = 5.0  # what engines in sync mode have for telling the hub that they end
MIN_SPREAD = 1000  # a small fleet registers within a moment, a large one over the whole poll interval


@dataclass(slots=True)
class Member:
    """An engine and its lanes; the last two exist only when needed."""

    engine: Engine
    poll: PollLane
    uploads: UploadLane | None = None
    sync: SyncLane | None = None


class Fleet:
    """Engines that register, poll and report to the hub at ``base_url`` through one sender.

    ``interval_ms`` is the delay between an answer and the next poll, ``event_ms`` how long an engine is busy
    with a SAVE or a START, ``max_pipelines`` how many pipelines an engine can run (None: any number). Left
    out, the behaviour is the quiet default, the clock the system's, and no state is stored.
    """

    def __init__(
        self,
        identities: Sequence[EngineIdentity],
        base_url: str,
        sender: Sender,
        *,
        behaviour: Behaviour | None = None,
        clock: Clock | None = None,
        store: Store | None = None,
        interval_ms: int = 5000,
        event_ms: int = EVENT_MS,
        max_pipelines: int | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.counters = Counters()
        self.webhooks_received = 0
        self.sender = sender
        self._store = store
        self._schedule: list[tuple[int, int, Member, Lane]] = []
        self._queue: asyncio.Queue[tuple[Member, Lane]] = asyncio.Queue()
        self._entries = 0
        self._under_way = 0
        self._saved_ms = 0
        self._stopping = False
        base_url, behaviour = base_url.rstrip("/"), behaviour or Behaviour()
        budget = Budget(len(identities))
        engines = [
            Engine(
                identity,
                base_url,
                behaviour,
                interval_ms,
                event_ms=event_ms,
                max_pipelines=max_pipelines,
                budget=budget,
            )
            for identity in identities
        ]
        self.members = self._board(engines, interval_ms)

    def _board(self, engines: list[Engine], interval_ms: int) -> list[Member]:
        now = self.clock.now_ms()
        alive_ms = None
        if self._store is not None:
            self._store.restore(engines)
            alive_ms = self._store.counter("alive_ms")
            self.webhooks_received = self._store.counter("webhooks_received") or 0
        members = []
        for number, engine in enumerate(engines):
            engine.boot(now, alive_ms)
            phase = number * interval_ms // max(len(engines), 1)
            start = now + number * interval_ms // max(len(engines), MIN_SPREAD)
            member = Member(engine, PollLane(engine, phase, start))
            members.append(member)
            self._enter(member, member.poll)
        return members

    # -- schedule -----------------------------------------------------------------------------------------

    def _enter(self, member: Member, lane: Lane) -> None:
        if lane.due_ms is None or lane.queued_ms == lane.due_ms:
            return
        lane.queued_ms = lane.due_ms
        self._entries += 1
        heapq.heappush(self._schedule, (lane.due_ms, self._entries, member, lane))

    def _dispatch(self, now_ms: int) -> None:
        while self._schedule and self._schedule[0][0] <= now_ms:
            due, _, member, lane = heapq.heappop(self._schedule)
            if lane.queued_ms != due:
                continue  # an entry that a later wish replaced
            lane.queued_ms = BUSY
            self._under_way += 1
            self._queue.put_nowait((member, lane))

    def _wake(self, member: Member, now_ms: int) -> None:
        """Schedule what the engine's other lanes want after a change; a busy lane looks by itself."""
        engine = member.engine
        if engine.pipelines or engine.finals:
            uploads = member.uploads = member.uploads or UploadLane(engine)
            if uploads.queued_ms != BUSY:
                uploads.refresh()
                self._enter(member, uploads)
        if engine.sync and engine.registered:
            sync = member.sync = member.sync or SyncLane(engine, now_ms)
            if sync.queued_ms != BUSY:
                sync.due_ms = now_ms if sync.due_ms is None else sync.due_ms
                self._enter(member, sync)

    # -- running ------------------------------------------------------------------------------------------

    async def run(self, until_ms: int | None = None) -> None:
        """Run until ``stop`` is called, or until a time; then save the state and close the sender."""
        workers = [asyncio.create_task(self._work()) for _ in range(CONNECTIONS)]
        try:
            while not self._stopping:
                now = self.clock.now_ms()
                if until_ms is not None and now >= until_ms:
                    break
                if not (held := self.is_held):
                    self._dispatch(now)
                if now - self._saved_ms >= SAVE_EVERY_MS:
                    self._save(now)
                soonest = self._schedule[0][0] if self._schedule else until_ms
                await self.clock.wait(now + SAVE_EVERY_MS if held else soonest, lambda: self._under_way > 0)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            try:
                await self._end()
            finally:
                await self.sender.close()

    @property
    def is_held(self) -> bool:
        """Whether the engines hold still because their state cannot be kept."""
        return self._store is not None and self._store.is_behind

    def stop(self) -> None:
        """End ``run`` soon; nothing is unregistered."""
        self._stopping = True

    async def _work(self) -> None:
        while True:
            member, lane = await self._queue.get()
            try:
                await self._exchange(member, lane)
            except Exception:
                logger.exception("engine %s: unexpected failure", member.engine.identity.id)
                self.counters.add_error("internal")
                lane.due_ms = self.clock.now_ms() + member.engine.interval_ms
            finally:
                self._under_way -= 1
            lane.queued_ms = None
            self._enter(member, lane)
            self._wake(member, self.clock.now_ms())

    async def _exchange(self, member: Member, lane: Lane) -> None:
        if self.is_held:
            return  # it is entered again with the time it had
        due, now = lane.due_ms, self.clock.now_ms()
        request = lane.next_request(now)
        if request is None:
            return
        if isinstance(lane, PollLane) and request.kind == "poll" and due is not None:
            self.counters.note_lateness(now - due)
            lane.was_late = now - due >= lane.engine.interval_ms
        answer = await self.sender.send(request)
        self.counters.count(request.kind, answer)
        if answer.status == IO_ERROR:
            text = answer.body.decode(errors="replace")
            logger.debug("engine %s: %s: %s %s", member.engine.identity.id, request.kind, answer.fault, text)
        lane.take_answer(request, answer, self.clock.now_ms())
        if request.kind == "poll" and member.poll.fault is not None:
            self.counters.add_error(f"poll: {member.poll.fault}")

    # -- ending -------------------------------------------------------------------------------------------

    def _save(self, now_ms: int) -> None:
        self._saved_ms = now_ms
        if self._store is not None:
            counters = {"alive_ms": now_ms, "webhooks_received": self.webhooks_received}
            self._store.save(self.engines(), counters)

    async def _end(self) -> None:
        now = self.clock.now_ms()
        told = []
        for engine in self.engines():
            engine.advance(now)
            talks = engine.sync and engine.registered and engine.state == "UP" and engine.refusal is None
            statuses = engine.reports(now) if talks else []
            changes = engine.shut_down(now)
            if talks:
                told.append(last_words(engine, statuses, changes))
        self._save(now)
        if told and not self.is_held:
            await self._tell(told)

    async def _tell(self, conversations: list[list[Request]]) -> None:
        """Send what engines in sync mode say while they go down: each in order, all within a time."""
        free = asyncio.Semaphore(CONNECTIONS)

        async def tell(requests: list[Request]) -> None:
            async with free:
                for request in requests:
                    self.counters.count(request.kind, await self.sender.send(request))

        tasks = [asyncio.create_task(tell(requests)) for requests in conversations]
        _, late = await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if late:
            logger.warning("%d engines could not tell the hub that they end", len(late))

    def engines(self) -> Iterable[Engine]:
        """Return the engines in the order of their identities."""
        return (member.engine for member in self.members)
