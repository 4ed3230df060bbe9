"""Blocks come back in order from any number of processes, and a process that fails says so."""

import os
import signal

import pytest

from psrlib.errors import InputError, ProcessError
from psrlib.seed.files import Block
from psrlib.seed.parallel import generate_blocks


def die(number: int) -> Block:
    if number:
        os.kill(os.getpid(), signal.SIGKILL)
    return Block(b"", b"")


def test_a_worker_that_dies_is_one_sentence() -> None:
    """The process pool's failure becomes an error with a next step."""
    with pytest.raises(ProcessError, match="--workers 1"):
        list(generate_blocks(die, range(3), 2))


def fail(number: int) -> Block:
    raise InputError(f"organization {number}")


def test_an_error_in_a_worker_arrives() -> None:
    """What goes wrong in a process is what the caller sees."""
    with pytest.raises(InputError, match="organization 0"):
        list(generate_blocks(fail, range(3), 2))


def big(number: int) -> Block:
    """A block whose content says which it is: small, then large, then empty."""
    content = bytes([number]) * (1000, 1 << 26, 0)[number % 3]
    return Block(content, content if number % 2 else content[:10])


def test_blocks_arrive_in_order_whatever_their_size() -> None:
    """More blocks than are under way at once, small, large and empty in turn."""
    n = 13
    blocks = generate_blocks(big, iter(range(n)), 2)
    got = [(block.content, block.packed) for block in blocks]
    expected = [big(number) for number in range(n)]
    assert got == [(block.content, block.packed) for block in expected]
