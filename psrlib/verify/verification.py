"""Compare a hub with its seed document: exactly, structurally and, with a noise model, statistically."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from psrlib.client import ControlHub
from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.seed import seed_sha256
from psrlib.seed.document import SeedDocument
from psrlib.state import diff, held, observe
from psrlib.state.adoption import as_drawn, left_out
from psrlib.state.diff import Difference
from psrlib.state.guards import content_names, describe, is_other_content
from psrlib.state.observed import ObservedState
from psrlib.verify.check import Check
from psrlib.verify.counts import JobKey, desired_and_observed, observed_frame
from psrlib.verify.exact import exact_checks
from psrlib.verify.report import Subject, VerificationReport
from psrlib.verify.spread import pipelines_per_engine, spread_tests
from psrlib.verify.statistics import (
    auc_check,
    distance_check,
    distance_table,
    draw_reference,
    inside_check,
)
from psrlib.verify.structure import engine_check, foreign_check, job_checks, spread_check
from psrlib.verify.tasks import Run, driven_jobs, history_check, read_histories

COLUMNS = ["organization", "archetype", "key", "name", "desired", "status", "color", "run_count", "driven"]


def verify(document: SeedDocument, hub: ControlHub, model: NoiseModel | None = None) -> VerificationReport:
    """Verify a hub against a seed document; reads only.

    Parameters
    ----------
    document : SeedDocument
        Variables resolved.
    hub : ControlHub
        Session of a system administrator.
    model : NoiseModel or None
        Also compare the organizations found with the noise model.

    Raises
    ------
    InputError
        If the hub holds the organizations of another seed document, or none of this one.
    HubError
        If the hub does not answer or refuses.
    """
    started, before = time.monotonic(), hub.calls.by_kind()
    drawn, document = document, held(document, hub)
    observed = observe(document, hub)
    _refuse_other_hub(document, observed, hub.url)
    return judge_state(
        document,
        observed,
        Subject(
            hub=hub.url,
            hub_version=hub.server_version(),
            verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
            random_seed=document.provenance.random_seed,
            num_orgs=document.provenance.num_orgs,
            model=document.provenance.model,
            model_sha256=document.provenance.model_sha256,
            seed_sha256=seed_sha256(drawn),
            left_out=left_out(drawn, document),
        ),
        drawn=drawn,
        histories=read_histories(document, hub, observed),
        model=model,
        calls=hub.calls.since(before),
        duration_s=time.monotonic() - started,
    )


def judge_state(
    document: SeedDocument,
    observed: ObservedState,
    subject: Subject,
    *,
    drawn: SeedDocument | None = None,
    histories: Mapping[JobKey, Sequence[Run]] | None = None,
    model: NoiseModel | None = None,
    calls: Mapping[str, int] | None = None,
    duration_s: float = 0.0,
) -> VerificationReport:
    """Judge a state that was observed already; needs no hub.

    Parameters
    ----------
    document : SeedDocument
        What the hub is to hold.
    drawn : SeedDocument or None
        The seed document as it was drawn, where the hub is to hold less of it (`psrlib.state.held`).
    histories
        Runs of the driven jobs.
    """
    driven = driven_jobs(document)
    difference = without_status(diff(document, observed), document, driven)
    engines = pipelines_per_engine(document, observed)
    spread = spread_tests(engines)
    results: list[Check] = [
        foreign_check(observed),
        *exact_checks(document, difference),
        *job_checks(document, observed, driven),
        history_check(document, histories or {}),
        engine_check(document, observed),
        spread_check(spread),
    ]
    distances = reference = pd.DataFrame()
    if model is not None and observed.organizations:
        whole = _as_drawn(observed, drawn or document)
        found = observed_frame(document, whole, driven)
        reference = draw_reference(model, document.provenance.random_seed)
        rng = np.random.default_rng(document.provenance.random_seed % 2**64)
        distances = distance_table(found, reference, rng)
        insides = [one.organization for one in whole.organizations.values()]
        results += [
            distance_check(distances),
            auc_check(found, reference, rng),
            inside_check(insides, model, document.provenance.random_seed, rng),
        ]
    return VerificationReport(
        subject=subject,
        results=tuple(results),
        difference=difference,
        counts=desired_and_observed(document, observed, driven),
        jobs=jobs_frame(document, observed, driven),
        engines=engines,
        spread=spread,
        distances=distances,
        model_counts=reference,
        calls=calls or {},
        duration_s=duration_s,
    )


def _as_drawn(observed: ObservedState, drawn: SeedDocument) -> ObservedState:
    """Return a state to be compared with the noise model."""
    organizations = {o.id: o for o in drawn.organizations}
    whole = {
        id: replace(one, organization=as_drawn(one.organization, organizations[id]))
        for id, one in observed.organizations.items()
    }
    return replace(observed, organizations=whole)


def _refuse_other_hub(document: SeedDocument, observed: ObservedState, url: str) -> None:
    """Raise InputError when the hub was not populated from this document at all."""
    wanted = document.organizations
    if not wanted:
        return
    origin = describe(document)
    if not observed.organizations:
        others = f"; it holds {len(observed.foreign)} others" if observed.foreign else ""
        raise InputError(
            f"{url} holds no organization of {origin}{others}; populate it first, or verify another address"
        )
    found = observed.organizations
    desired = content_names(o for o in wanted if o.id in found)
    if is_other_content(desired, content_names(o.organization for o in found.values())):
        raise InputError(
            f"{url} holds organizations with these ids but another content than {origin} says; "
            "it was populated from another seed document"
        )


def without_status(
    difference: Difference, document: SeedDocument, excused: set[tuple[str, str]]
) -> Difference:
    """Return the difference without the momentary status of some jobs."""
    names = {
        (organization.id, job.name)
        for organization in document.organizations
        for job in organization.jobs
        if (organization.id, job.key) in excused
    }
    kept = (
        item
        for item in difference.items
        if (item.kind, item.field) != ("jobs", "status") or (item.organization, item.name) not in names
    )
    return Difference(tuple(kept))


def jobs_frame(document: SeedDocument, observed: ObservedState, driven: set[tuple[str, str]]) -> pd.DataFrame:
    """Return one row per job of the document, without templates, with its desired and observed status."""
    rows = []
    for organization in document.organizations:
        found = observed.organizations.get(organization.id)
        for job in organization.jobs:
            if job.is_template:
                continue
            run = found.jobs.get(job.key) if found else None
            seen = (run.status or "INACTIVE", run.color, run.run_count) if run else ("MISSING", None, 0)
            is_driven = (organization.id, job.key) in driven
            named = (organization.id, organization.archetype, job.key, job.name, job.status)
            rows.append((*named, *seen, is_driven))
    return pd.DataFrame(rows, columns=COLUMNS)
