"""What the hub keeps in memory of polling engines: last contact, waiting events, last figures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, func, select

from psrlib.hub.store.schema import execution


@dataclass(frozen=True)
class Figures:
    """Last process figures of an engine: processor load in percent, memory in bytes."""

    cpu_load: float
    used_memory: float


@dataclass
class Contacts:
    """Heartbeats are noted here and written in batches: a poll without news touches no database."""

    started_on: int
    last_poll: dict[str, int] = field(default_factory=dict)  # last sign of life
    answering: dict[str, int] = field(default_factory=dict)  # engines whose polls the hub has yet to answer
    unwritten: set[str] = field(default_factory=set)
    busy_until: dict[str, int] = field(default_factory=dict)  # engines that work off what they were handed
    silent: set[str] = field(default_factory=set)  # engines past their heartbeat interval at the last tick
    returned: dict[str, int] = field(default_factory=dict)  # when an organization's engine last came back
    last_statuses: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)  # engines with queued events
    figures: dict[str, Figures] = field(default_factory=dict)
    new_figures: dict[str, Figures] = field(default_factory=dict)  # not yet written
    last_instance: int = 0  # largest number given to a pipeline instance

    def load(self, connection: Connection) -> None:
        """Read what was known at the last stop; silence counts from the hub's own start."""
        engines, events = execution.engines, execution.engine_events
        for row in connection.execute(select(engines.c.id, engines.c.last_reported_time, engines.c.silent)):
            self.last_poll[row.id] = row.last_reported_time
            if row.silent:
                self.silent.add(row.id)
        queued = select(events.c.engine_id).where(events.c.state.in_(("QUEUED", "DELIVERED"))).distinct()
        self.waiting.update(connection.execute(queued).scalars())
        for column in (execution.instances.c.id, events.c.instance):
            self.last_instance = max(
                self.last_instance, connection.execute(select(func.max(column))).scalar() or 0
            )

    def next_instance(self) -> int:
        """Return a number for a new pipeline instance that no other has or had."""
        self.last_instance += 1
        return self.last_instance

    def note_poll(self, engine_id: str, now_ms: int) -> None:
        """Remember that an engine polled: it has worked off what it was handed before."""
        self.busy_until.pop(engine_id, None)
        self.note(engine_id, now_ms)

    def note_call(self, engine_id: str, now_ms: int) -> None:
        """Remember any other call of an engine that has polled before: a sign of life like a poll."""
        if engine_id in self.last_poll:
            self.note(engine_id, now_ms)

    def note(self, engine_id: str, now_ms: int) -> None:
        """Remember a sign of life of an engine."""
        self.last_poll[engine_id] = now_ms
        self.unwritten.add(engine_id)

    def note_handed(self, engine_id: str, until_ms: int) -> None:
        """Remember until when an engine may be working off what it was handed, without a poll."""
        self.busy_until[engine_id] = until_ms

    def forget(self, engine_id: str) -> None:
        """Forget an engine that was deleted."""
        for known in (
            self.last_poll,
            self.busy_until,
            self.last_statuses,
            self.figures,
            self.new_figures,
        ):
            known.pop(engine_id, None)
        for members in (self.unwritten, self.silent, self.waiting):
            members.discard(engine_id)

    @contextmanager
    def poll(self, engine_id: str, clock: Callable[[], int]) -> Iterator[None]:
        """Note a poll; until it is answered the engine waits for the hub, and that is not silence."""
        self.note_poll(engine_id, clock())
        self.answering[engine_id] = self.answering.get(engine_id, 0) + 1
        try:
            yield
        finally:
            self.note(engine_id, clock())
            self.answering[engine_id] -= 1
            if not self.answering[engine_id]:
                del self.answering[engine_id]

    def note_figures(self, engine_id: str, figures: Figures) -> None:
        """Remember CPU and memory of an engine."""
        self.figures[engine_id] = self.new_figures[engine_id] = figures

    def is_responding(self, engine_id: str, now_ms: int, heartbeat_ms: int, ever: int = 0) -> bool:
        """Whether an engine gave a sign of life within the heartbeat interval, or still has work in hand.

        ``ever`` is the last contact in the database. The interval starts anew with the hub, however long it
        was down, except for engines that were silent when it stopped.
        """
        if engine_id in self.answering:
            return True
        last = self.last_poll.get(engine_id, ever)
        if not last or (engine_id in self.silent and last < self.started_on):
            return False
        last = max(last, self.started_on, self.busy_until.get(engine_id, 0))
        return now_ms - last < heartbeat_ms

    def flush(self, connection: Connection) -> None:
        """Write heartbeats and figures since the last flush."""
        seen, self.unwritten = self.unwritten, set()
        figures, self.new_figures = self.new_figures, {}
        update = execution.engines.update().where(execution.engines.c.id == bindparam("engine"))
        if seen:
            connection.execute(
                update, [{"engine": e, "last_reported_time": self.last_poll[e]} for e in sorted(seen)]
            )
        if figures:
            connection.execute(
                update,
                [
                    {"engine": engine, "cpu_load": last.cpu_load, "used_memory": last.used_memory}
                    for engine, last in sorted(figures.items())
                ],
            )
