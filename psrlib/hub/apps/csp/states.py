"""The states of environments and deployments of release 4 (control-hub-4x.md, section 4.4)."""

from typing import Literal

from sqlalchemy import ColumnElement, Table, and_, or_

from psrlib.hub.store.queries import Row
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import IssueError, bad_request

State = Literal["INCOMPLETE", "ENABLED", "DISABLED"]
Label = Literal[
    "SETUP_INCOMPLETE",
    "DEACTIVATING",
    "DEACTIVATED",
    "DEACTIVATION_ERROR",
    "ACTIVATING",
    "ACTIVE",
    "ACTIVATION_ERROR",
]
PROCESSING_MS = 300  # a change of state takes so long: the hub's choice, so that clients must wait for it
CHOICE = "a change of state is PROCESSING for 0.3 s, and never fails"
LABELS: dict[State, tuple[Label, Label]] = {
    "INCOMPLETE": ("SETUP_INCOMPLETE", "SETUP_INCOMPLETE"),
    "ENABLED": ("ACTIVATING", "ACTIVE"),
    "DISABLED": ("DEACTIVATING", "DEACTIVATED"),
}


def shown_state(row: Row, now_ms: int) -> Json:
    """Return the fields of a row that tell its state: one that has just changed is being processed."""
    is_done = now_ms - row.state_changed_on >= PROCESSING_MS
    return {
        "status": "OK" if is_done else "PROCESSING",
        "state_display_label": LABELS[row.state][is_done],
        "status_detail": None,
        "status_last_updated": row.state_changed_on + is_done * PROCESSING_MS,
    }


def in_state(
    table: Table, now_ms: int, state: str | None, status: str | None, label: str | None
) -> list[ColumnElement[bool]]:
    """Return the conditions for rows of a table that have a state, a status and a label, where given."""
    done = table.c.state_changed_on <= now_ms - PROCESSING_MS
    found: list[ColumnElement[bool]] = [table.c.state == state] if state else []
    if status:
        found.append({"OK": done, "PROCESSING": ~done}.get(status, table.c.id == ""))
    if label:
        matching = [
            and_(table.c.state == name, done if is_done else ~done)
            for name, labels in LABELS.items()
            for is_done in (False, True)
            if labels[is_done] == label
        ]
        found.append(or_(table.c.id == "", *matching))
    return found


def set_state(call: Call, table: Table, row: Row, state: State) -> None:
    """Enable or disable an object; nothing happens to one that is in that state."""
    if row.state == "INCOMPLETE":
        raise bad_request(f"'{row.name}' is INCOMPLETE; complete it first")
    if row.state != state:
        values = {"state": state, "state_changed_on": call.now, **call.changed}
        call.db.execute(table.update().where(table.c.id == row.id).values(values))


def check_kind(kind: str) -> None:
    """Refuse what is made in a cloud or on Kubernetes."""
    if kind != "SELF":
        message = f"environments and deployments of type {kind} are not served by the embedded hub, SELF is"
        raise IssueError(501, "APP_ISSUES_06", message)
