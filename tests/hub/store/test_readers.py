"""Work goes to threads and comes back, whoever fails, waits or goes away."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from psrlib.hub.store.readers import Readers


@pytest.fixture
def relay() -> Iterator[Readers]:
    made = Readers(2, lambda work: work())
    yield made
    made.close()


def test_each_caller_gets_its_own_result(relay: Readers) -> None:
    """Also a thousand at once."""

    async def main() -> list[Any]:
        return await asyncio.gather(*(relay.run(lambda i=i: i * i) for i in range(1000)))

    assert asyncio.run(main()) == [i * i for i in range(1000)]


def test_an_error_reaches_its_caller_alone(relay: Readers) -> None:
    """The thread goes on with what waits."""

    async def main() -> list[Any]:
        work = [lambda: 1, lambda: 1 // 0, lambda: 3]
        return await asyncio.gather(*map(relay.run, work), return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert (first, third) == (1, 3)
    assert isinstance(second, ZeroDivisionError)


def test_slow_work_holds_up_neither_the_loop_nor_the_other_thread(relay: Readers) -> None:
    """A long listing leaves a thread for short reads, and polls go on."""

    async def main() -> bool:
        release = threading.Event()
        slow = asyncio.create_task(relay.run(release.wait))
        await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.wait_for(relay.run(lambda: None), 5)
        waited = not slow.done()
        release.set()
        await slow
        return waited

    assert asyncio.run(main())


def test_a_caller_that_went_away_is_passed_over(relay: Readers) -> None:
    """The connection was closed: nobody takes the result, nobody else is disturbed."""

    async def main() -> int:
        release = threading.Event()
        gone = asyncio.create_task(relay.run(release.wait))
        await asyncio.sleep(0)
        gone.cancel()
        release.set()
        return int(await relay.run(lambda: 7))

    assert asyncio.run(main()) == 7


def test_it_outlives_a_loop(relay: Readers) -> None:
    """A result that comes after its loop has ended is dropped; the next loop gets its own."""
    release = threading.Event()

    async def leave() -> None:
        task = asyncio.create_task(relay.run(release.wait))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    release.set()
    assert asyncio.run(relay.run(lambda: 5)) == 5
