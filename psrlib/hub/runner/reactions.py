"""What one ack or status of an engine means for one pipeline instance: functions without a database.

What it means for the run follows in `psrlib.hub.runner.decisions`.
"""

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import words
from psrlib.hub.runner.entities import Engine, EngineEvent, Instance
from psrlib.hub.runner.reports import Ack, PipelineStatus

EARLIER_MS = 60_000  # how much older than its instance a report is that an earlier run left behind
# Edge resumes nothing, whatever it stored: after a crash RUNNING, after an orderly end STOPPED
RESUMED_STATES = words.RUNNING_STATES | {"STARTING", "STOPPED"}


def acknowledgement(event: EngineEvent, instance: Instance | None, ack: Ack) -> list[do.Change]:
    """Take an acknowledgement; one seen before changes nothing.

    A Data Collector refuses STOP_DELETE while the pipeline is STOPPING, and the pipeline stays: DELETED or
    the next full report tells its end.
    """
    if event.state not in ("QUEUED", "DELIVERED"):
        return []
    good = ack.ack_event_status != "ERROR" or _is_harmless(event, ack.message or "")
    changes: list[do.Change] = [
        do.Store(event, {"state": "SUCCESS" if good else "ERROR", "message": ack.message})
    ]
    if instance is None or instance.phase == words.GONE:
        return changes
    if event.type == words.DELETE or (event.type == words.STOP_DELETE and good):
        changes.append(do.Gone(instance))  # either it is deleted, or it never was there
    elif event.type == words.STOP and not good and instance.phase == words.STOPPING:
        changes.append(do.Send(words.DELETE, instance))
    elif event.type in (words.SAVE, words.START) and not good and instance.phase == words.STARTING:
        changes.append(do.Failed(instance, ack.message or "the engine refused the pipeline"))
    return changes


def _is_harmless(event: EngineEvent, message: str) -> bool:
    """A repeated SAVE or START answers with an error although the first one did its work."""
    known = {words.SAVE: "already exists", words.START: "Cannot change state"}.get(event.type)
    return event.deliveries > 1 and known is not None and known in message


def status_report(
    instance: Instance, status: PipelineStatus, job_name: str, now_ms: int
) -> tuple[list[do.Change], bool]:
    """Take the status of a pipeline; also return whether its run has to be settled after the changes."""
    when, state = status.time_stamp or 0, status.pipeline_status or ""
    # engine-protocol.md, 9.2: an older change can arrive after a newer one
    if when < instance.status_time:
        return [], False
    values: dict[str, object]
    if when == instance.status_time and state == instance.status:
        is_offset_new = status.offset and status.offset != instance.offset
        values = {"offset": status.offset, "last_reported": now_ms}
        return [do.Store(instance, values)] if is_offset_new else [], False
    late = when < instance.created_on - EARLIER_MS and state in words.ENDED_STATES
    if instance.phase == words.STARTING and (late or state == "DELETED"):
        return [], False  # of an earlier run under the same name
    values = {
        "status": state,
        "status_time": when,
        "last_reported": now_ms,
        "message": status.message or None,
        "title": status.title or instance.title,
        **_offset(status),
    }
    if state in words.RUNNING_STATES and instance.phase == words.STARTING:
        values["phase"] = words.RUNNING
    is_removed = instance.phase == words.STOPPING and state == "DELETED"
    if is_removed:
        del values["status"]  # how it ended says more: finished, or failed on this engine
    changes: list[do.Change] = [do.Store(instance, values)]
    if state != instance.status:
        changes.append(_told(instance, status, job_name, state))
    return [*changes, do.Gone(instance)] if is_removed else changes, True


def late_report(instance: Instance, status: PipelineStatus) -> list[do.Change]:
    """Take the offset of a status that arrives when its instance is gone: the ack of its removal was first.

    STOPPED has the offset that the job's next run starts from.
    """
    when = status.time_stamp or 0
    if when < instance.status_time or not status.offset:
        return []
    return [do.Store(instance, {"status_time": when, **_offset(status)}), do.Gone(instance)]


