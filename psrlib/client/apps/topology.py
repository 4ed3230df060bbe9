"""App ``topology``: topologies over jobs (control-hub-rest, 7.4)."""

from collections.abc import Sequence
from typing import Any

import orjson
from msgspec import Struct

from psrlib.client.shapes import Document, anything, record
from psrlib.client.wire import Json, OwnedApp, Version

BASE = "/topology/rest/v1"


class Topology(Struct, rename="camel"):
    """A commit of a topology in an answer; the definition is JSON text, and may be missing in a listing."""

    topology_id: str
    commit_id: str
    name: str
    version: Version | None = None
    topology_definition: Document = None


class Wrapped(Struct):
    """A topology as some hubs answer a single one."""

    topology: Topology


class Topologies(OwnedApp):
    """Topologies of the session's organization."""

    ACL_PATH = f"{BASE}/topology/{{}}/acl"
    RESOURCE_TYPE = "TOPOLOGY"

    def topologies(self) -> list[Json]:
        """Return all topologies, latest commit each; the definition may be missing."""
        return self._list(f"{BASE}/topologies", "topologies", Topology)

    def topology(self, commit_id: str) -> Json:
        """Return a topology commit with its definition."""
        query = {"organization": self._session.organization, "validate": False}
        found: Json = self._get(f"{BASE}/topology/{commit_id}", "topologies", _single, query)
        return found

    def create_topology(self, name: str, nodes: Sequence[Json]) -> Json:
        """Create the draft of a topology from its nodes; it still has to be published."""
        definition = {"schemaVersion": "1", "topologyNodes": list(nodes), "stageIcons": {}, "valid": True}
        body = {
            "name": name,
            "description": "",
            "organization": self._session.organization,
            "topologyDefinition": orjson.dumps(definition).decode(),
        }
        made: Json = self._send_once(f"{BASE}/topologies", "topologies", record(Topology), body)
        return made

    def publish(self, commit_id: str, message: str) -> None:
        """Publish a draft."""
        path = f"{BASE}/topology/{commit_id}/publish"
        self._send_once(path, "topologies", anything, query={"commitMessage": message}, method="POST")

    def delete_topologies(self, ids: Sequence[str]) -> None:
        """Delete topologies by topology id."""
        self._post(f"{BASE}/topologies/deleteTopologies", "topologies", list(ids))


def _single(content: bytes) -> Json:
    """Return a topology that an answer holds, as it is or under ``topology``."""
    found: Json = record(dict[str, Any])(content)
    inner = isinstance(found.get("topology"), dict)
    record(Wrapped if inner else Topology)(content)
    return found["topology"] if inner else found
