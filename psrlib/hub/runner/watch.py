"""What time brings: silent engines, failover, runs that wait for engines, stops that take too long."""

from sqlalchemy import select

from psrlib.hub.runner import changes as do
from psrlib.hub.runner import decisions, words
from psrlib.hub.runner.entities import Instance, Run
from psrlib.hub.runner.intake import settle
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.runner.writer import apply, decide, open_run
from psrlib.hub.security import configuration
from psrlib.hub.store.schema.execution import engines, instances, runs
from psrlib.hub.store.schema.security import configs
from psrlib.hub.store.text import is_empty


def watch(work: RunnerWork) -> None:
    """Do everything that is due; called once a second."""
    _watch_engines(work)
    _place_waiting(work)
    _force_stops(work)


def _watch_engines(work: RunnerWork) -> None:
    contacts = work.hub.contacts
    silent = _silent_engines(work)
    newly, back = set(silent) - contacts.silent, contacts.silent - set(silent)
    contacts.silent = set(silent)
    for engine_id in sorted(newly):
        values = {"SDC_ID": engine_id, "EXECUTION_ENGINE_ID": engine_id}
        work.fire(silent[engine_id], "SDC_NOT_RESPONDING", values)
    if silent:
        _handle_silence(work, silent)
    if back:
        _handle_return(work, back)


def _silent_engines(work: RunnerWork) -> dict[str, str]:
    """Return the engines past the heartbeat interval of their organizations, which go with them."""
    heartbeat_s = int(configuration.BY_ID[configuration.HEARTBEAT_S].default)
    wanted = select(configs.c.organization, configs.c.value).where(configs.c.id == configuration.HEARTBEAT_S)
    own = {row.organization: int(row.value) for row in work.db.execute(wanted)}
    everywhere = own.get(configuration.GLOBAL, heartbeat_s)
    rows = work.db.execute(select(engines.c.id, engines.c.organization, engines.c.last_reported_time))
    return {
        row.id: row.organization
        for row in rows
        if not work.hub.contacts.is_responding(
            row.id, work.now, own.get(row.organization, everywhere) * 1000, row.last_reported_time
        )
    }


def _handle_silence(work: RunnerWork, silent: dict[str, str]) -> None:
    """Runs on silent engines go red, and to another engine where failover is on."""
    open_runs = select(runs.c.id).where(runs.c.open, runs.c.status.in_((words.ACTIVATING, words.ACTIVE)))
    live = work.find(Instance, instances.c.phase != words.GONE, instances.c.run_id.in_(open_runs))
    concerned = [instance for instance in live if instance.engine_id in silent]
    work.load_runs(instance.run_id for instance in concerned)
    for instance in concerned:
        decide(work, instance.run_id, decisions.silence, instance)


def _handle_return(work: RunnerWork, back: set[str]) -> None:
    # all live instances: engines that come back can be more than an IN (...) takes
    returned = [i for i in work.find(Instance, instances.c.phase != words.GONE) if i.engine_id in back]
    run_ids = dict.fromkeys(instance.run_id for instance in returned)
    work.load_runs(run_ids)
    for run_id in run_ids:
        if open_run(work, run_id) is not None:
            apply(work, run_id, [do.SetWarnings([])])
            settle(work, run_id)


def _place_waiting(work: RunnerWork) -> None:
    """Runs that lack engines (warnings 24 and 72) are tried again."""
    waiting = work.find(
        Run, runs.c.open, runs.c.status.in_((words.ACTIVATING, words.ACTIVE)), ~is_empty(runs.c.warnings)
    )
    work.load_runs(run.id for run in waiting)
    for run in waiting:
        if decisions.waits_for_engines(run):
            decide(work, run.id, decisions.second_placement, work.offsets_of(run.job_id))


def _force_stops(work: RunnerWork) -> None:
    stopping = select(runs.c.id).where(runs.c.open, runs.c.status.in_((words.DEACTIVATING, words.ACTIVE)))
    waiting = work.find(Instance, instances.c.phase == words.STOPPING, instances.c.run_id.in_(stopping))
    work.load_runs(instance.run_id for instance in waiting)
    for instance in waiting:
        decide(work, instance.run_id, decisions.late_stop, instance, work.now)
