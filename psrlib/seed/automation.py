"""What acts on jobs or shows them: scheduled tasks, subscriptions and topologies of organizations."""

import numpy as np

from psrlib.arrays import IntArray
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import ranks
from psrlib.seed.document import Job, ScheduledTask, Subscription, Topology
from psrlib.seed.jobs import active_jobs
from psrlib.seed.records import Entities, build, each, first_keys, neighbours
from psrlib.seed.streams import uniform
from psrlib.seed.vocabulary import TOPOLOGY_NAMES
from psrlib.words import ACTIONS, EVENTS


def draw_tasks(chunk: Chunk, jobs: Entities[Job]) -> Entities[ScheduledTask]:
    """Draw the scheduled tasks of a chunk.

    A START task gets a job that should be ACTIVE and a STOP task one that should be INACTIVE, so that a task
    that fires leaves the job in the state the document asks for. Where an organization has no such job, the
    task takes the other action. UPGRADE may have any job: every job already runs the newest commit.
    """
    rows = chunk.rows("scheduled_tasks")
    action, cron = chunk.words("scheduled_tasks", rows, 2)
    chosen = chunk.texts("scheduled_tasks", "action", "schedule_action", rows, action)
    kind = np.array([ACTIONS.index(name) for name in chosen], dtype=np.int64)
    n_jobs, n_active = rows.spread(jobs.rows.counts), rows.spread(chunk.count("active_jobs"))
    kind = np.where((kind == 0) & (n_active == 0), 1, kind)
    kind = np.where((kind == 1) & (n_active == n_jobs), 0, kind)
    inactive = 1 - active_jobs(chunk, jobs.rows)
    active_first = np.argsort(jobs.rows.organization * 2 + inactive, kind="stable")
    first = np.where(kind == 1, n_active, 0)
    n = np.choose(kind, [n_active, n_jobs - n_active, n_jobs])
    number = chunk.inside["scheduled_tasks"]["job"] % np.maximum(n, 1)
    place = active_first[rows.spread(jobs.rows.offsets[:-1]) + first + number]
    of = each(jobs.records, place.tolist())
    actions = each(ACTIONS, kind.tolist())
    names = [f"{action.title()} {job.name}" for action, job in zip(actions, of, strict=True)]
    return build(
        ScheduledTask,
        "task",
        rows,
        name=_numbered(names, ranks(place * len(ACTIONS) + kind)),
        job=[job.key for job in of],
        action=actions,
        cron=chunk.texts("scheduled_tasks", "cron", "schedule_cron", rows, cron),
        owner=[job.owner for job in of],
    )


def draw_subscriptions(chunk: Chunk, jobs: Entities[Job]) -> Entities[Subscription]:
    """Draw the subscriptions of a chunk; where the model does not say it, one in sixteen is disabled."""
    rows = chunk.rows("subscriptions")
    event, action, job = chunk.words("subscriptions", rows, 3)
    place = rows.spread(jobs.rows.offsets[:-1]) + uniform(job, rows.spread(jobs.rows.counts))
    of = each(jobs.records, place.tolist())
    events = chunk.texts("subscriptions", "event", "subscription_event", rows, event)
    kind = np.unique(events, return_inverse=True)[1] if events else np.zeros(0, dtype=np.int64)
    names = [f"{e.replace('_', ' ').capitalize()} of {job.name}" for e, job in zip(events, of, strict=True)]
    actions = chunk.texts("subscriptions", "action", "subscription_action", rows, action)
    enabled = chunk.inside.get("subscriptions", {}).get("enabled", job & np.uint64(15))
    return build(
        Subscription,
        "subscription",
        rows,
        name=_numbered(names, ranks(place * len(EVENTS) + kind)),
        job=[job.key for job in of],
        event=events,
        action=actions,
        target=[
            "${webhook_url}" if action == "WEBHOOK" else f"admin@{organization}.example.com"
            for action, organization in zip(actions, chunk.ids(rows), strict=True)
        ],
        owner=[job.owner for job in of],
        enabled=(enabled != 0).tolist(),
    )


def draw_topologies(chunk: Chunk, jobs: Entities[Job]) -> Entities[Topology]:
    """Draw the topologies of a chunk, over 2 to 5 neighbouring jobs; the first one's owner owns it."""
    rows = chunk.rows("topologies")
    start, size = chunk.words("topologies", rows, 2)
    n_jobs = rows.spread(jobs.rows.counts)
    first_job = np.where(n_jobs > 0, rows.spread(jobs.rows.offsets[:-1]) + uniform(start, n_jobs), -1)
    owners = [*(job.owner for job in jobs.records), *first_keys("user", 1)]
    keys = first_keys("job", int(n_jobs.max(initial=0)))
    places = zip(uniform(start, n_jobs).tolist(), uniform(size, 4).tolist(), n_jobs.tolist(), strict=True)
    return build(
        Topology,
        "topology",
        rows,
        name=chunk.names("topologies", rows, TOPOLOGY_NAMES),
        owner=each(owners, first_job.tolist()),
        jobs=[neighbours(keys, first, 2 + more, n) for first, more, n in places],
    )


def _numbered(names: list[str], rank: IntArray) -> list[str]:
    """Return the names; what does the same to the same job again has a number."""
    return [
        f"{name} #{number + 1}" if number else name for name, number in zip(names, rank.tolist(), strict=True)
    ]
