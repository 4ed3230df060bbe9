"""Notification app: subscriptions, their audits, alerts (control-hub-rest.md, 7.2 and 7.3)."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, convert, field
from sqlalchemy import func, select

from psrlib.hub.apps.server import EVENT_TYPES
from psrlib.hub.events.actions import KINDS, read_action
from psrlib.hub.security.acl import drop_acls
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, any_of, of_organization
from psrlib.hub.store.schema.automation import action_runs, alerts, subscriptions
from psrlib.hub.store.text import Json, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name, not_found
from psrlib.hub.web.records import Audited, Listed, Listing, Millis, Wrapping, show
from psrlib.hub.web.routing import USER, App, roles

app = App("notification")
SUBSCRIBER = roles("notification:user")
SUBSCRIPTION = Owned(subscriptions, "Subscription", "EVENT_SUBSCRIPTION")
# conditions are looked at whenever something happens, while other calls wait
MAX_EVENTS = 100
MAX_FILTER = 4096  # characters
MAX_CONFIG = 64 * 1024  # characters
SUBSCRIPTIONS = of_organization(subscriptions).where(~subscriptions.c.deleted)


class EventJson(Struct, rename="camel"):
    """An event a subscription wants; ``filter`` is an expression or null. Ids are taken and not kept."""

    event_type: str
    filter: Annotated[str, Meta(max_length=MAX_FILTER)] | None = None
    id: str | UnsetType | None = UNSET


class ActionJson(Struct, rename="camel"):
    """What a subscription does; ``config`` is JSON text. Ids are taken and not kept."""

    event_type: str
    config: Annotated[str, Meta(max_length=MAX_CONFIG)] | None = None
    id: str | UnsetType | None = UNSET


class EventSubscriptionJson(Audited, kw_only=True):
    """A subscription."""

    name: str
    events: Annotated[list[EventJson], Meta(max_length=MAX_EVENTS)]
    actions: list[ActionJson] = field(name="externalActions")
    id: str | None = None
    organization: str | None = None
    description: str | None = None
    enabled: bool | None = True
    deleted: bool | None = False
    error_message: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_triggered: Millis | None = None
    trigger_count: int | None = None


class ActionAuditJson(Struct, rename="camel"):
    """An external action that was taken for a subscription."""

    id: str
    subscription_name: str
    event: str = field(name="eventName")
    action_type: str = field(name="externalActionType")
    created_on: int = field(name="createdTime")
    success: bool
    message: str


class AlertJson(Struct, rename="camel"):
    """An alert."""

    id: str
    organization: str
    label: str
    text: str
    status: str = field(name="alertStatus")
    triggered_on: int
    resource_id: str
    rule_id: str | None
    type: str = field(name="alertType")
    additional_info: str | None
    acked_by: str | None
    acked_on: int


def _columns(call: Call, new: EventSubscriptionJson) -> Json:
    """Return the columns of a subscription as it was sent, checked."""
    check_name(new.name, "subscription name")
    for event in new.events:
        if event.event_type not in EVENT_TYPES:
            raise bad_request(f"eventType '{event.event_type}': expected one of {', '.join(EVENT_TYPES)}")
    if len(new.actions) != 1:
        raise bad_request(f"externalActions has {len(new.actions)} elements; expected exactly one")
    (action,) = new.actions
    if action.event_type not in KINDS:
        raise bad_request(f"externalActions: eventType '{action.event_type}': expected EMAIL or WEBHOOKV1")
    try:
        read_action(action.event_type, action.config)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"externalActions config: {error}") from error
    call.check_fields(KINDS[action.event_type], load(action.config or "{}"), "externalActions.config")
    return {
        "name": new.name,
        "description": new.description,
        "enabled": new.enabled is not False,
        "events": [EventJson(event.event_type, event.filter) for event in new.events],
        "actions": [ActionJson(action.event_type, action.config or "{}")],
        "error_message": None,
    }


TRIGGERED = any_of(
    lambda ids: (
        select(
            action_runs.c.subscription_id.label("id"),
            func.max(action_runs.c.created_on).label("last"),
            func.count().label("n"),
        )
        .where(action_runs.c.subscription_id.in_(ids))
        .group_by(action_runs.c.subscription_id)
    )
)


def _show(call: Call, rows: list[Row]) -> list[EventSubscriptionJson]:
    """Return subscriptions in wire form; when and how often they fired is read in one query."""
    fired = {row.id: (row.last, row.n) for row in TRIGGERED(call.db, [row.id for row in rows])}
    shown = []
    for row in rows:
        last, n = fired.get(row.id, (0, 0))
        events = convert(row.events, list[EventJson])
        actions = convert(row.actions, list[ActionJson])
        known: Json = {"events": events, "actions": actions, "last_triggered": last}
        known["trigger_count"] = n + row.forgotten_actions
        shown.append(show(EventSubscriptionJson, row, **known))
    return shown


def _shown(call: Call, subscription_id: str) -> EventSubscriptionJson:
    return _show(call, [call.fetch(subscriptions, subscription_id, "Subscription")])[0]


def _fetch(call: Call, subscription_id: str) -> Row:
    """Return a subscription that the caller may change."""
    row = SUBSCRIPTION.fetch(call, subscription_id, "WRITE")
    if row.deleted:
        raise not_found("Subscription", subscription_id)
    return row


@app.route(
    "PUT",
    "/notification/rest/v1/eventsub/createEventSub",
    SUBSCRIBER,
    choice="names may repeat; events are taken also while dpm.enable.events is off, and then never fire",
)
def create_subscription(call: Call, body: EventSubscriptionJson) -> EventSubscriptionJson:
    """Create a subscription."""
    made = SUBSCRIPTION.create(call, _columns(call, body))
    call.forget()
    return _shown(call, made.id)


@app.route("POST", "/notification/rest/v1/eventsub/updateEventSub", SUBSCRIBER)
def update_subscription(call: Call, body: EventSubscriptionJson) -> EventSubscriptionJson:
    """Update a subscription."""
    row = _fetch(call, body.id or "")
    SUBSCRIPTION.update(call, row.id, _columns(call, body))
    call.forget()
    return _shown(call, row.id)


@app.route("POST", "/notification/rest/v1/eventsub/deleteEventSub", SUBSCRIBER)
def delete_subscription(call: Call, body: str) -> None:
    """Delete a subscription; the body is its bare id."""
    row = _fetch(call, body)
    call.db.execute(subscriptions.update().where(subscriptions.c.id == row.id).values(deleted=True))
    call.forget()
    drop_acls(call, [row.id])


@app.route("POST", "/notification/rest/v1/eventsub/ackEventSubError", SUBSCRIBER)
def acknowledge(call: Call, body: str) -> EventSubscriptionJson:
    """Clear the error of a subscription; the body is its bare id."""
    row = _fetch(call, body)
    call.db.execute(subscriptions.update().where(subscriptions.c.id == row.id).values(error_message=None))
    return _shown(call, row.id)


@app.route("GET", "/notification/rest/v1/eventsub", USER)
def list_subscriptions(call: Call, listing: Listing) -> Listed[EventSubscriptionJson]:
    """List subscriptions."""
    order = {"NAME": subscriptions.c.name, "ID": subscriptions.c.id}
    found = SUBSCRIPTIONS.matching(listing.filter_text, *order.values())
    return call.page(listing, found, order, show_all=lambda rows: _show(call, rows))


@app.route("GET", "/notification/rest/v1/externalActions/audits", USER)
def action_audits(call: Call, paging: Wrapping) -> Listed[ActionAuditJson]:
    """List external actions taken for subscriptions."""
    return call.page(
        paging,
        of_organization(action_runs).where(action_runs.c.state != "WAITING"),
        {"CREATED_TIME": action_runs.c.id},
        lambda row: show(ActionAuditJson, row, id=str(row.id), success=row.state == "DONE"),
    )


def _show_alert(row: Row) -> AlertJson:
    return show(AlertJson, row, text=row.label)


@app.route("GET", "/notification/rest/v1/alerts", USER, choice="alerts come from data SLAs alone")
def list_alerts(call: Call, listing: Listing, alert_status: str = "ACTIVE") -> Listed[AlertJson]:
    """List alerts."""
    return _alerts(call, listing, alert_status, None)


@app.route("GET", "/notification/rest/v1/alerts/resource/{resource}", USER)
def list_alerts_of(
    call: Call, resource: str, listing: Listing, alert_status: str = "ACTIVE"
) -> Listed[AlertJson]:
    """List alerts of one object."""
    return _alerts(call, listing, alert_status, resource)


def _alerts(call: Call, listing: Listing, status: str | None, resource: str | None) -> Listed[AlertJson]:
    query = of_organization(alerts).equal(alerts.c.status, status).equal(alerts.c.resource_id, resource)
    found = query.matching(listing.filter_text, alerts.c.label, alerts.c.id)
    return call.page(listing, found, {"TRIGGERED_ON": alerts.c.triggered_on, "ID": alerts.c.id}, _show_alert)


@app.route("POST", "/notification/rest/v1/alerts/ackAlerts", SUBSCRIBER)
def acknowledge_alerts(call: Call, body: list[str]) -> list[AlertJson]:
    """Acknowledge alerts."""
    call.fetch_all(alerts, body, "Alert")
    values = {"status": "ACKNOWLEDGED", "acked_by": call.principal.id, "acked_on": call.now}
    call.db.execute(alerts.update().where(alerts.c.id.in_(body)).values(values))
    return list(map(_show_alert, call.fetch_all(alerts, body, "Alert")))


@app.route("POST", "/notification/rest/v1/alerts/deleteAlerts", SUBSCRIBER)
def delete_alerts(call: Call, body: list[str]) -> list[str]:
    """Delete alerts."""
    call.fetch_all(alerts, body, "Alert")
    call.db.execute(alerts.delete().where(alerts.c.id.in_(body)))
    drop_acls(call, body)
    return []
