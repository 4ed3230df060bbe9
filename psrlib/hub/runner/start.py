"""Starting jobs: a run for each, its pipelines on engines, and no more runs than an organization keeps."""

import uuid
from collections import defaultdict

from sqlalchemy import bindparam, func, select

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import words
from psrlib.hub.runner.entities import Commit, Job, Run
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.runner.writer import apply, note_status
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import any_of
from psrlib.hub.store.schema.execution import engine_events, instances, metrics, run_events, runs
from psrlib.hub.store.text import Json, load
from psrlib.hub.web.issues import IssueError, bad_request

TOO_MANY = any_of(
    lambda ids: (
        select(runs.c.job_id, func.count().label("n"))
        .where(runs.c.job_id.in_(ids))
        .group_by(runs.c.job_id)
        .having(func.count() > bindparam("kept"))
    )
)


def start_jobs(
    work: RunnerWork, started: list[Job], user_id: str, groups: list[str], parameters: Json | None = None
) -> list[str]:
    """Start jobs; return the ids of their runs.

    400 for a template and for a job that runs or whose error is not acknowledged.
    """
    work.load_runs(job.current_run for job in started if job.current_run)
    work.load(Commit, [job.commit_id for job in started])
    work.load_offsets(job.id for job in started)
    made = []
    for job in started:
        run = _insert_run(work, job, _last_run(work, job), user_id, groups, parameters or {})
        apply(work, run.id, [do.Place()])
        made.append(run.id)
    _drop_old_runs(work, started)
    return made


def _last_run(work: RunnerWork, job: Job) -> Run | None:
    """Return the run before the one to come, refusing a job that cannot start."""
    if job.template:
        raise bad_request(f"job '{job.name}' is a template; start it with createAndStartJobInstances")
    last = work.get(Run, job.current_run)
    if last is not None and last.status == words.INACTIVE_ERROR:
        raise IssueError(400, "JOBRUNNER_05", f"job '{job.name}' has an error; acknowledge it first")
    if last is not None and last.open:
        raise IssueError(
            400, "JOBRUNNER_06", f"job '{job.name}' is {last.status}; it can start when INACTIVE"
        )
    return last


def _insert_run(
    work: RunnerWork, job: Job, last: Run | None, user_id: str, groups: list[str], parameters: Json
) -> Run:
    commit = work.commit(job.commit_id)
    own = job.settings.get("runtimeParameters")
    values = load(own) if isinstance(own, str) and own.strip() else {}
    run = work.insert(
        Run(
            id=f"{uuid.uuid4()}:{job.organization}",
            job_id=job.id,
            organization=job.organization,
            commit_id=commit.id,
            commit_label=f"v{commit.number}",
            user_id=user_id,
            run_count=last.run_count + 1 if last is not None else 1,
            status=words.ACTIVATING,
            color=words.GRAY,
            start_time=work.now,
            changed_on=work.now,
            parameters=(values if isinstance(values, dict) else {}) | parameters,
            groups=groups,
            open=True,
        )
    )
    work.change(job, current_run=run.id)
    note_status(work, run, words.ACTIVATING)
    return run


def _drop_old_runs(work: RunnerWork, started: list[Job]) -> None:
    """Keep no more runs of each job than its organization's limit."""
    by_limit: dict[int, list[str]] = defaultdict(list)
    for job in started:
        kept = configuration.limit(work.hub.cache, work.db, job.organization, configuration.MAX_JOB_RUNS)
        by_limit[kept].append(job.id)
    work.flush()
    for kept, ids in by_limit.items():
        if kept > 0:
            for row in TOO_MANY(work.db, ids, kept=kept):
                _drop_oldest_runs(work, row.job_id, row.n - kept)


def _drop_oldest_runs(work: RunnerWork, job_id: str, n: int) -> None:
    oldest = select(runs.c.id).where(runs.c.job_id == job_id).order_by(runs.c.run_count).limit(n)
    gone = list(work.db.execute(oldest).scalars())
    last = work.db.execute(select(func.max(runs.c.run_count)).where(runs.c.id.in_(gone))).scalar()
    work.db.execute(metrics.delete().where(metrics.c.job_id == job_id, metrics.c.run_count <= last))
    mine = select(instances.c.id).where(instances.c.run_id.in_(gone))
    done = engine_events.c.state.in_(("SUCCESS", "ERROR", "DROPPED"))
    work.db.execute(engine_events.delete().where(engine_events.c.instance.in_(mine), done))
    for table in (run_events, instances):
        work.db.execute(table.delete().where(table.c.run_id.in_(gone)))
    work.db.execute(runs.delete().where(runs.c.id.in_(gone)))
