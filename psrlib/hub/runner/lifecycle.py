"""The life of a job run: start, change of status, removal of pipelines, end."""

import uuid
from typing import Any

from sqlalchemy import Row, func, select

from psrlib.hub import configuration, triggers
from psrlib.hub.call import dump, load
from psrlib.hub.issues import IssueError, bad_request
from psrlib.hub.names import (
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
from psrlib.hub.runner import outbox
from psrlib.hub.runner.payload import pipeline_name
from psrlib.hub.runner.selection import Choice, choose_engines, engine_labels, note_load, pipelines_running
from psrlib.hub.runner.work import Work
from psrlib.hub.schema.design import commits
from psrlib.hub.schema.execution import instances, jobs, offsets, run_events, runs

NO_ENGINE = "JOBRUNNER_24 - No responding engine has all labels of the job"
OVER_THRESHOLDS = "JOBRUNNER_72 - All matching engines are over their thresholds"
NOT_RESPONDING = "JOBRUNNER_62 - Engine '{}' is not responding"
FORCE_STOP_MS = 120_000


def start_job(
    work: Work, job: Row[Any], user_id: str, groups: list[str], parameters: dict[str, Any] | None
) -> str:
    """Start a job; return the run id.

    Raises
    ------
    IssueError
        400 for a template and for a job that runs or whose error is not acknowledged.
    """
    if job.template:
        raise bad_request(f"job '{job.name}' is a template; start it with createAndStartJobInstances")
    last = work.run(job.current_run) if job.current_run else None
    if last is not None and last.status == INACTIVE_ERROR:
        raise IssueError(400, "JOBRUNNER_05", f"job '{job.name}' has an error; acknowledge it first")
    if last is not None and last.open:
        raise IssueError(
            400, "JOBRUNNER_06", f"job '{job.name}' is {last.status}; it can start when INACTIVE"
        )
    commit = work.db.execute(select(commits).where(commits.c.id == job.commit_id)).one()
    run = _insert_run(work, job, commit, last, user_id, groups, parameters)
    place(work, run, job, int(job.instances), set())
    return str(run.id)


def _insert_run(
    work: Work,
    job: Row[Any],
    commit: Row[Any],
    last: Row[Any] | None,
    user_id: str,
    groups: list[str],
    parameters: dict[str, Any] | None,
) -> Row[Any]:
    run_id = f"{uuid.uuid4()}:{job.organization}"
    own = load(job.settings).get("runtimeParameters")
    values = load(own) if isinstance(own, str) and own.strip() else {}
    row = {
        "id": run_id,
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
        "parameters": dump((values if isinstance(values, dict) else {}) | (parameters or {})),
        "groups": dump(groups),
        "open": True,
    }
    work.db.execute(runs.insert().values(row))
    work.db.execute(jobs.update().where(jobs.c.id == job.id).values(current_run=run_id))
    _note(work, run_id, user_id, ACTIVATING, GRAY)
    _drop_old_runs(work, job)
    run = work.run(run_id)
    assert run is not None
    _fire(work, job, run, ACTIVATING, GRAY)
    return run


def _drop_old_runs(work: Work, job: Row[Any]) -> None:
    """Keep no more runs than the organization's limit."""
    entries = configuration.remembered(work.hub.memory, work.db, job.organization)
    kept = int(entries[configuration.MAX_JOB_RUNS])
    n = work.db.execute(select(func.count()).select_from(runs).where(runs.c.job_id == job.id)).scalar_one()
    if kept < 1 or n <= kept:
        return
    oldest = select(runs.c.id).where(runs.c.job_id == job.id).order_by(runs.c.run_count).limit(n - kept)
    gone = list(work.db.execute(oldest).scalars())
    for table in (run_events, instances):
        work.db.execute(table.delete().where(table.c.run_id.in_(gone)))
    work.db.execute(runs.delete().where(runs.c.id.in_(gone)))


def place(work: Work, run: Row[Any], job: Row[Any], n_wanted: int, excluded: set[str]) -> Choice:
    """Give a run the engines it lacks; what cannot be placed becomes a warning and is tried again."""
    present = [i for i in work.instances_of(run.id) if i.phase != GONE]
    taken = {i.engine_id for i in present}
    missing = -1 if n_wanted < 0 else max(n_wanted - len(present), 0)
    choice = choose_engines(work, job, missing, taken | excluded) if missing else Choice([], 1)
    free_slots = _free_slots(work, job, present)
    commit = work.db.execute(select(commits.c.name).where(commits.c.id == run.commit_id)).one()
    for engine in choice.chosen:
        slot, offset, protocol = free_slots.pop(0) if free_slots else (_next_slot(work, run), None, 2)
        insert_instance(work, run, engine, pipeline_name(commit.name, job.id), slot, offset, protocol)
    short = not choice.chosen and not present if n_wanted < 0 else len(choice.chosen) < missing
    warnings = [OVER_THRESHOLDS if choice.n_matching > len(taken) else NO_ENGINE] if short else []
    set_warnings(work, run, warnings)
    if short and not present and not choice.chosen:
        set_status(work, run, ACTIVE, RED)
    return choice


def _free_slots(work: Work, job: Row[Any], present: list[Row[Any]]) -> list[tuple[int, str | None, int]]:
    used = {i.slot for i in present}
    rows = work.db.execute(select(offsets).where(offsets.c.job_id == job.id).order_by(offsets.c.slot))
    return [(row.slot, row.offset, row.protocol) for row in rows if row.slot not in used]


def _next_slot(work: Work, run: Row[Any]) -> int:
    top = work.db.execute(select(func.max(instances.c.slot)).where(instances.c.run_id == run.id)).scalar()
    stored = work.db.execute(select(func.max(offsets.c.slot)).where(offsets.c.job_id == run.job_id)).scalar()
    return max(-1 if top is None else top, -1 if stored is None else stored) + 1


def insert_instance(
    work: Work, run: Row[Any], engine: Row[Any], name: str, slot: int, offset: str | None, protocol: int
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
    number = work.db.execute(instances.insert().values(row).returning(instances.c.id)).scalar_one()
    note_load(work, run.organization, engine.id, 1)
    outbox.queue_start(work, run, number, engine.id, name)


def set_warnings(work: Work, run: Row[Any], warnings: list[str]) -> None:
    """Replace the warnings of a run."""
    text = dump(warnings)
    if text != run.warnings:
        work.db.execute(runs.update().where(runs.c.id == run.id).values(warnings=text))


def set_status(
    work: Work, run: Row[Any], status: str, color: str, user_id: str | None = None, error: str | None = None
) -> None:
    """Change status and color of a run, write its history and fire events; nothing when both stay."""
    now = work.db.execute(select(runs.c.status, runs.c.color).where(runs.c.id == run.id)).one()
    if (now.status, now.color) == (status, color):
        return
    ended = status in (INACTIVE, INACTIVE_ERROR)
    values: dict[str, Any] = {"status": status, "color": color, "changed_on": work.now, "open": not ended}
    if ended:
        values["finish_time"] = work.now
    if error is not None:
        values["error_message"] = error
    work.db.execute(runs.update().where(runs.c.id == run.id).values(values))
    _note(work, run.id, user_id or run.user_id, status, color)
    job = work.job(run.job_id)
    if job is not None:
        _fire(work, job, run, status, color)


def _note(work: Work, run_id: str, user_id: str, status: str, color: str) -> None:
    row = {"run_id": run_id, "user_id": user_id, "time": work.now, "status": status, "color": color}
    work.db.execute(run_events.insert().values(row))


def _fire(work: Work, job: Row[Any], run: Row[Any], status: str, color: str) -> None:
    values = {
        "JOB_ID": job.id,
        "JOB_NAME": job.name,
        "JOB_STATUS": status,
        "JOB_STATUS_COLOR": color,
        "FROM_STATUS": run.status,
        "TO_STATUS": status,
        "TRIGGERED_ON": str(work.now),
        "RUN_COUNT": str(run.run_count),
        "ORG_ID": job.organization,
    }
    triggers.fire(work.hub.memory, work.db, job.organization, "JOB_STATUS_CHANGE", values, work.now)


def stop_job(work: Work, job: Row[Any], user_id: str, force: bool = False) -> str:
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
            remove_instance(work, instance, user_id, 0 if force else _force_stop_ms(job))
            if force:
                mark_gone(work, instance)
    fresh = work.run(run.id)
    assert fresh is not None
    end_if_empty(work, fresh)
    return str(run.id)


def _force_stop_ms(job: Row[Any]) -> int:
    given = load(job.settings).get("forceStopTimeout")
    return FORCE_STOP_MS if given is None else int(given)


def remove_instance(work: Work, instance: Row[Any], user_id: str, force_ms: int = FORCE_STOP_MS) -> None:
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
    work.db.execute(instances.update().where(instances.c.id == instance.id).values(phase=STOPPING))


def mark_gone(work: Work, instance: Row[Any]) -> None:
    """Note that an instance left its engine, and keep its offset for the next run."""
    here = (instances.c.id == instance.id, instances.c.phase != GONE)
    if work.db.execute(instances.update().where(*here).values(phase=GONE)).rowcount:
        note_load(work, instance.organization, instance.engine_id, -1)
    fresh = work.db.execute(select(instances).where(instances.c.id == instance.id)).one()
    if fresh.offset is None:
        return
    work.db.execute(offsets.delete().where(offsets.c.job_id == fresh.job_id, offsets.c.slot == fresh.slot))
    work.db.execute(
        offsets.insert().values(
            job_id=fresh.job_id,
            slot=fresh.slot,
            offset=fresh.offset,
            protocol=fresh.offset_protocol,
            changed_on=work.now,
        )
    )


def fail_run(work: Work, run: Row[Any], message: str) -> None:
    """Stop a run because of an error; it ends INACTIVE_ERROR, or INACTIVE without manual ack."""
    set_status(work, run, DEACTIVATING, RED, error=message)
    for instance in work.instances_of(run.id):
        if instance.phase not in (GONE, STOPPING):
            remove_instance(work, instance, run.user_id)
    fresh = work.run(run.id)
    assert fresh is not None
    end_if_empty(work, fresh)


def end_if_empty(work: Work, run: Row[Any]) -> None:
    """End a run that is being stopped once all its pipelines are gone."""
    if run.status != DEACTIVATING or any(i.phase != GONE for i in work.instances_of(run.id)):
        return
    set_warnings(work, run, [])
    if run.color != RED:
        set_status(work, run, INACTIVE, GRAY)
        return
    job = work.job(run.job_id)
    manual = job is None or load(job.settings).get("needsManualAck") is not False
    set_status(work, run, INACTIVE_ERROR if manual else INACTIVE, RED)


def finish_run(work: Work, run: Row[Any]) -> None:
    """End a run whose pipelines all finished by themselves."""
    set_status(work, run, DEACTIVATING, GRAY)
    for instance in work.instances_of(run.id):
        if instance.phase not in (GONE, STOPPING):
            remove_instance(work, instance, run.user_id)
    fresh = work.run(run.id)
    assert fresh is not None
    end_if_empty(work, fresh)


def fail_over(work: Work, run: Row[Any], job: Row[Any], instance: Row[Any], keep_on_engine: bool) -> bool:
    """Move an instance to an engine that has not failed in this run; return whether one was found.

    ``keep_on_engine``: the old engine is silent, so nothing can be sent there; when it comes back it reports
    a pipeline that is not ours any more, and is told to remove it.
    """
    limit = load(job.settings).get("globalMaxRetries")
    if isinstance(limit, int) and 0 <= limit <= run.failovers:
        values = {"JOB_ID": job.id, "JOB_NAME": job.name, "ORG_ID": job.organization}
        event = "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED"
        triggers.fire(work.hub.memory, work.db, job.organization, event, values, work.now)
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
    work.db.execute(runs.update().where(runs.c.id == run.id).values(failovers=runs.c.failovers + 1))
    commit = work.db.execute(select(commits.c.name).where(commits.c.id == run.commit_id)).one()
    name = pipeline_name(commit.name, job.id)
    insert_instance(
        work, run, choice.chosen[0], name, instance.slot, instance.offset, instance.offset_protocol
    )
    return True


def synchronise(work: Work, run: Row[Any], job: Row[Any]) -> None:
    """Bring a run in line with the labels engines have now and the instances the job wants."""
    wanted = set(load(job.labels))
    for instance in work.instances_of(run.id):
        engine = work.engine(instance.engine_id)
        if instance.phase in (GONE, STOPPING):
            continue
        if engine is None or not wanted <= engine_labels(engine):
            remove_instance(work, instance, run.user_id)
    fresh = work.run(run.id)
    assert fresh is not None
    place(work, fresh, job, int(job.instances), set())


def balance(work: Work, run: Row[Any], job: Row[Any]) -> None:
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


def give_up(work: Work, instance: Row[Any]) -> None:
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
