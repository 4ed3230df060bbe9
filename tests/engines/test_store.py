"""State on disk."""

import json
from pathlib import Path

import msgspec
import pytest
from support.fleet_fakes import START_MS, base_event, deliver, identity, save_event

from psrlib.engines.behaviour import Behaviour
from psrlib.engines.engine import Engine
from psrlib.engines.store import FILE, FleetStore
from psrlib.engines.wire import ServerEvent
from psrlib.errors import InputError


def test_an_engine_comes_back_with_its_pipelines_and_configuration(tmp_path: Path, engine: Engine) -> None:
    """Everything that its reports need."""
    events = [
        ServerEvent("a", 1001, json.dumps(save_event())),
        ServerEvent("b", 1003, json.dumps(base_event())),
    ]
    deliver(engine, events, START_MS)
    engine.push({"a": "b"})
    store = FleetStore(tmp_path)
    store.save([engine], {"alive_ms": 5})
    store.close()
    later, store = Engine(identity(0), "http://hub", Behaviour()), FleetStore(tmp_path)
    store.restore([later])
    assert later.reports(START_MS) == engine.reports(START_MS)
    assert later.pushed == {"a": "b"}
    assert (store.counter("alive_ms"), store.counter("unknown")) == (5, None)
    store.close()


def test_only_the_owner_may_read_the_state(tmp_path: Path, engine: Engine) -> None:
    """The database and the files SQLite keeps beside it."""
    store = FleetStore(tmp_path)
    store.save([engine], {})
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    store.close()
    assert len(modes) == 2
    assert set(modes.values()) == {0o600}


def test_state_of_another_token_is_left_alone(tmp_path: Path, engine: Engine) -> None:
    """An engine with a new token serves a new hub, which knows nothing of the pipelines of the old one."""
    deliver(engine, [ServerEvent("a", 1001, json.dumps(save_event()))], START_MS)
    store = FleetStore(tmp_path)
    store.save([engine], {})
    later = Engine(msgspec.structs.replace(identity(0), token="another"), "http://hub", Behaviour())
    store.restore([later])
    store.close()
    assert later.pipelines == {}


def test_only_what_changed_is_written(tmp_path: Path, engine: Engine) -> None:
    """Saving clears the mark."""
    store = FleetStore(tmp_path)
    store.save([engine], {})
    assert not engine.dirty
    store.close()


def test_no_token_is_in_the_state(tmp_path: Path, engine: Engine) -> None:
    """Tokens live in the identities file only."""
    store = FleetStore(tmp_path)
    store.save([engine], {})
    store.close()
    assert engine.identity.token.encode() not in (tmp_path / FILE).read_bytes()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / FILE).write_text("not a database, " * 100)
    with pytest.raises(InputError, match=r"state\.db.*move it away"):
        FleetStore(tmp_path)
