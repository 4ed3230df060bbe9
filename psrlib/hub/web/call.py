"""One request as its handler sees it: who, what, and a database connection scoped to the caller."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.sql import ColumnElement

from psrlib.hub.store.queries import Query, Row, by_key, by_keys
from psrlib.hub.store.schema import security
from psrlib.hub.web.access import Principal
from psrlib.hub.web.hub import Hub
from psrlib.hub.web.issues import forbidden, not_found, unauthenticated
from psrlib.hub.web.records import Listed, Page, Paging, Wrapping
from psrlib.hub.web.routing import Route
from psrlib.hub.web.strictness import Fault

MAX_ROWS = 2**31
T = TypeVar("T")


@dataclass(slots=True)
class Raw:
    """An answer that is not plain JSON with status 200: bytes, headers, another status."""

    body: Any = b""
    status: int | None = None
    content_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = ()


class Call:
    """What a handler gets.

    Attributes
    ----------
    principal : Principal
        The caller; reading it on an anonymous call raises 401.
    db : Connection
        In a transaction that is committed after the handler returns; a direct handler has none.
    before_commit, after : list of callable
        What is done when the handler has returned: in its transaction, and after the commit.
    """

    def __init__(
        self, hub: Hub, route: Route, headers: dict[str, str], ip: str, named_organization: str | None
    ) -> None:
        self.hub = hub
        self.route = route
        self.headers = headers
        self.ip = ip
        self.named_organization = named_organization  # in path or query
        self.caller: Principal | None = None
        self.token = ""
        self.now = hub.now()
        self.before_commit: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []
        self.db: Connection

    @property
    def principal(self) -> Principal:
        """The caller."""
        if self.caller is None:
            raise unauthenticated()
        return self.caller

    @property
    def organization(self) -> str:
        """Organization the call acts in: named in path or query, else the caller's own."""
        return self.named_organization or self.principal.organization

    def forget(self) -> None:
        """Drop what the hub remembers: now, and after the commit, as readers may have filled it between."""
        self.hub.cache.forget()
        self.after.append(self.hub.cache.forget)

    @property
    def changed(self) -> dict[str, Any]:
        """The columns that tell who changes a row, and when."""
        return {"last_modified_by": self.principal.id, "last_modified_on": self.now}

    @property
    def created(self) -> dict[str, Any]:
        """The columns that tell who makes a row, and when."""
        return {"creator": self.principal.id, "created_on": self.now, **self.changed}

    def note(self, fault: Fault, name: str, detail: str = "") -> None:
        """Take down what the caller sent wrong; 400 naming it on a strict hub."""
        self.hub.strictness.note(fault, self.route.name, name, detail)

    def check_fields(self, kind: Any, value: Any, where: str) -> None:
        """Note the fields in a document that its type has not; ``where`` it stands in what was sent."""
        self.hub.strictness.check_value(self.route.name, kind, value, where)

    def new_id(self, organization: str | None = None) -> str:
        """Return a fresh ``<uuid>:<organization>`` id."""
        return f"{uuid.uuid4()}:{organization or self.organization}"

    def may_see(self, organization: str) -> bool:
        """Whether the caller may touch objects of an organization."""
        return organization == self.principal.organization or self.principal.is_system_admin

    def check_body_organization(self, organization: str | None) -> None:
        """Refuse a body that names another organization than the call's."""
        if organization and organization != self.organization and not self.principal.is_system_admin:
            raise forbidden(f"'{self.principal.id}' has no access to organization '{organization}'")

    def fetch(self, table: Table, entity_id: str, kind: str) -> Row:
        """Return the row with an id, if it exists in an organization the caller may touch.

        Raises
        ------
        IssueError
            404; the same words for an unknown id and for a foreign one.
        """
        row: Row | None = by_key(table).first(self.db, key=entity_id)
        if row is None or not self.may_see(row.organization):
            raise not_found(kind, entity_id)
        return row

    def fetch_all(self, table: Table, ids: Sequence[str], kind: str) -> list[Row]:
        """Return the rows of several ids in the order given; 404 naming the first that is missing."""
        found: dict[str, Row] = {row.id: row for row in by_keys(table)(self.db, ids)}
        for entity_id in ids:
            if entity_id not in found or not self.may_see(found[entity_id].organization):
                raise not_found(kind, entity_id)
        return [found[entity_id] for entity_id in ids]

    def fetch_organization(self, organization: str) -> Row:
        """Return an organization the caller may touch; 404 otherwise."""
        query = by_key(security.organizations)
        row = self.hub.cache.recall(
            organization, "organization", lambda: query.first(self.db, key=organization)
        )
        if row is None or not self.may_see(organization):
            raise not_found("Organization", organization)
        return row

    def slice(self, paging: Paging, values: list[T]) -> list[T]:
        """Return one page of a list that is no query."""
        offset, length = max(paging.offset, 0), paging.length
        return values[offset:] if length < 0 else values[offset : offset + length]

    def page(
        self,
        paging: Paging,
        query: Query,
        order: Mapping[str, ColumnElement[Any]],
        show: Callable[[Row], T] | None = None,
        *,
        show_all: Callable[[list[Row]], list[T]] | None = None,
        wrap: bool | None = None,
        newest_first: bool = False,
        **values: object,
    ) -> Listed[T]:
        """Return one page of a listing, bare or in the wrapper (control-hub-rest.md, 1.5).

        Parameters
        ----------
        paging : Paging
            Which page, in which order.
        query : Query
            The rows, filtered but not ordered.
        order : dict
            ``orderBy`` word to column; the first is the default and the tie-breaker.
        show, show_all : callable
            One of the two: makes a record of a row, or the records of all rows at once.
        wrap : bool or None
            Whether the page comes in the wrapper; None: as the caller asks.
        newest_first : bool
            Whether the order descends when the caller names none.
        **values
            What the query leaves open; ``org`` is the organization the call acts in unless given.
        """
        values.setdefault("org", self.organization)
        default = next(iter(order.values()))
        column = order.get((paging.order_by or "").upper(), default)
        descending = (paging.order or ("DESC" if newest_first else "ASC")).upper() == "DESC"
        offset, length = max(paging.offset, 0), paging.length
        if offset:
            values["page_offset"] = min(offset, MAX_ROWS)
        if length >= 0 or (offset and self.hub.database.is_sqlite):  # SQLite has no OFFSET without LIMIT
            values["page_limit"] = min(length, MAX_ROWS) if length >= 0 else MAX_ROWS
        part = query.page(
            column,
            default,
            descending=descending,
            offset="page_offset" in values,
            limit="page_limit" in values,
        )
        rows = part.rows(self.db, **values)
        data = show_all(rows) if show_all is not None else [] if show is None else list(map(show, rows))
        if not (isinstance(paging, Wrapping) and paging.with_wrapper if wrap is None else wrap):
            return data
        complete = not offset and (length < 0 or len(rows) < length)
        total = len(rows) if complete else query.count().scalar(self.db, **values)
        return Page(total_count=total, offset=offset, length=length, data=data)
