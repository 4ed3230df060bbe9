"""Organizations are independent, so a document is generated in blocks, by any number of processes.

Blocks have a fixed size and come back in order: the bytes do not depend on the number of processes. Only a
few blocks exist at a time, so memory does not grow with the number of organizations.
"""

import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from psrlib.errors import ProcessError
from psrlib.seed.files import BLOCK, Block

Work = Callable[[range], Block]
AHEAD = 2  # blocks under way per process: enough that none waits for the writer

_work: Work | None = None  # what a worker process does; set once when it starts


def n_processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def generate_blocks(work: Work, n: int, workers: int | None = None) -> Generator[Block, None, None]:
    """Yield the blocks of ``n`` organizations in order.

    Parameters
    ----------
    work : callable
        Makes the block of a range of organizations.
    n : int
        Number of organizations.
    workers : int or None
        Number of processes; None means one per processor. One block, or one worker, stays in this process.

    Raises
    ------
    ProcessError
        If a worker process dies.
    """
    ranges = [range(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    workers = min(workers or n_processors(), len(ranges))
    if workers <= 1:
        yield from map(work, ranges)
        return
    pool = ProcessPoolExecutor(workers, _context(), initializer=_start, initargs=(work,))
    under_way: deque[Future[Block]] = deque()
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns when a process with threads forks. The threads are OpenBLAS's own, which it
            # stops around a fork; the children do integer arithmetic and share no lock with them.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            for organizations in ranges:
                under_way.append(pool.submit(_run, organizations))
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


def _context() -> multiprocessing.context.BaseContext:
    """Return the quickest way to start processes here: a fork has all modules imported already."""
    return multiprocessing.get_context("fork" if hasattr(os, "fork") else None)


def _start(work: Work) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool


def _run(organizations: range) -> Block:
    assert _work is not None
    return _work(organizations)
