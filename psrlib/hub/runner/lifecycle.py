"""The life of a job run: start, change of status, removal of pipelines, end."""

import uuid
from typing import Any

from sqlalchemy import func, select

from psrlib.hub.runner import outbox
from psrlib.hub.runner.payload import pipeline_name
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.selection import Choice, choose_engines, engine_labels, note_load, pipelines_running
from psrlib.hub.runner.words import (
    ACTIVATING,
    ACTIVE,
    DEACTIVATING,
    DELETE,
    ENDED_STATES,
    FAILED_STATES,
    GONE,
    GRAY,
    INACTIVE,
    INACTIVE_ERROR,
    RED,
    STARTING,
    STOP,
    STOP_DELETE,
    STOPPING,
)
from psrlib.hub.runner.work import Work
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import CHUNK
from psrlib.hub.store.schema.execution import instances, run_events, runs
from psrlib.hub.store.text import load
from psrlib.hub.web.issues import IssueError, bad_request

NO_ENGINE = "JOBRUNNER_24 - No responding engine has all labels of the job"
OVER_THRESHOLDS = "JOBRUNNER_72 - All matching engines are over their thresholds"
NOT_RESPONDING = "JOBRUNNER_62 - Engine '{}' is not responding"
FORCE_STOP_MS = 120_000


def start_jobs(
    work: Work,
    started: list[Record],
    user_id: str,
    groups: list[str],
    parameters: dict[str, Any] | None = None,
) -> list[str]:
    """Start jobs; return the ids of their runs.

    Raises
    ------
    IssueError
        400 for a template and for a job that runs or whose error is not acknowledged.
    """
    work.load_runs(job.current_run for job in started if job.current_run)
    work.load_commits(job.commit_id for job in started)
    work.load_offsets(job.id for job in started)
    made = []
    for job in started:
        last = _last_run(work, job)
        run = _insert_run(work, job, last, user_id, groups, parameters)
        place(work, run, job, int(job.instances), set())
        made.append(run.id)
    _drop_old_runs(work, started)
    return made


def _last_run(work: Work, job: Record) -> Record | None:
    """Return the run before the one to come, refusing a job that cannot start."""
    if job.template:
        raise bad_request(f"job '{job.name}' is a template; start it with createAndStartJobInstances")
    last = work.run(job.current_run) if job.current_run else None
    if last is not None and last.status == INACTIVE_ERROR:
        raise IssueError(400, "JOBRUNNER_05", f"job '{job.name}' has an error; acknowledge it first")
    if last is not None and last.open:
        raise IssueError(
            400, "JOBRUNNER_06", f"job '{job.name}' is {last.status}; it can start when INACTIVE"
        )
    return last


def _insert_run(
    work: Work,
    job: Record,
    last: Record | None,
    user_id: str,
    groups: list[str],
    parameters: dict[str, Any] | None,
) -> Record:
    commit = work.commit(job.commit_id)
    own = job.settings.get("runtimeParameters")
    values = load(own) if isinstance(own, str) and own.strip() else {}
    run = work.insert_run(
        {
            "id": f"{uuid.uuid4()}:{job.organization}",
            "job_id": job.id,
            "organization": job.organization,
            "commit_id": commit.id,
            "commit_label": f"v{commit.number}",
            "user_id": user_id,
            "run_count": last.run_count + 1 if last is not None else 1,
            "status": ACTIVATING,
            "color": GRAY,
            "start_time": work.now,
            "finish_time": 0,
            "changed_on": work.now,
            "parameters": (values if isinstance(values, dict) else {}) | (parameters or {}),
            "groups": groups,
            "open": True,
        }
    )
    work.change(job, current_run=run.id)
    _note(work, run.id, user_id, ACTIVATING, GRAY)
    _fire(work, job, run, ACTIVATING, ACTIVATING, GRAY)
    return run


