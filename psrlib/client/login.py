"""How the requests of one session are signed: with the token of a login, or with an API credential."""

import logging
import threading
from abc import ABC, abstractmethod
from dataclasses import replace

from msgspec import Struct

from psrlib.client.credentials import SYSTEM, ApiCredential
from psrlib.client.http import HttpClient
from psrlib.client.request import Answer, Request
from psrlib.client.shapes import record
from psrlib.client.wire import Json, is_absent
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError

log = logging.getLogger(__name__)

HEADERS = {"X-Requested-By": "psr", "X-SS-REST-CALL": "true", "Accept": "application/json"}
TOKEN_HEADER = "X-SS-User-Auth-Token"
TOKEN_COOKIE = "SS-SSO-LOGIN"
RENEWALS = 3  # logins for one call; more means that the hub refuses the user, not an old session
LOGINS_WITHOUT_TOKEN = 3  # in a row, after which the answers are the hub's own and not lost ones
LOGIN_PATH = "/security/public-rest/v1/authentication/login"
USER_PATH = "/security/rest/v1/currentUser"
SERVICE = "/api/security/"  # how paths of the login service begin
NO_ACCESS_TO_PROJECT = "RESTAPI_08"


class Login(ABC):
    """One user at one hub; safe to use from several threads."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._lock = threading.RLock()

    @property
    @abstractmethod
    def user(self) -> str:
        """The user's id."""

    @property
    def organization(self) -> str:
        """The user's organization, the part of the user id after ``@``."""
        return self.user.rpartition("@")[2]

    @abstractmethod
    def log_in(self, deadline_s: float | None = None) -> None:
        """Make sure that the hub takes this user; ``deadline_s`` limits the time for it.

        Raises
        ------
        AuthenticationError
            If it refuses.
        """

    @abstractmethod
    def send(self, request: Request) -> Answer:
        """Send one request as this user."""


class PasswordLogin(Login):
    """A user with a password, which is never logged; kept in memory to log in again when the session ends."""

    def __init__(self, http: HttpClient, user: str, password: str) -> None:
        super().__init__(http)
        self._user = user
        self._password = password
        self._token: str | None = None

    @property
    def user(self) -> str:
        """The user's id."""
        return self._user

    def log_in(self, deadline_s: float | None = None) -> None:
        """Start a new session (control-hub-rest, 1.3)."""
        body = {"userName": self.user, "password": self._password}
        login = Request(
            *("POST", LOGIN_PATH, "sessions"),
            body=body,
            repeatable=True,
            headers=HEADERS,
            deadline_s=deadline_s,
        )
        url = self._http.url
        try:
            for _ in range(LOGINS_WITHOUT_TOKEN):
                answer = self._http.send(login)
                token = answer.headers.get(TOKEN_HEADER) or answer.cookies.get(TOKEN_COOKIE)
                if token:
                    self._token = token
                    return
        except HubError as error:
            if is_absent(error):
                raise HubUnreachableError(
                    f"{url} answers, but not as a Control Hub 3.x: POST {LOGIN_PATH} has status "
                    f"{error.status}; check the address, or is it 4.x (--release 4 with --credentials)?",
                    error.status,
                ) from error
            if error.status is not None and 400 <= error.status < 500:
                raise AuthenticationError(
                    f"Control Hub {url} refused user {self.user} and the password given "
                    f"(status {error.status}); check both",
                    error.status,
                    error.codes,
                ) from error
            raise
        raise AuthenticationError(
            f"Control Hub {url} answered the login of {self.user} without a session token, "
            f"neither in header {TOKEN_HEADER} nor in cookie {TOKEN_COOKIE}; is it a Control Hub 3.x?",
            200,
        )

    def send(self, request: Request) -> Answer:
        """Send one request, logging in again when the session has ended (status 401)."""
        token = self._token or self._new_token(None)
        for renewals_left in reversed(range(RENEWALS + 1)):
            try:
                return self._http.send(replace(request, headers={**HEADERS, TOKEN_HEADER: token}))
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


class Principal(Struct, rename="camel"):
    """Who a credential is (``currentUser``)."""

    principal_id: str
    organization_id: str
    organization_name: str | None = None
    email: str | None = None
    roles: list[str] | None = None


class CredentialLogin(Login):
    """An API credential, sent with every request: no session begins, and none ends (control-hub-4x, 2).

    ``name`` is what the credentials file calls it, ``service`` the connection to the login service.
    """

    def __init__(
        self, http: HttpClient, name: str, credential: ApiCredential, service: HttpClient | None = None
    ) -> None:
        super().__init__(http)
        self._service = service or http
        self.name = name
        self._principal: Json | None = None
        self._headers = {
            **HEADERS,
            "X-SS-App-Component-Id": credential.id,
            "X-SS-App-Auth-Token": credential.token,
        }
        self._named = credential.organization
        if self._named:
            self._headers["X-SS-Org-Id"] = self._named

    @property
    def whose(self) -> str:
        """What to call the credential in an error."""
        return "the system administrator" if self.name == SYSTEM else f"organization {self.name}"

    @property
    def user(self) -> str:
        """The id that the hub has for the credential's user."""
        return str(self.principal["principalId"])

    @property
    def organization(self) -> str:
        """The id of that user's organization."""
        return str(self.principal["organizationId"])

    @property
    def principal(self) -> Json:
        """The hub's record of the credential's user, asked for once."""
        with self._lock:
            if self._principal is None:
                self.log_in()
            assert self._principal is not None
            return self._principal

    def log_in(self, deadline_s: float | None = None) -> None:
        """Ask who the credential is.

        Raises
        ------
        AuthenticationError
            If the hub refuses it, or its token names another organization than the hub does.
        """
        request = Request(
            *("GET", USER_PATH, "sessions"),
            repeatable=True,
            read=record(Principal),
            deadline_s=deadline_s,
        )
        principal: Json = self.send(request).body
        organization = str(principal["organizationId"])
        if self._named not in ("", organization):
            raise AuthenticationError(
                f"the API credential of {self.whose} is of organization {organization}, and its token names "
                f"{self._named}; take id and token of one credential"
            )
        self._principal = principal

    def send(self, request: Request) -> Answer:
        """Send one request; a refused credential is final."""
        try:
            http = self._service if request.path.startswith(SERVICE) else self._http
            return http.send(replace(request, headers={**self._headers, **request.headers}))
        except HubError as error:
            if error.status == 401:
                raise AuthenticationError(
                    f"Control Hub {self._http.url} refused the API credential of {self.whose} (status 401); "
                    "it was revoked or is of another hub, or this is a 3.x hub, which takes passwords "
                    "(--release 3)",
                    error.status,
                    error.codes,
                ) from error
            if NO_ACCESS_TO_PROJECT in error.codes:
                raise HubError(
                    f"{request}: {self.whose} has projects switched on, and its credential may not work "
                    f"outside of them ({NO_ACCESS_TO_PROJECT}); take a credential of an organization "
                    "administrator, or an organization without projects",
                    error.status,
                    error.codes,
                ) from error
            raise
