"""What a report, a silence or a wish means for a job run and its pipelines: functions without a database.

Each takes what is known of a run (`OpenRun`) and returns changes in the order in which they are to be done;
`psrlib.hub.runner.writer` does them. So the life of a run can be read, and is tested, as a table of cases.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from psrlib.hub.runner.changes import (
    FORCE_STOP_MS,
    Change,
    Failed,
    Gone,
    Place,
    Put,
    Remove,
    Send,
    SetStatus,
    SetWarnings,
    Tell,
)
from psrlib.hub.runner.entities import Engine, Instance, Job, Run
from psrlib.hub.runner.pool import Choice
from psrlib.hub.runner.words import (
    ACTIVATING,
    ACTIVE,
    DEACTIVATING,
    DELETE,
    ENDED_STATES,
    FAILED_STATES,
    GONE,
    GRAY,
    GREEN,
    INACTIVE,
    INACTIVE_ERROR,
    RED,
    RUNNING,
    RUNNING_STATES,
    STARTING,
    STOP,
    STOP_DELETE,
    STOPPING,
)
from psrlib.hub.store.queries import Row

NO_ENGINE = "JOBRUNNER_24 - No responding engine has all labels of the job"
OVER_THRESHOLDS = "JOBRUNNER_72 - All matching engines are over their thresholds"
NOT_RESPONDING = "JOBRUNNER_62 - Engine '{}' is not responding"
EDGE_STOP_GRACE_MS = 70_000  # Edge reports STOPPED in its next 2002, every 60 s


@dataclass(frozen=True)
class Slot:
    """A place among a job's pipeline instances, with the offset kept there."""

    slot: int
    offset: str | None
    protocol: int


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended, and what decisions about it may ask for.

    Attributes
    ----------
    instances : list of Instance
        All pipeline instances of the run, oldest first.
    engine : callable
        The engine with an id, or None when the hub forgot it.
    find : callable
        Engines for the job: the number wanted (-1: all) and ids of engines that are excluded.
    """

    run: Run
    job: Job
    instances: list[Instance]
    engine: Callable[[str], Engine | None]
    find: Callable[[int, set[str]], Choice]

    @property
    def present(self) -> list[Instance]:
        """Instances that are on an engine as far as the hub knows."""
        return [instance for instance in self.instances if instance.phase != GONE]

    @property
    def live(self) -> list[Instance]:
        """Instances that nobody stops."""
        return [instance for instance in self.instances if instance.phase in (STARTING, RUNNING)]


def engine_labels(engine: Engine | Row) -> set[str]:
    """Return the labels an engine answers to: assigned in the hub and reported by it."""
    return {*engine.labels, *engine.reported_labels}


def placement(case: OpenRun, kept: list[Slot], excluded: Set[str] = frozenset()) -> list[Change]:
    """Give a run the engines it lacks; what cannot be placed becomes a warning and is tried again.

    ``kept`` are the offsets of the job's former runs, by slot.
    """
    present, wanted = case.present, case.job.instances
    taken = {instance.engine_id for instance in present}
    missing = -1 if wanted < 0 else max(wanted - len(present), 0)
    choice = case.find(missing, taken | excluded) if missing else Choice([], 1)
    used = {instance.slot for instance in present}
    free = [slot for slot in kept if slot.slot not in used]
    highest = max([*(i.slot for i in case.instances), *(slot.slot for slot in kept)], default=-1)
    new = [Slot(highest + n, None, 2) for n in range(1, len(choice.chosen) + 1)]
    changes: list[Change] = [
        Put(engine, slot.slot, slot.offset, slot.protocol)
        for engine, slot in zip(choice.chosen, free + new, strict=False)
    ]
    short = not choice.chosen and not present if wanted < 0 else len(choice.chosen) < missing
    reason = OVER_THRESHOLDS if choice.n_matching > len(taken) else NO_ENGINE
    changes.append(SetWarnings([reason] if short else []))
    if short and not present and not choice.chosen:
        changes.append(SetStatus(ACTIVE, RED))
    return changes


def waits_for_engines(run: Run) -> bool:
    """Whether a run lacks engines, and nothing else is wrong with it."""
    return run.warnings in ([NO_ENGINE], [OVER_THRESHOLDS])


def second_placement(case: OpenRun, kept: list[Slot]) -> list[Change]:
    """Try again to give a run engines; one that waited for its first becomes ACTIVATING again."""
    changes = placement(case, kept)
    placed = any(isinstance(change, Put) for change in changes)
    if placed and all(instance.phase == STARTING for instance in case.present):
        changes.append(SetStatus(ACTIVATING, GRAY))
    return changes


def removal(
    case: OpenRun, instance: Instance, user_id: str | None = None, force_ms: int = FORCE_STOP_MS
) -> Change:
    """Take a pipeline off its engine: STOP_DELETE, on Edge STOP and then DELETE (engine-protocol.md, 10)."""
    engine = case.engine(instance.engine_id)
    if engine is None:
        return Gone(instance, drop=True)
    kind = STOP_DELETE
    if engine.is_edge:
        kind = DELETE if instance.status in ENDED_STATES else STOP
    return Remove(instance, kind, user_id, force_ms)


def settlement(case: OpenRun, silent: Set[str]) -> list[Change]:
    """Let the states of a run's pipelines decide its status; ``silent`` are ids of engines."""
    changes: list[Change] = []
    for instance in case.present:
        if instance.status == "DELETED":
            changes.append(Gone(instance))
        elif instance.phase == STOPPING and instance.status in ENDED_STATES:
            engine = case.engine(instance.engine_id)
            if engine is not None and engine.is_edge:
                changes.append(Send(DELETE, instance))
        elif instance.phase != STOPPING and instance.status in FAILED_STATES:
            message = instance.message or f"pipeline is {instance.status}"
            return [*changes, Failed(instance, message)]
    if case.run.status != DEACTIVATING:
        changes += _settlement_of_running(case, silent)
    return changes


