"""Organizations run side by side, each in order where it matters."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from psrlib.client import AdaptiveLimit
from psrlib.state.schedule import SPARE, Steps, run_each, run_steps


def steps(*lists: list[Callable[[], Any]]) -> Steps[list[Any]]:
    results = []
    for calls in lists:
        results.append((yield calls))
    return results


def test_results_come_back_to_their_organization_in_order() -> None:
    """Each list gives the results of its own calls, in the order of the calls."""
    many = [steps([lambda i=i: i, lambda i=i: i * 10], [lambda i=i: -i]) for i in range(20)]  # type: ignore[misc]
    assert run_steps(many, workers=4) == [[[i, i * 10], [-i]] for i in range(20)]


def test_calls_of_a_list_run_at_the_same_time() -> None:
    """Two calls that wait for each other can only end together."""
    barrier = threading.Barrier(2, timeout=5)
    assert len(run_steps([steps([barrier.wait, barrier.wait])], workers=2)[0][0]) == 2


def test_calls_of_several_organizations_interleave() -> None:
    """Neither waits for the other's end."""
    barrier = threading.Barrier(2, timeout=5)
    run_steps([steps([barrier.wait], [barrier.wait]), steps([barrier.wait], [barrier.wait])], workers=2)


def test_steps_without_calls_end() -> None:
    """Neither an empty list nor an organization without steps is waited for."""
    assert run_steps([steps(), steps([]), steps([], [lambda: 1])], workers=2) == [[], [[]], [[], [1]]]


def test_an_error_reaches_the_steps_and_then_the_caller() -> None:
    """The generator may handle it; if not, no further organization begins."""
    begun: list[int] = []

    def failing() -> Steps[str]:
        begun.append(0)
        yield [lambda: 1 // 0]
        return "unreachable"

    def handling() -> Steps[str]:
        try:
            yield [lambda: 1 // 0]
        except ZeroDivisionError:
            return "handled"
        return "no error"

    def later() -> Steps[str]:
        begun.append(1)
        yield [lambda: None]
        return "done"

    assert run_steps([handling()], workers=1) == ["handled"]
    with pytest.raises(ZeroDivisionError):
        run_steps(iter([failing(), later(), later(), later()]), workers=1)
    assert len(begun) < 3


def test_an_error_waits_for_the_other_calls_of_its_list() -> None:
    """What the steps do about it does not meet calls that still run."""
    ended: list[int] = []

    def look() -> Steps[int]:
        try:
            yield [lambda: 1 // 0, lambda: time.sleep(0.05), lambda: ended.append(1)]
        except ZeroDivisionError:
            return len(ended)
        return -1

    assert run_steps([look()], workers=2) == [1]


def test_organizations_are_taken_lazily() -> None:
    """A long document needs only as many open organizations as there are threads."""
    n_open = most = 0
    lock = threading.Lock()

    def counted() -> Steps[None]:
        nonlocal n_open, most
        with lock:
            n_open += 1
            most = max(most, n_open)
        yield [lambda: time.sleep(0.001)]
        yield [lambda: time.sleep(0.001)]
        with lock:
            n_open -= 1

    run_steps((counted() for _ in range(50)), workers=4)
    assert most <= 4


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
        limit.pause(0.6)
        ended.append(name)

    calls = [lambda: refused("a"), lambda: refused("b"), *[lambda: ended.append("quick")] * 20]
    run_each(calls, limit)
    assert ended[:20] == ["quick"] * 20


def test_a_generator_runs_in_one_thread() -> None:
    """Steps need no locks for what is their own."""

    def threads() -> Steps[set[int]]:
        seen = {threading.get_ident()}
        for _ in range(20):
            yield [lambda: None] * 5
            seen.add(threading.get_ident())
        return seen

    assert {len(seen) for seen in run_steps([threads() for _ in range(8)], workers=8)} == {1}


def test_an_interruption_ends_everything() -> None:
    """Ctrl-C in the calling thread: calls under way end, nothing else begins."""
    calls: list[int] = []

    def endless(number: int) -> Steps[int]:
        while True:
            yield [lambda: calls.append(number), lambda: time.sleep(0.001)]

    def organizations() -> Iterator[Steps[int]]:
        yield from (endless(0), endless(1))
        while set(calls) != {0, 1}:
            time.sleep(0.001)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps(organizations(), workers=3)
    n_calls = len(calls)
    time.sleep(0.05)
    assert len(calls) == n_calls


def test_organizations_that_cannot_be_made_are_an_error() -> None:
    """What has begun is ended first."""
    ended: list[int] = []

    def organizations() -> Iterator[Steps[list[Any]]]:
        yield steps([lambda: time.sleep(0.01)], [lambda: ended.append(1)])
        raise ValueError("the document ends here")

    with pytest.raises(ValueError, match="ends here"):
        run_steps(organizations(), workers=2)
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
        run_each([lambda: time.sleep(0.01)] * 10, workers=4)
