"""Edge after a restart: it reports the states it stored but runs nothing; the hub starts its pipelines again.

A Data Collector resumes job pipelines by itself. Edge does not (engine-protocol.md, 11): after a crash it
goes on reporting RUNNING with the old time, after an orderly end STOPPED. What was started before the
process began cannot run in it, whatever it reports.
"""

from collections.abc import Iterable
from typing import Any

from psrlib.hub.runner import outbox
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.words import RUNNING, RUNNING_STATES, START, STARTING, STOP
from psrlib.hub.runner.work import Work
from psrlib.hub.store.schema.execution import engine_events

RESUMED_STATES = RUNNING_STATES | {"STARTING", "STOPPED"}


def resume_pipelines(
    work: Work, engine: Record, present: dict[str, Record], statuses: Iterable[dict[str, Any]]
) -> set[str]:
    """Start again what an Edge ran before its process began.

    Parameters
    ----------
    present : dict
        Instances the hub has on the engine, by pipeline name.
    statuses : iterable of dict
        A full report.

    Returns
    -------
    set of str
        Names of the pipelines that are started again: their reported states count for nothing.
    """
    found = {}
    for status in statuses:
        instance = present.get(str(status.get("name") or ""))
        candidate = instance is not None and instance.phase in (STARTING, RUNNING)
        if instance is not None and candidate and status.get("pipelineStatus") in RESUMED_STATES:
            found[instance.name] = (instance, status)
    starts = last_starts(work, [instance.id for instance, _ in found.values()])
    resumed = set()
    for name, (instance, status) in found.items():
        start = starts.get(instance.id)
        if start is not None and 0 < start.delivered_on < engine.start_up_time:
            _start_again(work, instance, start, status)
            resumed.add(name)
    return resumed


def last_starts(work: Work, ids: list[int]) -> dict[int, Record]:
    """Return the newest START event of each instance."""
    if not ids:
        return {}
    kept = (engine_events.c.type == START, engine_events.c.state != "DROPPED")
    return {
        event.instance: event for event in work.find(engine_events, engine_events.c.instance.in_(ids), *kept)
    }


def _start_again(work: Work, instance: Record, start: Record, status: dict[str, Any]) -> None:
    """Queue STOP and START: Edge starts nothing that it takes for running, and keeps its own offset."""
    outbox.drop_events(work, instance.id)
    if status["pipelineStatus"] != "STOPPED":
        outbox.queue_simple(work, STOP, instance, "")
    outbox.queue_event(work, instance.engine_id, instance.organization, START, instance.id, start.payload)
    values: dict[str, Any] = {
        "phase": STARTING,
        "status": "",
        "status_time": int(status.get("timeStamp") or 0) + 1,  # later than what the old process left
        "created_on": work.now,
    }
    if status.get("offset"):
        values["offset"] = str(status["offset"])
        values["offset_protocol"] = int(status.get("offsetProtocolVersion") or 0)
    work.change(instance, **values)
