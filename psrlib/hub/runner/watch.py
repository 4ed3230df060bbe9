"""What time brings: silent engines, failover, runs that wait for engines, stops that take too long."""

from sqlalchemy import Connection, select

from psrlib.hub.runner import decisions, words
from psrlib.hub.runner.entities import Instance, Run
from psrlib.hub.runner.work import RunnerWork, heartbeat_ms
from psrlib.hub.runner.writer import decide
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.execution import engines, instances, runs
from psrlib.hub.store.schema.security import configs
from psrlib.hub.store.text import is_empty
from psrlib.hub.web.hub import Hub

_SEEN = ("id", "organization", "last_reported_time", "silent")
SEEN = Query(select(*(engines.c[name] for name in _SEEN)))
OPEN_RUNS = select(runs.c.id).where(runs.c.open, runs.c.status.in_((words.ACTIVATING, words.ACTIVE)))


def watch(work: RunnerWork) -> None:
    """Do everything that is due; called once a second."""
    _watch_engines(work)
    _place_waiting(work)
    _force_stops(work)


def _watch_engines(work: RunnerWork) -> None:
    """Note which engines fell silent and which came back; that it is known outlives the hub's process."""
    contacts = work.hub.contacts
    rows, silent = silent_engines(work.hub, work.db, work.now)
    contacts.silent = silent
    for row in rows:
        if row.silent != (row.id in silent):
            work.db.execute(engines.update().where(engines.c.id == row.id).values(silent=not row.silent))
            if row.silent:
                contacts.returned[row.organization] = work.now
            else:
                values = {"SDC_ID": row.id, "EXECUTION_ENGINE_ID": row.id}
                work.fire(row.organization, "SDC_NOT_RESPONDING", values)
    _handle_silence(work, silent)


def silent_engines(hub: Hub, db: Connection, now: int) -> tuple[list[Row], set[str]]:
    """Return all engines, and the ids of those past the heartbeat interval of their organizations."""
    heartbeat_s = int(configuration.BY_ID[configuration.HEARTBEAT_S].default)
    wanted = select(configs.c.organization, configs.c.value).where(configs.c.id == configuration.HEARTBEAT_S)
    own = {row.organization: int(row.value) for row in db.execute(wanted)}
    everywhere = own.get(configuration.GLOBAL, heartbeat_s)
    rows = SEEN.rows(db)
    silent = {
        row.id
        for row in rows
        if not hub.contacts.is_responding(
            row.id, now, own.get(row.organization, everywhere) * 1000, row.last_reported_time
        )
    }
    return rows, silent


def _handle_silence(work: RunnerWork, silent: set[str]) -> None:
    """Runs on silent engines go red, and to another engine where failover is on; back, they are green again.

    Engines that fell silent together come back together. For a heartbeat interval after the first one, and
    after the start of the hub, nothing moves: else all would end up on the one that was first.
    """
    live = (
        work.find(Instance, instances.c.phase != words.GONE, instances.c.run_id.in_(OPEN_RUNS))
        if silent
        else []
    )
    concerned = [instance for instance in live if instance.engine_id in silent]
    warned = [run.id for run in _warned(work) if decisions.is_warned_of_silence(run)]
    run_ids = dict.fromkeys([*(instance.run_id for instance in concerned), *warned])
    work.load_runs(run_ids)
    contacts = work.hub.contacts
    for instance in concerned:
        since = contacts.returned.get(instance.organization, contacts.started_on)
        if work.now - since >= heartbeat_ms(work.hub, work.db, instance.organization):
            decide(work, instance.run_id, decisions.silence, instance)
    for run_id in run_ids:
        decide(work, run_id, decisions.silence_warnings, silent)


def _warned(work: RunnerWork) -> list[Run]:
    """Return the running runs that have a warning."""
    return work.find(Run, runs.c.id.in_(OPEN_RUNS), ~is_empty(runs.c.warnings))


def _place_waiting(work: RunnerWork) -> None:
    """Runs that lack engines (warnings 24 and 72) are tried again."""
    waiting = _warned(work)
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
