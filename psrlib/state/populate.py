"""Bring a Control Hub to what a seed document says: observe, diff, apply what is missing."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import pandas as pd
from tqdm.auto import tqdm

from psrlib.client import ControlHub
from psrlib.errors import AuthenticationError
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.automation import automation_steps
from psrlib.state.changes import change_steps, duplicate_steps
from psrlib.state.design import design_steps
from psrlib.state.diff import Difference, Item, diff_organization
from psrlib.state.guards import check_organizations, find_engine
from psrlib.state.jobs import job_steps
from psrlib.state.lock import populate_lock
from psrlib.state.observe import observe_organization
from psrlib.state.observed import KINDS, ObservedOrganization
from psrlib.state.people import open_administrator, people_steps
from psrlib.state.reading import OWNED
from psrlib.state.schedule import Plan, run_plans
from psrlib.state.work import DefinitionSize, Knowledge, Work

log = logging.getLogger(__name__)

ROUNDS = 4  # observations of one organization after lost answers, before what is left is reported


@dataclass(frozen=True)
class PopulateReport:
    """What a populate did.

    ``created`` and ``changed`` count entities per kind, ``calls`` HTTP requests per kind; ``difference`` is
    what is left: entities that the seed document does not name, which populate never removes.
    """

    created: dict[str, int]
    changed: dict[str, int]
    calls: dict[str, int]
    duration_s: float
    difference: Difference = field(default_factory=lambda: Difference(()))

    @property
    def n_calls(self) -> int:
        """All HTTP requests."""
        return sum(self.calls.values())

    def summary(self) -> str:
        """Return one sentence."""
        done = f"{sum(self.created.values())} entities created, {sum(self.changed.values())} changed"
        return f"{done}: {self.n_calls} calls in {self.duration_s:.1f} s"

    def frame(self) -> pd.DataFrame:
        """Return one row per kind: entities created, entities changed, HTTP calls."""
        kinds = dict.fromkeys(
            [*self.created, *self.changed, *(kind.replace(" ", "_") for kind in self.calls)]
        )
        calls = {kind.replace(" ", "_"): n for kind, n in self.calls.items()}
        table = [(k, self.created.get(k, 0), self.changed.get(k, 0), calls.get(k, 0)) for k in kinds]
        return pd.DataFrame(table, columns=["kind", "created", "changed", "calls"]).set_index("kind")


@dataclass(frozen=True)
class _Outcome:
    created: Counter[str]
    changed: Counter[str]
    left: tuple[Item, ...]


def populate(
    document: SeedDocument,
    hub: ControlHub,
    *,
    progress: bool = True,
    allow_foreign: bool = False,
    definition_size: DefinitionSize = "small",
    authoring_url: str | None = None,
) -> PopulateReport:
    """Create on a hub what a seed document names and the hub lacks; doing it again changes nothing.

    Parameters
    ----------
    document : SeedDocument
        Desired state, variables resolved.
    hub : ControlHub
        Session of the system administrator.
    progress : bool
        Show progress per kind on a terminal or in a notebook.
    allow_foreign : bool
        Accept organizations on the hub that the document does not name; they are left alone.
    definition_size : {"small", "production"}
        Whether commits carry library definitions of production size, about 560 kB each.
    authoring_url : str or None
        URL of an engine registered with the system administrator's organization, which pipelines name as
        their authoring engine; None names none.

    Raises
    ------
    InputError
        If the hub holds foreign organizations, or no engine has the authoring URL.
    ProcessError
        If another populate is at work on this hub.
    HubError
        If the hub refuses something; what was created stays, populating again goes on from there.
    """
    with populate_lock(hub.url):
        knowledge = Knowledge(definition_size=definition_size)
        if authoring_url:
            knowledge.authoring_engine = find_engine(hub, authoring_url)
        return _populate(document, hub, progress, allow_foreign, knowledge)


def _populate(
    document: SeedDocument, hub: ControlHub, progress: bool, allow_foreign: bool, knowledge: Knowledge
) -> PopulateReport:
    started = time.monotonic()
    calls_before = hub.calls.by_kind()
    existing = {str(row["id"]): row for row in hub.security.organizations()}
    check_organizations(document, existing, allow_foreign)
    bars = _Bars(document, progress)
    try:

        def plan(desired: Organization) -> Plan[_Outcome]:
            return _populate_organization(hub, document, desired, existing.get(desired.id), knowledge, bars)

        def on_done(index: int, outcome: _Outcome) -> None:
            organization = document.organizations[index].id
            log.info("%s: %s", organization, dict(outcome.created) or "nothing to create")

        outcomes = run_plans(map(plan, document.organizations), hub.limit.largest, on_done)
    finally:
        bars.close()
    created: Counter[str] = sum((outcome.created for outcome in outcomes), Counter())
    changed: Counter[str] = sum((outcome.changed for outcome in outcomes), Counter())
    return PopulateReport(
        created={kind: created[kind] for kind in ("organizations", *KINDS) if kind in created},
        changed=dict(changed),
        calls=hub.calls.since(calls_before),
        duration_s=time.monotonic() - started,
        difference=Difference(tuple(item for outcome in outcomes for item in outcome.left)),
    )


def _populate_organization(
    hub: ControlHub,
    document: SeedDocument,
    desired: Organization,
    row: dict[str, object] | None,
    knowledge: Knowledge,
    bars: "_Bars",
) -> Plan[_Outcome]:
    created: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    found: ObservedOrganization | None = None
    before: tuple[Item, ...] = ()
    for round in count(1):
        if row is not None:
            found = yield from observe_organization(hub, desired, row, document.provenance.random_seed)
            if found.locked:
                yield from _unlock(hub, desired, round)
                continue
            left = tuple(diff_organization(desired, found, runtime=False))
            bars.catch_up(desired, found, round)
            if left == before or round > ROUNDS or not any(_is_work(desired, item) for item in left):
                return _Outcome(created, changed, left)
            before = left
        work = Work(hub, document, desired, found, knowledge, bars.advance)
        yield from _apply(work, before)
        created += work.created
        changed += work.changed
        if not work.lost_answers and row is None:
            return _Outcome(created, changed, ())
        row = row or {"id": desired.id, "name": desired.name}
    raise AssertionError("unreachable: the rounds are bounded")


def _is_work(desired: Organization, item: Item) -> bool:
    """Whether a deviation can be dealt with: everything but entities that the seed document does not name."""
    if item.change != "extra":
        return True
    return item.kind in OWNED and any(entity.name == item.name for entity in getattr(desired, item.kind))


def _unlock(hub: ControlHub, desired: Organization, round: int) -> Plan[None]:
    """Let an organization's administrator log in, once."""
    if round > 1:
        raise AuthenticationError(
            f"{desired.users[0].id} cannot log in, though its password was reset; "
            "if the users' password is not their user id, give it with --organization-password"
        )
    yield [partial(open_administrator, hub, desired)]


