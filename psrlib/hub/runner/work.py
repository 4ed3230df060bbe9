"""What the runner's functions share: the hub, a transaction with the rows it works on, and its moment."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, select

from psrlib.hub.events import triggers
from psrlib.hub.runner.pool import Pool
from psrlib.hub.runner.records import Record, Records
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import CHUNK, Row
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import engines, instances, jobs, offsets, runs
from psrlib.hub.web.call import Call
from psrlib.hub.web.hub import Hub

_COMMIT = (commits.c.id, commits.c.number, commits.c.name)


class Work:
    """A piece of work in a writing transaction.

    Rows are read once and written together (``Records``); ``flush`` ends the work. SQL that does not go
    through it takes the connection from ``db``, which writes first what was changed.

    Attributes
    ----------
    now : int
        Epoch milliseconds.
    pools : dict
        Candidate engines by organization, executor type and labels.
    """

    def __init__(self, hub: Hub, connection: Connection, now: int) -> None:
        self.hub = hub
        self.now = now
        self.pools: dict[tuple[str, str, tuple[str, ...]], Pool] = {}
        self.records = Records(connection)
        self._connection = connection
        self._commits: dict[str, Row] = {}
        self._instances: dict[str, list[Record]] = {}
        self._offsets: dict[str, dict[int, Row]] = {}

    @property
    def db(self) -> Connection:
        """The connection; what was changed in memory is written before."""
        self.records.flush()
        return self._connection

    def flush(self) -> None:
        """Write what was changed."""
        self.records.flush()

    def forget(self) -> None:
        """Drop what was read and changed: the transaction was rolled back to a savepoint."""
        self.records.forget()
        self.pools.clear()
        self._instances.clear()
        self._offsets.clear()

    def change(self, record: Record, **values: Any) -> None:
        """Give columns of a row other values."""
        self.records.change(record, **values)

    def find(self, table: Table, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Record]:
        """Return the rows that meet conditions, by ascending key."""
        return self.records.find(table, *conditions, limit=limit)

    def job(self, job_id: str) -> Record | None:
        """Return a job."""
        return self.records.get(jobs, job_id)

    def run(self, run_id: str) -> Record | None:
        """Return a run."""
        return self.records.get(runs, run_id)

    def engine(self, engine_id: str) -> Record | None:
        """Return an engine."""
        return self.records.get(engines, engine_id)

    def load_runs(self, run_ids: Iterable[str]) -> None:
        """Read runs with their jobs and pipeline instances."""
        wanted = list(dict.fromkeys(run_ids))
        self.records.load(runs, wanted)
        found = [self.run(run_id) for run_id in wanted]
        self.records.load(jobs, [run.job_id for run in found if run is not None])
        self._load_instances(wanted)

    def instances_of(self, run_id: str) -> list[Record]:
        """Return the pipeline instances of a run, oldest first; a list of the caller's own."""
        self._load_instances([run_id])
        return list(self._instances[run_id])

    def _load_instances(self, run_ids: list[str]) -> None:
        wanted = [run_id for run_id in run_ids if run_id not in self._instances]
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            for run_id in part:
                self._instances[run_id] = []
            for instance in self.find(instances, instances.c.run_id.in_(part)):
                self._instances[instance.run_id].append(instance)

    def instances_on(self, engine_id: str, *conditions: ColumnElement[bool]) -> list[Record]:
        """Return the pipeline instances on an engine."""
        return self.find(instances, instances.c.engine_id == engine_id, *conditions)

    def insert_run(self, values: dict[str, Any]) -> Record:
        """Add a run; it has no pipeline instances yet."""
        self._instances[values["id"]] = []
        return self.records.insert(runs, values)

    def insert_instance(self, values: dict[str, Any]) -> Record:
        """Add a pipeline instance, which gets its number here, so that events can name it."""
        known = self.instances_of(values["run_id"])
        record = self.records.insert(instances, {"id": self.hub.contacts.next_instance(), **values})
        self._instances[values["run_id"]] = [*known, record]
        return record

    def load_commits(self, commit_ids: Iterable[str]) -> None:
        """Read id, number and name of pipeline commits."""
        wanted = [commit_id for commit_id in dict.fromkeys(commit_ids) if commit_id not in self._commits]
        for start in range(0, len(wanted), CHUNK):
            statement = select(*_COMMIT).where(commits.c.id.in_(wanted[start : start + CHUNK]))
            self._commits.update({row.id: row for row in self._connection.execute(statement)})

    def commit(self, commit_id: str) -> Row:
        """Return id, number and name of a pipeline commit."""
        self.load_commits([commit_id])
        return self._commits[commit_id]

    def load_offsets(self, job_ids: Iterable[str]) -> None:
        """Read the offsets that the next runs of jobs start from."""
        wanted = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in self._offsets]
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            self._offsets.update({job_id: {} for job_id in part})
            statement = select(offsets).where(offsets.c.job_id.in_(part)).order_by(offsets.c.slot)
            for row in self._connection.execute(statement):
                self._offsets[row.job_id][row.slot] = row

    def offsets_of(self, job_id: str) -> dict[int, Row]:
        """Return the offsets of a job by slot, ascending."""
        self.load_offsets([job_id])
        return self._offsets[job_id]

    def keep_offset(self, instance: Record) -> None:
        """Store the offset of an instance for the job's next run."""
        here = (offsets.c.job_id == instance.job_id, offsets.c.slot == instance.slot)
        self._connection.execute(offsets.delete().where(*here))
        values = {
            "job_id": instance.job_id,
            "slot": instance.slot,
            "offset": instance.offset,
            "protocol": instance.offset_protocol,
            "changed_on": self.now,
        }
        self._connection.execute(offsets.insert(), values)
        self._offsets.pop(instance.job_id, None)

    def fire(self, organization: str, event: str, values: dict[str, str]) -> None:
        """Put down the actions of subscriptions that want an event."""
        triggers.fire(self.hub.cache, self._connection, organization, event, values, self.now)

    def heartbeat_ms(self, organization: str) -> int:
        """Return after how much silence an engine counts as not responding."""
        entries = configuration.remembered(self.hub.cache, self._connection, organization)
        return int(entries[configuration.HEARTBEAT_S]) * 1000

    def is_responding(self, engine: Record, heartbeat_ms: int) -> bool:
        """Whether an engine polls."""
        return self.hub.contacts.is_responding(engine.id, self.now, heartbeat_ms, engine.last_reported_time)


def work_of(call: Call) -> Work:
    """Return the runner's view of a call; the same one each time, written before the call's own SQL."""
    if not isinstance(call.work, Work):
        call.work = Work(call.hub, call.db, call.now)
    return call.work
