"""What a report, a silence or a wish means for a job run and its pipelines: functions without a database.

Each takes what is known of a run (`OpenRun`) and returns changes in the order in which they are to be done;
`psrlib.hub.runner.writer` does them. So the life of a run can be read, and is tested, as a table of cases.
The why in full: docs/architecture.md.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import words
from psrlib.hub.runner.entities import Engine, Instance, Job, Run
from psrlib.hub.runner.pool import Choice
from psrlib.hub.store.queries import Row

NO_ENGINE = "JOBRUNNER_24 - No responding engine has all labels of the job"
# the words of a real hub; {} are addresses of engines
NO_FAILOVER = "JOBRUNNER_24 - Cannot failover Data Collectors '{}' as no instances available for failover"
NOT_RESPONDING = "JOBRUNNER_62 - Not responding Data Collectors execution engines '{}'"
OVER_THRESHOLDS = (
    "JOBRUNNER_72 - Insufficient Data Collector resources to run job. "
    "All matching Data Collectors {} have reached their maximum CPU usage limits."
)
OF_SILENCE = tuple(text.partition("{}")[0] for text in (NOT_RESPONDING, NO_FAILOVER))
OF_SHORTAGE = (NO_ENGINE, OVER_THRESHOLDS.partition("{}")[0])
MAX_NAMED = 20  # engines in a warning
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

    ``instances`` are all of the run, oldest first. ``engine`` gives the engine with an id, None when the hub
    forgot it; ``find`` gives engines for the job: as many as wanted (-1: all), none of the ids excluded.
    """

    run: Run
    job: Job
    instances: list[Instance]
    engine: Callable[[str], Engine | None]
    find: Callable[[int, set[str]], Choice]

    @property
    def present(self) -> list[Instance]:
        """Instances that are on an engine as far as the hub knows."""
        return [instance for instance in self.instances if instance.phase != words.GONE]

    @property
    def occupied(self) -> set[int]:
        """Slots that need no engine: of pipelines that are on one, also on their way, or that finished."""
        latest = {instance.slot: instance for instance in self.instances}
        return {slot for slot, i in latest.items() if i.phase != words.GONE or i.status == "FINISHED"}

    @property
    def live(self) -> list[Instance]:
        """Instances that nobody stops."""
        return [instance for instance in self.instances if instance.phase in (words.STARTING, words.RUNNING)]


def engine_labels(engine: Engine | Row) -> set[str]:
    """Return the labels an engine answers to: assigned in the hub and reported by it."""
    return {*engine.labels, *engine.reported_labels}


def placement(case: OpenRun, kept: list[Slot], excluded: Set[str] = frozenset()) -> list[do.Change]:
    """Give a run the engines it lacks; what cannot be placed becomes a warning and is tried again.

    ``kept`` are the offsets of the job's former runs, by slot. A run that is being stopped gets none.
    """
    if case.run.status == words.DEACTIVATING:
        return []
    present, wanted = case.present, case.job.instances
    taken = {instance.engine_id for instance in present}
    used = case.occupied
    missing = -1 if wanted < 0 else max(wanted - len(used), 0)
    choice = case.find(missing, taken | excluded) if missing else Choice([], [])
    free = [slot for slot in kept if slot.slot not in used]
    highest = max([*(i.slot for i in case.instances), *(slot.slot for slot in kept)], default=-1)
    new = [Slot(highest + n, None, 2) for n in range(1, len(choice.chosen) + 1)]
    changes: list[do.Change] = [
        do.Put(engine, slot.slot, slot.offset, slot.protocol)
        for engine, slot in zip(choice.chosen, free + new, strict=False)
    ]
    short = not choice.chosen and not present if wanted < 0 else len(choice.chosen) < missing
    full = [engine for engine in choice.matching if engine.id not in taken]
    reason = OVER_THRESHOLDS.format(_addresses(full)) if full else NO_ENGINE
    silence = [warning for warning in case.run.warnings if warning.startswith(OF_SILENCE)]
    changes.append(do.SetWarnings([*silence, reason] if short else silence))
    if short and not present and not choice.chosen:
        changes.append(do.SetStatus(words.ACTIVE, words.RED))
    return changes


def _addresses(found: Iterable[Engine]) -> str:
    """Return the addresses of engines as warnings name them.

    Examples
    --------
    >>> _addresses([Engine("e", "acme", "http://a:18630", "3.22.2", "COLLECTOR")])
    '[http://a:18630]'
    """
    urls = sorted({engine.http_url or engine.id for engine in found})
    return f"[{', '.join([*urls[:MAX_NAMED], *(['...'] if len(urls) > MAX_NAMED else [])])}]"