def _settlement_of_running(case: OpenRun, silent: Set[str]) -> list[Change]:
    live = [instance for instance in case.live if instance.status != "DELETED"]
    is_one_lost = len(live) < len(case.live)  # deleted on its engine by somebody else: put somewhere again
    if live and all(instance.status in ("FINISHED", "STOPPED") for instance in live):
        return [SetStatus(DEACTIVATING, GRAY), *(removal(case, instance) for instance in live)]
    changes = [removal(case, instance) for instance in live if instance.status == "FINISHED"]
    if any(instance.status in RUNNING_STATES for instance in live):
        healthy = all(
            instance.status in ("RUNNING", "FINISHED") and instance.engine_id not in silent
            for instance in live
        )
        changes.append(SetStatus(ACTIVE, GREEN if healthy and not case.run.warnings else RED))
    return [*changes, Place()] if is_one_lost else changes


def failure(case: OpenRun, instance: Instance, message: str) -> list[Change]:
    """A pipeline failed: another engine is tried where failover is on, else the run fails.

    A run that fails ends INACTIVE_ERROR, or INACTIVE without manual acknowledgement.
    """
    if case.run.status == DEACTIVATING:
        return []
    changes = failover(case, instance, [removal(case, instance)]) if case.job.migrate_offsets else []
    if not _moves(changes):
        changes.append(SetStatus(DEACTIVATING, RED, error=message))
        changes += [removal(case, other) for other in case.live]
    return changes


def silence(case: OpenRun, instance: Instance) -> list[Change]:
    """An engine is silent: its pipeline moves where failover is on, else the run is red.

    Nothing can be sent to the silent engine. When it comes back it reports a pipeline that is not ours any
    more, and is told to remove it.
    """
    changes: list[Change] = []
    if case.job.migrate_offsets:
        changes = failover(case, instance, [Gone(instance, drop=True)])
        if _moves(changes):
            return [*changes, SetWarnings([])]
    warnings = [NOT_RESPONDING.format(instance.engine_id)]
    if case.job.migrate_offsets:
        warnings.append(NO_ENGINE)
    return [*changes, SetWarnings(warnings), SetStatus(ACTIVE, RED)]


