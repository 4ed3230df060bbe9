"""Fixtures of the engine tests."""

from collections.abc import Iterator

import pytest
from support.fleet_fakes import START_MS, Hand, JumpingClock, identity
from support.fleet_recorder import Recorder
from support.postgres import Postgres, serve_postgres

from psrlib.engines.behaviour import Behaviour
from psrlib.engines.database import VARIABLE, without_password
from psrlib.engines.engine import Engine
from psrlib.engines.poll import PollLane

BASE = "http://hub.example:18631"


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def engine() -> Engine:
    """One engine, booted, nothing told yet; events take it no time."""
    engine = Engine(identity(0), BASE, Behaviour(), event_ms=0)
    engine.boot(START_MS)
    return engine


@pytest.fixture
def recorder() -> Recorder:
    """A recorder that knows the first ten engines."""
    return Recorder({identity(n).id: identity(n).token for n in range(10)})


@pytest.fixture
def lane(engine: Engine) -> PollLane:
    return PollLane(engine, phase_ms=0, start_ms=START_MS)


@pytest.fixture
def hand(engine: Engine, recorder: Recorder) -> Hand:
    return Hand(engine, recorder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server without databases."""
    with serve_postgres() as server:
        yield server


@pytest.fixture
def store(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database for engines: its URL without the password, which is in the environment."""
    url = postgres.create_protected()
    monkeypatch.setenv(VARIABLE, url)
    return without_password(url)
