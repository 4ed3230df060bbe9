"""Organizations are independent, so a document is made in blocks, by any number of processes.

Blocks have a fixed size and come back in order: the bytes do not depend on the number of processes. Only a
few blocks exist at a time, so memory does not grow with the number of organizations.
"""

import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from psrlib.errors import ProcessError
from psrlib.seed.files import Block

T = TypeVar("T")
AHEAD = 2  # blocks under way per process: enough that none waits for the writer

_work: Callable[[Any], Block] | None = None  # what a worker process does; set once when it starts


def n_processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def generate_blocks(
    work: Callable[[T], Block], tasks: Iterable[T], workers: int
) -> Generator[Block, None, None]:
    """Yield the block that ``work`` makes of each task, in order, from so many processes; 1 is this one.

    Tasks are small values that can be sent to another process; they are asked for a few at a time.

    Raises
    ------
    ProcessError
        If a worker process dies.
    """
    if workers <= 1 or not hasattr(os, "fork"):
        yield from map(work, tasks)
        return
    context = multiprocessing.get_context("fork")  # the workers have all modules already
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(work,))
    under_way: deque[Future[Block]] = deque()
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns when a process with threads forks. The threads are OpenBLAS's own, which it
            # stops around a fork; the children do integer arithmetic and share no lock with them.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            for task in tasks:
                under_way.append(pool.submit(_run, task))
                if len(under_way) > AHEAD * workers:
                    yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool as error:
        raise ProcessError(
            "a worker process died, most likely for want of memory; try again with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(work: Callable[[Any], Block]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool


def _run(task: Any) -> Block:
    assert _work is not None
    return _work(task)
