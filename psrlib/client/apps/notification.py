"""App ``notification``: subscriptions (control-hub-rest, 7.2)."""

import orjson
from msgspec import Struct

from psrlib.client.shapes import Document, record
from psrlib.client.wire import Json, OwnedApp

BASE = "/notification/rest/v1/eventsub"
WEBHOOK_TIMEOUT_MS = 30_000
EVENTS = "notifications.subscriptions.events."
MAX_DEPTH = 8  # of maps in the hub's texts


def new_subscription(
    name: str, event: str, job_id: str | None, action: str, target: str, enabled: bool
) -> Json:
    """Return an EventSubscription body: on an event of a job, post to a webhook or send an e-mail."""
    return {
        "name": name,
        "description": "",
        "enabled": enabled,
        "deleted": False,
        "events": [{"eventType": event, "filter": f"${{{{JOB_ID=='{job_id}'}}}}" if job_id else None}],
        "externalActions": [external_action(action, target)],
    }


def external_action(action: str, target: str) -> Json:
    """Return what a subscription does on its event."""
    if action == "EMAIL":
        config: Json = {"recipients": [target], "subject": "{{JOB_NAME}}", "body": "{{JOB_ID}}"}
        return {"eventType": "EMAIL", "config": orjson.dumps(config).decode()}
    config = {
        "uri": target,
        "method": "POST",
        "contentType": "application/json",
        "payload": '{"jobId": "{{JOB_ID}}", "jobName": "{{JOB_NAME}}"}',
        "authType": "none",
        "timeout": WEBHOOK_TIMEOUT_MS,
        "headers": {},
    }
    return {"eventType": "WEBHOOKV1", "config": orjson.dumps(config).decode()}


def event_ids(texts: Json) -> dict[str, str]:
    """Return event id -> label from the hub's English texts, nested or with dotted keys; {} without any.

    Examples
    --------
    >>> event_ids({"notifications": {"subscriptions.events": {"JOB_STATUS_CHANGE": "Job Status Change"}}})
    {'JOB_STATUS_CHANGE': 'Job Status Change'}
    """
    return {
        key.removeprefix(EVENTS): label
        for key, label in _flat(texts, "", MAX_DEPTH).items()
        if key.startswith(EVENTS)
    }


def _flat(texts: Json, prefix: str, depth: int) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, text in texts.items():
        if isinstance(text, dict):
            flat |= _flat(text, f"{prefix}{key}.", depth - 1) if depth else {}
        else:
            flat[f"{prefix}{key}"] = str(text)
    return flat


class Event(Struct, rename="camel"):
    """An event that a subscription waits for; the filter is an expression."""

    event_type: str | None = None
    filter: str | None = None


class Action(Struct, rename="camel"):
    """What a subscription does; the configuration is JSON text."""

    event_type: str | None = None
    config: Document = None


class Subscription(Struct, rename="camel"):
    """A subscription in an answer."""

    id: str
    name: str
    events: list[Event] | None = None
    external_actions: list[Action] | None = None


class Notification(OwnedApp):
    """Subscriptions of the session's organization."""

    ACL_PATH = f"{BASE}/{{}}/acl"
    RESOURCE_TYPE = "EVENT_SUBSCRIPTION"

    def subscriptions(self) -> list[Json]:
        """Return all subscriptions that are not deleted."""
        return [row for row in self._list(BASE, "subscriptions", Subscription) if not row.get("deleted")]

    def create_subscription(self, subscription: Json) -> Json:
        """Create a subscription."""
        path, read = f"{BASE}/createEventSub", record(Subscription)
        made: Json = self._send_once(path, "subscriptions", read, subscription)
        return made

    def update_subscription(self, subscription: Json) -> None:
        """Replace a subscription's record."""
        self._update(f"{BASE}/updateEventSub", "subscriptions", subscription, Subscription)

    def delete_subscription(self, subscription_id: str) -> None:
        """Delete a subscription; the body is the bare id, unquoted (7.2)."""
        self._post(f"{BASE}/deleteEventSub", "subscriptions", subscription_id.encode())
