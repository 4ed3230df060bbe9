"""External actions of subscriptions: webhooks are called, e-mails are written down as sent nowhere."""

import asyncio
import base64
import logging
import re
from typing import Any

import aiohttp
from sqlalchemy import Connection, Row, select

from psrlib.hub.call import dump, load
from psrlib.hub.runtime import Hub
from psrlib.hub.schema.automation import action_runs, subscriptions

logger = logging.getLogger(__name__)
MAX_PER_ROUND = 100
MAX_ATTEMPTS = 3  # the hub's choice: then the subscription shows the error
DEFAULT_TIMEOUT_MS = 30_000
_PARAMETER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
METHODS = ("GET", "POST", "PUT", "DELETE")


def fill(text: str, values: dict[str, str]) -> str:
    """Replace ``{{NAME}}`` by the event's values; unknown names become empty.

    Examples
    --------
    >>> fill("job {{JOB_NAME}} is {{JOB_STATUS}}", {"JOB_NAME": "nightly", "JOB_STATUS": "ACTIVE"})
    'job nightly is ACTIVE'
    """
    return _PARAMETER.sub(lambda found: values.get(found.group(1), ""), text)


async def deliver_waiting(hub: Hub, session: aiohttp.ClientSession) -> int:
    """Carry out the external actions that wait; return how many were tried."""
    waiting = await hub.read(_waiting)
    if waiting:
        outcomes = await asyncio.gather(*(_carry_out(session, row, config) for row, config in waiting))
        await hub.write(lambda db: _note(db, [row for row, _ in waiting], outcomes))
    return len(waiting)


def _waiting(connection: Connection) -> list[tuple[Row[Any], dict[str, Any]]]:
    statement = (
        select(action_runs, subscriptions.c.actions)
        .outerjoin(subscriptions, subscriptions.c.id == action_runs.c.subscription_id)
        .where(action_runs.c.state == "WAITING")
        .order_by(action_runs.c.id)
        .limit(MAX_PER_ROUND)
    )
    return [(row, _config(row)) for row in connection.execute(statement)]


def _config(row: Row[Any]) -> dict[str, Any]:
    for action in load(row.actions) or []:
        if action.get("eventType") == row.action_type:
            config = load(action.get("config") or "{}")
            return config if isinstance(config, dict) else {}
    return {}


async def _carry_out(
    session: aiohttp.ClientSession, row: Row[Any], config: dict[str, Any]
) -> tuple[bool, str]:
    if row.action_type != "WEBHOOKV1":
        return True, "written down: the embedded hub sends no mail"
    values = load(row.values)
    method = str(config.get("method") or "POST").upper()
    if method not in METHODS:
        return False, f"method {method} is not one of {', '.join(METHODS)}"
    headers = {str(k): fill(str(v), values) for k, v in (config.get("headers") or {}).items()}
    headers.setdefault("Content-Type", str(config.get("contentType") or "application/json"))
    if config.get("authType") == "basic":
        pair = f"{config.get('username') or ''}:{config.get('password') or ''}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    timeout = aiohttp.ClientTimeout(total=float(config.get("timeout") or DEFAULT_TIMEOUT_MS) / 1000)
    payload = fill(str(config.get("payload") or ""), values)
    try:
        uri = str(config.get("uri") or "")
        async with session.request(method, uri, data=payload, headers=headers, timeout=timeout) as answer:
            return answer.status < 400, f"status {answer.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return False, f"{type(error).__name__}: {error}"


def _note(connection: Connection, rows: list[Row[Any]], outcomes: list[tuple[bool, str]]) -> None:
    for row, (good, message) in zip(rows, outcomes, strict=True):
        attempts = row.attempts + 1
        state = "DONE" if good else "FAILED" if attempts >= MAX_ATTEMPTS else "WAITING"
        values = {"state": state, "message": message, "attempts": attempts}
        connection.execute(action_runs.update().where(action_runs.c.id == row.id).values(values))
        if state == "FAILED":
            error = {"error_message": dump({"event": row.event, "message": message})}
            mine = subscriptions.c.id == row.subscription_id
            connection.execute(subscriptions.update().where(mine).values(error))
