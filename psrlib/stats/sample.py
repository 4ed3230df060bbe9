"""A synthetic stats set: five kinds of tenants, by processes that are not of the noise model's own family.

Nobody publishes jobs per Control Hub organization, so kinds and parameters are chosen, informed by published
figures of neighbours: jobs per active tenant spread lognormally with sigma 1.2 to 1.7, a Pareto tail of index
1.1 to 1.6 for the largest, most tenants idle or on trial (surveys of workflow schedulers, filings of
subscription services, IFTTT, cluster traces). Counts come from growth and binomial thinning: jobs from a
tenant's size, active jobs by keeping each job with the tenant's own probability, and so on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psrlib.arrays import IntArray
from psrlib.stats.reading import StatsSet
from psrlib.words import ACTIONS, EVENTS

N_ORGANIZATIONS = 2000
RANDOM_SEED = 1907


@dataclass(frozen=True)
class Kind:
    """A kind of tenant; sizes are natural logarithms of jobs, shares and chances are probabilities."""

    share: float
    size: float
    size_spread: float
    idle: float  # no job at all
    active: tuple[float, float]  # Beta parameters of the share of active jobs
    pipelines_per_job: float
    task_chance: float
    subscription_chance: float
    template_share: float
    tier: tuple[float, float, float]  # chances of the small, middle and large plan


KINDS = {
    "trial": Kind(0.34, 0.3, 0.6, 0.35, (2, 2), 1.4, 0.06, 0.05, 0.0, (0.92, 0.08, 0.0)),
    "abandoned": Kind(0.14, 1.3, 0.8, 0.1, (0.4, 8), 1.3, 0.12, 0.08, 0.02, (0.6, 0.38, 0.02)),
    "team": Kind(0.35, 2.5, 0.75, 0.0, (6, 3), 1.1, 0.4, 0.35, 0.05, (0.2, 0.72, 0.08)),
    "power": Kind(0.155, 4.0, 0.6, 0.0, (9, 3), 0.7, 0.7, 0.65, 0.12, (0.0, 0.5, 0.5)),
    "giant": Kind(0.015, 5.2, 0.0, 0.0, (9, 2.5), 0.5, 0.95, 0.9, 0.15, (0.0, 0.0, 1.0)),
}
GIANT_TAIL = 1.6  # Pareto index of the size of giants
LARGEST_SIZE = 7.6  # natural logarithm of the most jobs a tenant has: about 2,000
TIERS = {  # plan limits of the small, middle and large plan
    "max_users": (10, 50, 1000),
    "max_engines": (5, 25, 500),
    "max_pipelines": (100, 500, 10000),
    "max_jobs": (50, 500, 10000),
}


def make_sample(n_organizations: int = N_ORGANIZATIONS, random_seed: int = RANDOM_SEED) -> StatsSet:
    """Return a synthetic stats set with all detail tables; ``meta`` says that it is synthetic."""
    rng = np.random.default_rng(random_seed)
    organizations = _organizations(rng, n_organizations)
    meta = {"source": "synthetic", "collected_on": "", "anonymization": {}, "random_seed": random_seed}
    organizations.insert(0, "org", [f"o{number:05d}" for number in rng.permutation(n_organizations)])
    details = {}
    for table, columns in DETAILS.items():
        tenant = organizations.loc[organizations.index.repeat(organizations[table])].reset_index(drop=True)
        details[table] = pd.DataFrame({"org": tenant["org"], **columns(rng, tenant)})
    return StatsSet(organizations, details, meta)


def _organizations(rng: np.random.Generator, n: int) -> pd.DataFrame:
    kinds = list(KINDS.values())
    kind = rng.choice(len(kinds), n, p=[k.share for k in kinds])

    def of(attribute: str) -> NDArray[np.float64]:
        return np.array([getattr(k, attribute) for k in kinds], dtype=float)[kind]

    size = rng.normal(of("size"), of("size_spread"))
    giant = kind == list(KINDS).index("giant")
    size = np.minimum(np.where(giant, size + rng.exponential(1 / GIANT_TAIL, n), size), LARGEST_SIZE)
    tier = np.array([rng.choice(3, p=kinds[k].tier) for k in kind])
    limits = {name: np.array(values)[tier] for name, values in TIERS.items()}
    jobs = np.where(rng.random(n) < of("idle"), 0, rng.poisson(np.exp(size)))
    jobs = np.minimum(np.maximum(jobs, (~(of("idle") > 0)).astype(int)), limits["max_jobs"])
    spread = rng.gamma(5.0, 1 / 5.0, n)  # how many pipelines a tenant keeps per job differs between tenants
    pipelines = np.minimum(
        (jobs > 0) + rng.poisson(jobs * of("pipelines_per_job") * spread), limits["max_pipelines"]
    )
    active_share = np.array([rng.beta(*kinds[k].active) for k in kind])
    users = 1 + rng.negative_binomial(1.6, 1.6 / (1.6 + np.exp(0.5 * size + 0.1)))
    users = np.minimum(users, limits["max_users"])
    active_jobs = rng.binomial(jobs, active_share)
    engines = np.maximum(rng.poisson(0.4 + np.exp(0.5 * size - 0.8)), active_jobs > 0)  # to run on
    scheduling = (rng.random(n) < of("task_chance")) & (jobs > 0)
    tasks = np.where(scheduling, 1 + rng.binomial(jobs, rng.beta(1.2, 8, n)), 0)
    subscribing = (rng.random(n) < of("subscription_chance")) & (jobs > 0)
    subscriptions = np.where(subscribing, rng.geometric(0.35, n), 0)
    return pd.DataFrame(
        {
            "users": users,
            "groups": rng.binomial(users, 0.12) + ((users > 8) & (rng.random(n) < 0.5)),
            "engines": np.minimum(engines, limits["max_engines"]),
            "pipelines": pipelines,
            "jobs": jobs,
            "active_jobs": active_jobs,
            "job_templates": rng.binomial(pipelines, of("template_share")),
            "scheduled_tasks": tasks,
            "subscriptions": subscriptions,
            "topologies": np.where(jobs > 0, rng.poisson(np.where(of("size") > 3, 2.5, 0.15)), 0),
            "connections": rng.negative_binomial(1.0, 1 / (1 + np.exp(0.35 * size - 0.8))),
            "subscriptions_enabled": ((subscriptions > 0) | (rng.random(n) < 0.3)).astype(int),
            **limits,
        }
    )


def _concentrated(rng: np.random.Generator, n_choices: "pd.Series[int]") -> IntArray:
    """Return a choice per entity, low numbers far more often: few users own most of the work."""
    n = n_choices.to_numpy()
    return np.minimum((n * rng.random(len(n)) ** 2.5).astype(np.int64), n - 1)


# Columns of the detail tables but the organization's key, from the row of its tenant for each entity
def _pipelines(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    stages = 1 + rng.geometric(0.26, n)
    parameters = np.where(rng.random(n) < 0.6, 0, rng.negative_binomial(2.0, 0.25, n))
    return {
        "stages": stages,
        "commits": np.minimum(1 + rng.negative_binomial(0.9, 0.22, n), 60),
        "labels": rng.binomial(3, 0.2, n),
        "parameters": parameters,
        "definition_bytes": 9000 + 1900 * stages + rng.integers(0, 4000, n),
        "owner": _concentrated(rng, tenant["users"]),
    }


def _jobs(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    active = tenant.groupby("org", sort=False).cumcount() < tenant["active_jobs"]
    return {
        "status": np.where(active, "ACTIVE", "INACTIVE"),
        "pipeline": _concentrated(rng, tenant["pipelines"]),
        "owner": _concentrated(rng, tenant["users"]),
        "instances": 1 + (rng.random(n) < 0.06) + (rng.random(n) < 0.02),
        "engine_labels": 1 + rng.binomial(2, 0.1, n),
        "tags": rng.binomial(3, 0.15, n),
        "is_template": 0,
    }


def _scheduled_tasks(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    periods = [300, 3600, 21600, 43200, 86400, 604800, 2592000]
    return {
        "action": rng.choice(ACTIONS, len(tenant), p=[0.78, 0.17, 0.05]),
        "period_s": rng.choice(periods, len(tenant), p=[0.02, 0.03, 0.11, 0.11, 0.55, 0.08, 0.1]),
        "job": _concentrated(rng, tenant["jobs"]),
    }


def _subscriptions(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    return {
        "event": rng.choice(EVENTS, n, p=[0.62, 0.23, 0.15]),
        "action": rng.choice(["WEBHOOK", "EMAIL"], n, p=[0.7, 0.3]),
        "enabled": (rng.random(n) < 0.9).astype(int),
    }


DETAILS = {
    "pipelines": _pipelines,
    "jobs": _jobs,
    "scheduled_tasks": _scheduled_tasks,
    "subscriptions": _subscriptions,
}
