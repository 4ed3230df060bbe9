"""The running hub: database, threads, memory of callers and engines, and what happens by itself."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, select

from psrlib.hub.access import Callers, Principal
from psrlib.hub.call import load
from psrlib.hub.database import Database
from psrlib.hub.fleet import Fleet
from psrlib.hub.mail import MailServer
from psrlib.hub.memory import Memory
from psrlib.hub.routing import Route
from psrlib.hub.schema import security

T = TypeVar("T")
NEVER_MS = 2**62
N_READERS = 2  # threads for reading; more gain nothing on the two cores of a small machine


class Hub:
    """One hub process.

    Parameters
    ----------
    database : Database
        Prepared database.
    url : str
        Base URL engines reach the hub under, for REMOTE_TIMESERIES_URL.
    clock : callable
        Returns epoch milliseconds.
    """

    def __init__(self, database: Database, url: str = "", clock: Callable[[], int] | None = None) -> None:
        self.database = database
        self.url = url
        self.now = clock or _wall_clock_ms
        self.started_on = self.now()
        self.routes: list[Route] = []
        self.callers = Callers()
        self.memory = Memory()
        self.fleet = Fleet(self.started_on)
        self.mail_server: MailServer | None = None  # set before the background begins
        self._writer = ThreadPoolExecutor(1, "hub-writer")
        self._n_writing = 0  # transactions in the writer thread or waiting for it
        self._readers = ThreadPoolExecutor(N_READERS, "hub-reader")

    def load(self) -> None:
        """Read sessions, components and waiting engine events from the database."""
        with self.database.reading() as connection:
            _load_sessions(connection, self.callers, self.now())
            _load_components(connection, self.callers)
            _load_credentials(connection, self.callers)
            self.fleet.load(connection)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run blocking reads in a reader thread."""

        def run() -> T:
            with self.database.reading() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(self, work: Callable[[Connection], T], short: bool = False) -> T:
        """Run a transaction, one after the other: in the writer thread, or at once when it is short.

        A short transaction on SQLite takes less time than handing it to a thread. It runs on the event loop
        as long as none waits in the writer thread, so the order stays and no two write at the same time.
        """
        if short and not self._n_writing and self.database.is_sqlite:
            return self.write_now(work)
        self._n_writing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, self.write_now, work)
        finally:
            self._n_writing -= 1

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction in this thread; nothing else may be writing."""
        try:
            with self.database.writing() as connection:
                return work(connection)
        except BaseException:
            self.memory.forget()  # it may hold what was rolled back
            raise

    async def compute(self, work: Callable[[], T]) -> T:
        """Run work without a database (password hashing) in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def close(self) -> None:
        """Finish running work and close the database."""
        self._writer.shutdown()
        self._readers.shutdown()
        self.database.close()


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _load_sessions(connection: Connection, callers: Callers, now_ms: int) -> None:
    table = security.sessions
    for row in connection.execute(select(table).where(table.c.expires_on > now_ms)):
        callers.sessions[row.token_hash] = Principal(
            id=row.user_id,
            organization=row.organization,
            roles=frozenset(load(row.roles)),
            groups=frozenset(load(row.groups)),
            name=row.user_name,
            email=row.email,
            organization_name=row.organization_name,
            expires_on=row.expires_on,
            token_hash=row.token_hash,
        )


def _load_components(connection: Connection, callers: Callers) -> None:
    table = security.components
    rows = connection.execute(select(table).where(table.c.active, table.c.user_id.is_(None)))
    for row in rows:
        callers.components[row.token_hash] = component_principal(
            row.id, row.organization, row.type, row.token_hash
        )


def _load_credentials(connection: Connection, callers: Callers) -> None:
    table = security.components
    for row in connection.execute(select(table).where(table.c.active, table.c.user_id.is_not(None))):
        principal = user_principal(connection, row.user_id, row.token_hash)
        if principal is not None:
            callers.credentials[row.token_hash] = (row.id, principal)


def user_principal(
    connection: Connection, user_id: str, digest: str, expires_on: int = NEVER_MS
) -> Principal | None:
    """Return a user's principal with the roles and groups of this moment; None for an inactive user."""
    users, organizations = security.users, security.organizations
    members, groups = security.group_members, security.groups
    user = connection.execute(
        select(users, organizations.c.name.label("organization_name"))
        .join(organizations, organizations.c.id == users.c.organization)
        .where(users.c.id == user_id, users.c.active, ~users.c.deleted, organizations.c.active)
    ).first()
    if user is None:
        return None
    own = select(groups.c.id, groups.c.roles).join(members, members.c.group_id == groups.c.id)
    rows = list(connection.execute(own.where(members.c.user_id == user.id, ~groups.c.deleted)))
    return Principal(
        id=user.id,
        organization=user.organization,
        roles=frozenset(load(user.roles)).union(*(load(row.roles) for row in rows)),
        groups=frozenset([f"all@{user.organization}", *(row.id for row in rows)]),
        name=user.name,
        email=user.email,
        organization_name=user.organization_name,
        expires_on=expires_on,
        token_hash=digest,
    )


def component_principal(component_id: str, organization: str, kind: str, digest: str) -> Principal:
    """Return the principal of an engine or agent."""
    return Principal(
        id=component_id,
        organization=organization,
        is_component=True,
        component_type=kind,
        token_hash=digest,
    )
