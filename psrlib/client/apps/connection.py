"""App ``connection``: connections to outside systems (control-hub-rest, 7.6; hub 3.19 and later)."""

from psrlib.client.wire import ALL, App, Json, acl_body, rows

BASE = "/connection/rest/v1"


class Connections(App):
    """Connections of the session's organization."""

    def connections(self) -> list[Json]:
        """Return all connections; the definition may be missing."""
        query = {**ALL, "organization": self._organization}
        return rows(
            self._session.call("GET", f"{BASE}/connections", kind="connections", query=query), "connections"
        )

    def connection(self, connection_id: str) -> Json:
        """Return a connection with its definition."""
        found: Json = self._session.call("GET", f"{BASE}/connection/{connection_id}", kind="connections")
        return found

    def create_connection(self, connection: Json) -> Json:
        """Create a connection."""
        body = {**connection, "organization": self._organization}
        return self._session.call("PUT", f"{BASE}/connections", kind="connections", body=body) or {}

    def update_connection(self, connection: Json) -> None:
        """Replace a connection's record (full JSON as read)."""
        path = f"{BASE}/connection/{connection['id']}"
        self._session.call("POST", path, kind="connections", body=connection, repeatable=True)

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection."""
        self._delete(f"{BASE}/connection/{connection_id}", "connections")

    def acl(self, connection_id: str) -> Json:
        """Return a connection's ACL."""
        found: Json = self._session.call("GET", f"{BASE}/connection/{connection_id}/acl", kind="owners")
        return found

    def set_owner(self, connection_id: str, owner: str) -> None:
        """Make a user the owner of a connection."""
        body = acl_body(connection_id, "CONNECTION", self._organization, owner)
        self._session.call(
            "POST", f"{BASE}/connection/{connection_id}/acl", kind="owners", body=body, repeatable=True
        )
