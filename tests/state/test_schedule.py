"""Plans run side by side, in order where it matters."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from psrlib.client import AdaptiveLimit
from psrlib.state.schedule import SPARE, Plan, run_each, run_plans


def plan(*steps: list[Callable[[], Any]], seen: list[Any] | None = None) -> Plan[list[Any]]:
    results = []
    for step in steps:
        results.append((yield step))
    return results


def test_results_come_back_to_their_plan_in_order() -> None:
    """Each step receives the results of its own calls, in the order it gave them."""
    plans = [plan([lambda i=i: i, lambda i=i: i * 10], [lambda i=i: -i]) for i in range(20)]  # type: ignore[misc]
    assert run_plans(plans, workers=4) == [[[i, i * 10], [-i]] for i in range(20)]


def test_calls_of_a_step_run_at_the_same_time() -> None:
    """Two calls that wait for each other can only end together."""
    barrier = threading.Barrier(2, timeout=5)
    assert len(run_plans([plan([barrier.wait, barrier.wait])], workers=2)[0][0]) == 2


def test_plans_without_calls_end() -> None:
    """An empty step and a plan without steps need no thread."""
    assert run_plans([plan(), plan([]), plan([], [lambda: 1])], workers=2) == [[], [[]], [[], [1]]]


def test_ends_are_reported_in_document_order() -> None:
    """Logs are ordered though a later organization may end first."""
    order: list[int] = []
    plans = [plan([lambda i=i: time.sleep(0.02 * (3 - i))]) for i in range(3)]  # type: ignore[misc]
    run_plans(plans, workers=3, on_done=lambda index, _: order.append(index))
    assert order == [0, 1, 2]


def test_an_error_reaches_the_plan_and_then_the_caller() -> None:
    """The generator may handle it; if not, no further plan begins."""
    begun: list[int] = []

    def failing() -> Plan[str]:
        begun.append(0)
        yield [lambda: 1 // 0]
        return "unreachable"

    def handling() -> Plan[str]:
        try:
            yield [lambda: 1 // 0]
        except ZeroDivisionError:
            return "handled"
        return "no error"

    def later() -> Plan[str]:
        begun.append(1)
        yield [lambda: None]
        return "done"

    assert run_plans([handling()], workers=1) == ["handled"]
    with pytest.raises(ZeroDivisionError):
        run_plans(iter([failing(), later(), later(), later()]), workers=1)
    assert len(begun) < 3


def test_plans_are_taken_lazily() -> None:
    """A long document needs only as many open organizations as there are threads."""
    open_plans = 0
    most = 0

    def counted() -> Plan[None]:
        nonlocal open_plans, most
        open_plans += 1
        most = max(most, open_plans)
        yield [lambda: time.sleep(0.001)]
        yield [lambda: time.sleep(0.001)]
        open_plans -= 1

    run_plans((counted() for _ in range(50)), workers=4)
    assert most <= 8


def test_independent_calls_keep_their_order() -> None:
    """`run_each` is a parallel map."""
    assert run_each([lambda i=i: i for i in range(30)], workers=5) == list(range(30))  # type: ignore[misc]


def test_threads_follow_the_limit_of_requests() -> None:
    """A thread more than requests are allowed only waits; one spare keeps the hub busy."""
    limit = AdaptiveLimit(fixed=3)
    at_work = most = 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.002)
        with lock:
            at_work -= 1

    run_each([call] * 100, limit)
    assert most == 3 + SPARE


def test_a_call_that_waits_for_its_next_attempt_lets_others_go_on() -> None:
    """Even where a single request is allowed."""
    limit = AdaptiveLimit(fixed=1)
    ended: list[str] = []

    def refused(name: str) -> None:
        limit.pause(0.3)
        ended.append(name)

    calls = [lambda: refused("a"), lambda: refused("b"), *[lambda: ended.append("quick")] * 20]
    run_each(calls, limit)
    assert ended[:20] == ["quick"] * 20


def test_a_plan_runs_in_one_thread_at_a_time() -> None:
    """Plans need no locks for what is their own."""

    def counted() -> Plan[int]:
        inside = threading.Lock()
        for _ in range(20):
            assert inside.acquire(blocking=False)
            time.sleep(0.0002)
            inside.release()
            yield [lambda: None] * 5
        return 20

    assert run_plans([counted() for _ in range(8)], workers=8) == [20] * 8


def test_an_error_of_the_caller_ends_everything() -> None:
    """No call begins after ``on_done`` failed."""
    calls: list[int] = []

    def plan_of(number: int) -> Plan[int]:
        yield [lambda: calls.append(number)]
        return number

    def fail(index: int, result: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plans((plan_of(i) for i in range(100_000)), workers=2, on_done=fail)
    n_calls = len(calls)
    assert n_calls < 100_000
    time.sleep(0.05)
    assert len(calls) == n_calls


def test_plans_that_cannot_be_made_are_an_error() -> None:
    """What has begun is ended first."""
    ended: list[int] = []

    def plans() -> Iterator[Plan[None]]:
        yield plan([lambda: time.sleep(0.01)], [lambda: ended.append(1)])  # type: ignore[misc]
        raise ValueError("the document ends here")

    with pytest.raises(ValueError, match="ends here"):
        run_plans(plans(), workers=2)
    assert ended == [1]


def test_a_thread_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than waiting for ever."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_first(self: threading.Thread) -> None:
        started.append(self)
        if len(started) > 1:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_first)
    with pytest.raises(RuntimeError, match="start new thread"):
        run_each([lambda: None] * 10, workers=4)
