"""Remove from a Control Hub what a seed document made there, and nothing else."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import HubError
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.adoption import held
from psrlib.state.changes import removals
from psrlib.state.deployments import remove_deployments
from psrlib.state.lock import populate_lock
from psrlib.state.observe import observe_organization
from psrlib.state.observed import ObservedOrganization
from psrlib.state.reading import hub_id, hub_name
from psrlib.state.running import STOPPED, job_status, stop_jobs
from psrlib.state.schedule import Steps, run_organizations
from psrlib.words import KINDS

log = logging.getLogger(__name__)

STOP_S = 20.0  # for engines to report STOPPED, before jobs are stopped by force, and then once more


@dataclass(frozen=True)
class TeardownReport:
    """Entities removed per kind, organizations deactivated, and what others made in the remaining ones.

    Control Hub 3.x has no call that deletes an organization (control-hub-rest, 2.1): it is deactivated, with
    its first administrator in it.
    """

    removed: dict[str, int]
    deactivated: list[str]
    kept: dict[str, dict[str, int]]


def teardown(document: SeedDocument, hub: ControlHub) -> TeardownReport:
    """Remove every entity that the seed document names, then deactivate organizations that are empty.

    An organization that holds anything else keeps that, its administrator, and stays active.

    Raises
    ------
    HubError
        If the hub refuses a removal; teardown can be repeated.
    """
    document = held(document, hub)
    with populate_lock(hub):
        listed = hub.organizations()
        items = [(o, listed[o.id]) for o in document.organizations if o.id in listed]
        looked = run_organizations(_look, hub, document, items) if hub.crew else None
        outcomes = run_organizations(_teardown_organization, hub, document, items)
    if looked is not None:  # what is gone at the end; a worker that was lost could not tell
        outcomes = [(before, left) for before, (_, left) in zip(looked, outcomes, strict=True)]
    kept = {o.id: left for (o, _), (_, left) in zip(items, outcomes, strict=True) if left}
    return TeardownReport(
        removed=dict(sum((removed for removed, _ in outcomes), Counter())),
        deactivated=[] if hub.dialect.adopts else [o.id for o, _ in items if o.id not in kept],
        kept=kept,
    )


def _look(hub: ControlHub, document: SeedDocument, desired: Organization, row: Json) -> Steps[Counter[str]]:
    """Return the entities per kind that are there to be removed."""
    rows, _ = _split(desired, (yield from observe_organization(hub, document, desired, row)))
    first = {hub_id("users", row) for row in rows["users"]} & {desired.users[0].id}
    return Counter({kind: len(ours) for kind, ours in rows.items()}) - Counter(users=len(first))


def _teardown_organization(
    hub: ControlHub, document: SeedDocument, desired: Organization, row: Json
) -> Steps[tuple[Counter[str], dict[str, int]]]:
    """Return the entities removed per kind, and those of others."""
    found = yield from observe_organization(hub, document, desired, row)
    session, security = hub.for_organization(desired.id), hub.security_of(desired.id)
    rows, kept = _split(desired, found)
    ids = {kind: [hub_id(kind, row) for row in found_rows] for kind, found_rows in rows.items()}
    if ids["jobs"]:
        yield [partial(_stop, session, rows["jobs"])]
    users_of_jobs = ("scheduled_tasks", "subscriptions", "topologies")
    yield [call for kind in users_of_jobs for call in removals(session, kind, ids[kind])]
    for of_templates in (False, True):  # instances go before their templates
        jobs = [hub_id("jobs", row) for row in rows["jobs"] if bool(row.get("jobTemplate")) == of_templates]
        yield removals(session, "jobs", jobs)
    yield removals(session, "pipelines", ids["pipelines"])
    yield [
        *removals(session, "fragments", ids["fragments"]),
        *removals(session, "connections", ids["connections"]),
        *(partial(_delete_engine, session, id) for id in ids["engines"]),
    ]
    if hub.dialect.adopts:
        yield [partial(remove_deployments, session)]
    ids["users"] = [id for id in ids["users"] if id != desired.users[0].id]
    if hub.dialect.adopts:
        yield [partial(session.login_service.remove, id) for id in ids["users"]]
    else:
        yield [partial(security.delete_users, session.organization, ids["users"])]
    if ids["groups"]:
        yield [partial(security.delete_groups, session.organization, ids["groups"])]
    if not kept and found.active and not hub.dialect.adopts:
        yield [partial(hub.security.update_organization, {**found.row, "active": False})]
    removed = +Counter({kind: len(kind_ids) for kind, kind_ids in ids.items()})
    log.info("%s: removed %s", desired.id, dict(removed))
    return removed, kept


def _split(
    desired: Organization, found: ObservedOrganization
) -> tuple[dict[str, list[Json]], dict[str, int]]:
    """Return the hub's records that the seed document names per kind, and the number of others per kind."""
    ours: dict[str, list[Json]] = {}
    for kind in KINDS:
        keys = {entity.key for entity in getattr(desired, kind)}
        pairs = zip(getattr(found.organization, kind), found.rows[kind], strict=True)
        ours[kind] = [row for entity, row in pairs if entity.key in keys]
    kept = Counter({kind: len(found.rows[kind]) - len(ours[kind]) for kind in KINDS})
    return ours, dict(+kept)


def _stop(session: ControlHub, jobs: Sequence[Json]) -> None:
    """Stop what runs, by force when its engines do not answer."""
    running = [hub_id("jobs", job) for job in jobs if job_status(job) not in STOPPED]
    for force in (False, True):
        running = stop_jobs(session, running, STOP_S, force=force)
    if running:
        name = next(hub_name(job) for job in jobs if hub_id("jobs", job) == running[0])
        raise HubError(
            f'{len(running)} jobs of {session.organization} do not stop, "{name}" for instance; try again'
        )


def _delete_engine(session: ControlHub, id: str) -> None:
    """Remove an engine and its registration, so that its token is void."""
    session.jobrunner.delete_engine(id)
    session.security.delete_components(session.organization, [id])
