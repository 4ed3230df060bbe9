"""What the runner's functions share: the hub, a transaction with the rows it works on, and its moment."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, select

from psrlib.hub.events import triggers
from psrlib.hub.runner.decisions import Slot
from psrlib.hub.runner.entities import Engine, Instance, Job, Run
from psrlib.hub.runner.pool import Pool
from psrlib.hub.runner.records import Records
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import CHUNK, Row
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import instances, offsets
from psrlib.hub.web.call import Call
from psrlib.hub.web.hub import Hub

_COMMIT = (commits.c.id, commits.c.number, commits.c.name)


class RunnerWork:
    """A piece of work in a writing transaction.

    Rows are read once and written together: ``flush`` writes them, before the commit and before SQL that
    does not go through ``records`` reads what was changed.

    Attributes
    ----------
    db : Connection
        The transaction.
    now : int
        Epoch milliseconds.
    records : Records
        The rows read and changed.
    pools : dict
        Candidate engines by organization, executor type and labels.
    """

    def __init__(self, hub: Hub, db: Connection, now: int) -> None:
        self.hub = hub
        self.db = db
        self.now = now
        self.records = Records(db)
        self.pools: dict[tuple[str, str, tuple[str, ...]], Pool] = {}
        self._commits: dict[str, Row] = {}
        self._instances: dict[str, list[Instance]] = {}
        self._offsets: dict[str, list[Slot]] = {}
        self.find, self.change, self.flush = self.records.find, self.records.change, self.records.flush

    def forget(self) -> None:
        """Drop what was read and changed: the transaction was rolled back to a savepoint."""
        self.records.forget()
        self.pools.clear()
        self._instances.clear()
        self._offsets.clear()

    def job(self, job_id: str) -> Job | None:
        """Return a job."""
        return self.records.get(Job, job_id)

    def run(self, run_id: str | None) -> Run | None:
        """Return a run; None for None."""
        return None if run_id is None else self.records.get(Run, run_id)

    def engine(self, engine_id: str) -> Engine | None:
        """Return an engine."""
        return self.records.get(Engine, engine_id)

    def load_runs(self, run_ids: Iterable[str]) -> None:
        """Read runs with their jobs and pipeline instances."""
        wanted = list(dict.fromkeys(run_ids))
        self.records.load(Run, wanted)
        found = [self.run(run_id) for run_id in wanted]
        self.records.load(Job, [run.job_id for run in found if run is not None])
        self._load_instances(wanted)

    def instances_of(self, run_id: str) -> list[Instance]:
        """Return the pipeline instances of a run, oldest first; a list of the caller's own."""
        self._load_instances([run_id])
        return list(self._instances[run_id])

    def _load_instances(self, run_ids: list[str]) -> None:
        wanted = [run_id for run_id in run_ids if run_id not in self._instances]
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            for run_id in part:
                self._instances[run_id] = []
            for instance in self.find(Instance, instances.c.run_id.in_(part)):
                self._instances[instance.run_id].append(instance)

    def instances_on(self, engine_id: str, *conditions: ColumnElement[bool]) -> list[Instance]:
        """Return the pipeline instances on an engine."""
        return self.find(Instance, instances.c.engine_id == engine_id, *conditions)

    def insert_run(self, run: Run) -> Run:
        """Add a run; it has no pipeline instances yet."""
        self._instances[run.id] = []
        return self.records.insert(run)

    def insert_instance(self, instance: Instance) -> Instance:
        """Add a pipeline instance of a run whose others are known."""
        self._instances[instance.run_id].append(instance)
        return self.records.insert(instance)

    def load_commits(self, commit_ids: Iterable[str]) -> None:
        """Read id, number and name of pipeline commits."""
        wanted = [commit_id for commit_id in dict.fromkeys(commit_ids) if commit_id not in self._commits]
        for start in range(0, len(wanted), CHUNK):
            statement = select(*_COMMIT).where(commits.c.id.in_(wanted[start : start + CHUNK]))
            self._commits.update({row.id: row for row in self.db.execute(statement)})

    def commit(self, commit_id: str) -> Row:
        """Return id, number and name of a pipeline commit."""
        self.load_commits([commit_id])
        return self._commits[commit_id]

    def load_offsets(self, job_ids: Iterable[str]) -> None:
        """Read the offsets that the next runs of jobs start from."""
        wanted = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in self._offsets]
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            self._offsets.update({job_id: [] for job_id in part})
            statement = select(offsets).where(offsets.c.job_id.in_(part)).order_by(offsets.c.slot)
            for row in self.db.execute(statement):
                self._offsets[row.job_id].append(Slot(row.slot, row.offset, row.protocol))

    def offsets_of(self, job_id: str) -> list[Slot]:
        """Return the offsets of a job, by ascending slot."""
        self.load_offsets([job_id])
        return self._offsets[job_id]

    def keep_offset(self, instance: Instance) -> None:
        """Store the offset of an instance for the job's next run."""
        here = (offsets.c.job_id == instance.job_id, offsets.c.slot == instance.slot)
        self.db.execute(offsets.delete().where(*here))
        values = {
            "job_id": instance.job_id,
            "slot": instance.slot,
            "offset": instance.offset,
            "protocol": instance.offset_protocol,
            "changed_on": self.now,
        }
        self.db.execute(offsets.insert(), values)
        self._offsets.pop(instance.job_id, None)

    def fire(self, organization: str, event: str, values: dict[str, str]) -> None:
        """Put down the actions of subscriptions that want an event."""
        triggers.fire(self.hub.cache, self.db, organization, event, values, self.now)


def heartbeat_ms(hub: Hub, db: Connection, organization: str) -> int:
    """Return after how much silence an engine counts as not responding."""
    return configuration.limit(hub.cache, db, organization, configuration.HEARTBEAT_S) * 1000


def work_of(call: Call) -> RunnerWork:
    """Begin the runner's work of a call, once in a call; it is written before the commit."""
    work = RunnerWork(call.hub, call.db, call.now)
    call.before_commit.append(work.flush)
    return work
