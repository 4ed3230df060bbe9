"""Trees of labels: pipeline labels, job tags, connection tags (control-hub-rest.md, 1.6)."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.store.queries import Query, any_of, insert_rows
from psrlib.hub.store.schema.design import labels
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


def label_id(path: str, organization: str) -> str:
    """Return the id ``<full/path>:<organization>``."""
    return f"{path}:{organization}"


def parent_id(path: str, organization: str) -> str | None:
    """Return the id of the path without its last segment, or None at the top."""
    parent, slash, _ = path.rpartition("/")
    return label_id(parent, organization) if slash else None


_KNOWN = any_of(
    lambda ids: select(labels.c.id).where(labels.c.kind == bindparam("kind"), labels.c.id.in_(ids))
)


def remember(call: Call, kind: str, paths: Iterable[str], organization: str) -> None:
    """Add labels and their parents to the tree, unless they are there."""
    wanted: set[str] = set()
    for path in paths:
        parts = path.split("/")
        wanted.update("/".join(parts[: n + 1]) for n in range(len(parts)))
    wanted.discard("")
    if not wanted:
        return
    ids = [label_id(path, organization) for path in wanted]
    known = {row.id for row in _KNOWN(call.db, ids, kind=kind)}
    rows = [
        {
            "kind": kind,
            "id": label_id(path, organization),
            "organization": organization,
            "label": path,
            "parent_id": parent_id(path, organization),
        }
        for path in sorted(wanted)
        if label_id(path, organization) not in known
    ]
    insert_rows(call.db, labels, rows)


def show_label(path: str, organization: str) -> LabelJson:
    """Return a pipeline label in wire form."""
    return LabelJson(label_id(path, organization), path, parent_id(path, organization), organization)


def show_tag(path: str, organization: str) -> TagJson:
    """Return a tag of a job or connection in wire form."""
    return TagJson(label_id(path, organization), path, parent_id(path, organization), organization)


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