def _drop_old_runs(work: Work, started: list[Record]) -> None:
    """Keep no more runs of each job than its organization's limit."""
    by_limit: dict[int, list[str]] = {}
    for job in started:
        entries = configuration.remembered(work.hub.cache, work.db, job.organization)
        by_limit.setdefault(int(entries[configuration.MAX_JOB_RUNS]), []).append(job.id)
    for kept, ids in by_limit.items():
        for start in range(0, len(ids) if kept > 0 else 0, CHUNK):
            counts = (
                select(runs.c.job_id, func.count())
                .where(runs.c.job_id.in_(ids[start : start + CHUNK]))
                .group_by(runs.c.job_id)
                .having(func.count() > kept)
            )
            for job_id, n in list(work.db.execute(counts)):
                _drop_oldest_runs(work, job_id, n - kept)


def _drop_oldest_runs(work: Work, job_id: str, n: int) -> None:
    oldest = select(runs.c.id).where(runs.c.job_id == job_id).order_by(runs.c.run_count).limit(n)
    gone = list(work.db.execute(oldest).scalars())
    for table in (run_events, instances):
        work.db.execute(table.delete().where(table.c.run_id.in_(gone)))
    work.db.execute(runs.delete().where(runs.c.id.in_(gone)))


def place(work: Work, run: Record, job: Record, n_wanted: int, excluded: set[str]) -> Choice:
    """Give a run the engines it lacks; what cannot be placed becomes a warning and is tried again."""
    present = [i for i in work.instances_of(run.id) if i.phase != GONE]
    taken = {i.engine_id for i in present}
    missing = -1 if n_wanted < 0 else max(n_wanted - len(present), 0)
    choice = choose_engines(work, job, missing, taken | excluded) if missing else Choice([], 1)
    free_slots = _free_slots(work, job, present)
    name = pipeline_name(work.commit(run.commit_id).name, job.id)
    for engine in choice.chosen:
        slot, offset, protocol = free_slots.pop(0) if free_slots else (_next_slot(work, run), None, 2)
        insert_instance(work, run, engine, name, slot, offset, protocol)
    short = not choice.chosen and not present if n_wanted < 0 else len(choice.chosen) < missing
    warnings = [OVER_THRESHOLDS if choice.n_matching > len(taken) else NO_ENGINE] if short else []
    set_warnings(work, run, warnings)
    if short and not present and not choice.chosen:
        set_status(work, run, ACTIVE, RED)
    return choice


def _free_slots(work: Work, job: Record, present: list[Record]) -> list[tuple[int, str | None, int]]:
    used = {i.slot for i in present}
    stored = work.offsets_of(job.id).values()
    return [(row.slot, row.offset, row.protocol) for row in stored if row.slot not in used]


def _next_slot(work: Work, run: Record) -> int:
    used = {int(i.slot) for i in work.instances_of(run.id)}
    return max(used.union(work.offsets_of(run.job_id)), default=-1) + 1


def insert_instance(
    work: Work, run: Record, engine: Record, name: str, slot: int, offset: str | None, protocol: int
) -> None:
    """Put a run's pipeline on an engine."""
    row = {
        "run_id": run.id,
        "job_id": run.job_id,
        "organization": run.organization,
        "engine_id": engine.id,
        "name": name,
        "slot": slot,
        "offset": offset,
        "offset_protocol": protocol,
        "phase": STARTING,
        "created_on": work.now,
    }
    instance = work.insert_instance(row)
    note_load(work, run.organization, engine.id, 1)
    outbox.queue_start(work, run, instance.id, engine.id, name)


def set_warnings(work: Work, run: Record, warnings: list[str]) -> None:
    """Replace the warnings of a run."""
    if warnings != run.warnings:
        work.change(run, warnings=warnings)


