"""What an empty hub holds: the system organization and its administrator."""

from sqlalchemy import Connection

from psrlib.errors import InputError
from psrlib.hub import PASSWORD_VARIABLE
from psrlib.hub.security.passwords import MAX_LENGTH, MIN_LENGTH, hash_password, verify_password
from psrlib.hub.store.queries import by_key, insert_rows
from psrlib.hub.store.schema import security
from psrlib.hub.store.text import Json
from psrlib.hub.web.access import SYSTEM_ADMIN_ROLE, SYSTEM_ORGANIZATION

SYSTEM_ADMIN = "admin@admin"
PASSWORD_LIFE_MS = 5_184_000_000  # 60 days, the SDK's default (control-hub-rest.md, 2.2)


def keep_release(connection: Connection, number: int) -> None:
    """Write down of which release a new hub is.

    Raises
    ------
    InputError
        When the database is of a hub of another release: ids and users would not fit.
    """
    row = by_key(security.meta, "key").first(connection, key="release")
    if row is None:
        insert_rows(connection, security.meta, [{"key": "release", "value": str(number)}])
    elif row.value != str(number):
        raise InputError(
            f"the hub's database is of release {row.value}; start the hub with --release {row.value}, or in "
            "a new run directory"
        )


def set_administrator_password(connection: Connection, password: str | None, *, needed: bool) -> None:
    """Give the system administrator a password of its own; None leaves the one it has.

    Parameters
    ----------
    password : str or None
        The new password.
    needed : bool
        Whether the generated password, which everybody knows, will not do: the hub is reached from elsewhere.

    Raises
    ------
    InputError
        When the password is too short, or there is none and one is needed.
    """
    user = by_key(security.users).first(connection, key=SYSTEM_ADMIN)
    stored = None if user is None else user.password_hash
    if password is None:
        if needed and stored is None:
            raise InputError(
                f"a hub that is reached from other machines needs a password of its own for {SYSTEM_ADMIN}; "
                f"set the environment variable {PASSWORD_VARIABLE} (at least {MIN_LENGTH} characters)"
            )
        return
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH or password == SYSTEM_ADMIN:
        raise InputError(
            f"{PASSWORD_VARIABLE}: expected {MIN_LENGTH} to {MAX_LENGTH} characters, and not the generated "
            "password, which is the user id"
        )
    if not verify_password(password, stored, None):
        values = {"password_hash": hash_password(password), "password_generated": False}
        connection.execute(security.users.update().where(security.users.c.id == SYSTEM_ADMIN).values(values))
        connection.execute(security.sessions.delete().where(security.sessions.c.user_id == SYSTEM_ADMIN))


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
