"""Organizations are independent, so a document is made in blocks, by any number of processes.

Blocks have a fixed size and come back in order: the bytes do not depend on the number of processes. Only a
few blocks exist at a time, so memory does not grow with the number of organizations. Blocks travel through
memory shared with the workers: through a pipe, 10,000 organizations take a tenth more processor time. On two
processors they take two thirds of the time that one process needs.
"""

import mmap
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
Sizes = tuple[int, int]  # of a block in shared memory: content, packed form (0 where it is the content)
AHEAD = 2  # blocks under way per process: enough that none waits for the writer
SLOT_BYTES = 1 << 26  # address space for a block; only what is used takes memory, larger ones take the pipe

_work: Callable[[Any], Block] | None = None  # what a worker process does; set once when it starts
_slots: list[mmap.mmap] = []  # memory shared with the workers, inherited by them


def n_processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def generate_blocks(
    work: Callable[[T], Block], tasks: Iterable[T], workers: int
) -> Generator[Block, None, None]:
    """Yield a block per task, in order; each is to be used before the next one is asked for.

    Parameters
    ----------
    work : callable
        Makes the block of a task.
    tasks : iterable
        Small values that can be sent to another process; asked for a few at a time.
    workers : int
        Number of processes; 1 stays in this process.

    Raises
    ------
    ProcessError
        If a worker process dies.
    """
    if workers <= 1 or not hasattr(os, "fork"):
        yield from map(work, tasks)
        return
    _slots[:] = [mmap.mmap(-1, SLOT_BYTES) for _ in range(AHEAD * workers + 1)]
    context = multiprocessing.get_context("fork")  # the workers have all modules and the slots already
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(work,))
    under_way: deque[tuple[int, Future[Block | Sizes]]] = deque()
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns when a process with threads forks. The threads are OpenBLAS's own, which it
            # stops around a fork; the children do integer arithmetic and share no lock with them.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            for number, task in enumerate(tasks):
                slot = number % len(_slots)
                under_way.append((slot, pool.submit(_run, task, slot)))
                if len(under_way) > AHEAD * workers:
                    yield _received(*under_way.popleft())
        while under_way:
            yield _received(*under_way.popleft())
    except BrokenProcessPool as error:
        raise ProcessError(
            "a worker process died, most likely for want of memory; try again with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        _slots.clear()


def _received(slot: int, result: Future[Block | Sizes]) -> Block:
    """Return a block; one in shared memory is not copied and stays valid until its slot is used again."""
    sizes = result.result()
    if isinstance(sizes, Block):
        return sizes
    content, packed = sizes
    memory = memoryview(_slots[slot])
    return Block(memory[:content], memory[content : content + packed] if packed else memory[:content])


def _start(work: Callable[[Any], Block]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool


def _run(task: Any, slot: int) -> Block | Sizes:
    """Make a block and put it into shared memory; one that is too large is returned itself."""
    assert _work is not None
    block = _work(task)
    packed = b"" if block.packed is block.content else block.packed
    if len(block.content) + len(packed) > SLOT_BYTES:
        return block
    memory = _slots[slot]
    memory.seek(0)
    memory.write(block.content)
    memory.write(packed)
    return len(block.content), len(packed)
