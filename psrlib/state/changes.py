"""Bring entities that exist to what the seed document says, and remove duplicates of them."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import orjson

from psrlib.client.apps import scheduler
from psrlib.client.session import Session
from psrlib.state.automation import publish_topology, subscription_body
from psrlib.state.design import connection_body
from psrlib.state.diff import Item, identity
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.people import user_body
from psrlib.state.reading import access, hub_id
from psrlib.state.schedule import Call, Steps
from psrlib.words import OWNED

# What a hub cannot change in place: the content of published commits and topologies.
UNCHANGEABLE = ("pipelines", "fragments", "topologies")


def change_steps(work: OrganizationWork, items: Iterable[Item]) -> Steps[None]:
    """Apply the deviations ``different`` of entities that exist; owners are set through ACLs later."""
    calls: list[Call] = []
    done: set[tuple[str, str]] = set()
    for item in items:
        if item.change != "different":
            continue
        if item.field == "owner":
            work.must_own(item.kind, _entity(work, item).key, item.desired)
            work.count_change("owners")
        elif (item.kind, item.name) not in done:
            done.add((item.kind, item.name))
            if (call := _change(work, item)) is not None:
                calls.append(call)
                work.count_change(item.kind)
    yield calls


def duplicate_steps(work: OrganizationWork) -> Steps[None]:
    """Delete what lost answers left twice: what is named like a seed entity, beside the one in use."""
    for kind in reversed(OWNED):
        ids = list(_duplicates(work, kind))
        if ids:
            yield removals(work.admin, kind, ids)
            work.count_change(kind, len(ids))


def _duplicates(work: OrganizationWork, kind: str) -> Iterable[str]:
    if work.found is None:
        return
    named = {entity.key for entity in getattr(work.desired, kind)}
    entities = getattr(work.found.organization, kind)
    for entity, row in zip(entities, work.found.rows[kind], strict=True):
        if entity.key in named and row is not work.rows[kind].get(entity.key):
            yield hub_id(kind, row)


def removals(session: Session, kind: str, ids: Sequence[str]) -> list[Call]:
    """Return the calls that remove entities: one for all jobs or topologies, one for each other entity."""
    delete = access(session, kind).delete
    if kind in ("jobs", "topologies"):
        return [partial(delete, list(ids))] if ids else []
    return [partial(delete, id) for id in ids]


def _change(work: OrganizationWork, item: Item) -> Call | None:
    """Return the call that repairs one entity; None where another step does, or the hub has no such call."""
    security = work.hub.security
    if item.kind == "organizations":
        assert work.found is not None
        organization = {**work.found.row, "name": work.desired.name, "active": True}
        return partial(security.update_organization, organization)
    if item.kind in (*UNCHANGEABLE, "config") and item.field != "published":
        return None
    entity = _entity(work, item)
    row = work.rows[item.kind][entity.key]
    if item.kind == "topologies":
        return partial(publish_topology, work, row)
    if item.kind == "users":
        return partial(security.update_user, work.desired.id, {**row, **user_body(work, entity)})
    if item.kind == "groups":
        return partial(security.update_group, work.desired.id, {**row, "name": entity.name})
    if item.kind == "connections":
        return partial(work.admin.connection.update_connection, {**row, **connection_body(entity)})
    if item.kind == "jobs":
        fields = {
            "labels": entity.labels,
            "numInstances": entity.instances,
            "rawJobTags": entity.tags,
            "runtimeParameters": orjson.dumps(entity.parameters).decode() if entity.parameters else None,
        }
        return partial(work.admin.jobrunner.update_job, {**row, **fields})
    if item.kind == "scheduled_tasks":
        values = {"executionInfo.action": entity.action, "crontabMask": entity.cron}
        return partial(work.admin.scheduler.update_task, scheduler.fill(row, values))
    body = subscription_body(work, entity)
    return partial(work.admin.notification.update_subscription, {**row, **body})


def _entity(work: OrganizationWork, item: Item) -> Any:
    return next(e for e in getattr(work.desired, item.kind) if identity(item.kind, e) == item.name)
