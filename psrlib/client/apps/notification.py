"""App ``notification``: subscriptions (control-hub-rest, 7.2)."""

import orjson

from psrlib.client.wire import Json, OwnedApp

BASE = "/notification/rest/v1/eventsub"
WEBHOOK_TIMEOUT_MS = 30_000
EVENTS = "notifications.subscriptions.events."


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
        "externalActions": [_external_action(action, target)],
    }


def _external_action(action: str, target: str) -> Json:
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
        key.removeprefix(EVENTS): label for key, label in _flat(texts, "").items() if key.startswith(EVENTS)
    }


def _flat(texts: Json, prefix: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, text in texts.items():
        nested = isinstance(text, dict)
        flat |= _flat(text, f"{prefix}{key}.") if nested else {f"{prefix}{key}": str(text)}
    return flat


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
