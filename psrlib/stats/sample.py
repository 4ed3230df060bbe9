"""A synthetic stats set: five kinds of tenants, by processes that are not of the noise model's own family.

Nobody publishes jobs per Control Hub organization, so kinds and parameters are chosen, informed by published
figures of neighbours: jobs per active tenant spread lognormally with sigma 1.2 to 1.7, a Pareto tail of index
1.1 to 1.6 for the largest, most tenants idle or on trial (surveys of workflow schedulers, filings of
subscription services, IFTTT, cluster traces). Counts come from growth and binomial thinning: jobs from a
tenant's size, active jobs by keeping each job with the tenant's own probability, and so on. What is inside
follows each tenant's habits.
"""

from collections.abc import Sequence
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
PERIODS_S = (300, 3600, 21600, 43200, 86400, 604800, 2592000)  # of scheduled tasks, and how often each
PERIOD_SHARES = (0.02, 0.03, 0.11, 0.11, 0.55, 0.08, 0.1)
ROLES = (13, 11, 8, 5, 3)  # how many a user has, and how often
ROLE_SHARES = (0.3, 0.2, 0.2, 0.2, 0.1)
EVENT_SHARES = (0.62, 0.23, 0.15)


def make_sample(n_organizations: int = N_ORGANIZATIONS, random_seed: int = RANDOM_SEED) -> StatsSet:
    """Return a synthetic stats set with all detail tables; ``meta`` says that it is synthetic."""
    rng = np.random.default_rng(random_seed)
    organizations = _organizations(rng, n_organizations)
    meta = {"source": "synthetic", "collected_on": "", "anonymization": {}, "random_seed": random_seed}
    organizations.insert(0, "org", [f"o{number:05d}" for number in rng.permutation(n_organizations)])
    details = {}
    tenants = pd.concat([organizations, _habits(rng, organizations)], axis=1)
    for table, columns in DETAILS.items():
        administrators = int(table == "users")  # one of each organization's users, not in the table
        counts = (organizations[table] - administrators).clip(lower=0)
        tenant = tenants.loc[tenants.index.repeat(counts)].reset_index(drop=True)
        tenant["index"] = tenant.groupby("org", sort=False).cumcount()
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


def _habits(rng: np.random.Generator, organizations: pd.DataFrame) -> pd.DataFrame:
    """Return what each tenant's people are used to, one row per organization.

    Tenants differ inside, and more so than their sizes tell: one builds long pipelines with parameters and
    commits often, another has a copy of one pipeline per table. Spreads are chosen so that between tenants
    lies 0.2 to 0.5 of the variance of (logarithms of) stages, parameters and commits; among 323 public
    pipelines it is 0.22 of stages and 0.51 of parameters by owner.
    """
    n = len(organizations)
    size = np.log1p(organizations["jobs"].to_numpy())
    skill = rng.normal(0, 1, n) + 0.25 * (size - size.mean())
    return pd.DataFrame(
        {
            "stages": np.exp(0.85 + 0.42 * skill + rng.normal(0, 0.25, n)),
            "parameterized": rng.beta(0.5, 0.9, n) * (0.5 + 0.5 * (skill > -0.3)),
            "parameters": np.exp(1.2 + 0.5 * rng.normal(0, 1, n) + 0.2 * skill),
            "commits": np.exp(0.4 + 0.55 * rng.normal(0, 1, n) + 0.3 * skill),
            "labels": rng.choice(4, n, p=[0.5, 0.25, 0.17, 0.08]),
            "follows_labels": rng.beta(4, 1.2, n),
            "wordy": np.exp(rng.normal(0, 0.25, n)),
            "owner_power": 1 + rng.gamma(1.2, 1.2, n),
            "one_job_each": rng.beta(0.7, 0.5, n),
            "reuse_power": 1 + rng.gamma(1.5, 1.0, n),
            "scaled_out": np.where(rng.random(n) < 0.25, rng.beta(1.5, 3, n), 0.01),
            "engine_labels": 1 + rng.choice(3, n, p=[0.7, 0.22, 0.08]),
            "tags": rng.choice(4, n, p=[0.55, 0.22, 0.15, 0.08]),
            "pairs": rng.random(n) < 0.35,
            "period": rng.choice(len(PERIODS_S), n, p=PERIOD_SHARES),
            "event": rng.choice(len(EVENTS), n, p=EVENT_SHARES),
            "mails": rng.beta(0.5, 1.2, n),
            "enabled": rng.beta(6, 0.7, n),
        },
    )


def _concentrated(rng: np.random.Generator, n: IntArray, power: NDArray[np.float64]) -> IntArray:
    """Return a choice of 0 to n - 1 per entity; with a power above 1 low numbers come far more often."""
    return np.minimum((n * rng.random(len(n)) ** power).astype(np.int64), n - 1)


