"""Fixtures: a fresh hub on SQLite and on a real PostgreSQL, with or without an organization."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.hub_driver import Credential, Driver, Session, create_organization, sign_up
from support.in_process import Clock
from support.postgres import Postgres, serve_postgres
from support.shared_statements import share_statements

from psrlib.hub.store.database import Database


@pytest.fixture(scope="session", autouse=True)
def statements() -> Iterator[None]:
    with share_statements():
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with a database ``hub`` that holds the tables and no rows."""
    with serve_postgres() as server:
        database = Database(server.create("hub", "template1"))
        database.prepare()
        database.close()
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def db_kind(request: pytest.FixtureRequest) -> str:
    """Every test that uses it, or a fixture that does, runs on both kinds."""
    return str(request.param)


@pytest.fixture
def db_url(db_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if db_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create()


@dataclass
class Template:
    """A database with organization acme in it, to be copied for each test: creating it costs 50 ms."""

    place: str  # file of SQLite, name at the PostgreSQL server
    token: str  # session of acme's administrator


def furnish_template(url: str, place: str) -> Template:
    driver = Driver(url, Clock())
    token = create_organization(driver.login("admin@admin"), "acme").token
    driver.close()
    return Template(place, token)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    path = tmp_path_factory.mktemp("template") / "hub.db"
    return furnish_template(f"sqlite:///{path}", str(path))


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> Template:
    return furnish_template(postgres.create("acme"), "acme")


@pytest.fixture
def lite(tmp_path: Path, clock: Clock) -> Iterator[Driver]:
    """A fresh hub on SQLite, for what does not depend on the database."""
    made = Driver(f"sqlite:///{tmp_path / 'hub.db'}", clock)
    yield made
    made.close()


@pytest.fixture
def acme(db_kind: str, request: pytest.FixtureRequest, clock: Clock) -> Iterator[Session]:
    """The administrator of organization acme, on either database."""
    if db_kind == "sqlite":
        yield request.getfixturevalue("lite_acme")
        return
    template: Template = request.getfixturevalue("postgres_template")
    server: Postgres = request.getfixturevalue("postgres")
    made = Driver(server.create(template=template.place), clock)
    yield Session(made, "admin@acme", template.token)
    made.close()


@pytest.fixture
def lite_acme(sqlite_template: Template, tmp_path: Path, clock: Clock) -> Iterator[Session]:
    """The administrator of organization acme, on SQLite."""
    shutil.copy(sqlite_template.place, tmp_path / "hub.db")
    made = Driver(f"sqlite:///{tmp_path / 'hub.db'}", clock)
    yield Session(made, "admin@acme", sqlite_template.token)
    made.close()


@pytest.fixture
def lite_4(tmp_path: Path, clock: Clock) -> Iterator[Driver]:
    """A fresh hub of release 4."""
    made = Driver(f"sqlite:///{tmp_path / 'hub4.db'}", clock, release=4)
    yield made
    made.close()


@pytest.fixture
def platform(lite_4: Driver) -> Credential:
    """The administrator of organization acme, on a hub of release 4."""
    return sign_up(lite_4.login("admin@admin"), "acme")


@pytest.fixture
def admin(acme: Session) -> Session:
    """The administrator of the hub that acme is on."""
    return acme.driver.login("admin@admin")