def set_status(
    work: Work, run: Record, status: str, color: str, user_id: str | None = None, error: str | None = None
) -> None:
    """Change status and color of a run, write its history and fire events; nothing when both stay."""
    before = run.status
    if (before, run.color) == (status, color):
        return
    ended = status in (INACTIVE, INACTIVE_ERROR)
    work.change(run, status=status, color=color, changed_on=work.now, open=not ended)
    if ended:
        work.change(run, finish_time=work.now)
    if error is not None:
        work.change(run, error_message=error)
    _note(work, run.id, user_id or run.user_id, status, color)
    job = work.job(run.job_id)
    if job is not None:
        _fire(work, job, run, before, status, color)


def _note(work: Work, run_id: str, user_id: str, status: str, color: str) -> None:
    values = {"run_id": run_id, "user_id": user_id, "time": work.now, "status": status, "color": color}
    work.records.insert(run_events, values)


def _fire(work: Work, job: Record, run: Record, before: str, status: str, color: str) -> None:
    values = {
        "JOB_ID": job.id,
        "JOB_NAME": job.name,
        "JOB_STATUS": status,
        "JOB_STATUS_COLOR": color,
        "FROM_STATUS": before,
        "TO_STATUS": status,
        "TRIGGERED_ON": str(work.now),
        "RUN_COUNT": str(run.run_count),
        "ORG_ID": job.organization,
    }
    work.fire(job.organization, "JOB_STATUS_CHANGE", values)


def stop_job(work: Work, job: Record, user_id: str, force: bool = False) -> str:
    """Stop a job's run; return the run id.

    Raises
    ------
    IssueError
        400 when the job does not run, or is being stopped already and ``force`` is false.
    """
    run = work.run(job.current_run) if job.current_run else None
    if run is None or not run.open:
        raise IssueError(400, "JOBRUNNER_07", f"job '{job.name}' is not running")
    if run.status == DEACTIVATING and not force:
        raise IssueError(400, "JOBRUNNER_08", f"job '{job.name}' is being stopped already")
    set_status(work, run, DEACTIVATING, GRAY, user_id)
    for instance in work.instances_of(run.id):
        if instance.phase != GONE:
            remove_instance(work, instance, user_id, 0 if force else force_stop_ms(job))
            if force:
                mark_gone(work, instance)
    end_if_empty(work, run)
    return str(run.id)


def force_stop_ms(job: Record) -> int:
    """Return how long a stop may take before engines are forced."""
    given = job.settings.get("forceStopTimeout")
    return FORCE_STOP_MS if given is None else int(given)


def remove_instance(work: Work, instance: Record, user_id: str, force_ms: int = FORCE_STOP_MS) -> None:
    """Take a pipeline off its engine: STOP_DELETE, on Edge STOP and then DELETE (engine-protocol.md, 10)."""
    if outbox.never_delivered(work, instance.id):
        outbox.drop_events(work, instance.id)
        mark_gone(work, instance)
        return
    engine = work.engine(instance.engine_id)
    outbox.drop_events(work, instance.id)
    if engine is None:
        mark_gone(work, instance)
        return
    if engine.executor_type != "EDGE":
        outbox.queue_simple(work, STOP_DELETE, instance, user_id, forceTimeoutMillis=force_ms)
    elif instance.status in ENDED_STATES:
        outbox.queue_simple(work, DELETE, instance, user_id)
    else:
        outbox.queue_simple(work, STOP, instance, user_id)
    work.change(instance, phase=STOPPING)


def mark_gone(work: Work, instance: Record) -> None:
    """Note that an instance left its engine, and keep its offset for the next run."""
    if instance.phase != GONE:
        work.change(instance, phase=GONE)
        note_load(work, instance.organization, instance.engine_id, -1)
    if instance.offset is not None:
        work.keep_offset(instance)


def fail_run(work: Work, run: Record, message: str) -> None:
    """Stop a run because of an error; it ends INACTIVE_ERROR, or INACTIVE without manual ack."""
    set_status(work, run, DEACTIVATING, RED, error=message)
    for instance in work.instances_of(run.id):
        if instance.phase not in (GONE, STOPPING):
            remove_instance(work, instance, run.user_id)
    end_if_empty(work, run)


