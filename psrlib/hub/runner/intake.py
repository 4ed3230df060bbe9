"""What engines report: acks, statuses, engine information; each moves the runs it concerns."""

from typing import Any

from psrlib.hub.runner import lifecycle, outbox
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.resume import last_starts, resume_pipelines
from psrlib.hub.runner.words import (
    ACTIVATING,
    ACTIVE,
    ACTIVE_STATES,
    DEACTIVATING,
    DELETE,
    ENDED_STATES,
    FAILED_STATES,
    GONE,
    GREEN,
    RED,
    RUNNING,
    RUNNING_STATES,
    SAVE,
    START,
    STARTING,
    STOP,
    STOP_DELETE,
    STOPPING,
)
from psrlib.hub.runner.work import Work
from psrlib.hub.store.schema.execution import engine_events, instances


def take_acks(work: Work, engine_id: str, acks: list[dict[str, Any]]) -> None:
    """Take acknowledgements; one seen before, or of an unknown event, changes nothing.

    Parameters
    ----------
    acks : list of dict
        ``eventId``, ``ackEventStatus`` and ``message`` of each.
    """
    named = engine_events.c.id.in_([ack["eventId"] for ack in acks])
    events = {e.id: e for e in work.find(engine_events, engine_events.c.engine_id == engine_id, named)}
    work.records.load(instances, [event.instance for event in events.values() if event.instance])
    for ack in acks:
        event = events.get(ack["eventId"])
        if event is not None and event.state in ("QUEUED", "DELIVERED"):
            _take_ack(work, event, str(ack["ackEventStatus"]), ack["message"])


def _take_ack(work: Work, event: Record, status: str, message: str | None) -> None:
    good = status != "ERROR" or _harmless(event, message)
    work.change(event, state="SUCCESS" if good else "ERROR", message=message)
    instance = work.records.get(instances, event.instance) if event.instance else None
    if instance is None or instance.phase == GONE:
        return
    if event.type in (DELETE, STOP_DELETE):
        # Either it is deleted, or it never was there: gone in both cases.
        _gone(work, instance)
    elif event.type == STOP and not good and instance.phase == STOPPING:
        outbox.queue_simple(work, DELETE, instance, "")
    elif event.type in (SAVE, START) and not good and instance.phase == STARTING:
        _failed(work, instance, f"{message or 'the engine refused the pipeline'}")


def _harmless(event: Record, message: str | None) -> bool:
    """A repeated SAVE or START answers with an error although the first one did its work."""
    text = message or ""
    if event.deliveries < 2:
        return False
    return (event.type == SAVE and "already exists" in text) or (
        event.type == START and "Cannot change state" in text
    )


def take_statuses(work: Work, engine: Record, statuses: list[dict[str, Any]], full: bool) -> None:
    """Take pipeline statuses of an engine: single changes in order, or all of its pipelines (2002, ``full``).

    A change is settled before the next one is taken; what a full report says is settled at its end.
    """
    by_name = {i.name: i for i in work.instances_on(engine.id, instances.c.phase != GONE)}
    names = {str(status.get("name") or "") for status in statuses}
    work.load_runs(i.run_id for name, i in by_name.items() if full or name in names)
    touched: dict[str, None] = {}
    is_edge = engine.executor_type == "EDGE"
    resumed = resume_pipelines(work, engine, by_name, statuses) if full and is_edge else set()
    for status in statuses:
        name = str(status.get("name") or "")
        instance = by_name.get(name)
        if name in resumed:
            continue
        if instance is None:
            _take_stray(work, engine, status, name)
        elif _take_status(work, instance, status):
            touched[instance.run_id] = None
            if not full:
                settle_run(work, instance.run_id)
    if full:
        for name, instance in by_name.items():
            if name not in names and _take_absence(work, engine, instance):
                touched[instance.run_id] = None
        work.hub.contacts.last_statuses[engine.id] = work.now
        for run_id in touched:
            settle_run(work, run_id)


def _take_stray(work: Work, engine: Record, status: dict[str, Any], name: str) -> None:
    """A hub-saved pipeline that is not ours here (failed over, force stopped) is removed."""
    state = status.get("pipelineStatus")
    remote = status.get("remote", status.get("isRemote"))
    if not remote or state == "DELETED" or name.count(":") < 2:
        return
    outbox.queue_stray_removal(work, engine, name, state in ACTIVE_STATES)


def _take_status(work: Work, instance: Record, status: dict[str, Any]) -> bool:
    """Store one status; return whether the run has to be looked at."""
    when, state = int(status.get("timeStamp") or 0), str(status.get("pipelineStatus") or "")
    # engine-protocol.md, 9.2: an older change can arrive after a newer one
    if when < instance.status_time or (when == instance.status_time and state == instance.status):
        return _take_offset(work, instance, status, when) and False
    if instance.phase == STARTING and when < instance.created_on - 60_000 and state in ENDED_STATES:
        return False  # left over from an earlier run under the same name
    values: dict[str, Any] = {
        "status": state,
        "status_time": when,
        "last_reported": work.now,
        "message": status.get("message") or None,
        "title": status.get("title") or instance.title,
    }
    before = instance.status
    if status.get("offset"):
        values["offset"] = str(status["offset"])
        values["offset_protocol"] = int(status.get("offsetProtocolVersion") or 0)
    if state in RUNNING_STATES and instance.phase == STARTING:
        values["phase"] = RUNNING
    work.change(instance, **values)
    if state != before:
        _fire(work, instance, status, before, state)
    return True


