"""App ``connection``: connections to outside systems (control-hub-rest, 7.6; hub 3.19 and later)."""

from psrlib.client.wire import Json, OwnedApp

BASE = "/connection/rest/v1"


class Connections(OwnedApp):
    """Connections of the session's organization."""

    ACL_PATH = f"{BASE}/connection/{{}}/acl"
    RESOURCE_TYPE = "CONNECTION"

    def connections(self) -> list[Json]:
        """Return all connections; the definition may be missing."""
        return self._list(f"{BASE}/connections", "connections")

    def connection(self, connection_id: str) -> Json:
        """Return a connection with its definition."""
        return self._get(f"{BASE}/connection/{connection_id}", "connections") or {}

    def create_connection(self, connection: Json) -> Json:
        """Create a connection."""
        body = {**connection, "organization": self._session.organization}
        return self._send_once(f"{BASE}/connections", "connections", body) or {}

    def update_connection(self, connection: Json) -> None:
        """Replace a connection's record (full JSON as read)."""
        self._post(f"{BASE}/connection/{connection['id']}", "connections", connection)

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection."""
        self._delete(f"{BASE}/connection/{connection_id}", "connections")
