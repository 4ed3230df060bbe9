"""Work handed from the event loop to threads, and its results back, as cheaply as it goes.

``loop.run_in_executor`` makes two futures for each piece of work and wakes the loop for each result, which
takes as long as a small read. Here a thread goes on with what waits, and the loop is woken once for all
results that are there. Measured on short reads over HTTP, alternating: with a ``ThreadPoolExecutor`` in its
place the hub needs 1.2 times the processor time for each (302 against 243 us), and answers 0.89 as many.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Waiting = tuple[Any, "asyncio.Future[Any]"]
Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Readers:
    """Threads that do one kind of work for an event loop.

    Parameters
    ----------
    n_threads : int
        How many pieces may be done at once.
    do : callable
        Does one piece of work in a thread and returns its result.
    """

    def __init__(self, n_threads: int, do: Callable[[Any], Any]) -> None:
        self._n_threads = n_threads
        self._do = do
        self._waiting: SimpleQueue[Waiting | None] = SimpleQueue()
        self._outcomes: list[Outcome] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    async def run(self, work: Any) -> Any:
        """Do a piece of work in a thread and return its result."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._threads:
            names = [f"hub-reader-{number}" for number in range(self._n_threads)]
            self._threads = [threading.Thread(target=self._work_off, name=n, daemon=True) for n in names]
            for thread in self._threads:
                thread.start()
        self._waiting.put((work, future))
        return await future

    def close(self) -> None:
        """Finish what waits and end the threads."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work_off(self) -> None:
        while (task := self._waiting.get()) is not None:
            work, future = task
            try:
                outcome: Outcome = (future, self._do(work), None)
            except BaseException as error:
                outcome = (future, None, error)
            with self._lock:
                self._outcomes.append(outcome)
                first = len(self._outcomes) == 1
            if first:
                self._wake(future.get_loop())

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            with self._lock:
                self._outcomes.clear()

    def _deliver(self) -> None:
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        for outcome in outcomes:
            settle(*outcome)


def settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    """Give a future its result or error, unless the caller went away."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
