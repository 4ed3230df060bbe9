"""Taking what engines report: acks, statuses, figures; each moves the runs it concerns."""

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import decisions, outbox, reactions, words
from psrlib.hub.runner.entities import Engine, EngineEvent, Instance, Job
from psrlib.hub.runner.reports import Ack, PipelineStatus, ProcessFigures
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.runner.writer import apply, decide
from psrlib.hub.store.contacts import Figures
from psrlib.hub.store.schema.execution import engine_events, instances
from psrlib.hub.web.access import Principal


def take_acks(work: RunnerWork, engine_id: str, acks: list[tuple[str, Ack]]) -> None:
    """Take acknowledgements by event id; one seen before, or of an unknown event, changes nothing."""
    named = engine_events.c.id.in_([event_id for event_id, _ in acks])
    found = work.find(EngineEvent, engine_events.c.engine_id == engine_id, named)
    events = {event.id: event for event in found}
    work.load(Instance, [event.instance or None for event in found])
    for event_id, ack in acks:
        if event := events.get(event_id):
            instance = work.get(Instance, event.instance or None)
            run_id = "" if instance is None else instance.run_id
            apply(work, run_id, reactions.acknowledgement(event, instance, ack))


def take_status(work: RunnerWork, engine: Engine, statuses: list[PipelineStatus]) -> None:
    """Take changes of pipelines on an engine in order; each is settled before the next one is taken."""
    by_name = _by_name(work, engine)
    _take_late(work, engine, [status for status in statuses if status.name not in by_name])
    named = [by_name[status.name] for status in statuses if status.name in by_name]
    work.load_runs(instance.run_id for instance in named)
    for status in statuses:
        instance = by_name.get(status.name or "")
        if instance is not None and (run_id := _take(work, instance, status)):
            settle(work, run_id)


def take_all_statuses(work: RunnerWork, engine: Engine, statuses: list[PipelineStatus]) -> None:
    """Take a report of all pipelines of an engine (2002); what it says is settled at its end."""
    by_name = _by_name(work, engine)
    work.load_runs(instance.run_id for instance in by_name.values())
    touched: dict[str, None] = {}
    resumed = _resume(work, engine, by_name, statuses) if engine.is_edge else set()
    for status in statuses:
        instance = by_name.get(status.name or "")
        if instance is None:
            _remove_stray(work, engine, status)
        elif status.name not in resumed and (run_id := _take(work, instance, status)):
            touched[run_id] = None
            if reactions.is_lingering(instance, engine, status):
                _remove_again(work, instance)
    names = {status.name for status in statuses}
    for instance in [instance for name, instance in by_name.items() if name not in names]:
        asked = [instance.id] if engine.is_edge and instance.phase == words.STARTING else []
        start = outbox.last_starts(work, asked).get(instance.id)
        if changes := reactions.absence(instance, engine, start, work.now):
            apply(work, instance.run_id, changes)
            touched[instance.run_id] = None
    work.hub.contacts.last_statuses[engine.id] = work.now
    for run_id in touched:
        settle(work, run_id)


def _by_name(work: RunnerWork, engine: Engine) -> dict[str, Instance]:
    """Return the pipelines that a report of an engine can be about.

    While one is being removed, a report is about that one, and not about the next of the same name.
    """
    leaving = outbox.removals(work, engine.id)
    on_engine = work.instances_on(engine.id)
    return {i.name: i for i in on_engine if leaving.get(i.name, i.id) == i.id}


def _take_late(work: RunnerWork, engine: Engine, statuses: list[PipelineStatus]) -> None:
    """Take what statuses say of pipelines that left the engine, each the last of its place in its run."""
    names = [status.name or "" for status in statuses]
    if not names:
        return
    left = work.find(Instance, instances.c.engine_id == engine.id, instances.c.name.in_(names))
    by_name = {instance.name: instance for instance in left}
    for status in statuses:
        instance = by_name.get(status.name or "")
        job = work.get(Job, instance.job_id) if instance else None
        if instance is None or job is None or job.current_run != instance.run_id:
            continue
        same = [other for other in work.instances_of(instance.run_id) if other.slot == instance.slot]
        if same[-1] is instance and instance.phase == words.GONE:
            apply(work, instance.run_id, reactions.late_report(instance, status))


def _remove_stray(work: RunnerWork, engine: Engine, status: PipelineStatus) -> None:
    if kind := reactions.stray_removal(engine, status):
        outbox.queue_stray_removal(work, engine, status.name or "", kind)


def _remove_again(work: RunnerWork, instance: Instance) -> None:
    if not outbox.waits(work, instance.id, words.STOP_DELETE):
        decide(work, instance.run_id, lambda case: [decisions.removal(case, instance)])


def _take(work: RunnerWork, instance: Instance, status: PipelineStatus) -> str | None:
    """Take the status of one pipeline; return the id of its run when that has to be settled."""
    job = work.get(Job, instance.job_id)
    changes, settles = reactions.status_report(instance, status, "" if job is None else job.name, work.now)
    apply(work, instance.run_id, changes)
    return instance.run_id if settles else None


def _resume(
    work: RunnerWork, engine: Engine, by_name: dict[str, Instance], statuses: list[PipelineStatus]
) -> set[str]:
    """Start again what an Edge ran before its process began; return names: their states count for nothing."""
    found = [
        (instance, status)
        for status in statuses
        if (instance := by_name.get(status.name or "")) is not None
        and reactions.is_resumable(instance, status)
    ]
    starts = outbox.last_starts(work, [instance.id for instance, _ in found])
    resumed = set()
    for instance, status in found:
        if changes := reactions.resumption(instance, engine, starts.get(instance.id), status, work.now):
            apply(work, instance.run_id, changes)
            resumed.add(instance.name)
    return resumed


def take_figures(work: RunnerWork, engine: Principal, figures: ProcessFigures) -> None:
    """Remember CPU and memory of an engine."""
    taken = Figures(figures.cpu_load or 0.0, figures.used_memory or 0.0)
    work.hub.contacts.note_figures(engine.id, taken)


def settle(work: RunnerWork, run_id: str) -> None:
    """Let the states of a run's pipelines decide its status."""
    apply(work, run_id, [do.Settle()])
