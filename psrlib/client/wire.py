"""Shapes that every app of the REST API shares: lists with or without wrapper, access control lists."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from psrlib.client.request import Answer, Request, Upload
from psrlib.errors import HubError

Json = dict[str, Any]
ALL: Mapping[str, Any] = {"offset": 0, "len": -1}


class Caller(ABC):
    """What an app needs of a session."""

    @property
    @abstractmethod
    def organization(self) -> str:
        """The organization that listings name."""

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Send one request and return the answer."""

    def fields(self, app: str, record: str) -> frozenset[str]:
        """Return the fields of a record that an app names in its Swagger; empty when that is not known."""
        return frozenset()


class App:
    """One application of the Control Hub, spoken to through a session; ``kind`` is what calls count as."""

    def __init__(self, session: Caller) -> None:
        self._session = session

    def _get(self, path: str, kind: str, query: Mapping[str, Any] | None = None) -> Any:
        return self._session.answer(Request("GET", path, kind, query or {}, repeatable=True)).body

    def _list(self, path: str, kind: str, query: Mapping[str, Any] | None = None) -> list[Json]:
        """Return all rows, those of the session's organization if no query is given."""
        if query is None:
            query = {**ALL, "organization": self._session.organization}
        return rows(self._get(path, kind, query), kind)

    def _send_once(
        self,
        path: str,
        kind: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        upload: Upload | None = None,
        method: str = "PUT",
    ) -> Any:
        """Send what must not be sent twice: Control Hub creates with PUT, and with POST what is no record."""
        return self._session.answer(Request(method, path, kind, query or {}, body, upload)).body

    def _post(self, path: str, kind: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Send what may be sent twice: readings with a list of ids, updates, removals."""
        return self._session.answer(Request("POST", path, kind, query or {}, body, repeatable=True)).body

    def _delete(self, path: str, kind: str) -> None:
        """Delete an object; one that is gone already, by an earlier attempt for instance, is no error."""
        try:
            self._session.answer(Request("DELETE", path, kind, repeatable=True))
        except HubError as error:
            if error.status != 404:
                raise


class OwnedApp(App):
    """An app whose objects have owners, kept in access control lists (control-hub-rest, section 8)."""

    ACL_PATH: ClassVar[str]  # with the object's id in place of ``{}``
    RESOURCE_TYPE: ClassVar[str]

    def acl(self, id: str) -> Json:
        """Return an object's ACL."""
        return self._get(self.ACL_PATH.format(id), "owners") or {}

    def set_owner(self, id: str, owner: str) -> None:
        """Make a user the owner of an object, and nobody else a reader."""
        body = {
            "resourceId": id,
            "resourceType": self.RESOURCE_TYPE,
            "organization": self._session.organization,
            "resourceOwner": owner,
            "permissions": [],
        }
        self._post(self.ACL_PATH.format(id), "owners", body)


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


def is_absent(error: HubError) -> bool:
    """Whether a refusal means that the hub has no such call, rather than no such object.

    Examples
    --------
    >>> [is_absent(HubError("", 501)), is_absent(HubError("", 404, ("JOBRUNNER_01",)))]
    [True, False]
    """
    return error.status in (405, 501) or (error.status == 404 and not error.codes)
