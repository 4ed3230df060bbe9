"""Waiting for what other processes and threads do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T], seconds: float = 120.0, why: Callable[[], str] = str) -> T:
    """Return what ``look`` gives as soon as that is true; fail when it is not in time, and tell ``why``.

    The time is one that a machine which is busy with much else keeps too: a test that passes does not wait.
    """
    give_up_at = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"not in time; {why()}"
        time.sleep(0.05)
    return found
