"""What makes subscriptions fire: events put down in the transaction that causes them."""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, select

from psrlib.hub import configuration
from psrlib.hub.acl import is_permitted
from psrlib.hub.call import Call, dump, load
from psrlib.hub.runtime import user_principal
from psrlib.hub.schema.automation import action_runs, subscriptions

_TEXT = r"(?:'([^']*)'|\"([^\"]*)\")"
_CONDITION = re.compile(rf"\s*(\w+)\s*(==|!=)\s*{_TEXT}\s*")
_FUNCTION = re.compile(rf"\s*(!?)\s*str:(contains|startsWith|endsWith)\(\s*(\w+)\s*,\s*{_TEXT}\s*\)\s*")
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": str.__contains__,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
# event -> the value that names the object whose readers may hear of it
OBJECTS = {
    "PIPELINE_COMMITTED": "PIPELINE_ID",
    "JOB_STATUS_CHANGE": "JOB_ID",
    "PIPELINE_STATUS_CHANGE": "JOB_ID",
    "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED": "JOB_ID",
    "DATA_SLA_TRIGGERED": "SLA_ID",
    "REPORT_GENERATED": "REPORT_DEFINITION_ID",
    "SDC_NOT_RESPONDING": "SDC_ID",
}


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

    Events are off until ``dpm.enable.events`` is true (control-hub-rest.md, 2.3); a subscription hears only
    of objects that its creator may read (7.2).
    """
    wanted = select(subscriptions).where(
        subscriptions.c.organization == organization, subscriptions.c.enabled, ~subscriptions.c.deleted
    )
    rows = [row for row in connection.execute(wanted) if _wants(row, event, values)]
    if not rows:
        return
    settings = configuration.values(connection, organization)
    if settings[configuration.EVENTS].lower() != "true":
        return
    if settings[configuration.PERMISSIONS].lower() == "true":
        subject = values[OBJECTS[event]]
        rows = [row for row in rows if _may_read(connection, row.creator, subject)]
    waiting = [_waiting(row, event, action, values, now_ms) for row in rows for action in load(row.actions)]
    if waiting:
        connection.execute(action_runs.insert(), waiting)


def _wants(row: Row[Any], event: str, values: dict[str, str]) -> bool:
    return any(w.get("eventType") == event and matches(w.get("filter"), values) for w in load(row.events))


def _may_read(connection: Connection, user_id: str, resource_id: str) -> bool:
    user = user_principal(connection, user_id, "")
    return user is not None and (user.is_org_admin or is_permitted(connection, user, resource_id, "READ"))


def _waiting(
    row: Row[Any], event: str, action: dict[str, Any], values: dict[str, str], now_ms: int
) -> dict[str, Any]:
    general = {
        "ORGANIZATION": row.organization,
        "SUBSCRIPTION_ID": row.id,
        "SUBSCRIPTION_NAME": row.name,
        "TRIGGERED_ON": str(now_ms),
    }
    return {
        "organization": row.organization,
        "subscription_id": row.id,
        "subscription_name": row.name,
        "event": event,
        "action_type": str(action.get("eventType") or ""),
        "values": dump(general | values),
        "state": "WAITING",
        "created_on": now_ms,
    }


def matches(text: str | None, values: dict[str, str]) -> bool:
    """Tell whether a filter such as ``${JOB_ID=='...'}`` holds.

    The conditions are ``NAME=='text'``, ``NAME!='text'`` and ``str:contains(NAME, 'text')`` with its kin
    ``str:startsWith`` and ``str:endsWith``, joined by ``&&`` or ``||`` (``&&`` binds tighter), in braces as
    ``${...}`` or ``${{...}}`` or without; any other expression holds for nothing.

    Examples
    --------
    >>> matches("${{JOB_ID=='a' && JOB_STATUS!='ACTIVE'}}", {"JOB_ID": "a", "JOB_STATUS": "INACTIVE"})
    True
    >>> matches("${str:contains(TO_STATUS, 'INACTIVE')}", {"TO_STATUS": "INACTIVE_ERROR"})
    True
    >>> matches("${{JOB_ID=='b'}}", {"JOB_ID": "a"})
    False
    """
    if text is None or not text.strip():
        return True
    body = text.strip()
    for opening, closing in (("${{", "}}"), ("${", "}")):
        if body.startswith(opening) and body.endswith(closing):
            body = body[len(opening) : -len(closing)]
            break
    return any(all(_holds(part, values) for part in clause.split("&&")) for clause in body.split("||"))


def _holds(part: str, values: dict[str, str]) -> bool:
    found = _CONDITION.fullmatch(part)
    if found is not None:
        name, operator, single, double = found.groups()
        equal = values.get(name) == (double if single is None else single)
        return equal if operator == "==" else not equal
    found = _FUNCTION.fullmatch(part)
    if found is None:
        return False
    negation, test, name, single, double = found.groups()
    return _TESTS[test](values.get(name, ""), double if single is None else single) != bool(negation)
