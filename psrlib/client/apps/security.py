"""App ``security``: organizations, users, groups, roles, engine tokens (control-hub-rest, 2, 3, 6.1)."""

from psrlib.client.wire import ALL, App, Json, rows

BASE = "/security/rest/v1"
PASSWORD_LIFE_MS = 5_184_000_000  # 60 days, the vendor's default for new organizations (2.2)
FAR_FUTURE_MS = 4_102_444_800_000  # 2100-01-01, so that first passwords do not expire in the middle of a test


class Security(App):
    """Organizations, users, groups and components, as seen by the session's user."""

    def organizations(self) -> list[Json]:
        """Return all organizations (system administrator only)."""
        found = self._session.call("GET", f"{BASE}/organizations", kind="organizations", query=ALL)
        return rows(found, "organizations")

    def create_organization(self, id: str, name: str, admin: Json) -> None:
        """Create an organization with its first administrator ``{"id", "name", "email", "roles"}``."""
        body = {
            "organization": {
                "id": id,
                "name": name,
                "primaryAdminId": admin["id"],
                "active": True,
                "passwordExpiryTimeInMillis": PASSWORD_LIFE_MS,
                "validDomains": "*",
                "externalAuthEnabled": False,
            },
            "organizationAdminUser": {
                "id": admin["id"],
                "organization": id,
                "name": admin["name"],
                "email": admin["email"],
                "active": True,
                "roles": admin["roles"],
            },
        }
        self._session.call("PUT", f"{BASE}/organizations", kind="organizations", body=body)

    def update_organization(self, organization: Json) -> None:
        """Replace an organization's record (full JSON as listed)."""
        path = f"{BASE}/organization/{organization['id']}"
        self._session.call("POST", path, kind="organizations", body=organization, repeatable=True)

    def configs(self, organization: str) -> list[Json]:
        """Return an organization's configuration entries: ``id``, ``name``, ``value``, ``type``."""
        path = f"{BASE}/organization/{organization}/configs"
        return rows(self._session.call("GET", path, kind="configuration"), "configuration")

    def set_configs(self, organization: str, values: dict[str, str]) -> None:
        """Set configuration entries by id."""
        body = [{"id": id, "value": value} for id, value in values.items()]
        path = f"{BASE}/organization/{organization}/configs"
        self._session.call("POST", path, kind="configuration", body=body, repeatable=True)

    def roles(self) -> list[Json]:
        """Return the roles the hub knows: ``id`` and ``label``."""
        return rows(self._session.call("GET", f"{BASE}/roles", kind="metadata"), "roles")

    def current_user(self) -> Json:
        """Return the principal of the session."""
        found: Json = self._session.call("GET", f"{BASE}/currentUser", kind="metadata")
        return found

    def users(self, organization: str) -> list[Json]:
        """Return all users of an organization, without deleted ones."""
        path = f"{BASE}/organization/{organization}/users"
        found = rows(self._session.call("GET", path, kind="users", query=ALL), "users")
        return [row for row in found if not row.get("userDeleted")]

    def create_user(self, organization: str, user: Json) -> Json:
        """Create a user given as ``{"id", "name", "email", "roles", "groups"}``; return the hub's record.

        The first password is not marked as generated, so no change is forced at the first login (1.3).
        """
        body = {
            **user,
            "organization": organization,
            "active": True,
            "nameInOrg": user["email"],
            "passwordGenerated": False,
            "passwordExpiryTime": FAR_FUTURE_MS,
            "userDeleted": False,
        }
        path = f"{BASE}/organization/{organization}/users"
        return self._session.call("PUT", path, kind="users", body=body) or {}

    def update_user(self, organization: str, user: Json) -> Json:
        """Replace a user's record (full JSON as listed), with a password that is not marked as generated."""
        body = {
            **user,
            "organization": organization,
            "passwordGenerated": False,
            "passwordExpiryTime": FAR_FUTURE_MS,
        }
        path = f"{BASE}/organization/{organization}/user/{user['id']}"
        return self._session.call("POST", path, kind="users", body=body, repeatable=True) or {}

    def deactivate_users(self, organization: str, ids: list[str]) -> None:
        """Deactivate users, which comes before deleting them."""
        path = f"{BASE}/organization/{organization}/users/deactivate"
        self._session.call("POST", path, kind="users", body=ids, repeatable=True)

    def delete_users(self, organization: str, ids: list[str]) -> None:
        """Delete users."""
        path = f"{BASE}/organization/{organization}/users/delete"
        self._session.call("POST", path, kind="users", body=ids, repeatable=True)

    def groups(self, organization: str) -> list[Json]:
        """Return all groups of an organization."""
        path = f"{BASE}/organization/{organization}/groups"
        return rows(self._session.call("GET", path, kind="groups", query=ALL), "groups")

    def create_group(self, organization: str, id: str, name: str, roles: list[str], users: list[str]) -> None:
        """Create a group with its first members, who must exist."""
        body = {"id": id, "organization": organization, "name": name, "roles": roles, "users": users}
        path = f"{BASE}/organization/{organization}/groups"
        self._session.call("PUT", path, kind="groups", body=body)

    def update_group(self, organization: str, group: Json) -> None:
        """Replace a group's record (full JSON as listed)."""
        path = f"{BASE}/organization/{organization}/group/{group['id']}"
        self._session.call("POST", path, kind="groups", body=group, repeatable=True)

    def delete_groups(self, organization: str, ids: list[str]) -> None:
        """Delete groups."""
        path = f"{BASE}/organization/{organization}/groups/delete"
        self._session.call("POST", path, kind="groups", body=ids, repeatable=True)

    def create_components(self, organization: str, component_type: str, n: int) -> list[Json]:
        """Create ``n`` engine (or agent) registrations; each row holds its ``fullAuthToken``."""
        body = {
            "organization": organization,
            "componentType": component_type,
            "numberOfComponents": n,
            "active": True,
        }
        path = f"{BASE}/organization/{organization}/components"
        return rows(self._session.call("PUT", path, kind="engine tokens", body=body), "engine tokens")

    def components(self, organization: str) -> list[Json]:
        """Return all components of an organization, registered or not."""
        path = f"{BASE}/organization/{organization}/components"
        query = {**ALL, "orderBy": "ID"}
        return rows(self._session.call("GET", path, kind="engine tokens", query=query), "components")

    def deactivate_components(self, organization: str, ids: list[str]) -> None:
        """Deactivate components."""
        path = f"{BASE}/organization/{organization}/components/deactivate"
        self._session.call("POST", path, kind="engine tokens", body=ids, repeatable=True)

    def delete_components(self, organization: str, ids: list[str]) -> None:
        """Delete components."""
        path = f"{BASE}/organization/{organization}/components/delete"
        self._session.call("POST", path, kind="engine tokens", body=ids, repeatable=True)
