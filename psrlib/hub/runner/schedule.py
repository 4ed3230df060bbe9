"""Scheduled tasks that are due: jobs started, stopped and upgraded at their cron times."""

import logging
import uuid

from sqlalchemy import func, select

from psrlib.hub.runner.cron import next_time_ms
from psrlib.hub.runner.lifecycle import stop_job
from psrlib.hub.runner.start import start_jobs
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.automation import task_runs, tasks
from psrlib.hub.store.schema.design import acls, pipelines
from psrlib.hub.store.schema.security import group_members
from psrlib.hub.web.issues import IssueError

logger = logging.getLogger(__name__)
LATE_MS = 60_000  # a firing later than this counts as missed: the hub was down
MAX_CATCH_UP = 100  # firings made up for after a long pause, with RUN ALL


def fire_due_tasks(work: RunnerWork) -> int:
    """Fire every task whose time has come; return how many fired."""
    due = select(tasks).where(
        tasks.c.status == "RUNNING", tasks.c.next_time > 0, tasks.c.next_time <= work.now
    )
    rows = list(work.db.execute(due.order_by(tasks.c.next_time, tasks.c.id)))
    for task in rows:
        for moment in _moments(work, task):
            _fire(work, task, moment)
        following = next_time_ms(task.cron, work.now, task.time_zone)
        over = not following or (task.end_time and following > task.end_time)
        values = {"next_time": 0 if over else following, "status": "COMPLETED" if over else "RUNNING"}
        work.db.execute(tasks.update().where(tasks.c.id == task.id).values(values))
    return len(rows)


def _moments(work: RunnerWork, task: Row) -> list[int]:
    """Return the firing times to act on now, after the task's handling of missed ones."""
    moments = [int(task.next_time)]
    while len(moments) < MAX_CATCH_UP:
        following = next_time_ms(task.cron, moments[-1], task.time_zone)
        if not following or following > work.now:
            break
        moments.append(following)
    if task.missed == "RUN ALL":
        return moments
    if task.missed == "RUN ONCE":
        return moments[-1:]
    return [moment for moment in moments[-1:] if work.now - moment <= LATE_MS]


def _fire(work: RunnerWork, task: Row, moment: int) -> None:
    work.flush()
    savepoint = work.db.begin_nested()
    try:
        message = _act(work, task)
        work.flush()
        savepoint.commit()
        status = "SUCCESS"
    except IssueError as issue:
        savepoint.rollback()
        work.forget()
        status, message = "ERROR", issue.message
    work.db.execute(
        task_runs.insert().values(
            id=str(uuid.uuid4()),
            task_id=task.id,
            scheduled_time=moment,
            time=work.now,
            status=status,
            message=message,
        )
    )
    _drop_old(work, task)


def _act(work: RunnerWork, task: Row) -> str:
    owner = work.db.execute(select(acls.c.resource_owner).where(acls.c.resource_id == task.id)).scalar()
    user = str(owner or task.creator)
    job = work.job(task.job_id)
    if job is None:
        raise IssueError(404, "JOBRUNNER_01", f"job '{task.job_id}' was removed")
    if task.action == "START":
        (run_id,) = start_jobs(work, [job], user, _groups(work, user, job.organization))
        return f"started run {run_id}"
    if task.action == "STOP":
        return f"stopped run {stop_job(work, job, user)}"
    latest = work.db.execute(
        select(pipelines.c.latest_published).where(pipelines.c.id == job.pipeline_id)
    ).scalar()
    work.change(job, commit_id=latest)
    return f"upgraded to commit {latest}"


def _groups(work: RunnerWork, user: str, organization: str) -> list[str]:
    found = work.db.execute(select(group_members.c.group_id).where(group_members.c.user_id == user)).scalars()
    return [f"all@{organization}", *sorted(found)]


def _drop_old(work: RunnerWork, task: Row) -> None:
    kept = configuration.limit(work.hub.cache, work.db, task.organization, configuration.MAX_TASK_RUNS)
    mine = task_runs.c.task_id == task.id
    n = work.db.execute(select(func.count()).select_from(task_runs).where(mine)).scalar_one()
    if kept < 1 or n <= kept:
        return
    oldest = select(task_runs.c.id).where(mine).order_by(task_runs.c.scheduled_time).limit(n - kept)
    gone = list(work.db.execute(oldest).scalars())
    work.db.execute(task_runs.delete().where(task_runs.c.id.in_(gone)))
