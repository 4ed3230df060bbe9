"""Wishes about running jobs: stop, bring in line with labels, balance, acknowledge, give up."""

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import decisions, words
from psrlib.hub.runner.entities import Instance, Job, Run
from psrlib.hub.runner.selection import pipelines_staying
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.runner.writer import apply, decide, open_run
from psrlib.hub.web.issues import IssueError, bad_request


def stop_job(work: RunnerWork, job: Job, user_id: str, force: bool = False) -> str:
    """Stop a job's run; return its id. 400 when there is none, or it is being stopped and not forced to."""
    case = open_run(work, job.current_run)
    if case is None:
        raise IssueError(400, "JOBRUNNER_07", f"job '{job.name}' is not running")
    if case.run.status == words.DEACTIVATING and not force:
        raise IssueError(400, "JOBRUNNER_08", f"job '{job.name}' is being stopped already")
    apply(work, case.run.id, decisions.stopping(case, user_id, force))
    return case.run.id


def synchronise(work: RunnerWork, job: Job) -> str:
    """Bring a job's run in line with labels and instances wanted; return its id, 400 when there is none."""
    case = open_run(work, job.current_run)
    if case is None:
        raise bad_request(f"job '{job.name}' is not running")
    apply(work, case.run.id, decisions.synchronisation(case))
    return case.run.id


def balance(work: RunnerWork, job: Job) -> str | None:
    """Move a pipeline of a job to a less loaded engine; return the run's id, None when there is none open."""
    case = open_run(work, job.current_run)
    if case is None:
        return None
    work.flush()
    apply(work, case.run.id, decisions.balance(case, pipelines_staying(work.db, job.organization)))
    return case.run.id


def acknowledge_error(work: RunnerWork, job: Job, user_id: str) -> str:
    """Let a job start again whose last run failed; return the run's id, 400 when none failed."""
    run = work.get(Run, job.current_run)
    if run is None or run.status != words.INACTIVE_ERROR:
        raise bad_request(f"job '{job.name}' has no error to acknowledge")
    apply(work, run.id, [do.SetStatus(words.INACTIVE, words.RED, user_id)])
    return run.id


def give_up(work: RunnerWork, instance: Instance) -> None:
    """Stop counting on an instance whose engine was removed; its run looks for another engine."""
    if open_run(work, instance.run_id) is None:
        apply(work, instance.run_id, [do.Gone(instance, drop=True)])
    else:
        decide(work, instance.run_id, decisions.giving_up, instance)
