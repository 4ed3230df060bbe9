"""A session of one user on a Control Hub."""

import logging
import threading
from copy import copy
from dataclasses import replace
from typing import Any

from psrlib.client.calls import CallCounter
from psrlib.client.http import DEADLINE_S, TIMEOUT_S, HttpClient
from psrlib.client.limit import AdaptiveLimit
from psrlib.client.request import Answer, Request
from psrlib.client.session import Session
from psrlib.client.wire import is_absent
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError

log = logging.getLogger(__name__)

HEADERS = {"X-Requested-By": "psr", "X-SS-REST-CALL": "true", "Accept": "application/json"}
TOKEN_HEADER = "X-SS-User-Auth-Token"
TOKEN_COOKIE = "SS-SSO-LOGIN"
RENEWALS = 3  # logins for one call; more means that the hub refuses the user, not an old session
LOGINS_WITHOUT_TOKEN = 3  # in a row, after which the answers are the hub's own and not lost ones
FIRST_LOGIN_S = 10.0  # an address at which nothing answers is more likely wrong than busy
LOGIN_PATH = "/security/public-rest/v1/authentication/login"


class ControlHub(Session):
    """A user's session; all sessions opened from it share connections, call counter and connection limit.

    Parameters
    ----------
    url : str
        Base URL of the Control Hub.
    user : str
        ``<name>@<organization>``; populating needs a system administrator (``admin@admin``).
    password : str
        Never logged; kept in memory to log in again when the session ends.
    workers : int or None
        Fixed number of concurrent requests; None adapts.
    organization_password : str or None
        Password of the organizations' users; None means their initial one, the user id
        (control-hub-rest, 1.3: installations without outgoing mail).

    Raises
    ------
    AuthenticationError
        If user name or password are wrong.
    HubUnreachableError
        If nothing answers at the address.
    """

    HTTP: type[HttpClient] = HttpClient  # what sends

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        *,
        workers: int | None = None,
        timeout_s: float = TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
        verify: bool | str = True,
        organization_password: str | None = None,
    ) -> None:
        self.http = self.HTTP(url, workers=workers, timeout_s=timeout_s, deadline_s=deadline_s, verify=verify)
        self._organization_password = organization_password
        self._sessions: dict[str, ControlHub] = {}
        self._fields: dict[tuple[str, str], frozenset[str]] = {}
        self._fields_lock = threading.Lock()
        self._begin(user, password)
        try:
            self.log_in(min(deadline_s, FIRST_LOGIN_S))
        except BaseException:
            self.close()
            raise

    def _begin(self, user: str, password: str) -> None:
        """Set what every user's session has for itself."""
        super().__init__()
        self.user = user
        self._password = password
        self._token: str | None = None
        self._role_ids: frozenset[str] | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> "ControlHub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ControlHub({self.url!r}, {self.user!r})"

    @property
    def url(self) -> str:
        """Base URL of the Control Hub."""
        return self.http.url

    @property
    def organization(self) -> str:
        """The user's organization, the part of the user id after ``@``."""
        return self.user.rpartition("@")[2]

    @property
    def calls(self) -> CallCounter:
        """Requests sent so far, by all sessions that share the connections."""
        return self.http.calls

    @property
    def limit(self) -> AdaptiveLimit:
        """Bound on concurrent requests."""
        return self.http.limit

    def close(self) -> None:
        """Close the connections of this session and all that share them."""
        self.http.close()

    def for_organization(self, organization: str) -> "ControlHub":
        """Return the session of an organization's administrator; it logs in at its first request."""
        return self.for_user(f"admin@{organization}")

    def for_user(self, user: str) -> "ControlHub":
        """Return a user's session, the same object each time; it logs in at its first request."""
        if user not in self._sessions:
            session = copy(self)
            session._begin(user, user if self._organization_password is None else self._organization_password)
            self._sessions.setdefault(user, session)  # of two threads that were here, the first one's
        return self._sessions[user]

    def log_in(self, deadline_s: float | None = None) -> None:
        """Start a new session (control-hub-rest, 1.3); ``deadline_s`` limits the time for it.

        Raises
        ------
        AuthenticationError
            If the hub refuses user name and password.
        """
        body = {"userName": self.user, "password": self._password}
        login = Request(
            *("POST", LOGIN_PATH, "sessions"),
            body=body,
            repeatable=True,
            headers=HEADERS,
            deadline_s=deadline_s,
        )
        try:
            for _ in range(LOGINS_WITHOUT_TOKEN):
                answer = self.http.send(login)
                token = answer.headers.get(TOKEN_HEADER) or answer.cookies.get(TOKEN_COOKIE)
                if token:
                    self._token = token
                    return
        except HubError as error:
            if is_absent(error):
                raise HubUnreachableError(
                    f"{self.url} answers, but not as a Control Hub: POST {LOGIN_PATH} has status "
                    f"{error.status}; check the address",
                    error.status,
                ) from error
            if error.status is not None and 400 <= error.status < 500:
                raise AuthenticationError(
                    f"Control Hub {self.url} refused user {self.user} and the password given "
                    f"(status {error.status}); check both",
                    error.status,
                    error.codes,
                ) from error
            raise
        raise AuthenticationError(
            f"Control Hub {self.url} answered the login of {self.user} without a session token, "
            f"neither in header {TOKEN_HEADER} nor in cookie {TOKEN_COOKIE}; is it a Control Hub 3.x?",
            200,
        )

    def answer(self, request: Request) -> Answer:
        """Send one request, logging in again when the session has ended (status 401)."""
        token = self._token or self._new_token(None)
        for renewals_left in reversed(range(RENEWALS + 1)):
            try:
                return self.http.send(replace(request, headers={**HEADERS, TOKEN_HEADER: token}))
            except HubError as error:
                if error.status != 401 or not renewals_left:
                    raise
                log.info("session of %s ended, logging in again", self.user)
                token = self._new_token(token)
        raise AssertionError("unreachable: the last try returns or raises")

    def _new_token(self, old: str | None) -> str:
        """Log in unless another thread has done so since ``old`` was the token."""
        with self._lock:
            if self._token is None or self._token == old:
                self.log_in()
            assert self._token is not None
            return self._token

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
