"""Tables of the embedded hub: one metadata for SQLite and PostgreSQL, a comment on every column."""

from psrlib.hub.store.schema import automation, design, execution, security
from psrlib.hub.store.schema.columns import metadata

SCHEMA_VERSION = 6  # raised with every change of a table; a database of another version is refused

__all__ = ["SCHEMA_VERSION", "automation", "design", "execution", "metadata", "security"]
