"""App ``topology``: topologies over jobs (control-hub-rest, 7.4)."""

from collections.abc import Sequence

import orjson

from psrlib.client.wire import ALL, App, Json, acl_body, rows

BASE = "/topology/rest/v1"


class Topologies(App):
    """Topologies of the session's organization."""

    def topologies(self) -> list[Json]:
        """Return all topologies, latest commit each; the definition may be missing."""
        query = {**ALL, "organization": self._organization}
        return rows(
            self._session.call("GET", f"{BASE}/topologies", kind="topologies", query=query), "topologies"
        )

    def topology(self, commit_id: str) -> Json:
        """Return a topology commit with its definition."""
        query = {"organization": self._organization, "validate": False}
        found: Json = self._session.call(
            "GET", f"{BASE}/topology/{commit_id}", kind="topologies", query=query
        )
        return found.get("topology", found) if isinstance(found.get("topology"), dict) else found

    def create_topology(self, name: str, nodes: Sequence[Json]) -> Json:
        """Create the draft of a topology from its nodes; it still has to be published."""
        definition = {"schemaVersion": "1", "topologyNodes": list(nodes), "stageIcons": {}, "valid": True}
        body = {
            "name": name,
            "description": "",
            "organization": self._organization,
            "topologyDefinition": orjson.dumps(definition).decode(),
        }
        found: Json = self._session.call("PUT", f"{BASE}/topologies", kind="topologies", body=body)
        return found

    def publish(self, commit_id: str, message: str) -> None:
        """Publish a draft."""
        path = f"{BASE}/topology/{commit_id}/publish"
        self._session.call("POST", path, kind="topologies", query={"commitMessage": message})

    def delete_topologies(self, ids: Sequence[str]) -> None:
        """Delete topologies by topology id."""
        path = f"{BASE}/topologies/deleteTopologies"
        self._session.call("POST", path, kind="topologies", body=list(ids), repeatable=True)

    def acl(self, topology_id: str) -> Json:
        """Return a topology's ACL."""
        found: Json = self._session.call("GET", f"{BASE}/topology/{topology_id}/acl", kind="owners")
        return found

    def set_owner(self, topology_id: str, owner: str) -> None:
        """Make a user the owner of a topology."""
        body = acl_body(topology_id, "TOPOLOGY", self._organization, owner)
        self._session.call(
            "POST", f"{BASE}/topology/{topology_id}/acl", kind="owners", body=body, repeatable=True
        )
