"""Run the steps of many organizations side by side.

What is done to one organization is a generator: it yields lists of calls that may run at the same time,
receives the list of their results, and returns its own result. Each organization under way has a thread,
which makes the first call of every list itself, because most lists have only one; the others go to a second
pool. As many organizations are under way as requests are allowed, so few are half-made at any moment.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from threading import Event
from typing import Any, TypeVar

from psrlib.client import AdaptiveLimit, ControlHub
from psrlib.seed.document import Organization, SeedDocument

T = TypeVar("T")
SPARE = 1  # organizations beyond the requests allowed: one computes, or waits with the next request
LOOK_S = 0.05  # longest time until a limit that has grown, or a request that pauses, is noticed
Call = Callable[[], Any]
Steps = Generator[list[Call], list[Any], T]


def run_organizations(
    work: Callable[..., Steps[T]],
    hub: ControlHub,
    document: SeedDocument,
    items: Sequence[tuple[Organization, *tuple[Any, ...]]],
    *common: Any,
) -> list[T]:
    """Run ``work(hub, document, *item, *common)`` for each item, whose first part is an organization.

    Here, or on the machines of the hub's crew: then ``work`` has to be a function of a module, and the
    document that it gets holds no organizations. Results are in the order of the items; errors are those of
    `run_steps`.
    """
    if hub.crew is None:
        return run_steps((work(hub, document, *item, *common) for item in items), hub.limit)
    results = {number: result for number, _, result in hub.crew.each(work, document, items, common)}
    return [results[number] for number in range(len(items))]


def run_steps(
    organizations: Iterable[Steps[T]], workers: int | AdaptiveLimit, stopped: Event | None = None
) -> list[T]:
    """Run the steps of organizations to their ends and return their results in the given order.

    Parameters
    ----------
    organizations : iterable of Steps
        Taken one by one, so a long iterable may be lazy. A generator runs in one thread.
    workers : int or AdaptiveLimit
        Organizations under way at once, or the limit of the requests that their calls send. A request that
        waits for its next attempt does not count: another organization goes on meanwhile.
    stopped : Event or None
        Set from outside, only the calls under way end, and CancelledError is raised.

    Raises
    ------
    BaseException
        The first error that a generator did not handle. It is thrown into the generator at the ``yield``
        whose call failed, after the other calls of that list have ended. No further organization begins
        then, and those that have begun run to their ends. After an interruption, such as KeyboardInterrupt,
        only the requests under way end; none is repeated.
    """
    most = 2 * workers.largest + SPARE if isinstance(workers, AdaptiveLimit) else workers
    under_way: dict[Future[T], int] = {}
    results: dict[int, T] = {}
    stopped = stopped or Event()

    def n_allowed() -> int:
        return most if isinstance(workers, int) else min(most, workers.limit + workers.n_paused + SPARE)

    def collect() -> None:
        for future in wait(under_way, LOOK_S, FIRST_COMPLETED).done:
            index = under_way.pop(future)
            results[index] = future.result()

    with ExitStack() as stack:
        if isinstance(workers, AdaptiveLimit):
            stack.callback(workers.interrupted.clear)
        helpers = stack.enter_context(ThreadPoolExecutor(most, "psr-call"))
        threads = stack.enter_context(ThreadPoolExecutor(most, "psr-steps"))
        try:
            for index, steps in enumerate(organizations):
                under_way[threads.submit(_run, steps, helpers, stopped)] = index
                while len(under_way) >= n_allowed():
                    collect()
            while under_way:
                collect()
        except BaseException as error:
            if not isinstance(error, Exception):
                stopped.set()
                if isinstance(workers, AdaptiveLimit):
                    workers.interrupted.set()
            raise
    return [results[index] for index in range(len(results))]


def run_each(calls: Iterable[Callable[[], T]], workers: int | AdaptiveLimit) -> list[T]:
    """Run independent calls at once and return their results in order."""

    def steps(call: Callable[[], T]) -> Steps[T]:
        (result,) = yield [call]
        return result  # type: ignore[no-any-return]

    return run_steps(map(steps, calls), workers)


def _run(steps: Steps[T], helpers: Executor, stopped: Event) -> T:
    results: Any = None  # a generator that has not begun takes None
    error: BaseException | None = None
    while not stopped.is_set():
        try:
            calls = steps.send(results) if error is None else steps.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            results, error = _call_all(calls, helpers, stopped), None
        except BaseException as raised:
            error = raised
    raise CancelledError


def _call_all(calls: list[Call], helpers: Executor, stopped: Event) -> list[Any]:
    """Make calls at the same time and return their results, when all have ended."""
    others = [helpers.submit(_call, call, stopped) for call in calls[1:]]
    try:
        first = [call() for call in calls[:1]]
    finally:
        wait(others)
    return first + [other.result() for other in others]


def _call(call: Call, stopped: Event) -> Any:
    if stopped.is_set():
        raise CancelledError
    return call()
