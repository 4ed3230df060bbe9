"""Bring entities that exist to what the seed document says, and remove duplicates of them."""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from psrlib.client.apps import scheduler
from psrlib.client.session import Session
from psrlib.state.automation import publish_topology, subscription_body, task_values
from psrlib.state.create_once import naming
from psrlib.state.design import connection_body
from psrlib.state.details import GROUP_ROLES
from psrlib.state.diff import Item, identity
from psrlib.state.jobs import job_body
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.people import organization_body, user_body
from psrlib.state.reading import access, hub_id
from psrlib.state.running import STOPPED, job_status
from psrlib.state.schedule import Call, Steps
from psrlib.words import OWNED

# What a hub cannot change in place: the content of published commits and topologies.
UNCHANGEABLE = ("pipelines", "fragments", "topologies")


def change_steps(work: OrganizationWork, items: Iterable[Item], kinds: Collection[str]) -> Steps[None]:
    """Apply the deviations ``different`` of entities that exist; owners are set through ACLs later."""
    calls: list[Call] = []
    done: set[tuple[str, str]] = set()
    for item in items:
        if item.change != "different" or item.kind not in kinds:
            continue
        if item.field == "owner":
            key = _entity(work, item).key
            if key in work.rows[item.kind]:  # else it is made anew
                work.must_own(item.kind, key, item.desired)
                work.count_change("owners")
        elif (item.kind, item.name) not in done:
            done.add((item.kind, item.name))
            if (call := _change(work, item)) is not None:
                calls.append(partial(_named, work, item, call))
                work.count_change(item.kind)
    yield calls


def _named(work: OrganizationWork, item: Item, call: Call) -> None:
    with naming(work.desired.id, item.kind, [item.name]):
        call()


def replace_steps(work: OrganizationWork, items: Iterable[Item]) -> Steps[None]:
    """Delete what cannot be changed and nothing refers to, so that it is made anew with what is missing."""
    replaced = {
        (item.kind, _entity(work, item).key)
        for item in items
        if item.change == "different" and item.field not in ("owner", "published") and _is_free(work, item)
    }
    for kind, key in sorted(replaced):
        yield removals(work.admin, kind, [work.hub_id(kind, key)])
        del work.rows[kind][key]
        work.count_change(kind)


def _is_free(work: OrganizationWork, item: Item) -> bool:
    """Whether an entity cannot be changed in place and may be deleted: no other entity refers to it."""
    if item.kind not in UNCHANGEABLE:
        return False
    assert work.found is not None
    key = _entity(work, item).key
    if item.kind == "pipelines" and work.found.wrong_commits.get(key, 0) > 1:
        return False  # later commits are published anew
    return work.hub_id(item.kind, key) not in work.found.referenced


def why_left(item: Item) -> str:
    """Return why populating leaves a deviation as it is, in a few words.

    Examples
    --------
    >>> why_left(Item("o", "jobs", "Their own", "", "extra", None, {}))
    'not in the seed document, so it is left alone'
    """
    if item.change == "extra":
        return "not in the seed document, so it is left alone"
    if item.kind in ("pipelines", "fragments"):
        return "published commits cannot be changed, and what uses them must be deleted first"
    if item.kind == "jobs":
        return "a job that runs cannot be changed (stop it, populate again); or the hub keeps no such field"
    return "the Control Hub took the change and shows it not"


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
    security = work.security
    if item.kind == "organizations":
        assert work.found is not None
        organization = {**work.found.row, **organization_body(work.desired)}
        return partial(security.update_organization, organization)
    if item.kind in (*UNCHANGEABLE, "config") and item.field != "published":
        return None
    entity = _entity(work, item)
    row = work.rows[item.kind].get(entity.key)
    if row is None:  # deleted to be made anew
        return None
    if item.kind == "topologies":
        return partial(publish_topology, work, row)
    if item.kind == "users":
        user = {**row, **user_body(work, entity), "active": True}
        return partial(security.update_user, work.organization, user, not work.hub.dialect.adopts)
    if item.kind == "groups":
        group = {**row, "name": entity.name, "roles": GROUP_ROLES}
        return partial(security.update_group, work.organization, group)
    if item.kind == "connections":
        return partial(work.admin.connection.update_connection, {**row, **connection_body(entity)})
    if item.kind == "jobs":
        if job_status(row) not in STOPPED or entity.pipeline not in work.rows["pipelines"]:
            return None
        return partial(work.admin.jobrunner.update_job, {**row, **job_body(work, entity)})
    if item.kind == "scheduled_tasks":
        return partial(work.admin.scheduler.update_task, scheduler.fill(row, task_values(work, entity)))
    body = subscription_body(work, entity)
    return partial(work.admin.notification.update_subscription, {**row, **body})


def _entity(work: OrganizationWork, item: Item) -> Any:
    return next(e for e in getattr(work.desired, item.kind) if identity(item.kind, e) == item.name)
