"""Steps from older versions of the schema to this release's."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from psrlib.errors import InputError
from psrlib.hub.schema import SCHEMA_VERSION
from psrlib.hub.schema.security import meta

# version -> statements that make the next version of it; the first release needs none
STEPS: Mapping[int, Callable[[Connection], None]] = {}


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
