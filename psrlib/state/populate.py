"""Bring a Control Hub to what a seed document says: observe, diff, apply what is missing."""

import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from psrlib.client import ControlHub
from psrlib.seed.document import SeedDocument
from psrlib.state.adoption import held, left_out
from psrlib.state.capabilities import Capabilities
from psrlib.state.changes import why_left
from psrlib.state.diff import Difference
from psrlib.state.guards import check_contents, check_organizations, find_engine
from psrlib.state.lock import populate_lock
from psrlib.state.organization import populate_organization
from psrlib.state.organization_work import DefinitionSize, Knowledge
from psrlib.state.progress import Bars
from psrlib.state.schedule import run_organizations
from psrlib.state.shared_out import populate_shared_out
from psrlib.words import KINDS


@dataclass(frozen=True)
class PopulateReport:
    """What a populate did.

    ``created`` and ``changed`` count entities per kind, ``calls`` HTTP requests per kind; ``difference`` is
    what is left: entities that the seed document does not name, which populate never removes, and what the
    hub does not let be changed. ``left_out`` is what a 4.x hub was not to hold, in words.
    """

    created: dict[str, int]
    changed: dict[str, int]
    calls: dict[str, int]
    duration_s: float
    difference: Difference = field(default_factory=lambda: Difference(()))
    left_out: str = ""

    @property
    def n_calls(self) -> int:
        """All HTTP requests."""
        return sum(self.calls.values())

    def summary(self) -> str:
        """Return one sentence."""
        done = f"{sum(self.created.values())} entities created, {sum(self.changed.values())} changed"
        return f"{done}: {self.n_calls} calls in {self.duration_s:.1f} s{self.left_out}"

    def record(self) -> dict[str, Any]:
        """Return everything as plain values; of what is left, where it is and why."""
        left = [item.record() | {"why": why_left(item)} for item in self.difference.items]
        return {
            "created": self.created,
            "changed": self.changed,
            "calls": self.calls,
            "duration_s": round(self.duration_s, 3),
            "left_out": self.left_out.removeprefix("; "),
            "left": left,
        }

    def left_frame(self) -> pd.DataFrame:
        """Return one row per deviation that is left, with why."""
        return self.difference.frame().assign(why=[why_left(item) for item in self.difference.items])

    def frame(self) -> pd.DataFrame:
        """Return one row per kind: entities created, entities changed, HTTP calls."""
        calls = {kind.replace(" ", "_"): n for kind, n in self.calls.items()}
        kinds = dict.fromkeys([*self.created, *self.changed, *calls])
        table = [(k, self.created.get(k, 0), self.changed.get(k, 0), calls.get(k, 0)) for k in kinds]
        return pd.DataFrame(table, columns=["kind", "created", "changed", "calls"]).set_index("kind")


def populate(
    document: SeedDocument,
    hub: ControlHub,
    *,
    progress: bool = True,
    allow_foreign: bool = False,
    definition_size: DefinitionSize = "small",
    authoring_url: str | None = None,
    capabilities: Capabilities | None = None,
    lock_folder: Path | None = None,
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
    capabilities : Capabilities or None
        What is known of the hub already and need not be tried.
    lock_folder : Path or None
        Where the lock against a second populate is; None means the folder for temporary files.

    Raises
    ------
    InputError
        If the hub holds foreign organizations or was populated from another seed document, or no engine has
        the authoring URL.
    ProcessError
        If another populate is at work on this hub.
    HubError
        If the hub refuses something; what was created stays, populating again goes on from there.
    """
    with ExitStack() as stack:
        stack.enter_context(populate_lock(hub, lock_folder))
        started = time.monotonic()
        calls_before = hub.calls.by_kind()
        drawn, document = document, held(document, hub)
        knowledge = Knowledge(definition_size=definition_size, owners_log_in=hub.dialect.owners_log_in)
        if capabilities is not None:
            knowledge.has_create_jobs = capabilities.create_jobs
            knowledge.has_import = capabilities.import_pipelines
            knowledge.import_adds_versions = capabilities.import_adds_versions
        if authoring_url:
            knowledge.authoring_engine = find_engine(hub, authoring_url)
        existing = hub.organizations()
        if not hub.dialect.adopts:
            check_organizations(document, existing, allow_foreign)
        if not (hub.dialect.adopts and allow_foreign):
            check_contents(document, hub, existing)
        items = [(desired, existing.get(desired.id)) for desired in document.organizations]
        if hub.crew is None:
            bars = stack.enter_context(closing(Bars(document, progress, hub.limit)))
            outcomes = run_organizations(populate_organization, hub, document, items, knowledge, bars)
        else:
            outcomes = populate_shared_out(hub.crew, hub, document, items, knowledge, progress)
    created: Counter[str] = sum((outcome.created for outcome in outcomes), Counter())
    changed: Counter[str] = sum((outcome.changed for outcome in outcomes), Counter())
    return PopulateReport(
        created={kind: created[kind] for kind in ("organizations", *KINDS) if kind in created},
        changed=dict(changed),
        calls=hub.calls.since(calls_before),
        duration_s=time.monotonic() - started,
        difference=Difference(tuple(item for outcome in outcomes for item in outcome.left)),
        left_out=left_out(drawn, document),
    )
