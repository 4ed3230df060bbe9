"""The fleet's state in a database: written beside the engines' work, by whoever has their lease."""

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from psrlib.engines.database import EngineDatabase, State
from psrlib.engines.engine import Engine
from psrlib.engines.identity import EngineIdentity
from psrlib.engines.store import give_back, take_changed
from psrlib.errors import ProcessError

logger = logging.getLogger(__name__)
HOLD_S = 2.0  # without a write; less than a poll's wait, so that acks leave after what they acknowledge


class SharedStore:
    """One row per engine of a fleet that has taken them.

    A thread writes, so that engines need not wait for a network. When nothing could be written for `HOLD_S`,
    the fleet holds still until the database answers: what an engine acknowledges is kept, and long before
    another fleet may have its engines, it tells the hub nothing any more.

    Raises
    ------
    ProcessError
        If another fleet runs some of the engines, or the database does not answer.
    """

    def __init__(self, database: EngineDatabase, identities: Sequence[EngineIdentity]) -> None:
        self._database = database
        self._fleet = uuid.uuid4().hex
        self._written_s = time.monotonic()
        self._earlier = database.take(self._fleet, identities)
        self._counters: dict[str, int | None] = dict(self._earlier)
        self._changed: dict[str, State] = {}  # by engine id: not known to be written
        self._is_lost = self._fails = False
        self._thread = ThreadPoolExecutor(1, "engine store")
        self._write: Future[dict[str, State]] | None = None

    @property
    def is_behind(self) -> bool:
        """Whether engines may tell nobody anything now."""
        return self._is_lost or time.monotonic() - self._written_s > HOLD_S

    def restore(self, engines: Iterable[Engine]) -> None:
        """Give each engine back what it had."""
        give_back(engines, self._database.states(self._fleet))

    def save(self, engines: Iterable[Engine], counters: dict[str, int]) -> None:
        """Have the engines that changed written, and the lease renewed, as soon as the last write is done.

        Raises
        ------
        ProcessError
            If another fleet has the engines now.
        """
        self._changed |= {
            engine.identity.id: (engine.identity.organization, engine.identity.key, token, state)
            for engine, token, state in take_changed(engines)
        }
        self._counters = dict(counters)
        if self._is_lost:
            raise ProcessError(f"engine store {self._database.store}: another fleet has these engines now")
        if self._write is None or self._write.done():
            self._forget_written()
            rows, now_s = dict(self._changed), time.monotonic()
            self._write = self._thread.submit(self._try_write, rows, self._counters, now_s)

    def counter(self, name: str) -> int | None:
        """Return a counter of the fleets that had the engines before, or None."""
        return self._earlier.get(name)

    def close(self) -> None:
        """Write what is left, end the lease and close the connection."""
        self._thread.shutdown()
        self._forget_written()
        if not self._is_lost:
            self._try_write(self._changed, self._counters, time.monotonic(), ended=True)
        self._database.close()

    def _forget_written(self) -> None:
        for id, row in (self._write.result() if self._write is not None else {}).items():
            if self._changed.get(id) is row:
                del self._changed[id]

    def _try_write(
        self, rows: dict[str, State], counters: dict[str, int | None], taken_s: float, *, ended: bool = False
    ) -> dict[str, State]:
        """Write engines as they were at a time; return those that are written now."""
        try:
            self._is_lost = not self._database.write(self._fleet, counters, list(rows.values()), ended=ended)
        except ProcessError as error:
            if not self._fails:
                logger.warning("the engines hold still: %s", error)
            self._fails = True
            return {}
        if self._fails:
            logger.info("engine store %s: answers again", self._database.store)
        self._fails, self._written_s = False, taken_s
        return rows
