"""What makes subscriptions fire: events put down in the transaction that causes them."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from psrlib.hub import configuration
from psrlib.hub.call import Call, dump, load
from psrlib.hub.memory import Memory
from psrlib.hub.schema.automation import action_runs, subscriptions

Wish = tuple[Row[Any], str | None, list[dict[str, Any]]]
_CONDITION = re.compile(r"\s*(\w+)\s*(==|!=)\s*(?:'([^']*)'|\"([^\"]*)\")\s*")


def pipelines_committed(call: Call, published: Iterable[dict[str, Any]]) -> None:
    """Note that pipeline versions were published."""
    for commit in published:
        values = {
            "PIPELINE_ID": commit["pipeline_id"],
            "PIPELINE_NAME": commit["name"],
            "PIPELINE_COMMIT_ID": commit["id"],
            "PIPELINE_COMMITTER": commit["committer"],
            "PIPELINE_COMMIT_TIME": str(commit["commit_time"]),
            "PIPELINE_VERSION": str(commit["number"]),
        }
        fire(call.hub.memory, call.db, commit["organization"], "PIPELINE_COMMITTED", values, call.now)


def fire(
    memory: Memory,
    connection: Connection,
    organization: str,
    event: str,
    values: dict[str, str],
    now_ms: int,
) -> None:
    """Put down one external action per subscription that wants the event.

    Events are off until ``dpm.enable.events`` is true (control-hub-rest.md, 2.3). What subscriptions want is
    remembered until a subscription or a configuration changes.
    """
    wanted: dict[str, list[Wish]] = memory.recall(
        organization, "wishes", lambda: _read_wishes(connection, organization)
    )
    waiting = [
        _waiting(row, event, action, values, now_ms)
        for row, condition, actions in wanted.get(event, ())
        if matches(condition, values)
        for action in actions
    ]
    if waiting:
        connection.execute(action_runs.insert(), waiting)


def _read_wishes(connection: Connection, organization: str) -> dict[str, list[Wish]]:
    """Return, per event, the subscriptions that wait for it, with condition and actions."""
    wanted = select(subscriptions).where(
        subscriptions.c.organization == organization, subscriptions.c.enabled, ~subscriptions.c.deleted
    )
    rows = list(connection.execute(wanted))
    if not rows or not configuration.is_on(connection, organization, configuration.EVENTS):
        return {}
    wishes: dict[str, list[Wish]] = {}
    for row in rows:
        for wish in load(row.events):
            wishes.setdefault(str(wish.get("eventType")), []).append(
                (row, wish.get("filter"), load(row.actions))
            )
    return wishes


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