def _apply(work: Work, items: tuple[Item, ...]) -> Plan[None]:
    yield from people_steps(work)
    yield from duplicate_steps(work)
    yield from change_steps(work, items)
    yield [lambda s=session: work.log_in(s) for session in work.plan_logins()]  # type: ignore[misc]
    yield from design_steps(work)
    yield from job_steps(work)
    yield from automation_steps(work)
    yield work.owner_calls()


class _Bars:
    """A progress bar per kind of entity."""

    def __init__(self, document: SeedDocument, progress: bool) -> None:
        totals = {"organizations": len(document.organizations)}
        for kind in KINDS:
            if kind != "engines":
                totals[kind] = sum(len(getattr(o, kind)) for o in document.organizations)
        disable = None if progress else True
        self._bars = {
            kind: tqdm(total=total, desc=kind.replace("_", " "), disable=disable, position=i, leave=False)
            for i, (kind, total) in enumerate((kind, total) for kind, total in totals.items() if total)
        }

    def advance(self, kind: str, n: int) -> None:
        """Count ``n`` entities of a kind as there."""
        if kind in self._bars:
            self._bars[kind].update(n)

    def catch_up(self, desired: Organization, found: ObservedOrganization, round: int) -> None:
        """Count what is there already, at the first observation of an organization."""
        if round > 1:
            return
        for kind in self._bars:
            if kind != "organizations":
                keys = {entity.key for entity in getattr(found.organization, kind)}
                self.advance(kind, sum(entity.key in keys for entity in getattr(desired, kind)))
        self.advance("organizations", 1)

    def close(self) -> None:
        """Remove the bars."""
        for bar in self._bars.values():
            bar.close()
