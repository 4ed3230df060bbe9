"""The connection limit follows the hub's answers."""

import threading
import time

from psrlib.client import AdaptiveLimit
from psrlib.client.limit import LARGEST


def answer(limit: AdaptiveLimit, duration_s: float, n: int) -> None:
    for _ in range(n):
        limit.answered(duration_s, 0.0)


def test_it_grows_while_answer_times_hold() -> None:
    """A hub that keeps up gets more requests, up to the bound."""
    limit = AdaptiveLimit()
    answer(limit, 0.05, 500)
    assert limit.limit == LARGEST


def test_it_shrinks_when_answers_get_slow() -> None:
    """Four times the best answer time means that requests queue in the hub."""
    limit = AdaptiveLimit()
    answer(limit, 0.05, 100)
    before = limit.limit
    answer(limit, 0.2, 200)
    assert limit.limit < before


def test_it_halves_on_overload_once_per_burst() -> None:
    """One overload gives many 503 at once; they count as one."""
    limit = AdaptiveLimit()
    answer(limit, 0.05, 500)
    for _ in range(10):
        limit.overloaded()
    assert limit.limit == LARGEST // 2


def test_it_grows_back_after_an_overload() -> None:
    """By one per window, not by doubling."""
    limit = AdaptiveLimit()
    answer(limit, 0.05, 500)
    limit.overloaded()
    answer(limit, 0.05, LARGEST // 2)
    assert limit.limit == LARGEST // 2 + 1


def test_a_fixed_number_stays() -> None:
    """``--workers`` means exactly that."""
    limit = AdaptiveLimit(fixed=3)
    answer(limit, 0.01, 100)
    limit.overloaded()
    assert limit.limit == 3


def test_no_more_than_the_limit_are_under_way() -> None:
    """Threads beyond it wait for a place."""
    limit = AdaptiveLimit(fixed=2)

    def work() -> None:
        with limit:
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limit.peak == 2


def test_waiting_for_the_next_attempt_is_seen() -> None:
    """Others may send meanwhile."""
    limit = AdaptiveLimit(fixed=1)
    waiting = threading.Thread(target=limit.pause, args=(0.1,))
    waiting.start()
    assert limit.n_paused == 1
    waiting.join()
    assert limit.n_paused == 0
