"""What time brings: silent engines, failover, runs that wait for engines, stops that take too long."""

from sqlalchemy import select

from psrlib.hub.runner import lifecycle, outbox
from psrlib.hub.runner.intake import settle_run
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.words import ACTIVATING, ACTIVE, DEACTIVATING, GONE, RED, STARTING, STOPPING
from psrlib.hub.runner.work import Work
from psrlib.hub.security import configuration
from psrlib.hub.store.schema.execution import engines, instances, runs
from psrlib.hub.store.schema.security import configs
from psrlib.hub.store.text import is_empty

EDGE_STOP_GRACE_MS = 70_000  # Edge reports STOPPED in its next 2002, every 60 s


def watch(work: Work) -> None:
    """Do everything that is due; called once a second."""
    _watch_engines(work)
    _place_waiting(work)
    _force_stops(work)


def _watch_engines(work: Work) -> None:
    contacts = work.hub.contacts
    heartbeat_s = int(configuration.BY_ID[configuration.HEARTBEAT_S].default)
    own = {
        row.organization: int(row.value)
        for row in work.db.execute(
            select(configs.c.organization, configs.c.value).where(configs.c.id == configuration.HEARTBEAT_S)
        )
    }
    everywhere = own.get(configuration.GLOBAL, heartbeat_s)
    rows = work.db.execute(select(engines.c.id, engines.c.organization, engines.c.last_reported_time))
    silent = {
        row.id: row.organization
        for row in rows
        if not contacts.is_responding(
            row.id, work.now, own.get(row.organization, everywhere) * 1000, row.last_reported_time
        )
    }
    newly, back = set(silent) - contacts.silent, contacts.silent - set(silent)
    contacts.silent = set(silent)
    for engine_id in sorted(newly):
        values = {"SDC_ID": engine_id, "EXECUTION_ENGINE_ID": engine_id, "TRIGGERED_ON": str(work.now)}
        work.fire(silent[engine_id], "SDC_NOT_RESPONDING", values)
    if silent:
        _handle_silence(work, silent)
    if back:
        _handle_return(work, back)


def _handle_silence(work: Work, silent: dict[str, str]) -> None:
    """Runs on silent engines go red, and to another engine where failover is on."""
    open_runs = select(runs.c.id).where(runs.c.open, runs.c.status.in_((ACTIVATING, ACTIVE)))
    live = work.find(instances, instances.c.phase != GONE, instances.c.run_id.in_(open_runs))
    concerned = [instance for instance in live if instance.engine_id in silent]
    work.load_runs(instance.run_id for instance in concerned)
    for instance in concerned:
        run, job = work.run(instance.run_id), work.job(instance.job_id)
        if run is None or job is None:
            continue
        if job.migrate_offsets and lifecycle.fail_over(work, run, job, instance, keep_on_engine=True):
            lifecycle.set_warnings(work, run, [])
            continue
        warnings = [lifecycle.NOT_RESPONDING.format(instance.engine_id)]
        if job.migrate_offsets:
            warnings.append(lifecycle.NO_ENGINE)
        lifecycle.set_warnings(work, run, warnings)
        lifecycle.set_status(work, run, ACTIVE, RED)


def _handle_return(work: Work, back: set[str]) -> None:
    # all live instances: engines that come back can be more than an IN (...) takes
    returned = [i for i in work.find(instances, instances.c.phase != GONE) if i.engine_id in back]
    run_ids = dict.fromkeys(instance.run_id for instance in returned)
    work.load_runs(run_ids)
    for run_id in run_ids:
        run = work.run(run_id)
        if run is not None and run.open:
            lifecycle.set_warnings(work, run, [])
            settle_run(work, run_id)


def _place_waiting(work: Work) -> None:
    """Runs that lack engines (warnings 24 and 72) are tried again."""
    waiting = work.find(
        runs, runs.c.open, runs.c.status.in_((ACTIVATING, ACTIVE)), ~is_empty(runs.c.warnings)
    )
    work.load_runs(run.id for run in waiting)
    for run in waiting:
        texts = run.warnings
        if not {lifecycle.NO_ENGINE, lifecycle.OVER_THRESHOLDS}.intersection(texts) or len(texts) > 1:
            continue
        job = work.job(run.job_id)
        if job is not None:
            _place_one(work, run, job)


def _place_one(work: Work, run: Record, job: Record) -> None:
    choice = lifecycle.place(work, run, job, int(job.instances), set())
    if choice.chosen and not any(i.phase != STARTING for i in work.instances_of(run.id) if i.phase != GONE):
        lifecycle.set_status(work, run, ACTIVATING, "GRAY")


def _force_stops(work: Work) -> None:
    """Instances whose stop takes longer than the job's force-stop timeout are given up."""
    stopping = select(runs.c.id).where(runs.c.open, runs.c.status.in_((DEACTIVATING, ACTIVE)))
    waiting = work.find(instances, instances.c.phase == STOPPING, instances.c.run_id.in_(stopping))
    work.load_runs(instance.run_id for instance in waiting)
    for instance in waiting:
        run, job = work.run(instance.run_id), work.job(instance.job_id)
        if run is None or job is None or work.now - run.changed_on < _patience_ms(job):
            continue
        outbox.drop_events(work, instance.id)
        lifecycle.mark_gone(work, instance)
        if run.open:
            lifecycle.end_if_empty(work, run)


def _patience_ms(job: Record) -> int:
    return lifecycle.force_stop_ms(job) + EDGE_STOP_GRACE_MS
