"""Entities per organization and kind, desired beside observed."""

from collections.abc import Iterable

import pandas as pd

from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observed import ObservedState

# In the words and the order of the noise model (design.md, section 3).
METRICS = (
    "users",
    "groups",
    "engines",
    "pipelines",
    "jobs",
    "active_jobs",
    "job_templates",
    "scheduled_tasks",
    "subscriptions",
    "topologies",
    "connections",
)


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
    return pd.DataFrame(rows, columns=["organization", "archetype", *METRICS])


def desired_and_observed(document: SeedDocument, observed: ObservedState) -> pd.DataFrame:
    """Return one row per organization and metric: organization, archetype, metric, desired, observed.

    An organization that the hub lacks counts as holding nothing.
    """
    desired = metrics_frame(document.organizations)
    found = metrics_frame(o.organization for o in observed.organizations.values())
    keys = ["organization", "archetype"]
    wanted = desired.melt(keys, list(METRICS), "metric", "desired")
    seen = found.melt(["organization"], list(METRICS), "metric", "observed")
    table = wanted.merge(seen, how="left", on=["organization", "metric"])
    return table.fillna({"observed": 0}).astype({"desired": int, "observed": int})
