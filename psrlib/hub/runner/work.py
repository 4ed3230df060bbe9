"""What the runner's functions share: the hub, a transaction with the rows it works on, and its moment."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from psrlib.hub.events import triggers
from psrlib.hub.runner import words
from psrlib.hub.runner.decisions import Slot
from psrlib.hub.runner.entities import Commit, Instance, Job, Run
from psrlib.hub.runner.pool import Pool
from psrlib.hub.runner.records import E, Records
from psrlib.hub.security import configuration
from psrlib.hub.store.queries import CHUNK, any_of, insert_rows
from psrlib.hub.store.schema.execution import instances, offsets
from psrlib.hub.web.call import Call
from psrlib.hub.web.hub import Hub

OFFSETS = any_of(lambda ids: select(offsets).where(offsets.c.job_id.in_(ids)).order_by(offsets.c.slot))


class RunnerWork(Records):
    """A piece of work in a writing transaction, with the rows it reads once and writes together.

    ``flush`` writes them, before the commit and before SQL reads what was changed; ``find`` does so itself.

    ``now`` is its moment, epoch milliseconds; ``pools`` are candidate engines by organization, executor type
    and labels.
    """

    def __init__(self, hub: Hub, db: Connection, now: int) -> None:
        super().__init__(db)
        self.hub = hub
        self.now = now

    def forget(self) -> None:
        """Drop what was read and changed: the transaction was rolled back to a savepoint."""
        super().forget()
        self.pools: dict[tuple[str, str, tuple[str, ...]], Pool] = {}
        self._instances: dict[str, list[Instance]] = {}
        self._offsets: dict[str, list[Slot]] = {}

    def commit(self, commit_id: str) -> Commit:
        """Return the pipeline commit of a job or run, which stays as long as they do."""
        found = self.get(Commit, commit_id)
        assert found is not None
        return found

    def load_runs(self, run_ids: Iterable[str]) -> None:
        """Read runs with their jobs and pipeline instances."""
        wanted = list(dict.fromkeys(run_ids))
        self.load(Run, wanted)
        self.load(Job, [run.job_id for run_id in wanted if (run := self.get(Run, run_id)) is not None])
        self._load_instances(wanted)

    def instances_of(self, run_id: str) -> list[Instance]:
        """Return the pipeline instances of a run, oldest first; a list of the caller's own."""
        self._load_instances([run_id])
        return list(self._instances[run_id])

    def _load_instances(self, run_ids: list[str]) -> None:
        wanted = [run_id for run_id in run_ids if run_id not in self._instances]
        self._instances |= {run_id: [] for run_id in wanted}
        for start in range(0, len(wanted), CHUNK):
            for instance in self.find(Instance, instances.c.run_id.in_(wanted[start : start + CHUNK])):
                self._instances[instance.run_id].append(instance)

    def instances_on(self, engine_id: str) -> list[Instance]:
        """Return the pipeline instances that are on an engine as far as the hub knows."""
        return self.find(Instance, instances.c.engine_id == engine_id, instances.c.phase != words.GONE)

    def insert(self, record: E) -> E:
        """Add a row; a run has no pipeline instances yet, those of an instance's run are known."""
        if isinstance(record, Run):
            self._instances[record.id] = []
        if isinstance(record, Instance):
            self._instances[record.run_id].append(record)
        return super().insert(record)

    def load_offsets(self, job_ids: Iterable[str]) -> None:
        """Read the offsets that the next runs of jobs start from."""
        wanted = [job_id for job_id in job_ids if job_id not in self._offsets]
        self._offsets |= {job_id: [] for job_id in wanted}
        for row in OFFSETS(self.db, wanted):
            self._offsets[row.job_id].append(Slot(row.slot, row.offset, row.protocol))

    def offsets_of(self, job_id: str) -> list[Slot]:
        """Return the offsets of a job, by ascending slot."""
        self.load_offsets([job_id])
        return self._offsets[job_id]

    def keep_offset(self, instance: Instance) -> None:
        """Store the offset of an instance for the job's next run."""
        place = {"job_id": instance.job_id, "slot": instance.slot}
        self.db.execute(offsets.delete().where(*(offsets.c[name] == value for name, value in place.items())))
        kept = {"offset": instance.offset, "protocol": instance.offset_protocol, "changed_on": self.now}
        insert_rows(self.db, offsets, [place | kept])
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
