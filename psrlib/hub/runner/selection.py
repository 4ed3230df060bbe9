"""Which engines run a job: labels, responding, thresholds, then the fewest running pipelines."""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select

from psrlib.hub.call import load
from psrlib.hub.names import GONE
from psrlib.hub.runner.work import Work
from psrlib.hub.schema.execution import engines, instances


@dataclass(frozen=True)
class Choice:
    """Engines found for a job.

    ``chosen`` are in order of preference; ``n_matching`` counts responding engines with all labels, whatever
    their load: when it is positive and ``chosen`` is short, thresholds are the reason.
    """

    chosen: list[Row[Any]]
    n_matching: int


def engine_labels(engine: Row[Any]) -> set[str]:
    """Return the labels an engine answers to: assigned in the hub and reported by it."""
    return {*load(engine.labels), *load(engine.reported_labels)}


def pipelines_running(work: Work, organization: str) -> dict[str, int]:
    """Return the number of pipeline instances per engine that are starting, running or stopping."""
    statement = (
        select(instances.c.engine_id, func.count())
        .where(instances.c.phase != GONE, instances.c.organization == organization)
        .group_by(instances.c.engine_id)
    )
    return {engine_id: int(n) for engine_id, n in work.db.execute(statement)}


def choose_engines(work: Work, job: Row[Any], n_wanted: int, excluded: set[str]) -> Choice:
    """Return up to ``n_wanted`` engines for a job (-1: all), least loaded first.

    Ties are broken by a digest of job and engine id, so that equal engines share jobs evenly.
    """
    statement = select(engines).where(
        engines.c.organization == job.organization, engines.c.executor_type == job.executor_type
    )
    heartbeat_ms = work.heartbeat_ms(job.organization)
    wanted = set(load(job.labels))
    matching = [
        engine
        for engine in work.db.execute(statement)
        if wanted <= engine_labels(engine) and work.is_responding(engine, heartbeat_ms)
    ]
    load_of = pipelines_running(work, job.organization)
    free = [e for e in matching if e.id not in excluded and _below_thresholds(e, load_of.get(e.id, 0))]
    free.sort(key=lambda engine: (load_of.get(engine.id, 0), _tie(job.id, engine.id)))
    return Choice(free if n_wanted < 0 else free[:n_wanted], len(matching))


def _below_thresholds(engine: Row[Any], n_running: int) -> bool:
    used = 100.0 * engine.used_memory / engine.total_memory if engine.total_memory else 0.0
    return bool(
        n_running < engine.max_pipelines
        and engine.cpu_load <= engine.max_cpu_load
        and used <= engine.max_memory_used
    )


def _tie(job_id: str, engine_id: str) -> bytes:
    return hashlib.blake2b(f"{job_id}/{engine_id}".encode(), digest_size=8).digest()
