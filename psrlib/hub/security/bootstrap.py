"""What an empty hub holds: the system organization and its administrator."""

from sqlalchemy import Connection

from psrlib.hub.store.queries import by_key, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import SYSTEM_ADMIN_ROLE, SYSTEM_ORGANIZATION

SYSTEM_ADMIN = "admin@admin"
PASSWORD_LIFE_MS = 5_184_000_000  # 60 days, the SDK's default (control-hub-rest.md, 2.2)


def create_system_organization(connection: Connection, now_ms: int) -> None:
    """Create organization ``admin`` and user ``admin@admin``, unless they exist."""
    if by_key(security.organizations).first(connection, key=SYSTEM_ORGANIZATION):
        return
    audit: Json = dict.fromkeys(("creator", "last_modified_by"), SYSTEM_ADMIN)
    audit |= dict.fromkeys(("created_on", "last_modified_on"), now_ms)
    organization = {
        "id": SYSTEM_ORGANIZATION,
        "name": "System organization",
        "primary_admin_id": SYSTEM_ADMIN,
        "password_expiry_ms": PASSWORD_LIFE_MS,
        "valid_domains": "*",
        "external_auth_enabled": False,
    }
    administrator = {
        "id": SYSTEM_ADMIN,
        "organization": SYSTEM_ORGANIZATION,
        "name": "System administrator",
        "email": "admin@localhost",
        "roles": ["user", "org-admin", SYSTEM_ADMIN_ROLE],
        "password_expiry_time": now_ms + PASSWORD_LIFE_MS,
    }
    insert_rows(connection, security.organizations, [organization | audit])
    insert_rows(connection, security.users, [administrator | audit])
