"""What makes subscriptions fire: events put down in the transaction that causes them."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from psrlib.hub.events.conditions import matches
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import is_permitted
from psrlib.hub.store.cache import Cache
from psrlib.hub.store.queries import Query, Row, insert_rows
from psrlib.hub.store.schema.automation import action_runs, subscriptions
from psrlib.hub.store.text import Json
from psrlib.hub.web.callers import user_principal

# event -> the value that names the object whose readers may hear of it
OBJECTS = {
    "PIPELINE_COMMITTED": "PIPELINE_ID",
    "JOB_STATUS_CHANGE": "JOB_ID",
    "PIPELINE_STATUS_CHANGE": "JOB_ID",
    "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED": "JOB_ID",
    "DATA_SLA_TRIGGERED": "SLA_ID",
    "SDC_NOT_RESPONDING": "SDC_ID",
}
_ENABLED = Query(
    select(subscriptions).where(
        subscriptions.c.organization == bindparam("org"), subscriptions.c.enabled, ~subscriptions.c.deleted
    )
)


def moment_text(time_ms: int) -> str:
    """Return a moment as messages show it, in UTC to the second.

    Examples
    --------
    >>> moment_text(1_731_965_377_123)
    '2024-11-18 21:29:37'
    """
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"


class Wish(NamedTuple):
    """What a subscription waits for: an event under a condition; and the kind of action it then wants."""

    subscription: Row
    condition: str | None
    action_type: str


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
        organization, "wishes", lambda: _read_wishes(cache, connection, organization)
    )
    waiting = [
        _waiting(wish, event, values, now_ms)
        for wish in wanted.get(event, ())
        if matches(wish.condition, values)
        and _may_hear(cache, connection, wish.subscription, values[OBJECTS[event]])
    ]
    insert_rows(connection, action_runs, waiting)


def _may_hear(cache: Cache, connection: Connection, row: Row, resource_id: str) -> bool:
    if not configuration.is_on(cache, connection, row.organization, configuration.PERMISSIONS):
        return True
    user = user_principal(connection, row.creator, "")
    return user is not None and (user.is_org_admin or is_permitted(connection, user, resource_id, "READ"))


def _read_wishes(cache: Cache, connection: Connection, organization: str) -> dict[str, list[Wish]]:
    """Return, per event, what subscriptions wait for it."""
    rows = _ENABLED.rows(connection, org=organization)
    if not rows or not configuration.is_on(cache, connection, organization, configuration.EVENTS):
        return {}
    wishes: dict[str, list[Wish]] = {}
    for row in rows:
        for event in row.events:
            wishes.setdefault(event["eventType"], []).extend(
                Wish(row, event["filter"], action["eventType"]) for action in row.actions
            )
    return wishes


def _waiting(wish: Wish, event: str, values: dict[str, str], now_ms: int) -> Json:
    """Return the row of an action that waits."""
    row = wish.subscription
    general = {
        "ORGANIZATION": row.organization,
        "SUBSCRIPTION_ID": row.id,
        "SUBSCRIPTION_NAME": row.name,
        "TRIGGERED_ON": moment_text(now_ms),
    }
    return {
        "organization": row.organization,
        "subscription_id": row.id,
        "subscription_name": row.name,
        "event": event,
        "action_type": wish.action_type,
        "values": general | values,
        "state": "WAITING",
        "created_on": now_ms,
    }
