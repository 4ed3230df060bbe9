"""Populate one organization: observe, compare, apply, and look again where an answer was lost."""

import logging
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import count

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import AuthenticationError
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.automation import automation_steps
from psrlib.state.changes import change_steps, duplicate_steps, replace_steps
from psrlib.state.design import design_steps
from psrlib.state.diff import Item, diff_organization
from psrlib.state.jobs import job_steps
from psrlib.state.observe import observe_organization
from psrlib.state.observed import ObservedOrganization
from psrlib.state.organization_work import Knowledge, OrganizationWork
from psrlib.state.people import open_administrator, people_steps
from psrlib.state.progress import Bars
from psrlib.state.schedule import Steps
from psrlib.words import OWNED

log = logging.getLogger(__name__)

ROUNDS = 4  # observations of one organization after lost answers, before what is left is reported


@dataclass(frozen=True)
class Outcome:
    """Entities created and changed per kind, and the deviations left."""

    created: Counter[str]
    changed: Counter[str]
    left: tuple[Item, ...]


def populate_organization(
    hub: ControlHub,
    document: SeedDocument,
    desired: Organization,
    row: Json | None,
    knowledge: Knowledge,
    bars: Bars | None = None,
) -> Steps[Outcome]:
    """Bring one organization to what is desired; steps for `run_steps`.

    ``row`` is the hub's record of the organization, None when it does not exist. An organization made in this
    run without a lost answer needs no second look, nor does one that was adopted empty: the hub confirmed
    every entity.
    """
    created: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    found: ObservedOrganization | None = None
    before: tuple[Item, ...] = ()
    for round in count(1):
        if row is not None:
            found = yield from observe_organization(hub, document, desired, row)
            if found.locked:
                row = yield from _unlock(hub, desired, row, round)
                continue
            left = tuple(diff_organization(desired, found, runtime=False))
            if bars is not None:
                bars.catch_up(desired, found)
            if left == before or round > ROUNDS or not any(is_work(desired, item) for item in left):
                return Outcome(created, changed, left)
            before = left
        work = OrganizationWork(hub, document, desired, found, knowledge, bars.advance if bars else _ignore)
        yield from _apply(work, before)
        log.info("%s: created %s, changed %s", desired.id, dict(work.created), dict(work.changed))
        created += work.created
        changed += work.changed
        if not work.lost_answers and (row is None or (hub.dialect.adopts and _was_empty(before))):
            return Outcome(created, changed, ())
        if row is None or work.changed["organizations"]:
            (listed,) = yield [hub.organizations]
            row = listed.get(desired.id)
    raise AssertionError("unreachable: the rounds are bounded")


def _was_empty(items: tuple[Item, ...]) -> bool:
    """Whether everything was to be made but what an adopted organization has from the beginning."""
    return all(item.change == "missing" or item.kind == "config" for item in items)


def _ignore(kind: str, n: int) -> None:
    """Show no progress."""


def _apply(work: OrganizationWork, items: tuple[Item, ...]) -> Steps[None]:
    """Do everything that is to be done, in the order in which entities refer to each other."""
    yield from people_steps(work)
    yield from duplicate_steps(work)
    yield from replace_steps(work, items)
    yield from change_steps(work, items, ("organizations", "users", "groups", "connections"))
    yield [partial(work.log_in, session) for session in work.plan_logins()]
    yield from design_steps(work)
    yield from change_steps(work, items, ("fragments", "pipelines", "jobs"))
    yield from job_steps(work)
    yield from change_steps(work, items, ("scheduled_tasks", "subscriptions", "topologies"))
    yield from automation_steps(work)
    yield work.owner_calls()


def is_work(desired: Organization, item: Item) -> bool:
    """Whether a deviation can be dealt with: everything but entities that the seed document does not name."""
    if item.change != "extra":
        return True
    return item.kind in OWNED and any(entity.name == item.name for entity in getattr(desired, item.kind))


def _unlock(hub: ControlHub, desired: Organization, row: Json, round: int) -> Steps[Json]:
    """Make that an organization's administrator can log in, the gentlest way first; return its record."""
    if not row.get("active", True):
        row = {**row, "active": True}
        yield [partial(hub.security.update_organization, row)]
    elif round <= 2:
        yield [partial(open_administrator, hub, desired)]
    else:
        raise AuthenticationError(
            f"{desired.users[0].id} cannot log in; if the organizations' users have another password than "
            "their user id, give it with --organization-password"
        )
    return row
