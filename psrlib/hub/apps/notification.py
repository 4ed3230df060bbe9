"""Notification app: subscriptions, their audits, alerts (control-hub-rest.md, 7.2 and 7.3)."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.apps.server import EVENT_TYPES
from psrlib.hub.events.actions import KINDS, read_action
from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Query, Row, insert_rows
from psrlib.hub.store.schema.automation import action_runs, alerts, subscriptions
from psrlib.hub.store.text import contains
from psrlib.hub.web.call import LISTING, PAGING, WRAPPER, Call
from psrlib.hub.web.issues import bad_request, not_found
from psrlib.hub.web.routing import USER, App, Parameter, roles

app = App("notification", "Subscriptions and alerts")
SUBSCRIBER = roles("notification:user")
SUBSCRIPTIONS = Query(
    select(subscriptions).where(subscriptions.c.organization == bindparam("org"), ~subscriptions.c.deleted)
)


class EventJson(Struct):
    """An event a subscription wants; ``filter`` is an expression or null."""

    eventType: str
    filter: str | None = None
    id: str | None = None


class ActionJson(Struct):
    """What a subscription does; ``config`` is JSON text."""

    eventType: str
    config: str | None = None
    id: str | None = None


class EventSubscriptionJson(Struct):
    """A subscription."""

    name: str
    events: list[EventJson]
    externalActions: list[ActionJson]
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    enabled: bool | None = True
    deleted: bool | None = False
    errorMessage: str | None = None


def _columns(call: Call) -> dict[str, Any]:
    new = call.body
    if not new.name.strip() or len(new.name) > 255:
        raise bad_request("the subscription name must have 1 to 255 characters")
    for event in new.events:
        if event.eventType not in EVENT_TYPES:
            raise bad_request(f"eventType '{event.eventType}': expected one of {', '.join(EVENT_TYPES)}")
    if len(new.externalActions) != 1:
        raise bad_request(f"externalActions has {len(new.externalActions)} elements; expected exactly one")
    action = new.externalActions[0]
    if action.eventType not in KINDS:
        raise bad_request(f"externalActions: eventType '{action.eventType}': expected EMAIL or WEBHOOKV1")
    try:
        read_action(action.eventType, action.config)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"externalActions config: {error}") from error
    return {
        "name": new.name,
        "description": new.description,
        "enabled": new.enabled is not False,
        "events": [{"eventType": e.eventType, "filter": e.filter} for e in new.events],
        "actions": [{"eventType": action.eventType, "config": action.config or "{}"}],
        "error_message": None,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _subscription_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "deleted": row.deleted,
        "events": row.events,
        "externalActions": row.actions,
        "errorMessage": row.error_message,
        "creator": row.creator,
        "createdOn": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
    }


def _fetch(call: Call, subscription_id: str) -> Row:
    row = call.fetch(subscriptions, subscription_id, "Subscription")
    if row.deleted:
        raise not_found("Subscription", subscription_id)
    return row


@app.route(
    "PUT",
    "/notification/rest/v1/eventsub/createEventSub",
    SUBSCRIBER,
    body=EventSubscriptionJson,
    returns=EventSubscriptionJson,
    choice="names may repeat; events are taken also while dpm.enable.events is off, and then never fire",
)
def create_subscription(call: Call) -> Any:
    """Create a subscription."""
    row = _columns(call) | {
        "id": call.new_id(),
        "organization": call.organization,
        "creator": call.principal.id,
        "created_on": call.now,
    }
    insert_rows(call.db, subscriptions, [row])
    call.forget()
    insert_acls(call, "EVENT_SUBSCRIPTION", [row["id"]], call.organization)
    return _subscription_json(_fetch(call, row["id"]))


@app.route(
    "POST",
    "/notification/rest/v1/eventsub/updateEventSub",
    SUBSCRIBER,
    body=EventSubscriptionJson,
    returns=EventSubscriptionJson,
)
def update_subscription(call: Call) -> Any:
    """Update a subscription."""
    row = _fetch(call, call.body.id or "")
    check_permission(call, row.id, "WRITE")
    call.db.execute(subscriptions.update().where(subscriptions.c.id == row.id).values(_columns(call)))
    call.forget()
    return _subscription_json(_fetch(call, row.id))


@app.route("POST", "/notification/rest/v1/eventsub/deleteEventSub", SUBSCRIBER, body=str)
def delete_subscription(call: Call) -> Any:
    """Delete a subscription; the body is its bare id."""
    row = _fetch(call, call.body)
    check_permission(call, row.id, "WRITE")
    call.db.execute(subscriptions.update().where(subscriptions.c.id == row.id).values(deleted=True))
    call.forget()
    drop_acls(call, [row.id])
    return None


@app.route("POST", "/notification/rest/v1/eventsub/ackEventSubError", SUBSCRIBER, body=str)
def acknowledge(call: Call) -> Any:
    """Clear the error of a subscription; the body is its bare id."""
    row = _fetch(call, call.body)
    check_permission(call, row.id, "WRITE")
    call.db.execute(subscriptions.update().where(subscriptions.c.id == row.id).values(error_message=None))
    return _subscription_json(_fetch(call, row.id))


@app.route("GET", "/notification/rest/v1/eventsub", USER, query=LISTING)
def list_subscriptions(call: Call) -> Any:
    """List subscriptions."""
    table = subscriptions
    statement: Query = SUBSCRIPTIONS
    if text := call.query["filterText"]:
        statement = statement.where(contains(table.c.name, text) | contains(table.c.id, text))
    order = {"NAME": table.c.name, "ID": table.c.id}
    return call.old_page(
        statement, order, lambda rows: [_subscription_json(row) for row in rows], org=call.organization
    )


@app.route("GET", "/notification/rest/v1/externalActions/audits", USER, query=(*PAGING, WRAPPER))
def action_audits(call: Call) -> Any:
    """List external actions taken for subscriptions."""
    table = action_runs
    statement = select(table).where(table.c.organization == call.organization, table.c.state != "WAITING")
    return call.old_page(
        statement,
        {"CREATED_TIME": table.c.id},
        lambda rows: [
            {
                "id": str(row.id),
                "subscriptionName": row.subscription_name,
                "eventName": row.event,
                "externalActionType": row.action_type,
                "createdTime": row.created_on,
                "success": row.state == "DONE",
                "message": row.message,
            }
            for row in rows
        ],
    )


def _alert_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization,
        "label": row.label,
        "text": row.label,
        "alertStatus": row.status,
        "triggeredOn": row.triggered_on,
        "resourceId": row.resource_id,
        "ruleId": row.rule_id,
        "alertType": row.type,
        "additionalInfo": row.additional_info,
        "ackedBy": row.acked_by,
        "ackedOn": row.acked_on,
    }


def _alerts(call: Call, resource_id: str | None) -> Any:
    statement = select(alerts).where(alerts.c.organization == call.organization)
    if resource_id is not None:
        statement = statement.where(alerts.c.resource_id == resource_id)
    if status := call.query["alertStatus"]:
        statement = statement.where(alerts.c.status == status)
    if text := call.query.get("filterText"):
        statement = statement.where(contains(alerts.c.label, text) | contains(alerts.c.id, text))
    order = {"TRIGGERED_ON": alerts.c.triggered_on, "ID": alerts.c.id}
    return call.old_page(statement, order, lambda rows: [_alert_json(row) for row in rows])


@app.route(
    "GET",
    "/notification/rest/v1/alerts",
    USER,
    query=(*LISTING, Parameter("alertStatus")),
    choice="alerts come from data SLAs alone",
)
def list_alerts(call: Call) -> Any:
    """List alerts."""
    return _alerts(call, None)


@app.route(
    "GET",
    "/notification/rest/v1/alerts/resource/{resource}",
    USER,
    query=(*LISTING, Parameter("alertStatus")),
)
def list_alerts_of(call: Call) -> Any:
    """List alerts of one object."""
    return _alerts(call, call.path["resource"])


@app.route("POST", "/notification/rest/v1/alerts/ackAlerts", SUBSCRIBER, body=list[str])
def acknowledge_alerts(call: Call) -> Any:
    """Acknowledge alerts."""
    call.fetch_all(alerts, call.body, "Alert")
    values = {"status": "ACKNOWLEDGED", "acked_by": call.principal.id, "acked_on": call.now}
    call.db.execute(alerts.update().where(alerts.c.id.in_(call.body)).values(values))
    return [_alert_json(row) for row in call.fetch_all(alerts, call.body, "Alert")]


@app.route("POST", "/notification/rest/v1/alerts/deleteAlerts", SUBSCRIBER, body=list[str])
def delete_alerts(call: Call) -> Any:
    """Delete alerts."""
    call.fetch_all(alerts, call.body, "Alert")
    call.db.execute(alerts.delete().where(alerts.c.id.in_(call.body)))
    drop_acls(call, call.body)
    return []
