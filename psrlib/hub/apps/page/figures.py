"""What the page and Prometheus show: how many of everything are in the hub, counted by the database."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.sql import ColumnElement

from psrlib.hub.runner.watch import silent_engines
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema import automation, design, execution, security
from psrlib.hub.store.schema.execution import jobs, runs
from psrlib.hub.web.access import SYSTEM_ORGANIZATION
from psrlib.hub.web.call import Call

NEVER_RUN = ("NEVER_RUN", "NONE")  # status and color of a job without a run, for which the API has null


def _count(organization: ColumnElement[str], *conditions: ColumnElement[bool]) -> Query:
    """Return the query of how many rows each organization has; the hub's own is left out."""
    columns: list[Any] = [organization.label("organization"), func.count().label("n")]
    counted = (organization != SYSTEM_ORGANIZATION, *conditions)
    return Query(select(*columns).where(*counted).group_by(organization), kept=False)


KINDS = {
    "organizations": _count(security.organizations.c.id),
    "users": _count(security.users.c.organization, ~security.users.c.deleted),
    "groups": _count(security.groups.c.organization, ~security.groups.c.deleted),
    "engines": _count(execution.engines.c.organization),
    "connections": _count(design.connections.c.organization),
    "fragments": _count(design.pipelines.c.organization, design.pipelines.c.fragment),
    "pipelines": _count(design.pipelines.c.organization, ~design.pipelines.c.fragment),
    "job templates": _count(jobs.c.organization, jobs.c.template),
    "jobs": _count(jobs.c.organization, ~jobs.c.template),
    "scheduled tasks": _count(automation.tasks.c.organization, automation.tasks.c.status != "DELETED"),
    "subscriptions": _count(automation.subscriptions.c.organization, ~automation.subscriptions.c.deleted),
    "topologies": _count(design.topologies.c.organization),
}
JOBS = Query(
    select(jobs.c.organization, runs.c.status, runs.c.color, func.count().label("n"))
    .select_from(jobs.outerjoin(runs, runs.c.id == jobs.c.current_run))
    .where(jobs.c.organization != SYSTEM_ORGANIZATION, ~jobs.c.template)
    .group_by(jobs.c.organization, runs.c.status, runs.c.color),
    kept=False,
)


@dataclass
class Figures:
    """How many of everything there are, by organization.

    Attributes
    ----------
    entities : dict
        By kind.
    jobs : dict
        By status and color of their current run.
    silent : Counter
        Engines past the heartbeat interval.
    """

    entities: dict[str, Counter[str]]
    jobs: dict[tuple[str, str], Counter[str]]
    silent: Counter[str]

    def engines(self) -> dict[str, int]:
        """Return how many engines respond, and how many are silent."""
        silent = self.silent.total()
        return {"responding": self.entities["engines"].total() - silent, "silent": silent}

    def red(self) -> Counter[str]:
        """Return how many red jobs each organization has."""
        found: Counter[str] = Counter()
        for (_, color), counts in self.jobs.items():
            found.update(counts if color == "RED" else {})
        return found

    def colors(self, organization: str | None = None) -> Counter[str]:
        """Return how many jobs have each color, of all organizations or of one."""
        found: Counter[str] = Counter()
        for (_, color), counts in self.jobs.items():
            found[color] += counts.total() if organization is None else counts[organization]
        return found


def read_figures(call: Call) -> Figures:
    """Count everything, by one aggregate for each kind; not more often than `Recent` lets it."""
    return call.hub.recent.recall("figures", lambda: _read(call))


def _read(call: Call) -> Figures:
    entities = {kind: _counter(query.rows(call.db)) for kind, query in KINDS.items()}
    found: dict[tuple[str, str], Counter[str]] = {}
    for row in JOBS.rows(call.db):
        key = (row.status, row.color) if row.status else NEVER_RUN
        found.setdefault(key, Counter())[row.organization] = row.n
    rows, silent = silent_engines(call.hub, call.db, call.now)
    return Figures(entities, found, Counter(row.organization for row in rows if row.id in silent))


def _counter(rows: list[Row]) -> Counter[str]:
    return Counter({row.organization: row.n for row in rows})
