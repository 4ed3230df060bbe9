"""Shapes that every app of the REST API shares: lists with or without wrapper, access control lists."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from psrlib.client.request import Answer, Request
from psrlib.client.shapes import Page, Read, anything, page, record
from psrlib.errors import HubError

Json = dict[str, Any]
ALL: Mapping[str, Any] = {"offset": 0, "len": -1}
Version = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(-.*)?$")]  # such as 3 or 4-DRAFT
LIST_BYTES = 40_000_000  # longest listing: 10,000 jobs with their status take about 30 MB


class Caller(ABC):
    """What an app needs of a session."""

    @property
    @abstractmethod
    def organization(self) -> str:
        """The organization that listings name."""

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Send one request and return the answer."""

    def rows(self, request: Request) -> list[Json]:
        """Return all rows of a listing, whose request reads a `Page`."""
        found: Page = self.answer(request).body
        return found.rows

    def fields(self, app: str, record: str) -> frozenset[str]:
        """Return the fields of a record that an app names in its Swagger; empty when that is not known."""
        return frozenset()


class App:
    """One application of the Control Hub, spoken to through a session; ``kind`` is what calls count as."""

    def __init__(self, session: Caller) -> None:
        self._session = session

    def _get(self, path: str, kind: str, read: Read, query: Mapping[str, Any] | None = None) -> Any:
        """Return what ``read`` makes of the answer, as do the other calls."""
        return self._session.answer(Request("GET", path, kind, query or {}, repeatable=True, read=read)).body

    def _list(self, path: str, kind: str, form: Any, query: Mapping[str, Any] | None = None) -> list[Json]:
        """Return all rows, those of the session's organization if no query is given."""
        if query is None:
            query = {**ALL, "organization": self._session.organization}
        request = Request("GET", path, kind, query, repeatable=True, read=page(form), max_bytes=LIST_BYTES)
        return self._session.rows(request)

    def _send_once(
        self,
        path: str,
        kind: str,
        read: Read,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        method: str = "PUT",
    ) -> Any:
        """Send what must not be sent twice: Control Hub creates with PUT, and with POST what is no record."""
        return self._session.answer(Request(method, path, kind, query or {}, body, read=read)).body

    def _post(
        self,
        path: str,
        kind: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        read: Read = anything,
    ) -> Any:
        """Send what may be sent twice: readings with a list of ids, removals."""
        request = Request("POST", path, kind, query or {}, body, None, True, read=read, max_bytes=LIST_BYTES)
        return self._session.answer(request).body

    def _update(self, path: str, kind: str, body: Json, form: Any = Any) -> None:
        """Replace a record; the answer is the new one, or always nothing."""
        request = Request("POST", path, kind, {}, body, None, True, read=record(form), may_be_empty=True)
        self._session.answer(request)

    def _delete(self, path: str, kind: str) -> None:
        """Delete an object; one that is gone already, by an earlier attempt for instance, is no error."""
        try:
            self._session.answer(Request("DELETE", path, kind, repeatable=True))
        except HubError as error:
            if error.status != 404:
                raise


class Acl(Struct, rename="camel"):
    """Access control list of an object (control-hub-rest, section 8)."""

    resource_owner: str | None = None


class OwnedApp(App):
    """An app whose objects have owners, kept in access control lists (control-hub-rest, section 8)."""

    ACL_PATH: ClassVar[str]  # with the object's id in place of ``{}``
    RESOURCE_TYPE: ClassVar[str]

    def acl(self, id: str) -> Json:
        """Return an object's ACL."""
        found: Json = self._get(self.ACL_PATH.format(id), "owners", record(Acl))
        return found

    def set_owner(self, id: str, owner: str) -> None:
        """Make a user the owner of an object, and nobody else a reader."""
        body = {
            "resourceId": id,
            "resourceType": self.RESOURCE_TYPE,
            "organization": self._session.organization,
            "resourceOwner": owner,
            "permissions": [],
        }
        self._update(self.ACL_PATH.format(id), "owners", body, Acl)


def is_absent(error: HubError) -> bool:
    """Whether a refusal means that the hub has no such call, rather than no such object.

    Examples
    --------
    >>> [is_absent(HubError("", 501)), is_absent(HubError("", 404, ("JOBRUNNER_01",)))]
    [True, False]
    """
    return error.status in (405, 501) or (error.status == 404 and not error.codes)
