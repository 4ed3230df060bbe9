"""App ``notification``: subscriptions (control-hub-rest, 7.2)."""

from typing import Any

import orjson

from psrlib.client.wire import Json, OwnedApp

BASE = "/notification/rest/v1/eventsub"
WEBHOOK_TIMEOUT_MS = 30_000


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
    """Return the one element of ``externalActions``."""
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
    """Return event id -> label from the hub's English texts, nested or with dotted keys; {} without any."""
    found: Any = texts.get("notifications.subscriptions.events")
    if found is None:
        found = texts
        for part in ("notifications", "subscriptions", "events"):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return {str(id): str(label) for id, label in found.items()}
    prefix = "notifications.subscriptions.events."
    return {key.removeprefix(prefix): str(label) for key, label in texts.items() if key.startswith(prefix)}


class Notification(OwnedApp):
    """Subscriptions of the session's organization."""

    ACL_PATH = f"{BASE}/{{}}/acl"
    RESOURCE_TYPE = "EVENT_SUBSCRIPTION"

    def subscriptions(self) -> list[Json]:
        """Return all subscriptions that are not deleted."""
        return [row for row in self._list(BASE, "subscriptions") if not row.get("deleted")]

    def create_subscription(self, subscription: Json) -> Json:
        """Create a subscription."""
        return self._send_once(f"{BASE}/createEventSub", "subscriptions", subscription) or {}

    def update_subscription(self, subscription: Json) -> None:
        """Replace a subscription's record."""
        self._post(f"{BASE}/updateEventSub", "subscriptions", subscription)

    def delete_subscription(self, subscription_id: str) -> None:
        """Delete a subscription; the body is the bare id, unquoted (7.2)."""
        self._post(f"{BASE}/deleteEventSub", "subscriptions", subscription_id.encode())
