"""Engines in a database: identities, who has them, and what is said when it does not answer."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.engine import make_url
from support.fleet_fakes import identity
from support.postgres import STORE_PASSWORD

from psrlib.engines.database import VARIABLE, EngineDatabase, check_store, without_password
from psrlib.errors import InputError, ProcessError

HUB = "https://hub.example.com"
COUNTERS = {"alive_ms": 5, "webhooks_received": 3}
HERE = [identity(n) for n in range(3)]
THERE = [identity(n, "org-0002") for n in range(3, 5)]


@pytest.fixture
def database(store: str) -> Iterator[EngineDatabase]:
    with EngineDatabase(store, HUB) as found:
        found.save([*HERE, *THERE])
        yield found


def test_identities_come_back_in_the_order_of_the_organizations(database: EngineDatabase) -> None:
    """From any machine; of the organizations asked for."""
    with EngineDatabase(database.store, HUB + "/") as again:
        assert again.load(["org-0002", "org-0001"]) == [*THERE, *HERE]
        assert again.load(["org-0002"]) == THERE
        again.save([msgspec.structs.replace(THERE[0], token="another")])
    assert [i.token for i in database.load(["org-0002"])] == ["another", THERE[1].token]


def test_another_hub_has_engines_of_its_own(database: EngineDatabase) -> None:
    """The same organization, key and id at another address are another engine."""
    with EngineDatabase(database.store, "https://other.example.com") as other:
        assert other.load(["org-0001"]) == []
        other.save([msgspec.structs.replace(HERE[0], token="another")])
    assert database.load(["org-0001"]) == HERE


def test_an_engine_has_one_fleet(database: EngineDatabase) -> None:
    """Whole or in parts: who overlaps with a fleet that lives gets none of its engines."""
    database.take("first", HERE)
    with pytest.raises(ProcessError, match=r"engines of org-0001 run already, on .*pid \d+"):
        database.take("second", [*THERE, HERE[2]])
    assert list(database.owners(["org-0001", "org-0002"])) == ["org-0001"]
    database.take("third", THERE)
    assert database.write("first", COUNTERS, [], ended=True)
    database.take("second", HERE)
    assert not database.write("first", COUNTERS, [], ended=False)


def test_of_many_that_take_at_once_one_gets_them(database: EngineDatabase) -> None:
    """The others are told."""
    taken: list[str] = []
    refused: list[ProcessError] = []
    begin = threading.Barrier(6)

    def take(name: str) -> None:
        own = EngineDatabase(database.store, HUB)
        begin.wait()
        try:
            own.take(name, HERE)
            taken.append(name)
        except ProcessError as error:
            refused.append(error)
        own.close()

    threads = [threading.Thread(target=take, args=(f"fleet-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 5)


def expire(database: EngineDatabase) -> None:
    """Let all leases run out."""
    with database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE psr_fleet SET expires_at = clock_timestamp() - interval '1 second'"
        )


def test_who_was_taken_for_dead_writes_nothing_any_more(database: EngineDatabase) -> None:
    """A fleet loses its engines when its lease is over and somebody else takes them, not before."""
    database.take("first", HERE)
    state = ("org-0001", "engine-0001", "digest", b"old")
    assert database.write("first", COUNTERS, [state], ended=False)
    expire(database)
    assert database.owners(["org-0001"]) == {}
    assert database.write("first", COUNTERS, [], ended=False)  # nobody has taken them
    assert database.owners(["org-0001"])
    expire(database)
    assert database.take("second", HERE) == COUNTERS
    assert database.states("second") == {(HERE[0].id, "digest"): b"old"}
    assert not database.write("first", COUNTERS, [(*state[:3], b"late")], ended=False)
    assert database.states("second") == {(HERE[0].id, "digest"): b"old"}


def test_counts_go_with_engines_once(database: EngineDatabase) -> None:
    """When the engines of a fleet are shared out among two, what it counted is counted once."""
    database.take("whole", [*HERE, *THERE])
    database.write("whole", COUNTERS, [], ended=True)
    found = [database.take("left", HERE), database.take("right", THERE)]
    assert found == [COUNTERS, {"alive_ms": 5, "webhooks_received": 0}]
    with database.writing() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM psr_fleet").scalar() == 2


def test_engines_that_the_store_lacks(database: EngineDatabase) -> None:
    """Nothing is taken, and the message says where identities come from."""
    with pytest.raises(InputError, match=r"3 of 4 engines of https://hub.*psr populate"):
        database.take("fleet", [*HERE, identity(9)])
    assert database.owners(["org-0001"]) == {}


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////tmp/engines.db",
        "postgresql://psr:se@cret@db/engines",
        "postgresql://psr:secret@db:port/engines",
        "postgresql://psr@db/engines?password=secret",
        "secret",
    ],
)
def test_a_url_that_is_none_is_not_repeated(url: str) -> None:
    """A part of it may be a password."""
    with pytest.raises(InputError, match="engine store") as refused:
        without_password(url)
    assert "cret" not in str(refused.value)


def test_a_password_is_refused_where_it_would_be_kept() -> None:
    """The variable is named in place of it."""
    check_store("postgresql://psr@db/engines")
    with pytest.raises(InputError, match=VARIABLE) as refused:
        check_store("postgresql://psr:secret@db/engines")
    assert "secret" not in str(refused.value)


def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One sentence with its address, without the password."""
    url = f"postgresql://psr:secret@/engines?host={tmp_path}"
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(ProcessError, match=r"engine store postgresql\+psycopg://psr@/engines") as refused:
        EngineDatabase(without_password(url), HUB)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_wrong_password_is_not_shown(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the right one; without one the variable is named."""
    wrong = make_url(store).set(password="mistaken").render_as_string(hide_password=False)
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(ProcessError, match="password authentication failed") as refused:
        EngineDatabase(store, HUB)
    assert "mistaken" not in str(refused.value)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ProcessError, match=f"no password supplied.*{VARIABLE}"):
        EngineDatabase(store, HUB)


def test_what_the_database_objects_to_shows_no_token(database: EngineDatabase) -> None:
    """Values of a statement that fails are in no message."""
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE psr_engine ADD CHECK (length(identity) < 10) NOT VALID")
    with pytest.raises(ProcessError, match="violates check constraint") as refused:
        database.save(HERE)
    assert HERE[0].token not in str(refused.value)
    assert STORE_PASSWORD not in str(refused.value)
