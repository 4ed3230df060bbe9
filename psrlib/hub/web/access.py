"""Who calls: sessions and component credentials held in memory, and the one check before every handler."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass

from psrlib.hub.web.issues import IssueError, forbidden, unauthenticated
from psrlib.hub.web.routing import Route

SESSION_LIFE_MS = 24 * 3600 * 1000  # control-hub-rest.md, 1.3: user tokens end after 24 hours
SYSTEM_ORGANIZATION = "admin"
SYSTEM_ADMIN_ROLE = "system-admin"  # id unknown in the reference (13.4); the hub's choice
ORG_ADMIN_ROLE = "org-admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request: a user with a session, or a component with its token."""

    id: str
    organization: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    name: str = ""
    email: str = ""
    organization_name: str = ""
    expires_on: int = 0
    is_component: bool = False
    component_type: str = ""
    token_hash: str = ""

    @property
    def is_system_admin(self) -> bool:
        """Whether the caller may act in every organization."""
        return self.organization == SYSTEM_ORGANIZATION and SYSTEM_ADMIN_ROLE in self.roles

    @property
    def is_org_admin(self) -> bool:
        """Whether the caller passes every role check of its own organization."""
        return ORG_ADMIN_ROLE in self.roles or self.is_system_admin


def new_token(now_ms: int) -> str:
    """Return a session token of the documented shape ``<uuid>|<negated expiry>``; 122 random bits."""
    return f"{uuid.UUID(bytes=secrets.token_bytes(16), version=4)}|{-(now_ms + SESSION_LIFE_MS)}"


def new_component_token() -> str:
    """Return an opaque component token of 256 random bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """Return what is stored of a token: random tokens need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Callers:
    """Sessions and components by token digest; the database holds the same for the next start."""

    def __init__(self) -> None:
        self.sessions: dict[str, Principal] = {}
        self.components: dict[str, Principal] = {}  # engines and agents
        self.credentials: dict[str, tuple[str, Principal]] = {}  # API credentials: id, user

    def user(self, token: str, now_ms: int) -> Principal | None:
        """Return the user of a session token, or None when unknown or expired."""
        principal = self.sessions.get(token_hash(token))
        if principal is None or principal.expires_on <= now_ms:
            return None
        return principal

    def component(self, component_id: str, token: str) -> Principal | None:
        """Return the component, or the user of an API credential; None when id and token do not match."""
        digest = token_hash(token)
        credential = self.credentials.get(digest)
        if credential is not None:
            return credential[1] if credential[0] == component_id else None
        principal = self.components.get(digest)
        return principal if principal is not None and principal.id == component_id else None

    def drop_users(self, users: set[str], keep: str = "") -> None:
        """End the sessions of users, and their API credentials, but for one session."""
        for digest in [d for d, p in self.sessions.items() if p.id in users and d != keep]:
            self.sessions.pop(digest, None)
        for digest in [d for d, (_, p) in self.credentials.items() if p.id in users and not keep]:
            self.credentials.pop(digest, None)

    def drop_organization(self, organization: str) -> None:
        """End the sessions and API credentials of an organization's users."""
        everybody = [*self.sessions.values(), *(p for _, p in self.credentials.values())]
        self.drop_users({p.id for p in everybody if p.organization == organization})


def check(route: Route, principal: Principal | None, path: dict[str, str], query: dict[str, str]) -> None:
    """Refuse the call unless session, role and organization allow it.

    The organization is checked here for every route that names one in its path (``{org}``) or in the query
    (``organization``); objects named by id are fetched through ``Call.fetch``, which checks theirs.

    Raises
    ------
    IssueError
        401 without a valid session or credential, 403 for the wrong role or organization.
    """
    access = route.access
    if access.who == "anyone":
        return
    if principal is None:
        raise unauthenticated()
    if access.who == "component" and not principal.is_component:
        raise unauthenticated()
    if access.who == "user" and principal.is_component:
        raise forbidden("this call needs a user, not a component")
    named = path.get("org") or query.get("organization")
    if named and named != principal.organization and not principal.is_system_admin:
        raise forbidden(f"'{principal.id}' has no access to organization '{named}'")
    if access.system and not principal.is_system_admin:
        raise _needs(principal, ("system administrator",))
    check_roles(principal, access.roles)


def check_roles(principal: Principal, names: tuple[str, ...]) -> None:
    """Refuse a caller who has none of the roles, with 403; ``org-admin`` passes, an empty list too."""
    if names and not principal.is_org_admin and principal.roles.isdisjoint(names):
        raise _needs(principal, names)


def _needs(principal: Principal, names: tuple[str, ...]) -> IssueError:
    return forbidden(f"'{principal.id}' lacks the role {' or '.join(names)}")
