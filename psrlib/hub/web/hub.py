"""The running hub: database, threads, memory of callers and engines, and what happens by itself.

Why there is one writer, and why short transactions share a commit: docs/architecture.md.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from psrlib.hub.store.cache import Cache, Recent
from psrlib.hub.store.contacts import Contacts
from psrlib.hub.store.database import Database
from psrlib.hub.web.access import Callers
from psrlib.hub.web.attempts import Attempts
from psrlib.hub.web.callers import load_callers
from psrlib.hub.web.limits import Room
from psrlib.hub.web.release import Release
from psrlib.hub.web.releases import RELEASES
from psrlib.hub.web.routing import Route
from psrlib.hub.web.strictness import Strictness
from psrlib.hub.web.traffic import Traffic

T = TypeVar("T")
# a short transaction and who waits for it
Waiting = tuple[Callable[[Connection], Any], "asyncio.Future[Any]"]
Outcome = tuple[Any, Exception | None]
N_READERS = 2  # threads for reading; more gain nothing on the two cores of a small machine
N_COMPUTERS = 2  # threads for hashing passwords, 20 ms each


class Hub:
    """One hub process.

    Parameters
    ----------
    database : Database
        Query database.
    url : str
        Base URL engines reach the hub under, for REMOTE_TIMESERIES_URL.
    clock : callable
        Returns epoch milliseconds.
    strict : bool
        Refuse fields and types that a real hub may not know.
    webhook_hosts : collection of str
        Hosts that webhooks may call besides loopback; ``*`` for any.
    release : Release
        The release that it is.
    run_dir : path or None
        Folder of the run that the hub belongs to.
    """

    def __init__(
        self,
        database: Database,
        url: str = "",
        clock: Callable[[], int] | None = None,
        strict: bool = False,
        webhook_hosts: Collection[str] = (),
        release: Release = RELEASES[3],
        run_dir: Path | None = None,
    ) -> None:
        self.database = database
        self.release = release
        self.url = url
        self.now = clock or _wall_clock_ms
        self.webhook_hosts = webhook_hosts
        self.run_dir = run_dir
        self.started_on = self.now()
        self.clean_on = self.started_on  # when old history is looked for
        self.routes: list[Route] = []
        self.strictness = Strictness(strict, release)
        self.traffic = Traffic(())  # of the application's routes, when it has them
        self.recent = Recent()
        self.callers = Callers()
        self.cache = Cache()
        self.contacts = Contacts(self.started_on)
        self.room = Room()
        self.attempts = Attempts()
        self._writer = ThreadPoolExecutor(1, "hub-writer")
        self._n_long = 0  # transactions in the writer thread or waiting for it
        self._short: list[Waiting] = []
        self._batch_runs = False  # in the writer thread
        self._readers = ThreadPoolExecutor(N_READERS, "hub-reader")
        self._prober = ThreadPoolExecutor(1, "hub-prober")
        self._computers = ThreadPoolExecutor(N_COMPUTERS, "hub-computer")

    def load(self) -> None:
        """Read sessions, components and waiting engine events from the database."""
        with self.database.reading() as connection:
            load_callers(connection, self.callers, self.now())
            self.contacts.load(connection)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run blocking reads in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_now, work)

    async def probe(self) -> None:
        """Ask the database for a sign of life; long reads of others are not waited for.

        SQLite answers at once: a thread would only wait for its turn twice more while others decode.
        """
        if self.database.is_sqlite:
            self._read_now(_ask_for_life)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._prober, self._read_now, _ask_for_life)

    def _read_now(self, work: Callable[[Connection], T]) -> T:
        with self.database.reading() as connection:
            return work(connection)

    async def write(self, work: Callable[[Connection], T], short: bool = False) -> T:
        """Run a transaction; all of them run one after the other.

        A long one runs in the writer thread. Short ones that wait at the same time share a commit
        (``_write_batch``): on SQLite at once, on the event loop, because handing them to a thread takes
        longer than they do; in the writer thread while that is busy, and on PostgreSQL, where each statement
        is a journey to the server.
        """
        loop = asyncio.get_running_loop()
        if short:
            future: asyncio.Future[T] = loop.create_future()
            self._short.append((work, future))
            if len(self._short) == 1:
                loop.call_soon(self._start_batch)
            return await future
        self._n_long += 1
        try:
            return await loop.run_in_executor(self._writer, self.write_now, work)
        finally:
            self._n_long -= 1

    def _start_batch(self) -> None:
        if not self._short or self._batch_runs:
            return  # a batch that runs starts the next one at its end
        batch, self._short = self._short, []
        if self.database.is_sqlite and not self._n_long:
            _answer(batch, self._write_batch(batch))
            return
        self._batch_runs = True
        done = asyncio.get_running_loop().run_in_executor(self._writer, self._write_batch, batch)
        done.add_done_callback(lambda outcomes: self._end_batch(batch, outcomes.result()))

    def _end_batch(self, batch: list[Waiting], outcomes: list[Outcome]) -> None:
        self._batch_runs = False
        _answer(batch, outcomes)
        self._start_batch()

    def _write_batch(self, batch: list[Waiting]) -> list[Outcome]:
        """Run short transactions with one commit: each is undone by itself, none is answered before it."""
        outcomes: list[Outcome] = []
        if len(batch) == 1:
            return [_outcome(lambda: self.write_now(batch[0][0]))]
        try:
            with self.database.writing() as connection:
                for work, _ in batch:
                    outcomes.append(_outcome(partial(self._write_part, connection, work)))
        except Exception as error:
            self.cache.forget()
            return [(None, error)] * len(batch)
        return outcomes

    def _write_part(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        try:
            with self.database.part(connection):
                return work(connection)
        except BaseException:
            self.cache.forget()
            raise

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction in this thread; nothing else may be writing."""
        try:
            with self.database.writing() as connection:
                return work(connection)
        except BaseException:
            self.cache.forget()  # it may hold what was rolled back
            raise

    async def compute(self, work: Callable[[], T]) -> T:
        """Run work without a database (password hashing) in a thread of its own kind."""
        return await asyncio.get_running_loop().run_in_executor(self._computers, work)

    def close(self) -> None:
        """Finish running work and close the database."""
        for threads in (self._writer, self._readers, self._prober, self._computers):
            threads.shutdown()
        self.database.close()


def _ask_for_life(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")


def _outcome(work: Callable[[], Any]) -> Outcome:
    try:
        return work(), None
    except Exception as error:
        return None, error


def _answer(batch: list[Waiting], outcomes: list[Outcome]) -> None:
    for (_, future), (result, error) in zip(batch, outcomes, strict=True):
        if future.done():  # the caller went away
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
