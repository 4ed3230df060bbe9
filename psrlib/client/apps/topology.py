"""App ``topology``: topologies over jobs (control-hub-rest, 7.4)."""

from collections.abc import Sequence

import orjson

from psrlib.client.wire import Json, OwnedApp

BASE = "/topology/rest/v1"


class Topologies(OwnedApp):
    """Topologies of the session's organization."""

    ACL_PATH = f"{BASE}/topology/{{}}/acl"
    RESOURCE_TYPE = "TOPOLOGY"

    def topologies(self) -> list[Json]:
        """Return all topologies, latest commit each; the definition may be missing."""
        return self._list(f"{BASE}/topologies", "topologies")

    def topology(self, commit_id: str) -> Json:
        """Return a topology commit with its definition."""
        query = {"organization": self._session.organization, "validate": False}
        found: Json = self._get(f"{BASE}/topology/{commit_id}", "topologies", query) or {}
        return found["topology"] if isinstance(found.get("topology"), dict) else found

    def create_topology(self, name: str, nodes: Sequence[Json]) -> Json:
        """Create the draft of a topology from its nodes; it still has to be published."""
        definition = {"schemaVersion": "1", "topologyNodes": list(nodes), "stageIcons": {}, "valid": True}
        body = {
            "name": name,
            "description": "",
            "organization": self._session.organization,
            "topologyDefinition": orjson.dumps(definition).decode(),
        }
        return self._send_once(f"{BASE}/topologies", "topologies", body) or {}

    def publish(self, commit_id: str, message: str) -> None:
        """Publish a draft."""
        path = f"{BASE}/topology/{commit_id}/publish"
        self._send_once(path, "topologies", query={"commitMessage": message}, method="POST")

    def delete_topologies(self, ids: Sequence[str]) -> None:
        """Delete topologies by topology id."""
        self._post(f"{BASE}/topologies/deleteTopologies", "topologies", list(ids))
