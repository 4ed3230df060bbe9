"""Who may call, as the database knows it: sessions, components and API credentials become principals."""

from sqlalchemy import Connection, bindparam, select

from psrlib.hub.store.queries import Query
from psrlib.hub.store.schema import security
from psrlib.hub.web.access import Callers, Principal

NEVER_MS = 2**62


def load_callers(connection: Connection, callers: Callers, now_ms: int) -> None:
    """Read the sessions, components and API credentials that were valid at the last stop."""
    sessions, components = security.sessions, security.components
    for row in connection.execute(select(sessions).where(sessions.c.expires_on > now_ms)):
        callers.sessions[row.token_hash] = Principal(
            id=row.user_id,
            organization=row.organization,
            roles=frozenset(row.roles),
            groups=frozenset(row.groups),
            name=row.user_name,
            email=row.email,
            organization_name=row.organization_name,
            expires_on=row.expires_on,
            token_hash=row.token_hash,
        )
    for row in connection.execute(select(components).where(components.c.active)):
        if row.user_id is None:
            callers.components[row.token_hash] = component_principal(
                row.id, row.organization, row.type, row.token_hash
            )
        elif principal := user_principal(connection, row.user_id, row.token_hash):
            callers.credentials[row.token_hash] = (row.id, principal)


_ACTIVE_USER = Query(
    select(security.users, security.organizations.c.name.label("organization_name"))
    .join(security.organizations, security.organizations.c.id == security.users.c.organization)
    .where(
        security.users.c.id == bindparam("user"),
        security.users.c.active,
        ~security.users.c.deleted,
        security.organizations.c.active,
    )
)
_GROUPS_OF = Query(
    select(security.groups.c.id, security.groups.c.roles)
    .join(security.group_members, security.group_members.c.group_id == security.groups.c.id)
    .where(security.group_members.c.user_id == bindparam("user"), ~security.groups.c.deleted)
)


def user_principal(
    connection: Connection, user_id: str, digest: str, expires_on: int = NEVER_MS
) -> Principal | None:
    """Return a user's principal with the roles and groups of this moment; None for an inactive user."""
    user = _ACTIVE_USER.first(connection, user=user_id)
    if user is None:
        return None
    rows = _GROUPS_OF.rows(connection, user=user.id)
    return Principal(
        id=user.id,
        organization=user.organization,
        roles=frozenset(user.roles).union(*(row.roles for row in rows)),
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
        id=component_id, organization=organization, is_component=True, component_type=kind, token_hash=digest
    )
