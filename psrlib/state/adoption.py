"""What of a seed document a hub is to hold that adopts: organizations and people are there before it.

On Control Hub 4.x nobody makes users; they are invited, by mail. Unless that is meant, the user of an
organization's API credential owns everything (control-hub-4x, 4.2).
"""

from collections.abc import Set
from dataclasses import dataclass

from msgspec.structs import replace

from psrlib.client import ControlHub
from psrlib.client.credentials import SYSTEM
from psrlib.client.dialect import Release4
from psrlib.client.http import HttpClient
from psrlib.errors import HubError, HubUnreachableError, InputError
from psrlib.seed.document import Organization, SeedDocument, User
from psrlib.words import ADMINISTRATOR_ROLE, CREATOR_ROLES, OWNED

MAKES_ENVIRONMENTS = "csp:environment-manager"  # needed where no self-managed environment is active
DEPLOYMENT_ROLES = ("csp:deployment-manager", MAKES_ENVIRONMENTS)


def held(document: SeedDocument, hub: ControlHub) -> SeedDocument:
    """Return a document with what a hub is to hold of it; the document itself unless the hub adopts.

    Organizations without a credential are left out. The others keep their ids of the document, have the names
    that they have on the hub, and as first user the one whose credential it is. He owns what users would own
    who are not invited.

    Raises
    ------
    AuthenticationError
        If a credential is refused.
    InputError
        If no organization has a credential, or one organization has two.
    """
    if not hub.dialect.adopts:
        return document
    rows = hub.organizations()
    here = [o for o in document.organizations if o.id in rows]
    if not here:
        raise InputError(
            f"no organization of the seed document has an API credential; the credentials file names "
            f"{', '.join(rows)}, the seed document {', '.join(o.id for o in document.organizations[:3])}, ..."
        )
    return replace(document, organizations=[_held(o, str(rows[o.id]["name"]), hub) for o in here])


def _held(desired: Organization, name: str, hub: ControlHub) -> Organization:
    first = replace(desired.users[0], id=hub.for_organization(desired.id).user, groups=[])
    invited = [_invited(user, hub.dialect.mail_domain) for user in desired.users[1:]]
    users = [first, *invited] if hub.dialect.mail_domain else [first]
    keys = {user.key for user in users}
    owned = {
        kind: [e if e.owner in keys else replace(e, owner=first.key) for e in getattr(desired, kind)]
        for kind in OWNED
    }
    return replace(desired, name=name, users=users, **owned)


def without_credential(drawn: SeedDocument, held: SeedDocument) -> str:
    """Return in words how many organizations of a document have no API credential; empty for none."""
    n_all, n_held = len(drawn.organizations), len(held.organizations)
    return f"{n_all - n_held} of {n_all} organizations have no API credential" if n_held < n_all else ""


def left_out(drawn: SeedDocument, held: SeedDocument) -> str:
    """Return in words what of a document a hub is not to hold; empty for all."""
    users = {o.id: len(o.users) - 1 for o in drawn.organizations}
    n_users = sum(users[o.id] for o in held.organizations if len(o.users) == 1)
    said = [without_credential(drawn, held)]
    if n_users:
        said.append(
            f"{n_users} users are not invited, and what they would own belongs to whose credential it is"
        )
    return "".join(f"; {text}" for text in said if text)


def _invited(user: User, mail_domain: str) -> User:
    """Return a user with an address that mail can be sent to and nobody reads."""
    return replace(user, email=f"{user.id.replace('@', '.')}@{mail_domain}")


def as_drawn(found: Organization, drawn: Organization) -> Organization:
    """Return what was found with the users and owners that were drawn, where the hub was not to hold them.

    So the organizations can be compared with the noise model, which knows of users.
    """
    owners = {(kind, e.key): e.owner for kind in OWNED for e in getattr(drawn, kind)}
    users = {user.key for user in found.users}
    owned = {
        kind: [
            replace(e, owner=owners[kind, e.key])
            if (kind, e.key) in owners and owners[kind, e.key] not in users
            else e
            for e in getattr(found, kind)
        ]
        for kind in OWNED
    }
    lacking = [user for user in drawn.users if user.key not in users]
    return replace(found, users=[*found.users, *lacking], **owned)


@dataclass(frozen=True)
class CheckedCredential:
    """What a hub says of an API credential: whose it is, and why it cannot be used; empty when it can.

    ``missing`` are the roles its user lacks for populating, ``missing_for_deployments`` those it would lack
    besides if the hub gave engines their tokens from deployments only (`psrlib.state.deployments`).
    """

    name: str
    organization: str = ""
    user: str = ""
    missing: tuple[str, ...] = ()
    missing_for_deployments: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether its organization can be populated."""
        return not (self.problem or self.missing)

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: {self.problem}"
        lacks = f"; lacks {', '.join(self.missing)}" if self.missing else ""
        if self.missing_for_deployments:
            lacks += f"; for engines of deployments lacks {', '.join(self.missing_for_deployments)}"
        return f"{self.name}: {self.organization}, {self.user}{lacks}"


def check_credentials(dialect: Release4, http: HttpClient) -> list[CheckedCredential]:
    """Ask a hub who each credential is, the system administrator's too; one call for each.

    Raises
    ------
    HubUnreachableError
        If nothing answers.
    """
    seen: dict[str, str] = {}
    known = dialect.credentials
    names = [*known.organizations, *([SYSTEM] if known.system else [])]
    return [_check(dialect, http, name, seen) for name in names]


def _check(dialect: Release4, http: HttpClient, name: str, seen: dict[str, str]) -> CheckedCredential:
    try:
        principal = dialect.login(http, name).principal
    except HubUnreachableError:
        raise
    except HubError as error:
        return CheckedCredential(name, problem=str(error))
    id = str(principal["organizationId"])
    organization = f"organization {id} ({principal.get('organizationName') or 'no name'})"
    user = str(principal.get("email") or principal["principalId"])
    if id in seen:
        return CheckedCredential(name, organization, user, problem=f"of the same organization as {seen[id]}")
    seen[id] = name
    if name == SYSTEM:
        return CheckedCredential(name, organization, user)
    roles = set(principal.get("roles") or [])
    deployment = [role for role in DEPLOYMENT_ROLES if role not in roles]
    needed = [role for role in deployment if dialect.by_deployment() and role != MAKES_ENVIRONMENTS]
    return CheckedCredential(
        name,
        organization,
        user,
        (*_missing(roles), *needed),
        tuple(role for role in deployment if role not in needed),
    )


def _missing(roles: Set[str]) -> tuple[str, ...]:
    """Return the roles that a user lacks who populates; an administrator has those of creators."""
    if ADMINISTRATOR_ROLE in roles:
        return ()
    creators = dict.fromkeys(CREATOR_ROLES.values())
    return (ADMINISTRATOR_ROLE, *(role for role in creators if role not in roles))
