"""App ``security``: organizations, users, groups, roles, engine tokens (control-hub-rest, 2, 3, 6.1)."""

from typing import Any

from msgspec import Struct

from psrlib.client.shapes import listing, record
from psrlib.client.wire import ALL, App, Json

BASE = "/security/rest/v1"
# The vendor's defaults for new organizations (2.2); a password lives for 60 days.
SETTINGS = {"passwordExpiryTimeInMillis": 5_184_000_000, "validDomains": "*", "externalAuthEnabled": False}
# Not marked as generated, and good until 2100-01-01, so that it does not expire in the middle of a test.
FIRST_PASSWORD = {"passwordGenerated": False, "passwordExpiryTime": 4_102_444_800_000}


class Organization(Struct):
    """An organization in an answer."""

    id: str
    name: str | None = None
    active: bool | None = None


class Entry(Struct):
    """An entry of an organization's configuration; the value is text, whatever its type."""

    id: str
    name: str | None = None


class Role(Struct):
    """A role of the hub, or another record of which the id is needed."""

    id: str


class Group(Struct):
    """A group in an answer; later hubs list whole records where earlier ones list ids."""

    id: str
    name: str | None = None
    roles: list[str | Role] | None = None
    users: list[str | Role] | None = None


class User(Struct, rename="camel"):
    """A user in an answer."""

    id: str
    name: str | None = None
    email: str | None = None
    active: bool | None = None
    roles: list[str] | None = None
    groups: list[str] | None = None


class Component(Struct):
    """The registration of an engine or agent."""

    id: str


class NewComponent(Component, rename="camel", kw_only=True):
    """A registration just made, with its token."""

    full_auth_token: str


class Security(App):
    """Organizations, users, groups and components, as seen by the session's user."""

    def organizations(self) -> list[Json]:
        """Return all organizations (system administrator only)."""
        return self._list(f"{BASE}/organizations", "organizations", Organization, ALL)

    def create_organization(self, id: str, name: str, admin: Json) -> None:
        """Create an organization with its first administrator ``{"id", "name", "email", "roles"}``."""
        body = {
            "organization": {
                "id": id,
                "name": name,
                "primaryAdminId": admin["id"],
                "active": True,
                **SETTINGS,
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
        self._send_once(f"{BASE}/organizations", "organizations", record(Organization), body)

    def update_organization(self, organization: Json) -> None:
        """Replace an organization's record (full JSON as listed)."""
        self._update(f"{BASE}/organization/{organization['id']}", "organizations", organization, Organization)

    def configs(self, organization: str) -> list[Json]:
        """Return an organization's configuration entries: ``id``, ``name``, ``value``, ``type``."""
        return self._list(f"{BASE}/organization/{organization}/configs", "configuration", Entry, {})

    def set_configs(self, organization: str, values: dict[str, str]) -> None:
        """Set configuration entries by id."""
        body = [{"id": id, "value": value} for id, value in values.items()]
        self._post(f"{BASE}/organization/{organization}/configs", "configuration", body)

    def roles(self) -> list[Json]:
        """Return the roles the hub knows: ``id`` and ``label``."""
        return self._list(f"{BASE}/roles", "metadata", Role, {})

    def current_user(self) -> Json:
        """Return the principal of the session."""
        found: Json = self._get(f"{BASE}/currentUser", "metadata", record(dict[str, Any]))
        return found

    def users(self, organization: str) -> list[Json]:
        """Return all users of an organization, without deleted ones."""
        found = self._list(f"{BASE}/organization/{organization}/users", "users", User, ALL)
        return [row for row in found if not row.get("userDeleted")]

    def create_user(self, organization: str, user: Json) -> Json:
        """Create a user given as ``{"id", "name", "email", "roles", "groups"}``; return the hub's record.

        The first password is not marked as generated, so no change is forced at the first login (1.3).
        """
        body = {
            **user,
            **FIRST_PASSWORD,
            "organization": organization,
            "active": True,
            "nameInOrg": user["email"],
            "userDeleted": False,
        }
        path = f"{BASE}/organization/{organization}/users"
        made: Json = self._send_once(path, "users", record(User), body)
        return made

    def user(self, organization: str, user_id: str) -> Json:
        """Return a user."""
        path = f"{BASE}/organization/{organization}/user/{user_id}"
        found: Json = self._get(path, "users", record(User))
        return found

    def update_user(self, organization: str, user: Json, first_password: bool = True) -> None:
        """Replace a user's record (full JSON as listed), with a password that is not marked as generated.

        Without ``first_password`` for users who have none.
        """
        body = {**user, **(FIRST_PASSWORD if first_password else {}), "organization": organization}
        self._update(f"{BASE}/organization/{organization}/user/{user['id']}", "users", body, User)

    def delete_users(self, organization: str, ids: list[str]) -> None:
        """Deactivate users, which the hub wants first, and delete them; no call for an empty list."""
        for call in ("deactivate", "delete") if ids else ():
            self._post(f"{BASE}/organization/{organization}/users/{call}", "users", ids)

    def groups(self, organization: str) -> list[Json]:
        """Return all groups of an organization."""
        return self._list(f"{BASE}/organization/{organization}/groups", "groups", Group, ALL)

    def create_group(self, organization: str, id: str, name: str, roles: list[str], users: list[str]) -> None:
        """Create a group with its first members, who must exist."""
        body = {"id": id, "organization": organization, "name": name, "roles": roles, "users": users}
        self._send_once(f"{BASE}/organization/{organization}/groups", "groups", record(Group), body)

    def update_group(self, organization: str, group: Json) -> None:
        """Replace a group's record (full JSON as listed)."""
        self._update(f"{BASE}/organization/{organization}/group/{group['id']}", "groups", group, Group)

    def delete_groups(self, organization: str, ids: list[str]) -> None:
        """Delete groups."""
        self._post(f"{BASE}/organization/{organization}/groups/delete", "groups", ids)

    def create_components(self, organization: str, component_type: str, n: int) -> list[Json]:
        """Create ``n`` engine (or agent) registrations; each row holds its ``fullAuthToken``."""
        body = {
            "organization": organization,
            "componentType": component_type,
            "numberOfComponents": n,
            "active": True,
        }
        path = f"{BASE}/organization/{organization}/components"
        made: list[Json] = self._send_once(path, "engine tokens", listing(NewComponent), body)
        return made

    def components(self, organization: str, component_type: str) -> list[Json]:
        """Return an organization's components of a type, registered or not; a hub lists one type at a time.

        It is always named: the vendor's hub takes ``dc`` where it is not.
        """
        path = f"{BASE}/organization/{organization}/components"
        query = {**ALL, "orderBy": "ID", "componentTypeId": component_type}
        return self._list(path, "engine tokens", Component, query)

    def delete_components(self, organization: str, ids: list[str]) -> None:
        """Deactivate components, which voids their tokens, and delete them; no call for an empty list."""
        for call in ("deactivate", "delete") if ids else ():
            self._post(f"{BASE}/organization/{organization}/components/{call}", "engine tokens", ids)
