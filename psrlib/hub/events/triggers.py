"""What makes subscriptions fire: events put down in the transaction that causes them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from psrlib.hub.events.conditions import matches
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import is_permitted
from psrlib.hub.store.cache import Cache
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.automation import action_runs, subscriptions
from psrlib.hub.web.call import Call
from psrlib.hub.web.callers import user_principal

Wish = tuple[Row, str | None, list[dict[str, Any]]]
# event -> the value that names the object whose readers may hear of it
OBJECTS = {
    "PIPELINE_COMMITTED": "PIPELINE_ID",
    "JOB_STATUS_CHANGE": "JOB_ID",
    "PIPELINE_STATUS_CHANGE": "JOB_ID",
    "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED": "JOB_ID",
    "DATA_SLA_TRIGGERED": "SLA_ID",
    "SDC_NOT_RESPONDING": "SDC_ID",
}


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
        fire(call.hub.cache, call.db, commit["organization"], "PIPELINE_COMMITTED", values, call.now)


def fire(
    cache: Cache,
    connection: Connection,
    organization: str,
    event: str,
    values: dict[str, str],
    now_ms: int,
) -> None:
    """Put down one external action per subscription that wants the event.

    Events are off until ``dpm.enable.events`` is true (control-hub-rest.md, 2.3); a subscription hears only
    of objects that its creator may read (7.2). What subscriptions want is remembered until a subscription
    or a configuration changes.
    """
    wanted: dict[str, list[Wish]] = cache.recall(
        organization, "wishes", lambda: _read_wishes(connection, organization)
    )
    waiting = [
        _waiting(row, event, action, values, now_ms)
        for row, condition, actions in wanted.get(event, ())
        if matches(condition, values) and _may_hear(cache, connection, row, values[OBJECTS[event]])
        for action in actions
    ]
    if waiting:
        connection.execute(action_runs.insert(), waiting)


def _may_hear(cache: Cache, connection: Connection, row: Row, resource_id: str) -> bool:
    entries = configuration.remembered(cache, connection, row.organization)
    if entries[configuration.PERMISSIONS].lower() != "true":
        return True
    user = user_principal(connection, row.creator, "")
    return user is not None and (user.is_org_admin or is_permitted(connection, user, resource_id, "READ"))


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
        for wish in row.events:
            wishes.setdefault(str(wish.get("eventType")), []).append((row, wish.get("filter"), row.actions))
    return wishes


def _waiting(
    row: Row, event: str, action: dict[str, Any], values: dict[str, str], now_ms: int
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
        "values": general | values,
        "state": "WAITING",
        "created_on": now_ms,
    }
