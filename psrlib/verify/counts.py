"""Entities per organization and kind, desired beside observed."""

from collections.abc import Iterable, Set

import msgspec
import pandas as pd

from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.words import COUNTS

JobKey = tuple[str, str]  # organization id, seed key of the job


def count_entities(organization: Organization) -> dict[str, int]:
    """Return the metrics of one organization; ``jobs`` are counted without templates."""
    jobs = [job for job in organization.jobs if not job.is_template]
    return {
        "users": len(organization.users),
        "groups": len(organization.groups),
        "engines": len(organization.engines),
        "pipelines": len(organization.pipelines),
        "jobs": len(jobs),
        "active_jobs": sum(job.status == "ACTIVE" for job in jobs),
        "job_templates": len(organization.jobs) - len(jobs),
        "scheduled_tasks": len(organization.scheduled_tasks),
        "subscriptions": len(organization.subscriptions),
        "topologies": len(organization.topologies),
        "connections": len(organization.connections),
    }


def metrics_frame(organizations: Iterable[Organization]) -> pd.DataFrame:
    """Return one row per organization: organization, archetype, then the metrics (entities)."""
    rows = [{"organization": o.id, "archetype": o.archetype, **count_entities(o)} for o in organizations]
    return pd.DataFrame(rows, columns=["organization", "archetype", *COUNTS])


def as_meant(found: Organization, desired: Organization, driven: Set[JobKey]) -> Organization:
    """Return what was found with the driven jobs in their desired status, whatever it is at this moment.

    Parameters
    ----------
    driven : set of (organization, job key)
        Jobs whose status scheduled tasks change (`psrlib.verify.tasks.driven_jobs`).
    """
    status = {job.key: job.status for job in desired.jobs if (desired.id, job.key) in driven}
    if not status:
        return found
    jobs = [msgspec.structs.replace(job, status=status.get(job.key, job.status)) for job in found.jobs]
    return msgspec.structs.replace(found, jobs=jobs)


def observed_frame(document: SeedDocument, observed: ObservedState, driven: Set[JobKey]) -> pd.DataFrame:
    """Return the metrics of the organizations found, driven jobs counted in their desired status."""
    desired = {organization.id: organization for organization in document.organizations}
    found = observed.organizations
    return metrics_frame(as_meant(o.organization, desired[id], driven) for id, o in found.items())


def desired_and_observed(
    document: SeedDocument, observed: ObservedState, driven: Set[JobKey] = frozenset()
) -> pd.DataFrame:
    """Return one row per organization and metric: organization, archetype, metric, desired, observed.

    An organization that the hub lacks counts as holding nothing.
    """
    desired = metrics_frame(document.organizations)
    found = observed_frame(document, observed, driven)
    keys = ["organization", "archetype"]
    wanted = desired.melt(keys, list(COUNTS), "metric", "desired")
    seen = found.melt(["organization"], list(COUNTS), "metric", "observed")
    table = wanted.merge(seen, how="left", on=["organization", "metric"])
    return table.fillna({"observed": 0}).astype({"desired": int, "observed": int})