def end_if_empty(work: Work, run: Record) -> None:
    """End a run that is being stopped once all its pipelines are gone."""
    if run.status != DEACTIVATING or any(i.phase != GONE for i in work.instances_of(run.id)):
        return
    set_warnings(work, run, [])
    if run.color != RED:
        set_status(work, run, INACTIVE, GRAY)
        return
    job = work.job(run.job_id)
    manual = job is None or job.settings.get("needsManualAck") is not False
    set_status(work, run, INACTIVE_ERROR if manual else INACTIVE, RED)


def finish_run(work: Work, run: Record) -> None:
    """End a run whose pipelines all finished by themselves."""
    set_status(work, run, DEACTIVATING, GRAY)
    for instance in work.instances_of(run.id):
        if instance.phase not in (GONE, STOPPING):
            remove_instance(work, instance, run.user_id)
    end_if_empty(work, run)


def fail_over(work: Work, run: Record, job: Record, instance: Record, keep_on_engine: bool) -> bool:
    """Move an instance to an engine that has not failed in this run; return whether one was found.

    ``keep_on_engine``: the old engine is silent, so nothing can be sent there; when it comes back it reports
    a pipeline that is not ours any more, and is told to remove it.
    """
    limit = job.settings.get("globalMaxRetries")
    if isinstance(limit, int) and 0 <= limit <= run.failovers:
        values = {"JOB_ID": job.id, "JOB_NAME": job.name, "ORG_ID": job.organization}
        event = "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED"
        work.fire(job.organization, event, values)
        return False
    everyone = work.instances_of(run.id)
    live = {i.engine_id for i in everyone if i.phase != GONE}
    failed = {i.engine_id for i in everyone if i.status in FAILED_STATES}
    choice = choose_engines(work, job, 1, live | failed | {instance.engine_id})
    if not choice.chosen:
        return False
    if keep_on_engine:
        outbox.drop_events(work, instance.id)
        mark_gone(work, instance)
    else:
        remove_instance(work, instance, run.user_id)
    work.change(run, failovers=run.failovers + 1)
    name = pipeline_name(work.commit(run.commit_id).name, job.id)
    insert_instance(
        work, run, choice.chosen[0], name, instance.slot, instance.offset, instance.offset_protocol
    )
    return True


def synchronise(work: Work, run: Record, job: Record) -> None:
    """Bring a run in line with the labels engines have now and the instances the job wants."""
    wanted = set(job.labels)
    for instance in work.instances_of(run.id):
        engine = work.engine(instance.engine_id)
        if instance.phase in (GONE, STOPPING):
            continue
        if engine is None or not wanted <= engine_labels(engine):
            remove_instance(work, instance, run.user_id)
    place(work, run, job, int(job.instances), set())


def balance(work: Work, run: Record, job: Record) -> None:
    """Move an instance of a run to a matching engine that has at least two pipelines fewer."""
    if job.instances < 0:
        return
    load_of = pipelines_running(work, job.organization)
    live = [i for i in work.instances_of(run.id) if i.phase not in (GONE, STOPPING)]
    live.sort(key=lambda i: -load_of.get(i.engine_id, 0))
    choice = choose_engines(work, job, 1, {i.engine_id for i in live})
    if not live or not choice.chosen:
        return
    target, source = choice.chosen[0], live[0]
    if load_of.get(source.engine_id, 0) - load_of.get(target.id, 0) < 2:
        return
    remove_instance(work, source, run.user_id)
    insert_instance(work, run, target, source.name, source.slot, source.offset, source.offset_protocol)


def give_up(work: Work, instance: Record) -> None:
    """Stop counting on an instance whose engine was removed; the run looks for another engine."""
    outbox.drop_events(work, instance.id)
    mark_gone(work, instance)
    run, job = work.run(instance.run_id), work.job(instance.job_id)
    if run is None or job is None or not run.open:
        return
    if run.status == DEACTIVATING:
        end_if_empty(work, run)
    else:
        place(work, run, job, int(job.instances), {instance.engine_id})
