"""Scheduled tasks that are due: jobs started, stopped and upgraded at their cron times."""

import logging
import uuid

from sqlalchemy import func, select

from psrlib.hub.runner.cron import next_time_ms
from psrlib.hub.runner.entities import Job
from psrlib.hub.runner.lifecycle import stop_job
from psrlib.hub.runner.start import start_jobs
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import Row, insert_rows
from psrlib.hub.store.schema.automation import task_runs, tasks
from psrlib.hub.store.schema.design import acls, pipelines
from psrlib.hub.store.schema.security import group_members
from psrlib.hub.web.issues import IssueError

logger = logging.getLogger(__name__)
LATE_MS = 60_000  # a firing later than this counts as missed: the hub was down
MAX_CATCH_UP = 100  # firings made up for after a long pause, with RUN_ALL


def fire_due_tasks(work: RunnerWork) -> None:
    """Fire every task whose time has come."""
    due = (tasks.c.status == "RUNNING", tasks.c.next_time > 0, tasks.c.next_time <= work.now)
    for task in list(work.db.execute(select(tasks).where(*due).order_by(tasks.c.next_time, tasks.c.id))):
        for moment in _moments(work, task):
            _fire(work, task, moment)
        following = next_time_ms(task.cron, work.now, task.time_zone)
        over = not following or (task.end_time and following > task.end_time)
        values = {"next_time": 0 if over else following, "status": "FINISHED" if over else "RUNNING"}
        work.db.execute(tasks.update().where(tasks.c.id == task.id).values(values))


def _moments(work: RunnerWork, task: Row) -> list[int]:
    """Return the firing times to act on now, after the task's handling of missed ones."""
    moments = [int(task.next_time)]
    while len(moments) < MAX_CATCH_UP:
        following = next_time_ms(task.cron, moments[-1], task.time_zone)
        if not following or following > work.now:
            break
        moments.append(following)
    if task.missed == "RUN_ALL":
        return moments
    if task.missed == "RUN_ONCE":
        return moments[-1:]
    return [moment for moment in moments[-1:] if work.now - moment <= LATE_MS]


def _fire(work: RunnerWork, task: Row, moment: int) -> None:
    work.flush()
    try:
        with work.db.begin_nested():
            status, message = "SUCCESS", _act(work, task)
            work.flush()
    except IssueError as issue:
        work.forget()
        status, message = "ERROR", issue.message
    run = {"id": str(uuid.uuid4()), "task_id": task.id, "scheduled_time": moment, "time": work.now}
    insert_rows(work.db, task_runs, [run | {"status": status, "message": message}])
    _drop_old(work, task)


def _act(work: RunnerWork, task: Row) -> str:
    owner = work.db.execute(select(acls.c.resource_owner).where(acls.c.resource_id == task.id)).scalar()
    user = str(owner or task.creator)
    job = work.get(Job, task.job_id)
    if job is None:
        raise IssueError(404, "JOBRUNNER_01", f"job '{task.job_id}' was removed")
    if task.action == "START":
        groups = select(group_members.c.group_id).where(group_members.c.user_id == user)
        own = [f"all@{job.organization}", *sorted(work.db.execute(groups).scalars())]
        (run_id,) = start_jobs(work, [job], user, own)
        return f"started run {run_id}"
    if task.action == "STOP":
        return f"stopped run {stop_job(work, job, user)}"
    mine = pipelines.c.id == job.pipeline_id
    latest = work.db.execute(select(pipelines.c.latest_published).where(mine)).scalar()
    work.change(job, commit_id=latest)
    return f"upgraded to commit {latest}"


def _drop_old(work: RunnerWork, task: Row) -> None:
    kept = configuration.limit(work.hub.cache, work.db, task.organization, configuration.MAX_TASK_RUNS)
    mine = task_runs.c.task_id == task.id
    n = work.db.execute(select(func.count()).select_from(task_runs).where(mine)).scalar_one()
    if 0 < kept < n:
        oldest = select(task_runs.c.id).where(mine).order_by(task_runs.c.scheduled_time).limit(n - kept)
        gone = list(work.db.execute(oldest).scalars())
        work.db.execute(task_runs.delete().where(task_runs.c.id.in_(gone)))
