"""App ``provisioning``: self-managed environments and deployments of 4.x (control-hub-4x, 4.4)."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from psrlib.client.apps.security import NewComponent
from psrlib.client.shapes import record
from psrlib.client.wire import ALL, App, Json, is_absent
from psrlib.errors import HubError

BASE = "/provisioning/rest/v1/csp"
KIND = "engine tokens"


class Stateful(Struct, rename="camel"):
    """An environment or deployment in an answer, ACTIVE when it can be used."""

    id: str
    name: str
    state: str | None = None
    state_display_label: str | None = None
    status_detail: str | None = None


class Deployment(Stateful, rename="camel"):
    """A deployment in an answer; the configuration of its engines is null in listings."""

    engine_configuration: dict[str, Any] | None = None


class EngineVersion(Struct, rename="camel"):
    """A version of an engine that a deployment can have."""

    id: str
    engine_version: str
    scala_binary_version: str | None = None
    advanced_configuration: str | None = None


class Provisioning(App):
    """Environments, deployments and the tokens of their engines, in the session's organization."""

    def environments(self) -> list[Json]:
        """Return all self-managed environments."""
        query = {**ALL, "organization": self._session.organization, "type": "SELF"}
        return self._list(f"{BASE}/environments", KIND, Stateful, query)

    def environment(self, id: str) -> Json:
        """Return an environment."""
        found: Json = self._get(f"{BASE}/environment/{id}", KIND, record(Stateful))
        return found

    def create_environment(self, name: str) -> Json:
        """Create a self-managed environment, complete and not active."""
        body = {"name": name, "type": "SELF", "allowSnapshotEngineVersions": False, "rawEnvironmentTags": []}
        path, query = f"{BASE}/environments", {"complete": True}
        made: Json = self._send_once(path, KIND, record(Stateful), body, query=query)
        return made

    def activate_environments(self, ids: list[str]) -> None:
        """Activate environments; this takes a while."""
        self._switch(f"{BASE}/environments", ("activateEnvironments", "enableEnvironments"), ids)

    def delete_environments(self, ids: list[str]) -> None:
        """Deactivate and delete environments."""
        self._post(f"{BASE}/environments/deleteEnvironments", KIND, ids, {"stop": True})

    def engine_versions(self, engine_type: str) -> list[Json]:
        """Return the released versions that an engine may have, whose type is ``DC`` or ``TF``."""
        query = {**ALL, "engineType": engine_type, "disabledFilter": "ONLY_ALLOWED", "releasesOnly": True}
        return self._list(f"{BASE}/engineVersions", KIND, EngineVersion, query)

    def engine_version(self, id: str) -> Json:
        """Return an engine version with the configuration that a deployment copies."""
        found: Json = self._get(f"{BASE}/engineVersion/{id}", KIND, record(EngineVersion))
        return found

    def deployments(self) -> list[Json]:
        """Return all self-managed deployments, without the configuration of their engines."""
        query = {**ALL, "organization": self._session.organization, "type": "SELF"}
        return self._list(f"{BASE}/deployments", KIND, Deployment, query)

    def deployment(self, id: str) -> Json:
        """Return a deployment with the configuration of its engines."""
        found: Json = self._get(f"{BASE}/deployment/{id}", KIND, record(Deployment))
        return found

    def create_deployment(self, deployment: Json) -> Json:
        """Create a deployment, which is to be completed."""
        made: Json = self._send_once(f"{BASE}/deployments", KIND, record(Deployment), deployment)
        return made

    def complete_deployment(self, deployment: Json) -> None:
        """Replace a deployment's record (full JSON as read), after which it can be started."""
        query = {"complete": True, "processIfEnabled": True}
        self._post(f"{BASE}/deployment/{deployment['id']}", KIND, deployment, query)

    def start_deployments(self, ids: list[str]) -> None:
        """Start deployments; this takes a while."""
        self._switch(f"{BASE}/deployments", ("startDeployments", "enableDeployments"), ids)

    def delete_deployments(self, ids: list[str]) -> None:
        """Stop and delete deployments."""
        self._post(f"{BASE}/deployments/deleteDeployments", KIND, ids, {"stop": True})

    def engine_token(self, deployment_id: str, component_type: str) -> Json:
        """Make the registration of one engine of a deployment; the record holds its ``fullAuthToken``.

        By the path of the vendor's client, or by that of its documents where the hub lacks the first (5.1).
        """
        security = f"/security/rest/v1/organization/deployment/{self._session.organization}/{deployment_id}"
        new, query = record(NewComponent), {"type": component_type}
        made: Json = _first_present(
            lambda: self._send_once(
                f"{BASE}/deployment/{deployment_id}/engineToken", KIND, new, method="POST"
            ),
            lambda: self._send_once(f"{security}/engineToken", KIND, new, query=query, method="POST"),
        )
        return made

    def _switch(self, path: str, words: tuple[str, str], ids: list[str]) -> None:
        """Change a state by the word of the vendor's documents, or by that of its client."""
        first, second = words
        _first_present(
            lambda: self._post(f"{path}/{first}", KIND, ids),
            lambda: self._post(f"{path}/{second}", KIND, ids),
        )


def _first_present(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    try:
        return first()
    except HubError as error:
        if not is_absent(error):
            raise
    return second()