def _take_offset(work: Work, instance: Record, status: dict[str, Any], when: int) -> bool:
    offset = status.get("offset")
    if not offset or when < instance.status_time or offset == instance.offset:
        return False
    work.change(instance, offset=str(offset), last_reported=work.now)
    return True


def _take_absence(work: Work, engine: Record, instance: Record) -> bool:
    """A started pipeline that a full report lacks was lost by its engine: it is sent again."""
    if instance.phase != RUNNING and not _was_started(work, engine, instance):
        return False
    run = work.run(instance.run_id)
    if run is None:
        return False
    work.change(instance, phase=STARTING, status="", status_time=0, created_on=work.now)
    outbox.queue_start(work, run, instance.id, engine.id, instance.name)
    return True


def _was_started(work: Work, engine: Record, instance: Record) -> bool:
    """Whether Edge confirmed a start it has not reported yet: reports, acks and events are in one order."""
    if engine.executor_type != "EDGE" or instance.phase != STARTING:
        return False
    start = last_starts(work, [instance.id]).get(instance.id)
    return start is not None and start.state == "SUCCESS"


def _fire(work: Work, instance: Record, status: dict[str, Any], before: str, state: str) -> None:
    job = work.job(instance.job_id)
    values = {
        "JOB_ID": instance.job_id,
        "JOB_NAME": job.name if job is not None else "",
        "PIPELINE_NAME": str(status.get("title") or instance.name),
        "PIPELINE_STATUS": state,
        "PIPELINE_STATUS_MESSAGE": str(status.get("message") or ""),
        "SDC_ID": instance.engine_id,
        "EXECUTION_ENGINE_ID": instance.engine_id,
        "FROM_STATUS": before,
        "TO_STATUS": state,
        "TRIGGERED_ON": str(work.now),
    }
    work.fire(instance.organization, "PIPELINE_STATUS_CHANGE", values)


def settle_run(work: Work, run_id: str) -> None:
    """Let the states of a run's pipelines decide its status."""
    run = work.run(run_id)
    if run is None or not run.open:
        return
    for instance in work.instances_of(run_id):
        if instance.phase == STOPPING:
            _settle_stopping(work, instance)
        elif instance.phase in (STARTING, RUNNING) and instance.status == "DELETED":
            _gone(work, instance)
        elif instance.phase in (STARTING, RUNNING) and instance.status in FAILED_STATES:
            _failed(work, instance, instance.message or f"pipeline is {instance.status}")
            return
    if run.status == DEACTIVATING:
        lifecycle.end_if_empty(work, run)
    else:
        _settle_running(work, run)


def _settle_stopping(work: Work, instance: Record) -> None:
    if instance.status == "DELETED":
        lifecycle.mark_gone(work, instance)
        return
    engine = work.engine(instance.engine_id)
    if engine is not None and engine.executor_type == "EDGE" and instance.status in ENDED_STATES:
        pending = (engine_events.c.type == DELETE, engine_events.c.state.in_(("QUEUED", "DELIVERED")))
        if not work.find(engine_events, engine_events.c.instance == instance.id, *pending):
            outbox.queue_simple(work, DELETE, instance, "")


def _settle_running(work: Work, run: Record) -> None:
    live = [i for i in work.instances_of(run.id) if i.phase in (STARTING, RUNNING)]
    if live and all(i.status in ("FINISHED", "STOPPED") for i in live):
        lifecycle.finish_run(work, run)
        return
    for instance in live:
        if instance.status == "FINISHED":
            lifecycle.remove_instance(work, instance, run.user_id)
    if not any(i.status in RUNNING_STATES for i in live):
        return
    healthy = all(i.status in ("RUNNING", "FINISHED") for i in live) and not run.warnings
    silent = [i.engine_id for i in live if i.engine_id in work.hub.contacts.silent]
    lifecycle.set_status(work, run, ACTIVE, GREEN if healthy and not silent else RED)


def _gone(work: Work, instance: Record) -> None:
    lifecycle.mark_gone(work, instance)
    run = work.run(instance.run_id)
    if run is None or not run.open:
        return
    if run.status == DEACTIVATING:
        lifecycle.end_if_empty(work, run)
    elif run.status in (ACTIVATING, ACTIVE) and instance.phase in (STARTING, RUNNING):
        # deleted on the engine by somebody else: put it somewhere again
        job = work.job(run.job_id)
        if job is not None:
            lifecycle.place(work, run, job, int(job.instances), set())


def _failed(work: Work, instance: Record, message: str) -> None:
    """A pipeline failed: try another engine where failover is on, else the run fails."""
    run, job = work.run(instance.run_id), work.job(instance.job_id)
    if run is None or job is None or not run.open or run.status == DEACTIVATING:
        return
    if job.migrate_offsets and lifecycle.fail_over(work, run, job, instance, keep_on_engine=False):
        return
    lifecycle.fail_run(work, run, message)
