"""Populate by way of other machines: the same end and the same report, whichever are lost meanwhile."""

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import asdict

from psrlib.client import ControlHub
from psrlib.client.control_hub import Crew
from psrlib.client.wire import Json
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.diff import Item, diff_organization
from psrlib.state.observe import observe_organization
from psrlib.state.organization import Outcome, is_work, populate_organization
from psrlib.state.organization_work import Knowledge
from psrlib.state.schedule import Steps, run_organizations

Desired = tuple[Organization, Json | None]


def populate_shared_out(
    crew: Crew,
    hub: ControlHub,
    document: SeedDocument,
    items: Sequence[Desired],
    knowledge: Knowledge,
    progress: bool,
) -> list[Outcome]:
    """Populate organizations, each with the hub's record of it or None, and return their outcomes in order.

    What was there is looked at before anything is done: a machine that is lost takes with it what it knew.
    """
    existing = [item for item in items if item[1] is not None]
    looks = iter(run_organizations(_look, hub, document, existing))
    before: list[tuple[Item, ...] | None] = [None if row is None else next(looks) for _, row in items]
    outcomes = [Outcome(Counter(), Counter(), found or ()) for found in before]
    todo = [
        number
        for number, (desired, _) in enumerate(items)
        if (found := before[number]) is None or any(is_work(desired, item) for item in found)
    ]
    work = [items[number] for number in todo]

    def renew(lost: Sequence[Desired]) -> list[Desired]:
        listed = hub.organizations()
        return [(desired, listed.get(desired.id)) for desired, _ in lost]

    for position, attempts, outcome in crew.each(
        populate_organization, document, work, (knowledge,), renew=renew, progress=progress
    ):
        number = todo[position]
        if attempts > 1:
            outcome = _compare(items[number][0], before[number], outcome)
        outcomes[number] = outcome
    return outcomes


def _look(
    hub: ControlHub, document: SeedDocument, desired: Organization, row: Json
) -> Steps[tuple[Item, ...]]:
    """Return the deviations of an organization; one whose administrator cannot log in seems to lack all."""
    found = yield from observe_organization(hub, document, desired, row)
    return tuple(diff_organization(desired, found, runtime=False))


def _compare(desired: Organization, before: tuple[Item, ...] | None, outcome: Outcome) -> Outcome:
    """Return what all attempts made together: what was amiss before and is not in the end."""
    fresh = before is None
    if before is None:
        before = tuple(diff_organization(desired, None, runtime=False))
    left = {item[:5] for item in outcome.left}
    done = [item for item in before if item[:5] not in left]
    created = Counter(item.kind for item in done if item.change == "missing")
    changed = Counter(item.kind for item in done if item.change == "extra")
    changed += Counter(owners=sum(item.change == "different" and item.field == "owner" for item in done))
    others = {(i.kind, i.name) for i in done if i.change == "different" and i.field != "owner"}
    changed += Counter("configuration" if kind == "config" else kind for kind, _ in others)
    if fresh and any(value for value in asdict(desired.config).values()):
        changed["configuration"] = 1
    return Outcome(created, changed, outcome.left)
