"""What an empty hub holds: the system organization and its administrator."""

from sqlalchemy import Connection, select

from psrlib.hub.store.schema import security
from psrlib.hub.web.access import SYSTEM_ADMIN_ROLE, SYSTEM_ORGANIZATION

SYSTEM_ADMIN = "admin@admin"
PASSWORD_LIFE_MS = 5_184_000_000  # 60 days, the SDK's default (control-hub-rest.md, 2.2)


def create_system_organization(connection: Connection, now_ms: int) -> None:
    """Create organization ``admin`` and user ``admin@admin``, unless they exist."""
    organizations, users = security.organizations, security.users
    if connection.execute(
        select(organizations.c.id).where(organizations.c.id == SYSTEM_ORGANIZATION)
    ).first():
        return
    audit = {
        "creator": SYSTEM_ADMIN,
        "created_on": now_ms,
        "last_modified_by": SYSTEM_ADMIN,
        "last_modified_on": now_ms,
    }
    connection.execute(
        organizations.insert().values(
            id=SYSTEM_ORGANIZATION,
            name="System organization",
            primary_admin_id=SYSTEM_ADMIN,
            password_expiry_ms=PASSWORD_LIFE_MS,
            valid_domains="*",
            external_auth_enabled=False,
            active=True,
            **audit,
        )
    )
    connection.execute(
        users.insert().values(
            id=SYSTEM_ADMIN,
            organization=SYSTEM_ORGANIZATION,
            name="System administrator",
            email="admin@localhost",
            roles=["user", "org-admin", SYSTEM_ADMIN_ROLE],
            password_generated=True,
            password_expiry_time=now_ms + PASSWORD_LIFE_MS,
            **audit,
        )
    )
