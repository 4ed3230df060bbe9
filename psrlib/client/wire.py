"""Shapes that every app of the REST API shares: lists with or without wrapper, and the calling convention."""

from collections.abc import Mapping
from typing import Any, Protocol

from psrlib.client.transport import Answer, Upload
from psrlib.errors import HubError

Json = dict[str, Any]
ALL: Mapping[str, Any] = {"offset": 0, "len": -1}


class Caller(Protocol):
    """What an app needs of a session."""

    @property
    def organization(self) -> str:
        """The caller's organization."""

    def call(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        upload: Upload | None = None,
        repeatable: bool | None = None,
    ) -> Any:
        """Send one request and return the parsed body."""

    def answer(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        upload: Upload | None = None,
        repeatable: bool | None = None,
    ) -> Answer:
        """Send one request and return the whole answer."""


class App:
    """One application of the Control Hub, spoken to through a session."""

    def __init__(self, session: Caller) -> None:
        self._session = session

    @property
    def _organization(self) -> str:
        return self._session.organization

    def _delete(self, path: str, kind: str) -> None:
        """Delete an object; one that is gone already, by an earlier attempt for instance, is no error."""
        try:
            self._session.call("DELETE", path, kind=kind)
        except HubError as error:
            if error.status != 404:
                raise


def rows(body: Any, what: str) -> list[Json]:
    """Return the rows of a listing, bare array or wrapper ``{"data": [...]}`` (control-hub-rest, 1.5).

    Examples
    --------
    >>> rows({"totalCount": 1, "data": [{"id": "a"}]}, "users") == rows([{"id": "a"}], "users")
    True
    """
    if isinstance(body, dict) and isinstance(body.get("data"), list):
        body = body["data"]
    if body is None:
        return []
    if not isinstance(body, list):
        raise HubError(
            f"listing of {what}: expected a JSON array or an object with data, received {type(body).__name__}"
        )
    return body


def acl_body(
    resource_id: str, resource_type: str, organization: str, owner: str, permissions: list[Json] | None = None
) -> Json:
    """Return an ACL that makes ``owner`` the owner (control-hub-rest, section 8)."""
    return {
        "resourceId": resource_id,
        "resourceType": resource_type,
        "organization": organization,
        "resourceOwner": owner,
        "permissions": permissions or [],
    }


def is_absent(error: HubError) -> bool:
    """Whether a refusal means that the hub has no such call, rather than no such object.

    Examples
    --------
    >>> [is_absent(HubError("", 501)), is_absent(HubError("", 404, ("JOBRUNNER_01",)))]
    [True, False]
    """
    return error.status in (405, 501) or (error.status == 404 and not error.codes)
