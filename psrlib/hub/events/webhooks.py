"""External actions of subscriptions: webhooks are called, e-mails are written down and sent nowhere."""

import asyncio
import base64
import logging
import re
from collections.abc import Collection

import aiohttp
import msgspec
from sqlalchemy import Connection, func, select
from yarl import URL

from psrlib.hub.events.actions import DEFAULT_TIMEOUT_MS, Webhook, read_action
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.automation import action_runs, subscriptions
from psrlib.hub.store.text import dump
from psrlib.hub.web.hub import Hub
from psrlib.hub.web.origin import may_be_called

logger = logging.getLogger(__name__)
MAX_PER_ROUND = 100
MAX_VALUE = 4096  # characters of an event's value, which a text may name thousands of times
MAX_ATTEMPTS = 3  # the hub's choice: then the subscription shows the error
_PARAMETER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_WAITING = Query(
    select(action_runs, subscriptions.c.actions, subscriptions.c.forgotten_actions)
    .outerjoin(subscriptions, subscriptions.c.id == action_runs.c.subscription_id)
    .where(action_runs.c.state == "WAITING")
    .order_by(action_runs.c.id)
    .limit(MAX_PER_ROUND)
)


def fill(text: str, values: dict[str, str]) -> str:
    """Replace ``{{NAME}}`` by the event's values; unknown names become empty.

    Examples
    --------
    >>> fill("job {{JOB_NAME}} is {{JOB_STATUS}}", {"JOB_NAME": "nightly", "JOB_STATUS": "ACTIVE"})
    'job nightly is ACTIVE'
    """
    return _PARAMETER.sub(lambda found: values.get(found.group(1), "")[:MAX_VALUE], text)


async def deliver_waiting(hub: Hub, session: aiohttp.ClientSession) -> int:
    """Carry out the external actions that wait; return how many were tried."""
    waiting = await hub.read(_waiting)
    if waiting:
        allowed = hub.webhook_hosts
        outcomes = await asyncio.gather(*(_carry_out(session, allowed, *action) for action in waiting))
        await hub.write(lambda db: _note(db, [row for row, _, _ in waiting], outcomes))
    return len(waiting)


def _waiting(connection: Connection) -> list[tuple[Row, str, dict[str, str]]]:
    return [(row, _config(row), _values(connection, row)) for row in _WAITING.rows(connection)]


def _values(connection: Connection, row: Row) -> dict[str, str]:
    """Return the event's values; how often the subscription fired is counted when the texts ask for it."""
    values: dict[str, str] = row.values
    if any("TRIGGERED_COUNT" in str(action) for action in row.actions or []):
        mine = (action_runs.c.organization == row.organization) & (
            action_runs.c.subscription_id == row.subscription_id
        )
        until = select(func.count()).select_from(action_runs).where(mine, action_runs.c.id <= row.id)
        n = int(connection.execute(until).scalar_one()) + (row.forgotten_actions or 0)
        values["TRIGGERED_COUNT"] = str(n)
    return values


def _config(row: Row) -> str:
    """Return the configuration of the action, JSON text; empty when the subscription has it no more."""
    actions: list[dict[str, str]] = row.actions or []
    return next((each["config"] for each in actions if each["eventType"] == row.action_type), "")


async def _carry_out(
    session: aiohttp.ClientSession,
    allowed: Collection[str],
    row: Row,
    config: str,
    values: dict[str, str],
) -> tuple[bool, str]:
    """Do one action; return whether it went well, and what is said of it in the audit."""
    try:
        action = read_action(row.action_type, config)
        if isinstance(action, Webhook):
            return await _call_webhook(session, allowed, action, values)
        return True, "written down: the hub sends no mail"
    except (aiohttp.ClientError, msgspec.DecodeError, OSError, ValueError) as error:  # TimeoutError too
        return False, f"{type(error).__name__}: {error}"


async def _call_webhook(
    session: aiohttp.ClientSession, allowed: Collection[str], action: Webhook, values: dict[str, str]
) -> tuple[bool, str]:
    """Send a webhook; where it may go is looked at as it is sent, and it is not sent on from there."""
    url = URL(action.uri)
    if not may_be_called(url.host, allowed):
        return False, (
            f"not sent: {url.host} is not loopback; give psr hub start --webhook-host {url.host} to allow it"
        )
    headers = {name: fill(text, values) for name, text in (action.headers or {}).items()}
    headers.setdefault("Content-Type", action.content_type or "application/json")
    if action.auth_type == "basic":
        pair = f"{action.username or ''}:{action.password or ''}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    wanted_ms = action.timeout or DEFAULT_TIMEOUT_MS
    timeout = aiohttp.ClientTimeout(total=min(wanted_ms, DEFAULT_TIMEOUT_MS) / 1000)  # others wait for it
    method, payload = action.method or "POST", fill(action.payload or "", values)
    async with session.request(
        method, url, data=payload, headers=headers, timeout=timeout, allow_redirects=False
    ) as answer:
        return answer.status < 300, f"status {answer.status}"


def _note(connection: Connection, rows: list[Row], outcomes: list[tuple[bool, str]]) -> None:
    for row, (good, message) in zip(rows, outcomes, strict=True):
        attempts = row.attempts + 1
        state = "DONE" if good else "FAILED" if attempts >= MAX_ATTEMPTS else "WAITING"
        values = {"state": state, "message": message, "attempts": attempts}
        connection.execute(action_runs.update().where(action_runs.c.id == row.id).values(values))
        if state == "FAILED":
            error = {"error_message": dump({"event": row.event, "message": message})}
            mine = subscriptions.c.id == row.subscription_id
            connection.execute(subscriptions.update().where(mine).values(error))
