"""What the runner's functions share: the hub, a transaction and its moment."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from psrlib.hub import configuration
from psrlib.hub.runner.pool import Pool
from psrlib.hub.runtime import Hub
from psrlib.hub.schema.execution import engines, instances, jobs, runs


@dataclass(frozen=True)
class Work:
    """A piece of work in a writing transaction; ``now`` is epoch milliseconds.

    ``pools`` remembers candidate engines by organization, executor type and labels (as the job's column).
    """

    hub: Hub
    db: Connection
    now: int
    pools: dict[tuple[str, str, str], Pool] = field(default_factory=dict)

    def job(self, job_id: str) -> Row[Any] | None:
        """Return a job."""
        return self.db.execute(select(jobs).where(jobs.c.id == job_id)).first()

    def run(self, run_id: str) -> Row[Any] | None:
        """Return a run."""
        return self.db.execute(select(runs).where(runs.c.id == run_id)).first()

    def engine(self, engine_id: str) -> Row[Any] | None:
        """Return an engine."""
        return self.db.execute(select(engines).where(engines.c.id == engine_id)).first()

    def instances_of(self, run_id: str) -> list[Row[Any]]:
        """Return the pipeline instances of a run, oldest first."""
        return list(
            self.db.execute(select(instances).where(instances.c.run_id == run_id).order_by(instances.c.id))
        )

    def heartbeat_ms(self, organization: str) -> int:
        """Return after how much silence an engine counts as not responding."""
        return configuration.limit(self.db, organization, configuration.HEARTBEAT_S) * 1000

    def is_responding(self, engine: Row[Any], heartbeat_ms: int) -> bool:
        """Whether an engine polls."""
        return self.hub.fleet.is_responding(engine.id, self.now, heartbeat_ms, engine.last_reported_time)
