"""State in a database: the same engines again elsewhere, and no engine twice."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest
from support.fleet_fakes import (
    START_MS,
    JumpingClock,
    RecorderSender,
    base_event,
    deliver,
    identity,
    save_event,
)
from support.fleet_recorder import Recorder
from support.waiting import wait_for

from psrlib.engines.behaviour import Behaviour
from psrlib.engines.database import EngineDatabase
from psrlib.engines.engine import Engine
from psrlib.engines.fleet import Fleet
from psrlib.engines.shared_store import SharedStore
from psrlib.engines.status import describe
from psrlib.engines.wire import ServerEvent
from psrlib.errors import ProcessError

HUB = "http://hub"
IDENTITIES = [identity(n) for n in range(2)]
NOW = {"alive_ms": START_MS, "webhooks_received": 7}


@pytest.fixture
def stored(store: str) -> str:
    """A store that has the identities of two engines."""
    with EngineDatabase(store, HUB) as database:
        database.save(IDENTITIES)
    return store


def take(store: str) -> SharedStore:
    return SharedStore(EngineDatabase(store, HUB), IDENTITIES)


def new_engine() -> Engine:
    return Engine(identity(0), HUB, Behaviour())


def test_an_engine_comes_back_elsewhere_with_its_pipelines(stored: str, engine: Engine) -> None:
    """Pipelines, pushed configuration and counters are those of the fleet before."""
    events = [
        ServerEvent("a", 1001, json.dumps(save_event())),
        ServerEvent("b", 1003, json.dumps(base_event())),
    ]
    deliver(engine, events, START_MS)
    engine.push({"a": "b"})
    first = take(stored)
    assert first.counter("alive_ms") is None
    first.save([engine], NOW)
    assert not engine.dirty
    first.close()
    second, later = take(stored), new_engine()
    second.restore([later])
    second.close()
    assert later.reports(START_MS) == engine.reports(START_MS)
    assert later.pushed == {"a": "b"}
    assert [second.counter(name) for name in NOW] == list(NOW.values())


def test_what_changes_while_a_write_is_under_way_is_written_next(
    stored: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older state never replaces a newer one."""
    database = EngineDatabase(stored, HUB)
    shared, write = SharedStore(database, IDENTITIES), database.write
    written = []

    def write_slowly(*arguments: object, **options: object) -> bool:
        time.sleep(0.1)
        written.append(arguments[2])
        return write(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "write", write_slowly)
    for value in "abc":
        engine.push({"key": value})
        shared.save([engine], NOW)
    shared.close()
    assert len(written) == 2
    again, later = take(stored), new_engine()
    again.restore([later])
    again.close()
    assert later.pushed == {"key": "c"}


def test_state_of_another_token_is_left_alone(stored: str, engine: Engine) -> None:
    """An engine with a new token serves a new hub."""
    engine.push({"a": "b"})
    first = take(stored)
    first.save([engine], NOW)
    first.close()
    later = new_engine()
    later.identity = msgspec.structs.replace(later.identity, token="another")
    second = take(stored)
    second.restore([later])
    second.close()
    assert later.pushed == {}


class Breakable:
    """A database whose writes fail when told so."""

    def __init__(self, database: EngineDatabase) -> None:
        self.is_down = False
        self._write = database.write
        database.write = self.write  # type: ignore[method-assign]

    def write(self, *arguments: object, **options: object) -> bool:
        if self.is_down:
            raise ProcessError("engine store: gone")
        return self._write(*arguments, **options)  # type: ignore[arg-type]


def expire(store: str) -> None:
    with EngineDatabase(store, HUB) as database, database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE psr_fleet SET expires_at = clock_timestamp() - interval '1 second'"
        )


def test_a_fleet_that_is_cut_off_holds_still_and_ends_when_others_have_its_engines(
    stored: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is told long before the lease is over; what it would write late is refused."""
    monkeypatch.setattr("psrlib.engines.shared_store.HOLD_S", 0.2)
    database = EngineDatabase(stored, HUB)
    shared, breakable = SharedStore(database, IDENTITIES), Breakable(database)
    shared.save([engine], NOW)
    assert not shared.is_behind
    breakable.is_down = True
    engine.push({"a": "late"})
    with caplog.at_level(logging.WARNING):
        wait_for(lambda: (shared.save([engine], NOW), shared.is_behind)[1])
        for _ in range(3):
            time.sleep(0.05)
            shared.save([engine], NOW)
    assert caplog.text.count("the engines hold still: engine store: gone") == 1
    expire(stored)
    other = take(stored)
    breakable.is_down = False

    def save_again() -> bool:
        try:
            shared.save([engine], NOW)
        except ProcessError as error:
            return "another fleet has these engines now" in str(error)
        return False

    wait_for(save_again)
    assert shared.is_behind
    shared.close()
    later = new_engine()
    other.restore([later])
    other.close()
    assert later.pushed == {}


def test_a_database_that_is_back_has_what_changed_meanwhile(
    stored: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engines go on."""
    monkeypatch.setattr("psrlib.engines.shared_store.HOLD_S", 0.2)
    database = EngineDatabase(stored, HUB)
    shared, breakable = SharedStore(database, IDENTITIES), Breakable(database)
    breakable.is_down = True
    engine.push({"a": "b"})
    wait_for(lambda: (shared.save([engine], NOW), shared.is_behind)[1])
    breakable.is_down = False
    wait_for(lambda: (shared.save([], NOW), not shared.is_behind)[1])
    shared.close()
    again, later = take(stored), new_engine()
    again.restore([later])
    again.close()
    assert later.pushed == {"a": "b"}


class Late:
    """A store that is behind in the second minute."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock

    @property
    def is_behind(self) -> bool:
        return 60_000 <= self.clock.now - START_MS < 120_000

    def restore(self, engines: Iterable[Engine]) -> None:
        pass

    def save(self, engines: Iterable[Engine], counters: dict[str, int]) -> None:
        pass

    def counter(self, name: str) -> int | None:
        return None

    def close(self) -> None:
        pass


@pytest.mark.parametrize("minutes", [2, 3])
def test_engines_of_a_fleet_that_is_behind_tell_nothing(clock: JumpingClock, minutes: int) -> None:
    """No request leaves; afterwards they go on."""
    recorder = Recorder({identity(n).id: identity(n).token for n in range(3)})
    sender = RecorderSender(recorder, clock)
    fleet = Fleet([identity(n) for n in range(3)], HUB, sender, clock=clock, store=Late(clock))
    asyncio.run(fleet.run(until_ms=START_MS + minutes * 60_000 - 1000))
    per_minute = Counter((request.at_ms - START_MS) // 60_000 for request in recorder.requests)
    assert per_minute.keys() == ({0} if minutes == 2 else {0, 2})
    assert min(per_minute.values()) > 30
    assert describe(fleet)["polling"] == (0 if minutes == 2 else 3)
    assert recorder.violations == []
