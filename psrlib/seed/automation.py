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

ACTIONS = ("START", "STOP", "UPGRADE")


def draw_tasks(chunk: Chunk, jobs: Entities[Job]) -> Entities[ScheduledTask]:
    """Draw the scheduled tasks of a chunk.

    A START task gets a job that should be ACTIVE and a STOP task one that should be INACTIVE, so that a task
    that fires leaves the job in the state the document asks for. Where an organization has no such job, the
    task takes the other action. UPGRADE may have any job: every job already runs the newest commit.
    """
    rows = chunk.rows("scheduled_tasks")
    owner, action, job, cron = chunk.words("scheduled_tasks", rows, 4)
    kinds = np.array(
        [ACTIONS.index(name) for name in chunk.details("schedule_action").values], dtype=np.int64
    )
    kind = kinds[chunk.look_up("schedule_action", rows, action)]
    n_jobs, n_active = rows.spread(jobs.rows.counts), rows.spread(chunk.count("active_jobs"))
    kind = np.where((kind == 0) & (n_active == 0), 1, kind)
    kind = np.where((kind == 1) & (n_active == n_jobs), 0, kind)
    inactive = 1 - active_jobs(chunk, jobs.rows)
    active_first = np.argsort(jobs.rows.organization * 2 + inactive, kind="stable")
    first = np.where(kind == 1, n_active, 0)
    n = np.choose(kind, [n_active, n_jobs - n_active, n_jobs])
    place = active_first[rows.spread(jobs.rows.offsets[:-1]) + first + uniform(job, n)]
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
        cron=chunk.values("schedule_cron", rows, cron),
        owner=chunk.owners(rows, owner),
    )


def draw_subscriptions(chunk: Chunk, jobs: Entities[Job]) -> Entities[Subscription]:
    """Draw the subscriptions of a chunk; one in sixteen is disabled."""
    rows = chunk.rows("subscriptions")
    owner, event, action, job = chunk.words("subscriptions", rows, 4)
    place = rows.spread(jobs.rows.offsets[:-1]) + uniform(job, rows.spread(jobs.rows.counts))
    of = each(jobs.records, place.tolist())
    events = chunk.details("subscription_event").values
    kind = chunk.look_up("subscription_event", rows, event)
    titles = [events[i].replace("_", " ").capitalize() for i in kind.tolist()]
    names = [f"{title} of {job.name}" for title, job in zip(titles, of, strict=True)]
    actions = chunk.values("subscription_action", rows, action)
    return build(
        Subscription,
        "subscription",
        rows,
        name=_numbered(names, ranks(place * len(events) + kind)),
        job=[job.key for job in of],
        event=each(events, kind.tolist()),
        action=actions,
        target=[
            "${webhook_url}" if action == "WEBHOOK" else f"admin@{organization}.example.com"
            for action, organization in zip(actions, chunk.ids(rows), strict=True)
        ],
        owner=chunk.owners(rows, owner),
        enabled=(job & np.uint64(15) != 0).tolist(),
    )


def draw_topologies(chunk: Chunk, jobs: Entities[Job]) -> Entities[Topology]:
    """Draw the topologies of a chunk, over 2 to 5 neighbouring jobs."""
    rows = chunk.rows("topologies")
    owner, start, size = chunk.words("topologies", rows, 3)
    n_jobs = rows.spread(jobs.rows.counts)
    keys = first_keys("job", int(n_jobs.max(initial=0)))
    places = zip(uniform(start, n_jobs).tolist(), uniform(size, 4).tolist(), n_jobs.tolist(), strict=True)
    return build(
        Topology,
        "topology",
        rows,
        name=chunk.names("topologies", rows, TOPOLOGY_NAMES),
        owner=chunk.owners(rows, owner),
        jobs=[neighbours(keys, first, 2 + more, n) for first, more, n in places],
    )


def _numbered(names: list[str], rank: IntArray) -> list[str]:
    """Return the names; what does the same to the same job again has a number."""
    return [
        f"{name} #{number + 1}" if number else name for name, number in zip(names, rank.tolist(), strict=True)
    ]
