"""Engines in a PostgreSQL database: their identities, and whose they are, for machines that share no folder.

A fleet takes its engines under a lease that each write renews by the server's clock, in the transaction of
that write. So a fleet whose machine is gone frees them within `LEASE_S`, whatever the network tells the
server, and one that was taken for dead can write nothing any more. A lock of the server's (advisory) would do
neither: it lasts until the server finds the connection broken, two hours by default, and its holder does not
learn of its end. Passwords come from the environment alone; whoever passes a store on leaves them out.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from psrlib.engines.identity import EngineIdentity
from psrlib.errors import InputError, ProcessError

VARIABLE = "PSR_ENGINE_STORE"  # of the environment: the URL, with the password
LEASE_S = 10.0  # from a fleet's last write until another one may take its engines
CONNECT_S = 3
# A peer that is gone without a word ends the wait for it within seconds.
_NETWORK = {"connect_timeout": CONNECT_S, "tcp_user_timeout": CONNECT_S * 1000}
_NETWORK |= {"keepalives_idle": CONNECT_S, "keepalives_interval": 1, "keepalives_count": 3}
State = tuple[str, str, str, bytes]  # organization, key, digest of the token, state
_ALONE = text("SELECT pg_advisory_xact_lock(7907199017)")  # any number that nobody else has
_TABLES = """
CREATE TABLE IF NOT EXISTS psr_fleet (
    id TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at TIMESTAMPTZ NOT NULL,
    ended BOOLEAN NOT NULL DEFAULT FALSE, alive_ms BIGINT, webhooks_received BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS psr_engine (
    hub TEXT, organization TEXT, key TEXT, id TEXT NOT NULL, identity TEXT NOT NULL,
    token TEXT, state BYTEA, fleet TEXT,
    PRIMARY KEY (hub, organization, key)
);
CREATE INDEX IF NOT EXISTS psr_engine_fleet ON psr_engine (fleet);
"""
_MINE = """hub = :hub AND (organization, key) IN (
    SELECT * FROM unnest(CAST(:organizations AS text[]), CAST(:keys AS text[])))"""
_BEFORE = f"id IN (SELECT fleet FROM psr_engine WHERE {_MINE})"
_LEASE = f"clock_timestamp() + interval '{LEASE_S} seconds'"
_LOAD = text(
    "SELECT organization, identity FROM psr_engine "
    "WHERE hub = :hub AND organization = ANY(:organizations) ORDER BY key"
)
_SAVE = text(
    """INSERT INTO psr_engine (hub, organization, key, id, identity)
    SELECT :hub, * FROM unnest(CAST(:organizations AS text[]), CAST(:keys AS text[]),
        CAST(:ids AS text[]), CAST(:identities AS text[]))
    ON CONFLICT (hub, organization, key) DO UPDATE SET id = excluded.id, identity = excluded.identity"""
)
_OWNERS = text(
    """SELECT DISTINCT e.organization, f.holder FROM psr_engine e JOIN psr_fleet f ON f.id = e.fleet
    WHERE e.hub = :hub AND e.organization = ANY(:organizations)
    AND NOT f.ended AND f.expires_at > clock_timestamp()"""
)
_END_OLD = text("UPDATE psr_fleet SET ended = TRUE WHERE NOT ended AND expires_at < clock_timestamp()")
_BUSY = text(
    f"""SELECT e.organization, f.holder FROM (SELECT * FROM psr_engine WHERE {_MINE}) e
    JOIN psr_fleet f ON f.id = e.fleet WHERE NOT f.ended LIMIT 1"""
)
_COUNTERS = text(f"SELECT max(alive_ms), sum(webhooks_received) FROM psr_fleet WHERE {_BEFORE}")
_MOVE_COUNTERS = text(f"UPDATE psr_fleet SET webhooks_received = 0 WHERE {_BEFORE}")
_BEGIN = text(
    "INSERT INTO psr_fleet (id, holder, expires_at, alive_ms, webhooks_received) "
    f"VALUES (:fleet, :holder, {_LEASE}, :alive_ms, :webhooks_received)"
)
_TAKE = text(f"UPDATE psr_engine SET fleet = :fleet WHERE {_MINE}")
_FORGET = text(
    "DELETE FROM psr_fleet f WHERE ended AND NOT EXISTS (SELECT FROM psr_engine WHERE fleet = f.id)"
)
_STATES = text("SELECT id, token, state FROM psr_engine WHERE fleet = :fleet AND state IS NOT NULL")
_RENEW = text(
    f"UPDATE psr_fleet SET expires_at = {_LEASE}, ended = :ended, alive_ms = :alive_ms, "
    "webhooks_received = :webhooks_received WHERE id = :fleet AND NOT ended"
)
_WRITE = text(
    """UPDATE psr_engine e SET token = new.token, state = new.state FROM unnest(
        CAST(:organizations AS text[]), CAST(:keys AS text[]),
        CAST(:tokens AS text[]), CAST(:states AS bytea[])) AS new (organization, key, token, state)
    WHERE e.hub = :hub AND e.organization = new.organization AND e.key = new.key"""
)


def without_password(url: str) -> str:
    """Return the URL of a store as it may be shown.

    Raises
    ------
    InputError
        If it is none of PostgreSQL, or has a password where it would be shown.

    Examples
    --------
    >>> without_password("postgresql://psr:secret@db/engines")
    'postgresql+psycopg://psr@db/engines'
    """
    try:
        parsed = make_url(url)
        named = parsed.get_backend_name() == "postgresql" and "@" not in (parsed.host or "")
    except (ArgumentError, ValueError):
        named = False
    if not named:  # what was given is not repeated: a part of it may be a password
        raise InputError(
            "engine store: expected postgresql://USER@HOST/DATABASE, special characters of a password in "
            f"{VARIABLE} written as %40 (@), %3A (:), %2F (/)"
        )
    if wrong := [name for name in parsed.query if "password" in name]:
        raise InputError(
            f"engine store: {wrong[0]} after the question mark; the password belongs before the @"
        )
    return _public(parsed).render_as_string()


def check_store(store: str) -> None:
    """Refuse a store that is given with its password, which would go into tasks and records (InputError)."""
    if make_url(without_password(store)) != make_url(store).set(drivername="postgresql+psycopg"):
        raise InputError(f"engine store: leave out its password; the variable {VARIABLE} has the URL with it")


class EngineDatabase:
    """The engines of one Control Hub in a database; the tables are made when they lack.

    Parameters
    ----------
    store : str
        SQLAlchemy URL without a password. That comes from `VARIABLE`, which holds the same URL with it, or
        from where libpq looks for one (``PGPASSWORD``, ``~/.pgpass``).
    hub : str
        Base URL of the Control Hub; engines of several can be in one database.

    Raises
    ------
    InputError
        If the URL is wrong, or the driver is not installed.
    ProcessError
        If the database does not answer or refuses; so all methods.
    """

    def __init__(self, store: str, hub: str) -> None:
        self.store = without_password(store)
        self.hub = hub.rstrip("/")
        given = os.environ.get(VARIABLE, "")
        url = make_url(given if given and without_password(given) == self.store else store)
        try:
            self._engine = create_engine(
                url.set(drivername="postgresql+psycopg"),
                pool_size=1,
                hide_parameters=True,  # tokens
                connect_args={"client_encoding": "utf8", **_NETWORK},  # SQL_ASCII would give bytes for text
            )
        except ModuleNotFoundError:
            raise InputError(
                "an engine store needs psycopg; install it with pip install psr-db-populator[postgres]"
            ) from None
        with self.writing() as connection:
            connection.execute(_ALONE)
            connection.exec_driver_sql(_TABLES)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> "EngineDatabase":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            cause: Any = getattr(error, "orig", None) or type(error).__name__
            words = getattr(
                getattr(cause, "diag", None), "message_primary", None
            )  # a detail may have a token
            reason = " ".join(str(words or cause).split())
            raise ProcessError(
                f"engine store {self.store}: {reason}; check that the server runs, and the password in "
                f"{VARIABLE}"
            ) from None

    def load(self, organizations: Sequence[str]) -> list[EngineIdentity]:
        """Return the identities of some organizations, in their order."""
        with self.writing() as connection:
            rows = connection.execute(_LOAD, {"hub": self.hub, "organizations": list(organizations)}).all()
        place = {organization: number for number, organization in enumerate(organizations)}
        rows = sorted(rows, key=lambda row: place[row.organization])
        return [msgspec.json.decode(row.identity, type=EngineIdentity) for row in rows]

    def save(self, identities: Iterable[EngineIdentity]) -> None:
        """Keep identities, in place of those that the same engines had."""
        own = list(identities)
        texts = [msgspec.json.encode(identity).decode() for identity in own]
        with self.writing() as connection:
            connection.execute(_SAVE, {**self._names(own), "ids": [i.id for i in own], "identities": texts})

    def owners(self, organizations: Sequence[str]) -> dict[str, str]:
        """Return who runs engines now, by organization, of those given."""
        with self.writing() as connection:
            rows = connection.execute(_OWNERS, {"hub": self.hub, "organizations": list(organizations)})
            return {row.organization: row.holder for row in rows}

    def take(self, fleet: str, identities: Sequence[EngineIdentity]) -> dict[str, int | None]:
        """Take engines for a fleet, all or none; return the counters of the fleets that had them before.

        Raises
        ------
        ProcessError
            If another fleet has some of them.
        InputError
            If the store lacks some.
        """
        names = {**self._names(identities), "fleet": fleet}
        holder = f"{socket.gethostname()} (pid {os.getpid()})"
        with self.writing() as connection:
            connection.execute(_ALONE)
            connection.execute(_END_OLD)  # one that renews its lease meanwhile keeps it
            if busy := connection.execute(_BUSY, names).first():
                raise ProcessError(
                    f"engine store {self.store}: engines of {busy.organization} run already, on "
                    f"{busy.holder}; stop them there; of a machine that is gone they are free within "
                    f"{LEASE_S:.0f} s"
                )
            alive_ms, webhooks = connection.execute(_COUNTERS, names).one()
            counters = {"alive_ms": alive_ms, "webhooks_received": int(webhooks or 0)}
            connection.execute(_MOVE_COUNTERS, names)
            connection.execute(_BEGIN, {**names, **counters, "holder": holder})
            found = connection.execute(_TAKE, names).rowcount
            if found != len(identities):
                raise InputError(
                    f"engine store {self.store}: {found} of {len(identities)} engines of {self.hub}; keep "
                    "them there with psr populate, or psr engines start, and --engine-store"
                )
            connection.execute(_FORGET)
        return counters

    def states(self, fleet: str) -> dict[tuple[str, str], bytes]:
        """Return the states of a fleet's engines, by engine id and digest of the token."""
        with self.writing() as connection:
            rows = connection.execute(_STATES, {"fleet": fleet}).all()
        return {(row.id, row.token): row.state for row in rows}

    def write(
        self,
        fleet: str,
        counters: dict[str, int | None],
        states: Sequence[State],
        *,
        ended: bool,
    ) -> bool:
        """Renew the lease of a fleet, or end it, and write states with it; False: others have its engines."""
        with self.writing() as connection:
            if connection.execute(_RENEW, {"fleet": fleet, "ended": ended, **counters}).rowcount == 0:
                return False
            if states:
                names = ("organizations", "keys", "tokens", "states")
                columns = dict(zip(names, map(list, zip(*states, strict=True)), strict=True))
                connection.execute(_WRITE, {"hub": self.hub, **columns})
        return True

    def _names(self, identities: Sequence[EngineIdentity]) -> dict[str, Any]:
        organizations = [identity.organization for identity in identities]
        return {"hub": self.hub, "organizations": organizations, "keys": [i.key for i in identities]}


def _public(url: URL) -> URL:
    return URL.create("postgresql+psycopg", url.username, None, url.host, url.port, url.database, url.query)
