"""Memory that a piece of work takes."""

import tracemalloc
from collections.abc import Callable


def peak_mb_of(work: Callable[[], None]) -> float:
    """Return the megabytes that Python had allocated at most while working, more than before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return (tracemalloc.get_traced_memory()[1] - before) / 1e6
    finally:
        tracemalloc.stop()