def _favourite(rng: np.random.Generator, own: IntArray, shares: Sequence[float], loyalty: float) -> IntArray:
    """Return the tenant's own choice with the chance ``loyalty``, else any by its share."""
    any_choice = rng.choice(len(shares), len(own), p=shares)
    return np.where(rng.random(len(own)) < loyalty, own, any_choice)


# Columns of the detail tables but the organization's key, from the row of its tenant for each entity: counts
# and habits, and ``index``, the entity's number in its organization
def _pipelines(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    stages = 2 + rng.negative_binomial(2.0, 2.0 / (2.0 + tenant["stages"].to_numpy()))
    mean = tenant["parameters"].to_numpy() * np.sqrt(stages / 4)
    has_parameters = rng.random(n) < tenant["parameterized"].to_numpy()
    parameters = np.where(has_parameters, 1 + rng.negative_binomial(3.0, 3.0 / (3.0 + mean)), 0)
    worked = tenant["commits"].to_numpy() * (stages / 4) ** 0.6
    labels = np.where(rng.random(n) < tenant["follows_labels"], tenant["labels"], rng.binomial(3, 0.25, n))
    size = 9000 + 1900 * stages * tenant["wordy"].to_numpy() + 120 * parameters
    return {
        "stages": stages,
        "commits": np.minimum(1 + rng.negative_binomial(1.2, 1.2 / (1.2 + worked)), 90),
        "labels": labels,
        "parameters": parameters,
        "definition_bytes": (size * np.exp(rng.normal(0, 0.12, n))).astype(np.int64),
        "owner": _concentrated(rng, tenant["users"].to_numpy(), tenant["owner_power"].to_numpy()),
    }


def _jobs(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    pipelines = tenant["pipelines"].to_numpy()
    reused = _concentrated(rng, pipelines, tenant["reuse_power"].to_numpy())
    own = rng.random(n) < tenant["one_job_each"].to_numpy()
    more_labels = rng.random(n) < 0.1
    return {
        "status": np.where(tenant["index"] < tenant["active_jobs"], "ACTIVE", "INACTIVE"),
        "pipeline": np.where(own, tenant["index"] % np.maximum(pipelines, 1), reused),
        "owner": _concentrated(rng, tenant["users"].to_numpy(), tenant["owner_power"].to_numpy()),
        "instances": 1 + (rng.random(n) < tenant["scaled_out"]) * rng.geometric(0.6, n),
        "engine_labels": np.where(more_labels, 1 + rng.binomial(2, 0.3, n), tenant["engine_labels"]),
        "tags": np.where(rng.random(n) < 0.75, tenant["tags"], rng.binomial(3, 0.3, n)),
        "is_template": 0,
    }


def _scheduled_tasks(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    jobs, index = tenant["jobs"].to_numpy(), tenant["index"].to_numpy()
    start = 7 * jobs // 11  # not the first job
    paired = (start + index // 2) % np.maximum(jobs, 1)
    action = np.where(tenant["pairs"], index % 2, rng.choice(3, n, p=[0.78, 0.17, 0.05]))
    return {
        "action": np.array(ACTIONS)[action],
        "period_s": np.array(PERIODS_S)[_favourite(rng, tenant["period"].to_numpy(), PERIOD_SHARES, 0.7)],
        "job": np.where(tenant["pairs"], paired, _concentrated(rng, jobs, np.full(n, 1.5))),
    }


def _subscriptions(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n = len(tenant)
    return {
        "event": np.array(EVENTS)[_favourite(rng, tenant["event"].to_numpy(), EVENT_SHARES, 0.6)],
        "action": np.where(rng.random(n) < tenant["mails"], "EMAIL", "WEBHOOK"),
        "enabled": (rng.random(n) < tenant["enabled"]).astype(int),
    }


def _users(rng: np.random.Generator, tenant: pd.DataFrame) -> dict[str, Any]:
    n, organization = len(tenant), tenant.groupby("org", sort=False).ngroup().to_numpy()
    n_organizations = int(organization.max()) + 1
    usual_role = rng.choice(len(ROLES), n_organizations, p=ROLE_SHARES)[organization]
    loyalty = rng.beta(2, 1, n_organizations)[organization]
    usual_groups = rng.choice(4, n_organizations, p=[0.3, 0.4, 0.2, 0.1])[organization]
    groups = np.where(rng.random(n) < loyalty, usual_groups, rng.binomial(2, 0.4, n))
    roles = np.array(ROLES)[_favourite(rng, usual_role, ROLE_SHARES, 0.5)]
    return {"roles": roles, "groups": np.minimum(groups, tenant["groups"])}


DETAILS = {
    "pipelines": _pipelines,
    "jobs": _jobs,
    "scheduled_tasks": _scheduled_tasks,
    "subscriptions": _subscriptions,
    "users": _users,
}