def _offset(status: PipelineStatus) -> dict[str, object]:
    if not status.offset:
        return {}
    return {"offset": status.offset, "offset_protocol": status.offset_protocol_version or 0}


def _told(instance: Instance, status: PipelineStatus, job_name: str, state: str) -> do.Tell:
    values = {
        "JOB_ID": instance.job_id,
        "JOB_NAME": job_name,
        "PIPELINE_NAME": status.title or instance.name,
        "PIPELINE_STATUS": state,
        "PIPELINE_STATUS_MESSAGE": status.message or "",
        "SDC_ID": instance.engine_id,
        "EXECUTION_ENGINE_ID": instance.engine_id,
        "FROM_STATUS": instance.status,
        "TO_STATUS": state,
    }
    return do.Tell("PIPELINE_STATUS_CHANGE", values)


def absence(instance: Instance, engine: Engine, start: EngineEvent | None, now_ms: int) -> list[do.Change]:
    """A started pipeline that a full report lacks was lost by its engine: it is sent again.

    One that was to be removed is gone; Edge proves nothing by that, for it leaves out what never started.
    ``start`` is its last START. Edge, which reports once a minute, confirms a start before it reports it:
    reports, acks and events are in one order.
    """
    if instance.phase == words.STOPPING and not engine.is_edge:
        return [do.Gone(instance)]
    confirmed = start is not None and start.state == "SUCCESS" and engine.is_edge
    if instance.phase != words.RUNNING and not (instance.phase == words.STARTING and confirmed):
        return []
    values = {"phase": words.STARTING, "status": "", "status_time": 0, "created_on": now_ms}
    return [do.Store(instance, values), do.SendAgain(instance)]


def is_lingering(instance: Instance, engine: Engine, status: PipelineStatus) -> bool:
    """Whether a pipeline that was to be removed is still there, and is not being stopped just now."""
    stays = status.pipeline_status not in (None, "STOPPING", "DELETED")
    return instance.phase == words.STOPPING and stays and not engine.is_edge


def is_resumable(instance: Instance, status: PipelineStatus) -> bool:
    """Whether a status that an Edge reports may be left over from its last process."""
    return instance.phase in (words.STARTING, words.RUNNING) and status.pipeline_status in RESUMED_STATES


def resumption(
    instance: Instance, engine: Engine, start: EngineEvent | None, status: PipelineStatus, now_ms: int
) -> list[do.Change]:
    """Start again what an Edge ran before its process began.

    A Data Collector resumes job pipelines by itself. Edge does not (engine-protocol.md, 11): what was
    started before the process began cannot run in it, whatever it reports. It starts nothing that it takes
    for running, so STOP goes first, and it keeps its own offset.
    """
    if start is None or not 0 < start.delivered_on < engine.start_up_time:
        return []
    values: dict[str, object] = {
        "phase": words.STARTING,
        "status": "",
        "status_time": (status.time_stamp or 0) + 1,  # later than what the old process left
        "created_on": now_ms,
        **_offset(status),
    }
    stop = status.pipeline_status != "STOPPED"
    return [do.StartAgain(instance, start, stop), do.Store(instance, values)]


def stray_removal(engine: Engine, status: PipelineStatus) -> int | None:
    """Return the event that removes a hub-saved pipeline no run has here: failed over, or force stopped.

    Only a full report proves that it is there. Single changes may be old ones: acks stand before them.
    """
    state, name = status.pipeline_status, status.name or ""
    remote = status.is_remote if status.remote is None else status.remote
    if not remote or state == "DELETED" or name.count(":") < 2:
        return None
    if not engine.is_edge:
        return words.STOP_DELETE
    return words.STOP if state in words.ACTIVE_STATES else words.DELETE