def waits_for_engines(run: Run) -> bool:
    """Whether a run lacks engines, and gets them as soon as there are some."""
    return any(warning.startswith(OF_SHORTAGE) for warning in run.warnings)


def is_warned_of_silence(run: Run) -> bool:
    """Whether a run has a warning that an engine of its is silent."""
    return any(warning.startswith(OF_SILENCE) for warning in run.warnings)


def second_placement(case: OpenRun, kept: list[Slot]) -> list[do.Change]:
    """Try again to give a run engines; one that waited for its first becomes ACTIVATING again."""
    changes = placement(case, kept)
    if _moves(changes) and all(instance.phase == words.STARTING for instance in case.present):
        changes.append(do.SetStatus(words.ACTIVATING, words.GRAY))
    return changes


def removal(
    case: OpenRun, instance: Instance, user_id: str | None = None, force_ms: int = do.FORCE_STOP_MS
) -> do.Change:
    """Take a pipeline off its engine: STOP_DELETE, on Edge STOP and then DELETE (engine-protocol.md, 10)."""
    engine = case.engine(instance.engine_id)
    if engine is None:
        return do.Gone(instance, drop=True)
    kind = words.STOP_DELETE
    if engine.is_edge:
        kind = words.DELETE if instance.status in words.ENDED_STATES else words.STOP
    return do.Remove(instance, kind, user_id, force_ms)


def settlement(case: OpenRun, silent: Set[str]) -> list[do.Change]:
    """Let the states of a run's pipelines decide its status; ``silent`` are ids of engines."""
    changes: list[do.Change] = []
    for instance in case.present:
        if instance.status == "DELETED":
            changes.append(do.Gone(instance))
        elif instance.phase == words.STOPPING and instance.status in words.ENDED_STATES:
            engine = case.engine(instance.engine_id)
            if engine is not None and engine.is_edge:
                changes.append(do.Send(words.DELETE, instance))
        elif instance.phase != words.STOPPING and instance.status in words.FAILED_STATES:
            message = instance.message or f"pipeline is {instance.status}"
            return [*changes, do.Failed(instance, message)]
    if case.run.status != words.DEACTIVATING:
        changes += _settlement_of_running(case, silent)
    return changes


def _settlement_of_running(case: OpenRun, silent: Set[str]) -> list[do.Change]:
    live = [instance for instance in case.live if instance.status != "DELETED"]
    if live and all(instance.status in ("FINISHED", "STOPPED") for instance in live):
        return [do.SetStatus(words.DEACTIVATING, words.GRAY), *(removal(case, instance) for instance in live)]
    changes: list[do.Change] = []
    changes += [removal(case, instance) for instance in live if instance.status == "FINISHED"]
    if any(instance.status in words.RUNNING_STATES for instance in live):
        healthy = all(
            instance.status in ("RUNNING", "FINISHED") and instance.engine_id not in silent
            for instance in live
        )
        changes.append(
            do.SetStatus(words.ACTIVE, words.GREEN if healthy and not case.run.warnings else words.RED)
        )
    return changes


def failure(case: OpenRun, instance: Instance, message: str) -> list[do.Change]:
    """A pipeline failed: another engine is tried where failover is on, else the run fails.

    A run that fails ends INACTIVE_ERROR, or INACTIVE without manual acknowledgement.
    """
    if case.run.status == words.DEACTIVATING:
        return []
    changes = failover(case, instance, [removal(case, instance)]) if case.job.migrate_offsets else []
    if not _moves(changes):
        changes.append(do.SetStatus(words.DEACTIVATING, words.RED, error=message))
        changes += [removal(case, other) for other in case.live]
    return changes


def silence(case: OpenRun, instance: Instance) -> list[do.Change]:
    """An engine is silent: its pipeline moves where failover is on.

    Nothing can be sent to the silent engine. When it comes back it reports a pipeline that is not ours any
    more, and is told to remove it. One that was to be removed is not waited for.
    """
    gone = do.Gone(instance, drop=True)
    if instance.phase == words.STOPPING:
        return [gone]
    changes = failover(case, instance, [gone]) if case.job.migrate_offsets else []
    return (
        changes if _moves(changes) or not is_warned_of_silence(case.run) else []
    )  # told once, not each second


