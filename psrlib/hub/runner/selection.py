"""Which engines run a job: labels, responding, thresholds, then the fewest running pipelines."""

import hashlib

from sqlalchemy import Connection, bindparam, func, select

from psrlib.hub.runner import words
from psrlib.hub.runner.decisions import engine_labels
from psrlib.hub.runner.entities import Engine, Job
from psrlib.hub.runner.pool import Choice, Pool
from psrlib.hub.runner.work import RunnerWork, heartbeat_ms
from psrlib.hub.store.queries import Query
from psrlib.hub.store.schema.execution import engines, instances

LOADS = Query(
    select(instances.c.engine_id, func.count().label("n"))
    .where(instances.c.phase != words.GONE, instances.c.organization == bindparam("org"))
    .group_by(instances.c.engine_id)
)

STAYING = LOADS.where(instances.c.phase != words.STOPPING)


def pipelines_running(db: Connection, organization: str) -> dict[str, int]:
    """Return the number of pipeline instances per engine that are starting, running or stopping."""
    return {row.engine_id: int(row.n) for row in LOADS.rows(db, org=organization)}


def pipelines_staying(db: Connection, organization: str) -> dict[str, int]:
    """Return the number of pipeline instances per engine that nobody stops."""
    return {row.engine_id: int(row.n) for row in STAYING.rows(db, org=organization)}


def choose_engines(work: RunnerWork, job: Job, n_wanted: int, excluded: set[str]) -> Choice:
    """Return up to ``n_wanted`` engines for a job (-1: all), least loaded first.

    Among equally loaded engines a digest of the job's id decides where to begin, so that they share jobs
    evenly. Engines and their loads are read once per piece of work, whatever the number of jobs.
    """
    start = int.from_bytes(hashlib.blake2b(job.id.encode(), digest_size=8).digest())
    return _pool(work, job).choose(n_wanted, excluded, start)


def note_load(work: RunnerWork, organization: str, engine_id: str, change: int) -> None:
    """Keep what is remembered of loads right after a pipeline came to an engine (1) or left it (-1)."""
    for (owner, _, _), pool in work.pools.items():
        if owner == organization:
            pool.move(engine_id, change)


def _pool(work: RunnerWork, job: Job) -> Pool:
    key = (job.organization, job.executor_type, tuple(job.labels))
    pool = work.pools.get(key)
    if pool is not None:
        return pool
    mine = (engines.c.organization == job.organization, engines.c.executor_type == job.executor_type)
    silence_ms = heartbeat_ms(work.hub, work.db, job.organization)
    wanted, is_responding = set(job.labels), work.hub.contacts.is_responding
    matching = [
        engine
        for engine in work.find(Engine, *mine)
        if wanted <= engine_labels(engine)
        and is_responding(engine.id, work.now, silence_ms, engine.last_reported_time)
    ]
    pool = Pool(matching, {engine.id: engine for engine in matching if _has_resources(engine)})
    pool.fill(pipelines_running(work.db, job.organization))  # what was changed was written by find
    work.pools[key] = pool
    return pool


def _has_resources(engine: Engine) -> bool:
    used = 100.0 * engine.used_memory / engine.total_memory if engine.total_memory else 0.0
    return engine.cpu_load <= engine.max_cpu_load and used <= engine.max_memory_used
