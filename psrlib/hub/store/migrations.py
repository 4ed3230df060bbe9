"""Steps from older versions of the schema to this release's."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from psrlib.errors import InputError
from psrlib.hub.store.schema import SCHEMA_VERSION
from psrlib.hub.store.schema.security import meta


def _add_column(connection: Connection, table: str, column: str, declaration: str, comment: str) -> None:
    """Add a column to a table of an older version; SQLite keeps no comments.

    Names and types are spelled out and not taken from the schema: a step makes the version it was written
    for, whatever the schema becomes later.
    """
    connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"COMMENT ON COLUMN {table}.{column} IS '{comment}'")


def _version_2(connection: Connection) -> None:
    """Data SLAs remember which jobs are beyond a threshold."""
    comment = "JSON list of the job ids beyond a threshold now"
    _add_column(connection, "slas", "violating", "TEXT NOT NULL DEFAULT '[]'", comment)


# version -> statements that make the next version of it
STEPS: Mapping[int, Callable[[Connection], None]] = {1: _version_2}


def migrate(
    connection: Connection,
    found: int,
    steps: Mapping[int, Callable[[Connection], None]] = STEPS,
    wanted: int = SCHEMA_VERSION,
) -> None:
    """Bring a database to this release's schema, in the caller's transaction.

    Parameters
    ----------
    found : int
        Version the database has.
    steps : mapping
        Version to the function that makes the next version of it.
    wanted : int
        Version to reach.

    Raises
    ------
    InputError
        When the database is newer, or a step is missing.
    """
    if found > wanted:
        raise InputError(
            f"the database has schema version {found}, this release reads {wanted}; "
            "use the release that made it, or a new run directory"
        )
    for version in range(found, wanted):
        if version not in steps:
            raise InputError(
                f"the database has schema version {found}, this release cannot bring it to {wanted}; "
                "use the release that made it, or a new run directory"
            )
        steps[version](connection)
    row = meta.update().where(meta.c.key == "schema_version").values(value=str(wanted))
    if found != wanted:
        connection.execute(row)
