"""What differs between the releases of Control Hub: one object per hub, which sessions and ``state`` ask."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from psrlib.client.apps.security import Security
from psrlib.client.credentials import SYSTEM, Credentials
from psrlib.client.http import HttpClient
from psrlib.client.login import CredentialLogin, Login, PasswordLogin
from psrlib.client.request import Answer, Request
from psrlib.client.shapes import Page
from psrlib.client.wire import ALL, Json
from psrlib.errors import HubError, InputError

PAGES = (250, 50)  # rows asked for at once: what the vendor's SDKs ask for, the larger one first
TOO_LONG = (400, 422)  # how a hub may refuse a page
LOGINS_AT_ONCE = 8
NOT_TO_BE_HAD = (403, 404, 405, 410, 501)  # how a hub may refuse engines without a deployment (unknown)
COUNTING_TOTALS = ("/connection/", "/provisioning/")  # apps that call the wrapper of a page withTotalCount
Send = Callable[[Request], Answer]


class Dialect(ABC):
    """A release as the client speaks to it.

    Attributes
    ----------
    release : int
        3 or 4, where 4 stands for 4.x and later.
    adopts : bool
        Whether organizations are there already, each with a user whose credential is given, so that neither
        is made, changed or removed.
    owners_log_in : bool
        Whether owners of objects may create them themselves.
    mail_domain : str
        Where users get their invitations; empty where nobody is invited.
    sets_limits : bool
        Whether there is a system administrator, who sets what organizations may not set themselves.
    """

    release: int
    adopts: bool
    owners_log_in: bool
    mail_domain: str = ""
    sets_limits: bool = True

    @abstractmethod
    def login(self, http: HttpClient, name: str | None = None) -> Login:
        """Return the login that a session has by name, that of the hub's own session by default."""

    @abstractmethod
    def administrator(self, organization: str) -> str:
        """Return the name of the login of an organization's administrator."""

    @abstractmethod
    def organizations(self, security: Security, login: Callable[[str], Login]) -> dict[str, Json]:
        """Return the hub's records of organizations by the ids that a seed document has for them.

        Parameters
        ----------
        security : Security
            The app as the hub's own session sees it.
        login : callable
            Returns the login of an organization's administrator.
        """

    @abstractmethod
    def by_deployment(self, refusal: HubError | None = None) -> bool:
        """Whether engines get their tokens from deployments: from the start, or after this refusal."""

    @abstractmethod
    def rows(self, answer: Send, request: Request) -> list[Json]:
        """Return all rows of a listing, whose request reads a `Page`."""


class Release3(Dialect):
    """Control Hub 3.x: users with passwords, and a system administrator who makes organizations.

    ``organization_password`` is that of the organizations' users; None means their initial one, the user id
    (control-hub-rest, 1.3: installations without outgoing mail).
    """

    release = 3
    adopts = False
    owners_log_in = True

    def __init__(self, user: str, password: str, organization_password: str | None = None) -> None:
        self._user = user
        self._password = password
        self._organization_password = organization_password

    def login(self, http: HttpClient, name: str | None = None) -> PasswordLogin:
        """Return the login of a user id."""
        if name is None:
            return PasswordLogin(http, self._user, self._password)
        password = name if self._organization_password is None else self._organization_password
        return PasswordLogin(http, name, password)

    def administrator(self, organization: str) -> str:
        """Return the user id of an organization's first administrator."""
        return f"admin@{organization}"

    def organizations(self, security: Security, login: Callable[[str], Login]) -> dict[str, Json]:
        """Return all organizations, as the system administrator sees them."""
        return {str(row["id"]): row for row in security.organizations()}

    def by_deployment(self, refusal: HubError | None = None) -> bool:
        """Return False: engines have no deployment."""
        return False

    def rows(self, answer: Send, request: Request) -> list[Json]:
        """Return what one answer holds."""
        try:
            page: Page = answer(request).body
        except HubError as error:
            if error.status not in TOO_LONG or request.query.get("len") != ALL["len"]:
                raise
            message = f"{error}; is it a Control Hub 4.x or later, which lists no more than a page at once? "
            message += "Then give API credentials (--release 4 with --credentials)"
            raise HubError(message, error.status, error.codes) from error
        return page.rows


