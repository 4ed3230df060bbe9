"""Trees of labels: pipeline labels, job tags, connection tags (control-hub-rest.md, 1.6)."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, select

from psrlib.hub.store.queries import any_of, insert_rows
from psrlib.hub.store.schema.design import labels
from psrlib.hub.web.call import Call


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


def label_json(path: str, organization: str, word: str = "label") -> dict[str, Any]:
    """Return a label in wire form; ``word`` is ``label`` or ``tag``."""
    return {
        "id": label_id(path, organization),
        word: path,
        "parentId": parent_id(path, organization),
        "organization": organization,
    }


def list_labels(call: Call, kind: str, word: str) -> Any:
    """Return the page of a label listing."""
    statement = select(labels).where(labels.c.kind == kind, labels.c.organization == call.organization)
    if parent := call.query.get("parentId"):
        statement = statement.where(labels.c.parent_id == parent)

    def show(rows: list[Any]) -> list[Any]:
        return [label_json(row.label, row.organization, word) for row in rows]

    return call.page(statement, {"LABEL": labels.c.label}, show)
