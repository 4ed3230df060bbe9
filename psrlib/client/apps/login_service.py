"""The login service of 4.x: users are invited and removed there (control-hub-4x, 4.2)."""

from typing import Any

from msgspec import Struct

from psrlib.client.shapes import record
from psrlib.client.wire import App

BASE = "/api/security/v3"
VERSION = 2  # of the envelope
KIND = "users"


class Invited(Struct, rename="camel"):
    """Who was invited; ``sch_user`` is the part of the hub's user id before ``@``."""

    sch_user: str


class Invitation(Struct):
    """The answer to an invitation."""

    data: Invited


class Member(Struct):
    """A user by the login service's own id."""

    id: str


class Members(Struct):
    """A page of users."""

    content: list[Member]


class Found(Struct):
    """The answer to a search for users."""

    data: Members


class LoginService(App):
    """Invitations to the session's organization; each one may send mail."""

    def invite(self, email: str) -> str:
        """Invite a user and return the part of the hub's user id before ``@``."""
        body = {"data": {"email": email, "role": "OPERATOR"}, "version": VERSION}
        path, read = f"{BASE}/org-users.invite", record(Invitation)
        made: dict[str, Any] = self._send_once(path, KIND, read, body, method="POST")
        return str(made["data"]["schUser"])

    def remove(self, user_id: str) -> None:
        """Remove a user, given by the hub's id, from the organization."""
        query = {"search": f"schUser=={user_id.partition('@')[0]}"}
        found: dict[str, Any] = self._get(f"{BASE}/org-users", KIND, record(Found), query)
        ids = [member["id"] for member in found["data"]["content"]]
        for call in ("deactivate", "delete") if ids else ():  # in this order, as on 3.x
            self._post(f"{BASE}/org-users.{call}", KIND, {"data": ids, "version": VERSION})