class Release4(Dialect):
    """Control Hub 4.x and later: an API credential for each organization, and listings in pages.

    Sessions are named after the organizations of the seed document, which the credentials file names too.
    """

    release = 4
    adopts = True
    owners_log_in = False

    def __init__(self, credentials: Credentials, mail_domain: str = "") -> None:
        self.credentials = credentials
        self.mail_domain = mail_domain
        self.sets_limits = credentials.system is not None
        self._page_length = PAGES[0]
        self._rows: dict[str, Json] | None = None
        self._lock = threading.Lock()

    def login(self, http: HttpClient, name: str | None = None) -> CredentialLogin:
        """Return the login of an organization; by default of the first one."""
        known = self.credentials.organizations
        name = next(iter(known)) if name is None else name
        credential = self.credentials.system if name == SYSTEM else known.get(name)
        if credential is None:
            raise InputError(f"the credentials file has no API credential of {name}")
        return CredentialLogin(http, name, credential, self._login_service(http))

    def _login_service(self, http: HttpClient) -> HttpClient:
        """Return the connection to the login service, the hub's own unless it is somewhere else."""
        url = (self.credentials.login_url or http.url).rstrip("/")
        return http if url == http.url else http.to(url)

    def administrator(self, organization: str) -> str:
        """Return the organization itself: it has one credential."""
        return organization

    def organizations(self, security: Security, login: Callable[[str], Login]) -> dict[str, Json]:
        """Return the organizations of the credentials, after asking the hub once who each credential is.

        Raises
        ------
        AuthenticationError
            If a credential is refused.
        InputError
            If two credentials are of one organization.
        """
        with self._lock:
            if self._rows is None:
                names = list(self.credentials.organizations)
                with ThreadPoolExecutor(LOGINS_AT_ONCE) as pool:
                    principals = list(pool.map(lambda name: _principal(login(name)), names))
                self._rows = {
                    name: {"id": p["organizationId"], "name": p.get("organizationName"), "active": True}
                    for name, p in zip(names, principals, strict=True)
                }
                _check_different(self._rows)
            return self._rows

    def by_deployment(self, refusal: HubError | None = None) -> bool:
        """Whether the credentials file wants it, or a hub gives no tokens to engines without a deployment."""
        if refusal is None:
            return self.credentials.engines == "deployment"
        return refusal.status in NOT_TO_BE_HAD

    def rows(self, answer: Send, request: Request) -> list[Json]:
        """Ask page by page: for all rows at once (``len=-1``) a hub may be too large (control-hub-4x, 2)."""
        if request.query.get("len") != ALL["len"]:
            page: Page = answer(request).body
            return page.rows
        found: list[Json] = []
        while True:
            page = self._page(answer, request, len(found))
            found += page.rows
            is_last = len(page.rows) < self._page_length if page.total is None else len(found) >= page.total
            if is_last or not page.rows:
                return found

    def _page(self, answer: Send, request: Request, offset: int) -> Page:
        """Return one page; a hub that refuses the longer pages is asked for shorter ones from then on."""
        counted = "withTotalCount" if request.path.startswith(COUNTING_TOTALS) else "withWrapper"
        query: Mapping[str, Any] = {**request.query, "offset": offset, counted: True}
        for length in PAGES:
            if length > self._page_length:
                continue
            try:
                page: Page = answer(replace(request, query={**query, "len": length})).body
            except HubError as error:
                if error.status not in TOO_LONG or length == PAGES[-1]:
                    raise
            else:
                self._page_length = length
                return page
        raise AssertionError("unreachable: the last try returns or raises")


def _principal(login: Login) -> Json:
    assert isinstance(login, CredentialLogin)
    return login.principal


def _check_different(rows: Mapping[str, Json]) -> None:
    """Refuse two credentials of one organization: what they should make would be made in one place."""
    named: dict[str, str] = {}
    for name, row in rows.items():
        id = str(row["id"])
        if id in named:
            raise InputError(
                f"the API credentials of {named[id]} and {name} are both of organization {id}; "
                "each organization of the seed document needs one of its own"
            )
        named[id] = name