def silence_warnings(case: OpenRun, silent: Set[str]) -> list[do.Change]:
    """A run with pipelines on silent engines is red and says so; without them its states decide again.

    ``silent`` are ids of engines.
    """
    lost = [i.engine_id for i in case.live if i.engine_id in silent]
    others = [warning for warning in case.run.warnings if not warning.startswith(OF_SILENCE)]
    if not lost:
        return [do.SetWarnings(others), do.Settle()]
    urls = _addresses(engine for id in lost if (engine := case.engine(id)) is not None)
    own = [NOT_RESPONDING.format(urls)]
    if case.job.migrate_offsets:
        own.append(NO_FAILOVER.format(urls))
    return [do.SetWarnings([*own, *others]), do.SetStatus(words.ACTIVE, words.RED)]


def failover(case: OpenRun, instance: Instance, leaving: list[do.Change]) -> list[do.Change]:
    """Move an instance to an engine that has not failed in this run, if there is one.

    ``leaving`` is how it leaves its engine.
    """
    run, job = case.run, case.job
    limit = job.settings.get("globalMaxRetries")
    if isinstance(limit, int) and 0 <= limit <= run.failovers:
        values = {"JOB_ID": job.id, "JOB_NAME": job.name, "ORG_ID": job.organization}
        return [do.Tell("MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED", values)]
    failed = {other.engine_id for other in case.instances if other.status in words.FAILED_STATES}
    taken = {other.engine_id for other in case.present}
    choice = case.find(1, taken | failed | {instance.engine_id})
    if not choice.chosen:
        return []
    moved = (instance.slot, instance.offset, instance.offset_protocol)
    return [*leaving, do.Put(choice.chosen[0], *moved, failover=True)]


def _moves(changes: list[do.Change]) -> bool:
    return any(isinstance(change, do.Put) for change in changes)


def ending(case: OpenRun) -> list[do.Change]:
    """End a run that is being stopped once all its pipelines are gone."""
    if case.run.status != words.DEACTIVATING or case.present:
        return []
    if case.run.color != words.RED:
        return [do.SetWarnings([]), do.SetStatus(words.INACTIVE, words.GRAY)]
    manual = case.job.settings.get("needsManualAck") is not False
    return [do.SetWarnings([]), do.SetStatus(words.INACTIVE_ERROR if manual else words.INACTIVE, words.RED)]


def stopping(case: OpenRun, user_id: str, force: bool) -> list[do.Change]:
    """Stop a run; with ``force`` without waiting for its engines."""
    changes: list[do.Change] = [do.SetStatus(words.DEACTIVATING, words.GRAY, user_id)]
    for instance in case.present:
        changes.append(removal(case, instance, user_id, 0 if force else force_stop_ms(case.job)))
        if force:
            changes.append(do.Gone(instance))
    return changes


def force_stop_ms(job: Job) -> int:
    """Return how long a stop may take before engines are forced."""
    given = job.settings.get("forceStopTimeout")
    return do.FORCE_STOP_MS if given is None else int(given)


def late_stop(case: OpenRun, instance: Instance, now_ms: int) -> list[do.Change]:
    """Give up an instance whose stop takes longer than the job's force-stop timeout."""
    patience_ms = force_stop_ms(case.job) + EDGE_STOP_GRACE_MS
    return [] if now_ms - case.run.changed_on < patience_ms else [do.Gone(instance, drop=True)]


def giving_up(case: OpenRun, instance: Instance) -> list[do.Change]:
    """Stop counting on an instance whose engine was removed; the run looks for another engine."""
    gone = do.Gone(instance, drop=True)
    return [gone] if case.run.status == words.DEACTIVATING else [gone, do.Place({instance.engine_id})]


def replacement(case: OpenRun) -> list[do.Change]:
    """Look for engines when a pipeline left a run that needs it: deleted by somebody, or moving.

    One that finished is not replaced, and no more are started for a job that wants every engine: it has what
    matched at its start or at the last synchronisation.
    """
    is_open = case.run.status != words.DEACTIVATING and not waits_for_engines(case.run)
    return [do.Place()] if is_open and len(case.occupied) < case.job.instances else []


def synchronisation(case: OpenRun) -> list[do.Change]:
    """Bring a run in line with the labels engines have now and the instances the job wants.

    A pipeline moves to another engine when it has left its own, with the offset it had then.
    """
    wanted = set(case.job.labels)
    changes: list[do.Change] = []
    for instance in case.live:
        engine = case.engine(instance.engine_id)
        if engine is None or not wanted <= engine_labels(engine):
            changes.append(removal(case, instance))
    return [*changes, do.Place()]


def balance(case: OpenRun, load_of: Mapping[str, int]) -> list[do.Change]:
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
    return [removal(case, source), do.Put(target, source.slot, source.offset, source.offset_protocol)]
