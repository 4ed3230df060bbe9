"""Does what was decided about runs and their pipelines; nothing else changes them."""

from collections.abc import Callable, Sequence
from functools import partial

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import decisions, outbox, words
from psrlib.hub.runner.decisions import OpenRun
from psrlib.hub.runner.entities import Engine, Instance, Job, Run, RunEvent
from psrlib.hub.runner.payload import pipeline_name
from psrlib.hub.runner.selection import choose_engines, note_load
from psrlib.hub.runner.work import RunnerWork


def open_run(work: RunnerWork, run_id: str | None) -> OpenRun | None:
    """Return what decisions about a run need; None when it is none, has ended, or was removed."""
    run = work.get(Run, run_id)
    job = work.get(Job, run.job_id) if run is not None and run.open else None
    if run is None or job is None:
        return None
    return OpenRun(
        run, job, work.instances_of(run.id), partial(work.get, Engine), partial(choose_engines, work, job)
    )


def apply(work: RunnerWork, run_id: str, changes: Sequence[do.Change]) -> None:
    """Do the changes decided about a run, in order.

    A run that was being stopped ends with its pipelines; one that goes on gets others for those it lost.
    """
    for change in changes:
        _do(work, run_id, change)
    if any(isinstance(change, do.Gone | do.Remove | do.SetStatus) for change in changes):
        decide(work, run_id, decisions.ending)
    if any(isinstance(change, do.Gone | do.Remove) for change in changes):
        decide(work, run_id, decisions.replacement)


def decide(work: RunnerWork, run_id: str, decision: Callable[..., list[do.Change]], *more: object) -> None:
    """Do what a decision about a run says, which takes the run and ``more``; nothing when it is not open."""
    case = open_run(work, run_id)
    if case is not None:
        apply(work, run_id, decision(case, *more))


def _do(work: RunnerWork, run_id: str, change: do.Change) -> None:
    match change:
        case do.Store(record, values):
            work.change(record, **values)
        case do.Gone(instance, drop):
            if drop:
                outbox.drop_events(work, instance.id)
            _mark_gone(work, instance)
        case do.Send(kind, instance):
            if not outbox.waits(work, instance.id, kind):
                outbox.queue_simple(work, kind, instance, "")
        case do.StartAgain(instance, start, stop):
            outbox.drop_events(work, instance.id)
            if stop:
                outbox.queue_simple(work, words.STOP, instance, "")
            outbox.queue(work, words.START, instance, start.payload)
        case _:
            run = work.get(Run, run_id)
            if run is not None:
                _do_to_run(work, run, change)


def _do_to_run(work: RunnerWork, run: Run, change: do.Change) -> None:
    match change:
        case do.SetStatus():
            _set_status(work, run, change)
        case do.SetWarnings(warnings):
            if warnings != run.warnings:
                work.change(run, warnings=warnings)
        case do.Put():
            _put(work, run, change)
        case do.Remove():
            _remove(work, run, change)
        case do.SendAgain(instance):
            outbox.queue_start(work, run, instance)
        case do.Tell(event, values):
            work.fire(run.organization, event, values)
        case do.Failed(instance, message):
            decide(work, run.id, decisions.failure, instance, message)
        case do.Settle():
            decide(work, run.id, decisions.settlement, work.hub.contacts.silent)
        case do.Place(excluded):
            decide(work, run.id, decisions.placement, work.offsets_of(run.job_id), excluded)


def _set_status(work: RunnerWork, run: Run, change: do.SetStatus) -> None:
    """Change status and color of a run, write its history and fire events; nothing when both stay."""
    before = run.status
    if (before, run.color) == (change.status, change.color):
        return
    ended = change.status in (words.INACTIVE, words.INACTIVE_ERROR)
    work.change(run, status=change.status, color=change.color, changed_on=work.now, open=not ended)
    if ended:
        work.change(run, finish_time=work.now)
    if change.error is not None:
        work.change(run, error_message=change.error)
    note_status(work, run, before, change.user_id)


def note_status(work: RunnerWork, run: Run, before: str, user_id: str | None = None) -> None:
    """Write a run's status into its history, and tell subscriptions; ``user_id``: who caused it."""
    work.insert(RunEvent(run.id, user_id or run.user_id, work.now, run.status, run.color))
    job = work.get(Job, run.job_id)
    if job is None:
        return
    values = {
        "JOB_ID": job.id,
        "JOB_NAME": job.name,
        "JOB_STATUS": run.status,
        "JOB_STATUS_COLOR": run.color,
        "FROM_STATUS": before,
        "TO_STATUS": run.status,
        "RUN_COUNT": str(run.run_count),
        "ORG_ID": job.organization,
    }
    work.fire(job.organization, "JOB_STATUS_CHANGE", values)


def _put(work: RunnerWork, run: Run, put: do.Put) -> None:
    instance = Instance(
        id=work.hub.contacts.next_instance(),
        run_id=run.id,
        job_id=run.job_id,
        organization=run.organization,
        engine_id=put.engine.id,
        name=pipeline_name(work.commit(run.commit_id).name, run.job_id),
        slot=put.slot,
        phase=words.STARTING,
        offset=put.offset,
        offset_protocol=put.protocol,
        created_on=work.now,
    )
    work.insert(instance)
    if put.failover:
        work.change(run, failovers=run.failovers + 1)
    note_load(work, run.organization, put.engine.id, 1)
    outbox.queue_start(work, run, instance)


def _remove(work: RunnerWork, run: Run, change: do.Remove) -> None:
    instance = change.instance
    taken_back = outbox.never_delivered(work, instance.id)
    outbox.drop_events(work, instance.id)
    if taken_back:
        _mark_gone(work, instance)
        return
    more = {"forceTimeoutMillis": change.force_ms} if change.kind == words.STOP_DELETE else {}
    outbox.queue_simple(work, change.kind, instance, change.user_id or run.user_id, **more)
    work.change(instance, phase=words.STOPPING)


def _mark_gone(work: RunnerWork, instance: Instance) -> None:
    """Note that an instance left its engine, and keep its offset for the next run."""
    if instance.phase != words.GONE:
        work.change(instance, phase=words.GONE)
        note_load(work, instance.organization, instance.engine_id, -1)
    if instance.offset is not None:
        work.keep_offset(instance)
