"""Run many step-by-step plans at once on a bounded number of threads.

A plan is a generator: it yields lists of calls that may run at the same time, receives the list of their
results, and returns its own result. Plans of different organizations run side by side; an organization that
has begun goes first, so few are open at any moment.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")
BACKLOG = 2  # calls waiting or under way per thread, so that threads have work while a plan computes its next
Call = Callable[[], Any]
Plan = Generator[list[Call], list[Any], T]


@dataclass
class _Open(Generic[T]):
    index: int
    plan: Plan[T]
    pending: int = 0
    results: list[Any] = field(default_factory=list)
    error: BaseException | None = None


def run_plans(
    plans: Iterable[Plan[T]], workers: int, on_done: Callable[[int, T], None] | None = None
) -> list[T]:
    """Run plans to their ends and return their results in the given order.

    Parameters
    ----------
    plans : iterable of Plan
        Taken one by one as threads become free, so a long iterable may be lazy.
    workers : int
        Threads.
    on_done : callable or None
        Called with index and result of each plan, in the order of the plans, from the calling thread.

    Raises
    ------
    BaseException
        The first error of a plan that its generator did not handle. It is thrown into the generator at the
        ``yield`` whose call failed, after the other calls of that list have ended. No further plan begins
        then.
    """
    waiting = enumerate(plans)
    done: SimpleQueue[tuple[_Open[T], int, Future[Any]]] = SimpleQueue()
    results: dict[int, T] = {}
    reported = 0
    failure: BaseException | None = None
    in_flight = 0

    with ThreadPoolExecutor(max_workers=workers) as pool:

        def submit(open_plan: _Open[T], calls: list[Call]) -> None:
            nonlocal in_flight
            open_plan.results = [None] * len(calls)
            open_plan.pending = len(calls)
            open_plan.error = None
            in_flight += len(calls)
            for position, call in enumerate(calls):
                future = pool.submit(call)
                future.add_done_callback(partial(_report, done, open_plan, position))

        def advance(open_plan: _Open[T], first: bool) -> None:
            """Let a plan go on until it has calls under way or ends."""
            nonlocal failure, reported
            try:
                while True:
                    if first:
                        calls = next(open_plan.plan)
                    elif open_plan.error is not None:
                        calls = open_plan.plan.throw(open_plan.error)
                    else:
                        calls = open_plan.plan.send(open_plan.results)
                    first = False
                    if calls:
                        submit(open_plan, calls)
                        return
                    open_plan.results, open_plan.error = [], None
            except StopIteration as end:
                results[open_plan.index] = end.value
                while on_done is not None and reported in results:
                    on_done(reported, results[reported])
                    reported += 1
            except BaseException as error:
                failure = failure or error

        exhausted = False
        try:
            while True:
                while in_flight < BACKLOG * workers and not exhausted and failure is None:
                    try:
                        index, plan = next(waiting)
                    except StopIteration:
                        exhausted = True
                        break
                    advance(_Open(index, plan), first=True)
                if in_flight == 0:
                    if exhausted or failure is not None:
                        break
                    continue
                open_plan, position, future = done.get()
                in_flight -= 1
                open_plan.pending -= 1
                if (error := future.exception()) is not None:
                    open_plan.error = open_plan.error or error
                else:
                    open_plan.results[position] = future.result()
                if open_plan.pending == 0:
                    advance(open_plan, first=False)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failure is not None:
        raise failure
    return [results[index] for index in sorted(results)]


def _report(done: SimpleQueue[Any], open_plan: _Open[Any], position: int, future: Future[Any]) -> None:
    done.put((open_plan, position, future))


def run_each(calls: Iterable[Callable[[], T]], workers: int) -> list[T]:
    """Run independent calls at once and return their results in order."""

    def plan(call: Callable[[], T]) -> Plan[T]:
        (result,) = yield [call]
        return result  # type: ignore[no-any-return]

    return run_plans((plan(call) for call in calls), workers)
