"""Trees of labels: pipeline labels, job tags, connection tags (control-hub-rest.md, 1.6)."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.store.queries import Query, any_of, insert_rows
from psrlib.hub.store.schema.design import labels
from psrlib.hub.store.text import without_nul
from psrlib.hub.web.call import Call
from psrlib.hub.web.records import Listed, Listing

T = TypeVar("T")


class LabelJson(Struct, rename="camel"):
    """A pipeline label."""

    id: str | None = None
    label: str | None = None
    parent_id: str | None = None
    organization: str | None = None


class TagJson(Struct, rename="camel"):
    """A tag of a job or connection."""

    id: str | None = None
    tag: str | None = None
    parent_id: str | None = None
    organization: str | None = None


def _node(path: str, organization: str) -> tuple[str, str, str | None, str]:
    """Return a path's columns: ``id``, ``label``, ``parent_id`` (None at the top), ``organization``."""
    parent, slash, _ = path.rpartition("/")
    return f"{path}:{organization}", path, f"{parent}:{organization}" if slash else None, organization


_KNOWN = any_of(
    lambda ids: select(labels.c.id).where(labels.c.kind == bindparam("kind"), labels.c.id.in_(ids))
)


def remember(call: Call, kind: str, paths: Iterable[str], organization: str) -> None:
    """Add labels and their parents to the tree, unless they are there."""
    wanted: set[str] = set()
    for path in paths:
        parts = without_nul(path).split("/")
        wanted.update("/".join(parts[: n + 1]) for n in range(len(parts)))
    wanted.discard("")
    if not wanted:
        return
    nodes = [_node(path, organization) for path in sorted(wanted)]
    known = {row.id for row in _KNOWN(call.db, [node[0] for node in nodes], kind=kind)}
    columns = ("kind", "id", "label", "parent_id", "organization")
    rows = [dict(zip(columns, (kind, *node), strict=True)) for node in nodes if node[0] not in known]
    insert_rows(call.db, labels, rows)


def show_label(path: str, organization: str) -> LabelJson:
    """Return a pipeline label in wire form."""
    return LabelJson(*_node(path, organization))


def show_tag(path: str, organization: str) -> TagJson:
    """Return a tag of a job or connection in wire form."""
    return TagJson(*_node(path, organization))


def list_labels(
    call: Call, kind: str, listing: Listing, parent: str | None, show: Callable[[str, str], T]
) -> Listed[T]:
    """Return the page of a label listing; ``show`` is `show_label` or `show_tag`."""
    statement = select(labels).where(labels.c.kind == kind, labels.c.organization == call.organization)
    if parent:
        statement = statement.where(labels.c.parent_id == parent)
    return call.page(
        listing,
        Query(statement, kept=False),
        {"LABEL": labels.c.label},
        lambda row: show(row.label, row.organization),
    )