def failover(case: OpenRun, instance: Instance, leaving: list[Change]) -> list[Change]:
    """Move an instance to an engine that has not failed in this run, if there is one.

    ``leaving`` is how it leaves its engine.
    """
    run, job = case.run, case.job
    limit = job.settings.get("globalMaxRetries")
    if isinstance(limit, int) and 0 <= limit <= run.failovers:
        values = {"JOB_ID": job.id, "JOB_NAME": job.name, "ORG_ID": job.organization}
        return [Tell("MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED", values)]
    failed = {other.engine_id for other in case.instances if other.status in FAILED_STATES}
    taken = {other.engine_id for other in case.present}
    choice = case.find(1, taken | failed | {instance.engine_id})
    if not choice.chosen:
        return []
    moved = (instance.slot, instance.offset, instance.offset_protocol)
    return [*leaving, Put(choice.chosen[0], *moved, failover=True)]


def _moves(changes: list[Change]) -> bool:
    return any(isinstance(change, Put) for change in changes)


def ending(case: OpenRun) -> list[Change]:
    """End a run that is being stopped once all its pipelines are gone."""
    if case.run.status != DEACTIVATING or case.present:
        return []
    if case.run.color != RED:
        return [SetWarnings([]), SetStatus(INACTIVE, GRAY)]
    manual = case.job.settings.get("needsManualAck") is not False
    return [SetWarnings([]), SetStatus(INACTIVE_ERROR if manual else INACTIVE, RED)]


def stopping(case: OpenRun, user_id: str, force: bool) -> list[Change]:
    """Stop a run; with ``force`` without waiting for its engines."""
    changes: list[Change] = [SetStatus(DEACTIVATING, GRAY, user_id)]
    for instance in case.present:
        changes.append(removal(case, instance, user_id, 0 if force else force_stop_ms(case.job)))
        if force:
            changes.append(Gone(instance))
    return changes


def force_stop_ms(job: Job) -> int:
    """Return how long a stop may take before engines are forced."""
    given = job.settings.get("forceStopTimeout")
    return FORCE_STOP_MS if given is None else int(given)


def late_stop(case: OpenRun, instance: Instance, now_ms: int) -> list[Change]:
    """Give up an instance whose stop takes longer than the job's force-stop timeout."""
    patience_ms = force_stop_ms(case.job) + EDGE_STOP_GRACE_MS
    return [] if now_ms - case.run.changed_on < patience_ms else [Gone(instance, drop=True)]


def giving_up(case: OpenRun, instance: Instance) -> list[Change]:
    """Stop counting on an instance whose engine was removed; the run looks for another engine."""
    gone = Gone(instance, drop=True)
    return [gone] if case.run.status == DEACTIVATING else [gone, Place({instance.engine_id})]


def synchronisation(case: OpenRun) -> list[Change]:
    """Bring a run in line with the labels engines have now and the instances the job wants."""
    wanted = set(case.job.labels)
    changes: list[Change] = []
    for instance in case.live:
        engine = case.engine(instance.engine_id)
        if engine is None or not wanted <= engine_labels(engine):
            changes.append(removal(case, instance))
    return [*changes, Place()]


def balance(case: OpenRun, load_of: Mapping[str, int]) -> list[Change]:
    """Move an instance of a run to a matching engine that has at least two pipelines fewer.

    ``load_of`` is the number of pipelines of each engine.
    """
    live = sorted(case.live, key=lambda instance: -load_of.get(instance.engine_id, 0))
    if case.job.instances < 0 or not live:
        return []
    choice = case.find(1, {instance.engine_id for instance in live})
    source = live[0]
    if not choice.chosen:
        return []
    target = choice.chosen[0]
    if load_of.get(source.engine_id, 0) - load_of.get(target.id, 0) < 2:
        return []
    return [removal(case, source), Put(target, source.slot, source.offset, source.offset_protocol)]
