"""From a hub's records of one organization to rows of numbers: names and ids end here.

Columns after design.md, section 3. Owners, pipelines and jobs are numbered in an order that has no meaning.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from psrlib.client.apps import scheduler
from psrlib.client.wire import Json
from psrlib.cron import Cron
from psrlib.seed.document import Config
from psrlib.state.definitions import definition_size, read_shape
from psrlib.state.details import id_of
from psrlib.state.limits import read_config
from psrlib.state.reading import creator, hub_id, n_commits
from psrlib.words import ADMINISTRATOR_ROLE

Row = dict[str, Any]
Numbers = defaultdict[str, int]  # of ids, by order of first use
DETAILS = ("pipelines", "jobs", "scheduled_tasks", "subscriptions", "users")
OTHER = "OTHER"
TASK_ACTIONS = ("START", "STOP", "UPGRADE")
ACTION_TYPES = {"EMAIL": "EMAIL", "WEBHOOKV1": "WEBHOOK"}
JOB_STATUSES = ("ACTIVE", "INACTIVE", "ACTIVATING", "DEACTIVATING", "INACTIVE_ERROR", "ACTIVATION_ERROR")


@dataclass
class Listings:
    """What a hub answered about one organization; ``tasks`` is None when they were not read."""

    configs: list[Json] = field(default_factory=list)
    users: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    pipelines: list[Json] = field(default_factory=list)
    commits: list[Json] = field(default_factory=list)
    jobs: list[Json] = field(default_factory=list)
    tasks: list[Json] | None = None
    subscriptions: list[Json] = field(default_factory=list)
    topologies: list[Json] = field(default_factory=list)
    connections: list[Json] = field(default_factory=list)
    engines: list[Json] = field(default_factory=list)


@dataclass
class OrganizationRows:
    """One organization in numbers: its row of ``orgs.csv`` and its rows of the detail tables."""

    counts: Row
    details: dict[str, list[Row]]


def to_rows(found: Listings, shuffle: Callable[[list[Any]], None]) -> OrganizationRows:
    """Return the rows of one organization.

    Parameters
    ----------
    shuffle : callable
        Brings a list into random order, in place; rows and numbers tell nothing about age or name then.
    """
    config, unseen = read_config(found.configs)
    jobs = [job for job in found.jobs if not job.get("jobTemplate")]
    counts: Row = {
        "users": len(found.users),
        "groups": sum(not str(group["id"]).startswith("all@") for group in found.groups),
        "engines": len(found.engines),
        "pipelines": len(found.pipelines),
        "jobs": len(jobs),
        "active_jobs": sum(_status(job) == "ACTIVE" for job in jobs),
        "job_templates": len(found.jobs) - len(jobs),
        "scheduled_tasks": None if found.tasks is None else len(found.tasks),
        "subscriptions": len(found.subscriptions),
        "topologies": len(found.topologies),
        "connections": len(found.connections),
        "subscriptions_enabled": int(config.subscriptions_enabled),
    }
    limits = set(Config.__struct_fields__) - {"subscriptions_enabled"} - unseen
    counts |= {name: getattr(config, name) for name in Config.__struct_fields__ if name in limits}
    for rows in (found.pipelines, found.jobs, found.tasks or [], found.subscriptions, found.users):
        shuffle(rows)
    owner, pipeline, job_number = (Numbers(count(1).__next__) for _ in range(3))
    commits = {str(commit["commitId"]): commit for commit in found.commits}
    details = {
        "pipelines": [_pipeline(p, commits.get(str(p.get("commitId"))), owner) for p in found.pipelines],
        "jobs": [_job(job, owner, pipeline, len(found.engines)) for job in found.jobs],
        "scheduled_tasks": [_task(task, job_number) for task in found.tasks or []],
        "subscriptions": [subscription_row(subscription) for subscription in found.subscriptions],
        "users": [_user(user) for user in found.users if not _administers(user)],
    }
    return OrganizationRows(counts, details)


def _status(job: Json) -> str:
    status = str((job.get("currentJobStatus") or {}).get("status") or "INACTIVE")
    return status if status in JOB_STATUSES else OTHER


def _pipeline(row: Json, commit: Json | None, owner: Numbers) -> Row:
    columns: Row = {
        "commits": n_commits(row),
        "labels": len(row.get("pipelineLabels") or []),
        "owner": owner[str(creator(row))],
    }
    if commit is not None:
        text = commit.get("pipelineDefinition")
        shape = read_shape(text)
        columns |= {
            "stages": shape.stages,
            "parameters": len(shape.parameters),
            "labels": len(shape.labels),
            "definition_bytes": definition_size(text),
        }
    return columns


def _job(row: Json, owner: Numbers, pipeline: Numbers, n_engines: int) -> Row:
    instances = int(row.get("numInstances") or 1)
    return {
        "status": _status(row),
        "pipeline": pipeline[str(row.get("pipelineId"))],
        "owner": owner[str(creator(row))],
        "instances": instances if instances > 0 else max(1, n_engines),  # -1: one on each engine
        "engine_labels": len(row.get("labels") or []),
        "tags": len(row.get("rawJobTags") or row.get("jobTags") or []),
        "is_template": int(bool(row.get("jobTemplate"))),
    }


def _administers(user: Json) -> bool:
    return ADMINISTRATOR_ROLE in map(id_of, user.get("roles") or [])


def _user(row: Json) -> Row:
    groups = [id_of(group) for group in row.get("groups") or []]
    return {
        "roles": len(row.get("roles") or []),
        "groups": sum(not group.startswith("all@") for group in groups),
    }


def _task(row: Json, job: Numbers) -> Row:
    action = str(scheduler.action(row))
    return {
        "action": action if action in TASK_ACTIONS else OTHER,
        "period_s": period_s(str(scheduler.value(row.get("crontabMask")))),
        "job": job[str(scheduler.job_id(row))],
    }


def period_s(expression: str) -> int | None:
    """Return the mean time between two instants of a Quartz expression, s; None if it is not understood."""
    try:
        return round(Cron.parse(expression).mean_period_s())
    except ValueError:
        return None


def subscription_row(row: Json) -> Row:
    """Return event, action and state of a subscription as the hub answers it."""
    event: Json = next(iter(row.get("events") or []), {})
    action: Json = next(iter(row.get("externalActions") or []), {})
    return {
        "event": str(event.get("eventType") or OTHER),
        "action": ACTION_TYPES.get(str(action.get("eventType")), OTHER),
        "enabled": int(bool(row.get("enabled"))),
    }


def is_pipeline(row: Json, fragments: Sequence[Json]) -> bool:
    """Whether a row of the pipeline listing is a pipeline and no fragment."""
    return not row.get("fragment") and hub_id("pipelines", row) not in {
        hub_id("fragments", fragment) for fragment in fragments
    }
