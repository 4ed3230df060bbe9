"""What makes subscriptions fire: events put down in the transaction that causes them."""

import re
from typing import Any

from sqlalchemy import Connection, select

from psrlib.hub import configuration
from psrlib.hub.call import Call, dump, load
from psrlib.hub.schema.automation import action_runs, subscriptions

_CONDITION = re.compile(r"\s*(\w+)\s*(==|!=)\s*(?:'([^']*)'|\"([^\"]*)\")\s*")


def pipeline_committed(call: Call, commit: dict[str, Any]) -> None:
    """Note that a pipeline version was published."""
    values = {
        "PIPELINE_ID": commit["pipeline_id"],
        "PIPELINE_NAME": commit["name"],
        "PIPELINE_COMMIT_ID": commit["id"],
        "PIPELINE_COMMITTER": commit["committer"],
        "PIPELINE_COMMIT_TIME": str(commit["commit_time"]),
        "PIPELINE_VERSION": str(commit["number"]),
    }
    fire(call.db, commit["organization"], "PIPELINE_COMMITTED", values, call.now)


def fire(connection: Connection, organization: str, event: str, values: dict[str, str], now_ms: int) -> None:
    """Put down one external action per subscription that wants the event.

    Events are off until ``dpm.enable.events`` is true (control-hub-rest.md, 2.3).
    """
    wanted = select(subscriptions).where(
        subscriptions.c.organization == organization, subscriptions.c.enabled, ~subscriptions.c.deleted
    )
    rows = list(connection.execute(wanted))
    if not rows or not configuration.is_on(connection, organization, configuration.EVENTS):
        return
    waiting = []
    for row in rows:
        for wish in load(row.events):
            if wish.get("eventType") == event and matches(wish.get("filter"), values):
                for action in load(row.actions):
                    waiting.append(_waiting(row, event, action, values, now_ms))
    if waiting:
        connection.execute(action_runs.insert(), waiting)


def _waiting(
    row: Any, event: str, action: dict[str, Any], values: dict[str, str], now_ms: int
) -> dict[str, Any]:
    return {
        "organization": row.organization,
        "subscription_id": row.id,
        "subscription_name": row.name,
        "event": event,
        "action_type": str(action.get("eventType") or ""),
        "values": dump(values),
        "state": "WAITING",
        "created_on": now_ms,
    }


def matches(text: str | None, values: dict[str, str]) -> bool:
    """Tell whether a filter such as ``${{JOB_ID=='...'}}`` holds.

    Comparisons ``NAME=='text'`` and ``NAME!='text'`` joined by ``&&`` or ``||`` (``&&`` binds tighter) are
    understood; any other expression holds for nothing.

    Examples
    --------
    >>> matches("${{JOB_ID=='a' && JOB_STATUS!='ACTIVE'}}", {"JOB_ID": "a", "JOB_STATUS": "INACTIVE"})
    True
    >>> matches("${{JOB_ID=='b'}}", {"JOB_ID": "a"})
    False
    """
    if text is None or not text.strip():
        return True
    inner = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", text, re.DOTALL)
    body = inner.group(1) if inner else text
    return any(all(_holds(part, values) for part in clause.split("&&")) for clause in body.split("||"))


def _holds(part: str, values: dict[str, str]) -> bool:
    found = _CONDITION.fullmatch(part)
    if found is None:
        return False
    name, operator, single, double = found.groups()
    equal = values.get(name) == (single if single is not None else double)
    return equal if operator == "==" else not equal
