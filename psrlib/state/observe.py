"""Read a Control Hub into the records of the seed document; reads only, changes nothing."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.wire import Json, is_absent
from psrlib.errors import AuthenticationError, HubError
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observed import ObservedOrganization, ObservedState
from psrlib.state.reading import Reader, access, engine_registrations, hub_id
from psrlib.state.schedule import Call, Steps, run_organizations
from psrlib.words import OWNED

log = logging.getLogger(__name__)

SYSTEM_ORGANIZATION = "admin"
SCRATCH = "psr-doctor-"  # how ids of organizations begin that `psr doctor` makes to try a hub
COMMITS_PER_CALL = 40  # a commit may carry 600 kB of library definitions (pipeline-json, 1.2)


def observe(document: SeedDocument, hub: ControlHub) -> ObservedState:
    """Return what a hub holds of a seed document's organizations.

    Parameters
    ----------
    document : SeedDocument
        Gives the organizations to look at and the keys of what is found; variables resolved.
    hub : ControlHub
        Session of a system administrator.

    Raises
    ------
    HubError
        If the hub refuses a listing.

    Notes
    -----
    About a dozen calls per organization, and one for each pipeline with several commits. An owner is the
    record's creator where that is the desired owner, and is read from the ACL elsewhere. The hub's own
    records are not kept.
    """
    listed = hub.organizations()
    wanted = [(o, listed[o.id]) for o in document.organizations if o.id in listed]
    found = run_organizations(_observe, hub, document, wanted)
    log.info("observed %d organizations", len(found))
    return ObservedState(
        organizations={o.id: observed for (o, _), observed in zip(wanted, found, strict=True)},
        foreign=[] if hub.dialect.adopts else find_foreign(document, listed),
    )


def find_foreign(document: SeedDocument, listed: Mapping[str, Json]) -> list[str]:
    """Return the ids of organizations on a hub, from its list by id, that the seed document does not name.

    Not those of the hub itself, and not the empty, deactivated ones that `psr doctor --write` left: Control
    Hub 3.x cannot delete an organization.
    """
    named = {organization.id for organization in document.organizations} | {SYSTEM_ORGANIZATION}
    return sorted(
        id
        for id, row in listed.items()
        if id not in named and not (id.startswith(SCRATCH) and row.get("active") is False)
    )


def observe_organization(
    hub: ControlHub, document: SeedDocument, desired: Organization, row: Json
) -> Steps[ObservedOrganization]:
    """Observe one organization; steps for `run_steps`. ``row`` is its record in the hub's list."""
    session, security = hub.for_organization(desired.id), hub.security_of(desired.id)
    adopts, id = hub.dialect.adopts, str(row["id"])
    configuration = hub.configuration_of(desired.id)
    role_ids, entries, groups, users = yield [
        hub.role_ids,
        partial(configuration.configs, id),
        partial(security.groups, id),
        partial(security.users, id),
    ]
    reader = Reader(document, desired, row, role_ids, adopts)
    reader.rows["groups"], reader.rows["users"] = groups, users
    # What an organization's own administrator may not set is not asked of him.
    reader.entries = [entry for entry in entries if hub.dialect.sets_limits or entry.get("orgModifiable")]
    if not row.get("active", True):
        return reader.organization(locked=True)
    try:
        (pipelines,) = yield [session.pipelinestore.pipelines]
    except AuthenticationError:
        if adopts:
            raise
        log.warning("%s: its administrator cannot log in; only its users and groups are seen", desired.id)
        return reader.organization(locked=True)
    listings = {kind: access(session, kind).entities for kind in OWNED if kind != "pipelines"}
    listings["engines"] = session.jobrunner.engines
    calls = [partial(if_present, call) for call in listings.values()]
    *found, registrations = yield [*calls, partial(engine_registrations, session, desired)]
    reader.registrations = registrations or []
    reader.rows.update(zip(listings, found, strict=True))
    if any(row.get("cspDeploymentId") for row in reader.rows["engines"]):
        (reader.deployments,) = yield [partial(if_present, session.provisioning.deployments)]
    fragment_ids = {hub_id("fragments", fragment) for fragment in reader.rows["fragments"]}
    reader.rows["pipelines"] = [p for p in pipelines if hub_id("pipelines", p) not in fragment_ids]

    store = session.pipelinestore
    several = [row for row in reader.rows["pipelines"] if reader.has_versions(row)]
    logs = yield [partial(store.log, hub_id("pipelines", row)) for row in several]
    reader.logs = {hub_id("pipelines", row): log for row, log in zip(several, logs, strict=True)}
    latest = reader.rows["pipelines"] + reader.rows["fragments"]
    commit_ids = list(dict.fromkeys(str(row["commitId"]) for log in [latest, *logs] for row in log))
    chunks = [commit_ids[i : i + COMMITS_PER_CALL] for i in range(0, len(commit_ids), COMMITS_PER_CALL)]
    for commits in (yield [partial(store.commits, chunk) for chunk in chunks]):
        reader.commits.update({str(commit["commitId"]): commit for commit in commits})
    reader.rows["topologies"] = yield from _completed(
        reader.rows["topologies"], "topologyDefinition", lambda t: session.topology.topology(t["commitId"])
    )
    reader.rows["connections"] = yield from _completed(
        reader.rows["connections"], "connectionDefinition", lambda c: session.connection.connection(c["id"])
    )

    unclear = [
        (kind, hub_id(kind, r))
        for kind in OWNED
        for r in reader.rows[kind]
        if not reader.owner_is_clear(kind, r)
    ]
    acls = yield [partial(access(session, kind).app.acl, id) for kind, id in unclear]
    reader.owners.update(
        {id: str(acl.get("resourceOwner") or "") for (_, id), acl in zip(unclear, acls, strict=True)}
    )
    return reader.organization()


def _observe(
    hub: ControlHub, document: SeedDocument, desired: Organization, row: Json
) -> Steps[ObservedOrganization]:
    """Observe an organization without keeping the hub's own records, most of what there is of it."""
    found = yield from observe_organization(hub, document, desired, row)
    return replace(found, rows={}, entries=[])


def if_present(listed: Call) -> list[Json]:
    """Return a listing; nothing where the hub lacks the app, such as connections before 3.19."""
    try:
        found: list[Json] = listed()
    except HubError as error:
        if not is_absent(error):
            raise
        return []
    return found


def _completed(rows: list[Json], field: str, read: Callable[[Json], Json]) -> Steps[list[Json]]:
    """Return rows with what the listing left out: one call for each row that lacks ``field``."""
    found = iter((yield [partial(read, row) for row in rows if not row.get(field)]))
    return [row if row.get(field) else {**row, **next(found)} for row in rows]
