"""What the hub remembers of the database between requests, and upper bounds of its counts.

The one writer makes this simple. A change forgets all after its commit; a reader that read before the
commit cannot put its old value back, because the generation it noted has passed.
"""

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Cache:
    """Values by key, forgotten by organization; and counts that are never too low."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Hashable, Any]] = {}
        self._generation = 0
        self.counts: dict[tuple[str, str], int] = {}

    def recall(self, organization: str, key: Hashable, read: Callable[[], T]) -> T:
        """Return a remembered value of an organization, read and kept when it is not there."""
        known = self._values.get(organization)
        if known is not None and key in known:
            value: T = known[key]
            return value
        generation = self._generation
        fresh = read()
        if generation == self._generation:
            self._values.setdefault(organization, {})[key] = fresh
        return fresh

    def forget(self) -> None:
        """Forget every value; called after the commit of a change of organizations or configurations."""
        self._generation += 1
        self._values = {}


class Recent:
    """Values that may be a little old: asking again and again takes a bounded part of a processor."""

    SECONDS = 2.0
    TIMES = 20  # as long as it took to read one: then reading takes a twentieth of the time at most

    def __init__(self) -> None:
        self._values: dict[Hashable, tuple[float, Any]] = {}

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return a value, read again when the one that is there is too old."""
        begun = time.monotonic()
        until, value = self._values.get(key, (0.0, None))
        if begun >= until:
            value = read()
            now = time.monotonic()
            self._values[key] = (now + max(self.SECONDS, self.TIMES * (now - begun)), value)
        fresh: T = value
        return fresh
