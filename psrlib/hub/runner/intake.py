"""What engines report: acks, statuses, engine information; each moves the runs it concerns."""

from typing import Any

from sqlalchemy import Row, select

from psrlib.hub import triggers
from psrlib.hub.call import dump
from psrlib.hub.names import (
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
from psrlib.hub.runner import lifecycle, outbox
from psrlib.hub.runner.resume import last_starts, resume_pipelines
from psrlib.hub.runner.work import Work
from psrlib.hub.schema.execution import engine_events, instances


def take_ack(work: Work, engine_id: str, event_id: str, status: str, message: str | None) -> None:
    """Take an acknowledgement; one seen before, or of an unknown event, changes nothing."""
    row = work.db.execute(
        select(engine_events).where(engine_events.c.id == event_id, engine_events.c.engine_id == engine_id)
    ).first()
    if row is None or row.state not in ("QUEUED", "DELIVERED"):
        return
    good = status != "ERROR" or _harmless(row, message)
    values = {"state": "SUCCESS" if good else "ERROR", "message": message}
    work.db.execute(engine_events.update().where(engine_events.c.number == row.number).values(values))
    instance = work.db.execute(select(instances).where(instances.c.id == row.instance)).first()
    if instance is None or instance.phase == GONE:
        return
    if row.type in (DELETE, STOP_DELETE):
        # Either it is deleted, or it never was there: gone in both cases.
        _gone(work, instance)
    elif row.type == STOP and not good and instance.phase == STOPPING:
        outbox.queue_simple(work, DELETE, instance, "")
    elif row.type in (SAVE, START) and not good and instance.phase == STARTING:
        _failed(work, instance, f"{message or 'the engine refused the pipeline'}")


def _harmless(row: Row[Any], message: str | None) -> bool:
    """A repeated SAVE or START answers with an error although the first one did its work."""
    text = message or ""
    if row.deliveries < 2:
        return False
    return (row.type == SAVE and "already exists" in text) or (
        row.type == START and "Cannot change state" in text
    )


def take_statuses(work: Work, engine: Row[Any], statuses: list[dict[str, Any]], full: bool) -> None:
    """Take pipeline statuses of an engine; ``full`` when the list holds all of its pipelines (2002)."""
    rows = work.db.execute(
        select(instances).where(instances.c.engine_id == engine.id, instances.c.phase != GONE)
    )
    by_name = {row.name: row for row in rows}
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
    if full:
        reported = {str(status.get("name") or "") for status in statuses}
        for name, instance in by_name.items():
            if name not in reported and _take_absence(work, engine, instance):
                touched[instance.run_id] = None
        work.hub.fleet.last_statuses[engine.id] = work.now
    for run_id in touched:
        settle_run(work, run_id)


def _take_stray(work: Work, engine: Row[Any], status: dict[str, Any], name: str) -> None:
    """A hub-saved pipeline that is not ours here (failed over, force stopped) is removed."""
    state = status.get("pipelineStatus")
    remote = status.get("remote", status.get("isRemote"))
    if not remote or state == "DELETED" or name.count(":") < 2:
        return
    outbox.queue_stray_removal(work, engine, name, state in ACTIVE_STATES)


def _take_status(work: Work, instance: Row[Any], status: dict[str, Any]) -> bool:
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
    if status.get("offset"):
        values["offset"] = str(status["offset"])
        values["offset_protocol"] = int(status.get("offsetProtocolVersion") or 0)
    if state in RUNNING_STATES and instance.phase == STARTING:
        values["phase"] = RUNNING
    work.db.execute(instances.update().where(instances.c.id == instance.id).values(values))
    if state != instance.status:
        _fire(work, instance, status, state)
    return True


def _take_offset(work: Work, instance: Row[Any], status: dict[str, Any], when: int) -> bool:
    offset = status.get("offset")
    if not offset or when < instance.status_time or offset == instance.offset:
        return False
    values = {"offset": str(offset), "last_reported": work.now}
    work.db.execute(instances.update().where(instances.c.id == instance.id).values(values))
    return True


def _take_absence(work: Work, engine: Row[Any], instance: Row[Any]) -> bool:
    """A started pipeline that a full report lacks was lost by its engine: it is sent again."""
    if instance.phase != RUNNING and not _was_started(work, engine, instance):
        return False
    run = work.run(instance.run_id)
    if run is None:
        return False
    values = {"phase": STARTING, "status": "", "status_time": 0, "created_on": work.now}
    work.db.execute(instances.update().where(instances.c.id == instance.id).values(values))
    outbox.queue_start(work, run, instance.id, engine.id, instance.name)
    return True


def _was_started(work: Work, engine: Row[Any], instance: Row[Any]) -> bool:
    """Whether Edge confirmed a start it has not reported yet: reports, acks and events are in one order."""
    if engine.executor_type != "EDGE" or instance.phase != STARTING:
        return False
    start = last_starts(work, [instance.id]).get(instance.id)
    return start is not None and start.state == "SUCCESS"


def _fire(work: Work, instance: Row[Any], status: dict[str, Any], state: str) -> None:
    job = work.job(instance.job_id)
    values = {
        "JOB_ID": instance.job_id,
        "JOB_NAME": job.name if job is not None else "",
        "PIPELINE_NAME": str(status.get("title") or instance.name),
        "PIPELINE_STATUS": state,
        "PIPELINE_STATUS_MESSAGE": str(status.get("message") or ""),
        "SDC_ID": instance.engine_id,
        "EXECUTION_ENGINE_ID": instance.engine_id,
        "FROM_STATUS": instance.status,
        "TO_STATUS": state,
        "TRIGGERED_ON": str(work.now),
    }
    triggers.fire(work.hub.memory, work.db, instance.organization, "PIPELINE_STATUS_CHANGE", values, work.now)


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
    fresh = work.run(run_id)
    assert fresh is not None
    if fresh.status == DEACTIVATING:
        lifecycle.end_if_empty(work, fresh)
    else:
        _settle_running(work, fresh)


def _settle_stopping(work: Work, instance: Row[Any]) -> None:
    if instance.status == "DELETED":
        lifecycle.mark_gone(work, instance)
        return
    engine = work.engine(instance.engine_id)
    if engine is not None and engine.executor_type == "EDGE" and instance.status in ENDED_STATES:
        pending = select(engine_events.c.number).where(
            engine_events.c.instance == instance.id,
            engine_events.c.type == DELETE,
            engine_events.c.state.in_(("QUEUED", "DELIVERED")),
        )
        if work.db.execute(pending).first() is None:
            outbox.queue_simple(work, DELETE, instance, "")


def _settle_running(work: Work, run: Row[Any]) -> None:
    live = [i for i in work.instances_of(run.id) if i.phase in (STARTING, RUNNING)]
    if live and all(i.status in ("FINISHED", "STOPPED") for i in live):
        lifecycle.finish_run(work, run)
        return
    for instance in live:
        if instance.status == "FINISHED":
            lifecycle.remove_instance(work, instance, run.user_id)
    if not any(i.status in RUNNING_STATES for i in live):
        return
    healthy = all(i.status in ("RUNNING", "FINISHED") for i in live) and run.warnings == dump([])
    silent = [i.engine_id for i in live if i.engine_id in work.hub.fleet.silent]
    lifecycle.set_status(work, run, ACTIVE, GREEN if healthy and not silent else RED)


def _gone(work: Work, instance: Row[Any]) -> None:
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


def _failed(work: Work, instance: Row[Any], message: str) -> None:
    """A pipeline failed: try another engine where failover is on, else the run fails."""
    run, job = work.run(instance.run_id), work.job(instance.job_id)
    if run is None or job is None or not run.open or run.status == DEACTIVATING:
        return
    if job.migrate_offsets and lifecycle.fail_over(work, run, job, instance, keep_on_engine=False):
        return
    lifecycle.fail_run(work, run, message)
