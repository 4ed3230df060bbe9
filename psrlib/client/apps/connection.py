"""App ``connection``: connections to outside systems (control-hub-rest, 7.6; hub 3.19 and later)."""

from msgspec import Struct

from psrlib.client.shapes import Document, record
from psrlib.client.wire import Json, OwnedApp

BASE = "/connection/rest/v1"


class Tag(Struct):
    """A tag of a connection or job."""

    tag: str | None = None


class Connection(Struct, rename="camel"):
    """A connection in an answer; the definition is JSON text, and may be missing in a listing."""

    id: str
    name: str
    connection_type: str | None = None
    connection_definition: Document = None
    raw_connection_tags: list[str] | None = None
    tags: list[Tag] | None = None


class Connections(OwnedApp):
    """Connections of the session's organization."""

    ACL_PATH = f"{BASE}/connection/{{}}/acl"
    RESOURCE_TYPE = "CONNECTION"

    def connections(self) -> list[Json]:
        """Return all connections; the definition may be missing."""
        return self._list(f"{BASE}/connections", "connections", Connection)

    def connection(self, connection_id: str) -> Json:
        """Return a connection with its definition."""
        found: Json = self._get(f"{BASE}/connection/{connection_id}", "connections", record(Connection))
        return found

    def create_connection(self, connection: Json) -> Json:
        """Create a connection."""
        body = {**connection, "organization": self._session.organization}
        made: Json = self._send_once(f"{BASE}/connections", "connections", record(Connection), body)
        return made

    def update_connection(self, connection: Json) -> None:
        """Replace a connection's record (full JSON as read)."""
        self._update(f"{BASE}/connection/{connection['id']}", "connections", connection, Connection)

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection."""
        self._delete(f"{BASE}/connection/{connection_id}", "connections")
