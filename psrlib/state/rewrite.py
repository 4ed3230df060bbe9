"""Bring a populated hub from a seed document to its rewritten form: entities are updated in place."""

import logging
from functools import partial

from psrlib.client import ControlHub
from psrlib.errors import InconsistentStateError, InputError
from psrlib.seed.document import SeedDocument
from psrlib.state.adoption import held
from psrlib.state.changes import UNCHANGEABLE
from psrlib.state.diff import IDENTITY, diff
from psrlib.state.observe import observe
from psrlib.state.observed import ObservedOrganization, ObservedState
from psrlib.state.populate import PopulateReport, populate
from psrlib.state.running import STOPPED, start_jobs, stop_jobs
from psrlib.state.schedule import run_each
from psrlib.words import KINDS

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 60.0
REPORTED = {("engines", "url")}  # engines report it when they are configured anew; no call sets it


def apply_rewrite(
    document: SeedDocument, rewritten: SeedDocument, hub: ControlHub, *, progress: bool = True
) -> PopulateReport:
    """Update what differs between two documents on a hub that holds the first.

    Both have their variables resolved; `psrlib.seed.rewrite_seed` makes the second. Changed jobs that run
    are stopped before and started again. The report's ``changed`` counts the updated entities per kind.

    Raises
    ------
    InputError
        If the rewriting changes what no call can change in place, or the hub does not hold the document;
        nothing was changed.
    InconsistentStateError
        If the hub does not hold the rewritten document afterwards.
    """
    document, rewritten = held(document, hub), held(rewritten, hub)
    changed = changed_fields(document, rewritten)
    for kind, field in sorted(changed):
        if field in ("id", "key", "name") or kind in UNCHANGEABLE:
            raise InputError(
                f"{kind}.{field} cannot be changed in place on a Control Hub; "
                "write the document with -o and populate an empty hub with it"
            )
    observed = observe(document, hub)
    before = diff(document, observed, runtime=False)
    if before:
        raise InputError(
            f"{hub.url} does not hold what the seed document says ({before.summary()}); "
            "populate and verify it before rewriting it"
        )
    if REPORTED & changed:
        log.warning("engines show their new addresses when they have been started with them")
    stopped = _stop_jobs(document, rewritten, observed, hub)
    report = populate(rewritten, hub, progress=progress, allow_foreign=True)
    if stopped:
        start_jobs(rewritten, hub)
    after = diff(rewritten, observe(rewritten, hub), runtime=False)
    if after:
        raise InconsistentStateError(f"{hub.url} does not hold all that was rewritten: {after.summary()}")
    return report


def _stop_jobs(
    document: SeedDocument, rewritten: SeedDocument, observed: ObservedState, hub: ControlHub
) -> int:
    """Stop the jobs that run and are to be changed, which a hub refuses; wait until they are inactive."""
    running: dict[str, list[str]] = {}
    for old, new in zip(document.organizations, rewritten.organizations, strict=True):
        jobs = observed.organizations[old.id].jobs
        changed = [before.key for before, after in zip(old.jobs, new.jobs, strict=True) if before != after]
        if ids := [jobs[key].id for key in changed if jobs[key].status not in STOPPED]:
            running[old.id] = ids
    calls = [
        partial(stop_jobs, hub.for_organization(organization), ids, STOP_TIMEOUT_S)
        for organization, ids in running.items()
    ]
    for organization, left in zip(running, run_each(calls, hub.limit), strict=True):
        if left:
            raise InconsistentStateError(
                f"{organization}: {len(left)} jobs to be changed do not stop in {STOP_TIMEOUT_S:.0f} s; "
                "are its engines running?"
            )
    return sum(map(len, running.values()))


def changed_fields(document: SeedDocument, rewritten: SeedDocument) -> set[tuple[str, str]]:
    """Return kind and field of all changes of entities.

    Raises
    ------
    InputError
        If the documents do not hold the same organizations.
    """
    if [o.id for o in document.organizations] != [o.id for o in rewritten.organizations]:
        raise InputError("the rewritten document has other organizations than the seed document")
    held = ObservedState({o.id: ObservedOrganization(o) for o in document.organizations}, [])
    items = [item for item in diff(rewritten, held).items if item.kind in KINDS]
    return {(item.kind, item.field or IDENTITY.get(item.kind, "name")) for item in items}
