"""Run many step-by-step plans at once on a bounded number of threads.

A plan is a generator: it yields lists of calls that may run at the same time, receives the list of their
results, and returns its own result. Plans of different organizations run side by side; an organization that
has begun goes first, so few are open at any moment.

There is nobody in the middle: the thread that ends the last call of a list goes on with the plan, and with
the next call. Handing each call to another thread and its result back costs as much as the request.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, TypeVar

from psrlib.client import AdaptiveLimit

T = TypeVar("T")
SPARE = 1  # threads beyond the requests allowed: one computes, or waits with the next request
Call = Callable[[], Any]
Plan = Generator[list[Call], list[Any], T]


@dataclass
class _Open(Generic[T]):
    index: int
    plan: Plan[T]
    pending: int = 0
    results: Any = None  # of the calls last given; a generator that has not begun takes None
    error: BaseException | None = None


def run_plans(
    plans: Iterable[Plan[T]],
    workers: int | AdaptiveLimit,
    on_done: Callable[[int, T], None] | None = None,
) -> list[T]:
    """Run plans to their ends and return their results in the given order.

    Parameters
    ----------
    plans : iterable of Plan
        Taken one by one as threads become free, so a long iterable may be lazy. A plan's code runs in any of
        the threads, in one at a time.
    workers : int or AdaptiveLimit
        Threads, or the limit of the requests that the calls send: no more threads than it will let through.
    on_done : callable or None
        Called with index and result of each plan, in the order of the plans, from the calling thread.

    Raises
    ------
    BaseException
        The first error of a plan that its generator did not handle. It is thrown into the generator at the
        ``yield`` whose call failed, after the other calls of that list have ended. No further plan begins
        then.
    """
    schedule = _Schedule(plans, workers, tells_ends=on_done is not None)
    reported = 0
    with schedule:
        while schedule.wait():
            while on_done is not None and reported in schedule.results:
                on_done(reported, schedule.results[reported])
                reported += 1
    if schedule.failure is not None:
        raise schedule.failure
    return [schedule.results[index] for index in sorted(schedule.results)]


class _Schedule(Generic[T]):
    """Threads that share the calls of open plans, and begin another plan when no call is left."""

    def __init__(self, plans: Iterable[Plan[T]], workers: int | AdaptiveLimit, tells_ends: bool) -> None:
        self.results: dict[int, T] = {}
        self.failure: BaseException | None = None
        self._limit = workers if isinstance(workers, AdaptiveLimit) else None
        self._workers = 2 * workers.largest + SPARE if isinstance(workers, AdaptiveLimit) else workers
        self._tells_ends = tells_ends
        self._plans = enumerate(plans)
        self._exhausted = False
        self._n_open = 0
        self._ready: deque[tuple[_Open[T], int, Call]] = deque()
        self._ends: SimpleQueue[bool] = SimpleQueue()  # True: a plan ended; False: all did
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._n_idle = 0
        self._stopped = False

    def __enter__(self) -> None:
        """Begin."""
        if self._limit is not None:
            self._limit.tell(self._on_pause)
        with self._lock:
            self._add_thread()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let calls that run end, and begin nothing else."""
        with self._lock:
            self._stopped = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()
        if self._limit is not None:
            self._limit.stop_telling(self._on_pause)

    def wait(self) -> bool:
        """Wait until a plan ends, where ends are told; return False when all have."""
        return self._ends.get()

    def _on_pause(self) -> None:
        with self._lock:
            self._invite()

    def _run(self) -> None:
        try:
            while (task := self._next()) is not None:
                self._do(*task)
        except BaseException as error:  # no call's: a thread could not be started, for instance
            with self._lock:
                self.failure = self.failure or error
                self._finish()

    def _do(self, open_plan: _Open[T], position: int, call: Call) -> None:
        try:
            result, error = call(), None
        except BaseException as raised:
            result, error = None, raised
        with self._lock:
            open_plan.results[position] = result
            open_plan.error = open_plan.error or error
            open_plan.pending -= 1
            ended = open_plan.pending == 0
        if ended:
            self._advance(open_plan)

    def _next(self) -> tuple[_Open[T], int, Call] | None:
        """Return the next call, of a plan begun for it if need be; None when there is nothing left to do."""
        while True:
            with self._lock:
                found = self._take()
            if found is None or isinstance(found, tuple):
                return found
            self._advance(found)

    def _take(self) -> tuple[_Open[T], int, Call] | _Open[T] | None:
        while not self._stopped:
            at_work = len(self._threads) - self._n_idle
            if at_work == 1 or at_work <= self._room():
                found = self._ready.popleft() if self._ready else self._begin()
                if found is not None:
                    self._invite()
                    return found
            if self._n_open == 0 and not self._ready and self._is_over():
                self._finish()
                return None
            self._n_idle += 1
            self._work.wait()
        return None

    def _finish(self) -> None:
        self._stopped = True
        self._work.notify_all()
        self._ends.put(False)

    def _is_over(self) -> bool:
        return self._exhausted or self.failure is not None

    def _room(self) -> int:
        """Return how many threads may be at work: more would wait for each other's requests.

        One that waits for its next attempt does not count, up to as many as requests are ever allowed.
        """
        if self._limit is None:
            return self._workers
        return min(self._workers, self._limit.limit + self._limit.n_paused + SPARE)

    def _begin(self) -> _Open[T] | None:
        if self._is_over():
            return None
        try:
            index, plan = next(self._plans)
        except StopIteration:
            self._exhausted = True
            return None
        except BaseException as error:
            self.failure = error
            return None
        self._n_open += 1
        return _Open(index, plan)

    def _invite(self) -> None:
        """Have one more thread look for work; it invites the next."""
        nothing = not self._ready and self._is_over()
        if nothing or len(self._threads) - self._n_idle >= self._room():
            return
        if self._n_idle:
            self._n_idle -= 1
            self._work.notify()
        elif len(self._threads) < self._workers:
            self._add_thread()

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"psr-call-{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _advance(self, open_plan: _Open[T]) -> None:
        """Let a plan go on until it has calls to run or ends."""
        try:
            while not (calls := _go_on(open_plan)):
                open_plan.results, open_plan.error = [], None
        except StopIteration as end:
            self._end(open_plan, end.value, None)
        except BaseException as error:
            self._end(open_plan, None, error)
        else:
            open_plan.results, open_plan.error, open_plan.pending = [None] * len(calls), None, len(calls)
            with self._lock:
                self._ready.extend((open_plan, position, call) for position, call in enumerate(calls))

    def _end(self, open_plan: _Open[T], result: Any, error: BaseException | None) -> None:
        with self._lock:
            self._n_open -= 1
            if error is None:
                self.results[open_plan.index] = result
            else:
                self.failure = self.failure or error
        if self._tells_ends:
            self._ends.put(True)


def _go_on(open_plan: _Open[T]) -> list[Call]:
    if open_plan.error is not None:
        return open_plan.plan.throw(open_plan.error)
    return open_plan.plan.send(open_plan.results)


def run_each(calls: Iterable[Callable[[], T]], workers: int | AdaptiveLimit) -> list[T]:
    """Run independent calls at once and return their results in order."""

    def plan(call: Callable[[], T]) -> Plan[T]:
        (result,) = yield [call]
        return result  # type: ignore[no-any-return]

    return run_plans((plan(call) for call in calls), workers)
