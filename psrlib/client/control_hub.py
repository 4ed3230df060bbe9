"""A session of one user on a Control Hub."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from copy import copy
from typing import Any, Protocol

from psrlib.client.apps.security import Security
from psrlib.client.calls import CallCounter
from psrlib.client.credentials import SYSTEM, Credentials
from psrlib.client.dialect import Dialect, Release3, Release4
from psrlib.client.http import DEADLINE_S, TIMEOUT_S, HttpClient
from psrlib.client.limit import AdaptiveLimit
from psrlib.client.login import Login
from psrlib.client.request import Answer, Request
from psrlib.client.session import Session
from psrlib.client.wire import Json
from psrlib.errors import HubError

log = logging.getLogger(__name__)

FIRST_LOGIN_S = 10.0  # an address at which nothing answers is more likely wrong than busy


class Crew(Protocol):
    """Other machines, among which the work on organizations is shared out (`psrlib.cluster`)."""

    @property
    def n_machines(self) -> int:
        """How many there are now."""

    def each(
        self,
        work: Callable[..., Any],
        document: Any,
        items: Sequence[tuple[Any, ...]],
        common: tuple[Any, ...],
        *,
        renew: Callable[[list[Any]], list[Any]] = list,
        newcomers: bool = True,
        progress: bool = True,
    ) -> Iterator[tuple[int, int, Any]]:
        """Do ``work(hub, document, *item, *common)``; yield item number, attempts it took, result.

        ``renew`` returns items as they are to be begun again after their machine was lost; ``newcomers``
        are machines that come later.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Be the only one that writes to this hub by way of these machines."""

    def close(self) -> None:
        """Leave the machines; what they were asked for and have not begun is dropped."""


class ControlHub(Session):
    """A user's session; all sessions opened from it share connections, call counter and connection limit.

    Parameters
    ----------
    url : str
        Base URL of the Control Hub.
    user : str
        ``<name>@<organization>``; populating needs a system administrator (``admin@admin``). Both are of 3.x.
    password : str
        Never logged; kept in memory to log in again when the session ends.
    credentials : Credentials or None
        API credentials of the organizations: the hub is spoken to as 4.x, and user and password are not used.
        This session is that of the first organization.
    mail_domain : str
        Users of a 4.x hub are invited at addresses of this domain; empty invites nobody.
    workers : int or None
        Fixed number of concurrent requests; None adapts.
    organization_password : str or None
        Password of the organizations' users; None means their initial one, the user id
        (control-hub-rest, 1.3: installations without outgoing mail).

    Raises
    ------
    AuthenticationError
        If user name or password are wrong, or the credential is refused.
    HubUnreachableError
        If nothing answers at the address.
    """

    HTTP: type[HttpClient] = HttpClient  # what sends
    crew: Crew | None = None  # None: the work is done in this process

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        *,
        credentials: Credentials | None = None,
        mail_domain: str = "",
        workers: int | None = None,
        timeout_s: float = TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
        verify: bool | str = True,
        organization_password: str | None = None,
    ) -> None:
        self.http = self.HTTP(url, workers=workers, timeout_s=timeout_s, deadline_s=deadline_s, verify=verify)
        self.dialect: Dialect = (
            Release3(user, password, organization_password)
            if credentials is None
            else Release4(credentials, mail_domain)
        )
        self._sessions: dict[str, ControlHub] = {}
        self._fields: dict[tuple[str, str], frozenset[str]] = {}
        self._fields_lock = threading.Lock()
        self._begin(self.dialect.login(self.http))
        try:
            self.log_in(min(deadline_s, FIRST_LOGIN_S))
        except BaseException:
            self.close()
            raise

    def _begin(self, login: Login) -> None:
        """Set what every user's session has for itself."""
        super().__init__()
        self.login = login
        self._role_ids: frozenset[str] | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> "ControlHub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ControlHub({self.url!r}, release {self.dialect.release})"

    @property
    def url(self) -> str:
        """Base URL of the Control Hub."""
        return self.http.url

    @property
    def ca_bundle(self) -> str | None:
        """Path of the certificates that are trusted; None for those of the system."""
        return self.http.verify if isinstance(self.http.verify, str) else None

    @property
    def user(self) -> str:
        """The user's id."""
        return self.login.user

    @property
    def organization(self) -> str:
        """The id of the user's organization on the hub."""
        return self.login.organization

    @property
    def calls(self) -> CallCounter:
        """Requests sent so far, by all sessions that share the connections."""
        return self.http.calls

    @property
    def limit(self) -> AdaptiveLimit:
        """Bound on concurrent requests."""
        return self.http.limit

    def close(self) -> None:
        """Close the connections of this session and all that share them, and leave its crew."""
        if self.crew is not None:
            self.crew.close()
        self.http.close()

    def organizations(self) -> dict[str, Json]:
        """Return the hub's records of organizations by the ids that a seed document has for them."""
        return self.dialect.organizations(self.security, lambda id: self.for_organization(id).login)

    def security_of(self, organization: str) -> Security:
        """Return the app that keeps an organization's people, as who may change them."""
        return self.for_organization(organization).security if self.dialect.adopts else self.security

    def configuration_of(self, organization: str) -> Security:
        """Return the app that keeps an organization's configuration, as who may change most of it."""
        if self.dialect.adopts and self.dialect.sets_limits:
            return self.for_user(SYSTEM).security
        return self.security_of(organization)

    def for_organization(self, organization: str) -> "ControlHub":
        """Return the session of an organization's administrator; it logs in at its first request."""
        return self.for_user(self.dialect.administrator(organization))

    def for_user(self, user: str) -> "ControlHub":
        """Return a user's session, the same object each time; it logs in at its first request."""
        if user not in self._sessions:
            session = copy(self)
            session._begin(self.dialect.login(self.http, user))
            self._sessions.setdefault(user, session)  # of two threads that were here, the first one's
        return self._sessions[user]

    def log_in(self, deadline_s: float | None = None) -> None:
        """Make sure that the hub takes this user; ``deadline_s`` limits the time for it.

        Raises
        ------
        AuthenticationError
            If the hub refuses.
        """
        self.login.log_in(deadline_s)

    def answer(self, request: Request) -> Answer:
        """Send one request as this user."""
        return self.login.send(request)

    def rows(self, request: Request) -> list[Json]:
        """Return all rows of a listing, in as many requests as the hub's release wants."""
        return self.dialect.rows(self.answer, request)

    def role_ids(self) -> frozenset[str]:
        """Return the ids of the roles the hub knows, asked for once; empty when it does not say."""
        with self._lock:
            if self._role_ids is None:
                try:
                    self._role_ids = frozenset(str(role["id"]) for role in self.security.roles())
                except HubError as error:
                    log.warning("the hub does not list its roles: %s", error)
                    self._role_ids = frozenset()
            return self._role_ids

    def fields(self, app: str, record: str) -> frozenset[str]:
        """Return the fields of a record that an app's Swagger names, read once for all sessions (9.1).

        Empty when the hub has no such document, or none that is understood.
        """
        with self._fields_lock:
            if (app, record) not in self._fields:
                try:
                    found = self._metadata(f"/{app}/rest/swagger.json")["definitions"][record]["properties"]
                    self._fields[app, record] = frozenset(found)
                except (HubError, LookupError, TypeError) as error:
                    log.info("%s names no fields of %s: %r", app, record, error)
                    self._fields[app, record] = frozenset()
            return self._fields[app, record]

    def server_version(self) -> str:
        """Return the hub's version (``/rest/v1/server/info``)."""
        found = self._metadata("/rest/v1/server/info")
        return str(found.get("version", "")) if isinstance(found, dict) else ""

    def texts(self) -> dict[str, Any]:
        """Return the hub's English texts; they hold the subscription events' ids (control-hub-rest, 7.2)."""
        found = self._metadata("/assets/i18n/en.json")
        return found if isinstance(found, dict) else {}

    def _metadata(self, path: str) -> Any:
        return self.answer(Request("GET", path, "metadata", repeatable=True)).body
