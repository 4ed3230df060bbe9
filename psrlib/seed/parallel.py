"""Organizations are independent, so a document is made in blocks, by any number of processes.

Blocks have a fixed size and come back in order: the bytes do not depend on the number of processes. Only a
few blocks exist at a time, so memory does not grow with the number of organizations. Blocks travel through
memory shared with the workers: through a pipe they would cost half as much again as making them.
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
from dataclasses import dataclass
from typing import Any, TypeVar

from psrlib.errors import ProcessError
from psrlib.seed.files import Block

T = TypeVar("T")
AHEAD = 2  # blocks under way per process: enough that none waits for the writer
SLOT_BYTES = 1 << 26  # address space for a block; only what is used takes memory, larger ones take the pipe

_work: Callable[[Any], Block] | None = None  # what a worker process does; set once when it starts
_kept: Block | None = (
    None  # a worker's last block: freed at once, its memory would come and go with each block
)
_slots: list[mmap.mmap] = []  # memory shared with the workers, inherited by them


@dataclass(frozen=True)
class InSlot:
    """Where a block is in shared memory: its content, then its packed form unless that is the same."""

    slot: int
    content: int
    packed: int

    def block(self) -> Block:
        """Return the block without copying it; valid until the slot is used again."""
        memory = memoryview(_slots[self.slot])
        content = memory[: self.content]
        return Block(content, memory[self.content : self.content + self.packed] if self.packed else content)


def n_processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def generate_blocks(
    work: Callable[[T], Block], tasks: Iterable[T], workers: int
) -> Generator[Block, None, None]:
    """Yield a block per task, in order.

    Parameters
    ----------
    work : callable
        Makes the block of a task.
    tasks : iterable
        Small values that can be sent to another process; asked for a few at a time.
    workers : int
        Number of processes; 1 stays in this process.

    Yields
    ------
    Block
        To be used before the next one is asked for.

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
    under_way: deque[Future[Block | InSlot]] = deque()
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns when a process with threads forks. The threads are OpenBLAS's own, which it
            # stops around a fork; the children do integer arithmetic and share no lock with them.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            for number, task in enumerate(tasks):
                under_way.append(pool.submit(_run, task, number % len(_slots)))
                if len(under_way) > AHEAD * workers:
                    yield _received(under_way.popleft().result())
        while under_way:
            yield _received(under_way.popleft().result())
    except BrokenProcessPool as error:
        raise ProcessError(
            "a worker process died, most likely for want of memory; try again with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        _slots.clear()


def _received(result: Block | InSlot) -> Block:
    return result.block() if isinstance(result, InSlot) else result


def _start(work: Callable[[Any], Block]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool


def _run(task: Any, slot: int) -> Block | InSlot:
    global _kept
    assert _work is not None
    _kept = block = _work(task)
    packed = b"" if block.packed is block.content else block.packed
    if len(block.content) + len(packed) > SLOT_BYTES:
        return block
    memory = _slots[slot]
    memory.seek(0)
    memory.write(block.content)
    memory.write(packed)
    return InSlot(slot, len(block.content), len(packed))
