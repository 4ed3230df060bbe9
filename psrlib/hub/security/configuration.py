"""Configuration entries of organizations: ids, labels, defaults, and the limits read from them.

Ids of the first five entries are documented (control-hub-rest.md, 2.3). The other labels follow the
documented ones where they are known; their ids and every default are this hub's choice: they stand here
and nowhere else. So does what counts against a limit, for published documents don't say it: here every
pipeline counts, fragments too, and every job, templates too. What fits here fits where less counts.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Table, func, select

from psrlib.hub.store.cache import Cache
from psrlib.hub.store.queries import of_organization
from psrlib.hub.store.schema import security
from psrlib.hub.web.issues import over_limit


@dataclass(frozen=True)
class Entry:
    """One configuration entry; ``system`` entries are changed by the system administrator only."""

    id: str
    label: str
    default: str
    kind: Literal["boolean", "integer", "string"] = "integer"
    system: bool = True


EVENTS = "dpm.enable.events"
PERMISSIONS = "dpm.enforce.permissions"
MAX_USERS = "org.max.users"
MAX_ENGINES = "org.max.sdcs"
MAX_PIPELINES = "org.max.pipelines"
MAX_JOBS = "org.max.jobs"
MAX_TOPOLOGIES = "org.max.topologies"
MAX_TOPOLOGY_COMMITS = "org.max.topology.commits"
MAX_JOB_RUNS = "org.max.job.runs"
MAX_TASK_RUNS = "org.max.scheduled.runs"
HISTORY_DAYS = "org.max.history.days"
HEARTBEAT_S = "org.engine.heartbeat.interval"
MAX_HEARTBEAT_S = "org.max.engine.heartbeat.interval"

ENTRIES = (
    Entry(EVENTS, "Enable events to trigger subscriptions", "false", "boolean", system=False),
    Entry(PERMISSIONS, "Enforce permissions during object access", "false", "boolean", system=False),
    Entry("accountType", "Organization account type", "ENTERPRISE", "string"),
    Entry("contractExpirationTime", "Timestamp of the contract expiration", "-1"),
    Entry("trialExpirationTime", "Timestamp of the trial expiration", "-1"),
    Entry(MAX_USERS, "Maximum number of users for the organization", "-1"),
    Entry(MAX_ENGINES, "Maximum number of Data Collectors for the organization", "-1"),
    Entry(MAX_PIPELINES, "Maximum number of pipelines for the organization", "-1"),
    Entry(MAX_JOBS, "Maximum number of jobs for the organization", "-1"),
    Entry(MAX_TOPOLOGIES, "Maximum number of topologies for the organization", "-1"),
    Entry(MAX_TOPOLOGY_COMMITS, "Maximum number of topology commits for the organization", "-1"),
    Entry(MAX_JOB_RUNS, "System limit on the maximum number of job runs", "100"),
    Entry(MAX_TASK_RUNS, "System limit on the maximum number of scheduled task runs", "100"),
    Entry(HISTORY_DAYS, "System limit on the days that audits and history are kept", "30"),
    Entry(MAX_HEARTBEAT_S, "System limit on the execution engine heartbeat interval", "3600"),
    Entry(HEARTBEAT_S, "Execution engine heartbeat interval", "60", system=False),
    Entry("org.time.series", "Enable Time Series Analysis", "true", "boolean"),
    Entry("org.system.sdc", "Enable System Data Collector", "true", "boolean", system=False),
)
BY_ID = {entry.id: entry for entry in ENTRIES}
GLOBAL = ""  # organization column of global values


def values(connection: Connection, organization: str) -> dict[str, str]:
    """Return every entry's value for an organization (empty text: the global configuration).

    Global values reach an organization until it saves a configuration of its own; from then on it keeps
    that one (control-hub-rest.md, 2.3).
    """
    result = {entry.id: entry.default for entry in ENTRIES}
    own = _stored(connection, organization)
    result.update(own or _stored(connection, GLOBAL))
    return result


def _stored(connection: Connection, organization: str) -> dict[str, str]:
    rows = of_organization(security.configs).rows(connection, org=organization)
    return {row.id: row.value for row in rows}


def save(connection: Connection, organization: str, changes: dict[str, str]) -> None:
    """Store an organization's whole configuration with some entries changed."""
    table = security.configs
    merged = values(connection, organization) | changes
    connection.execute(table.delete().where(table.c.organization == organization))
    rows = [{"organization": organization, "id": key, "value": value} for key, value in merged.items()]
    connection.execute(table.insert(), rows)


def remembered(cache: Cache, connection: Connection, organization: str) -> dict[str, str]:
    """Return every entry's value for an organization, from memory where it is there."""
    return cache.recall(organization, "configuration", lambda: values(connection, organization))


def is_on(cache: Cache, connection: Connection, organization: str, entry_id: str) -> bool:
    """Return a boolean entry."""
    return remembered(cache, connection, organization)[entry_id].lower() == "true"


def limit(cache: Cache, connection: Connection, organization: str, entry_id: str) -> int:
    """Return an integer entry; -1 means no limit."""
    return int(remembered(cache, connection, organization)[entry_id])


def check_room(
    cache: Cache,
    connection: Connection,
    organization: str,
    entry_id: str,
    table: Table,
    what: str,
    n_new: int = 1,
) -> None:
    """Refuse a create that would exceed the organization's limit (403).

    The count is kept as an upper bound: creates raise it, deletes leave it, and only when it meets the limit
    the rows are counted again.
    """
    allowed = limit(cache, connection, organization, entry_id)
    if allowed < 0:
        return
    key = (table.name, organization)
    known = cache.counts.get(key)
    if known is None or known + n_new > allowed:
        known = _count(connection, organization, table)
    if known + n_new > allowed:
        raise over_limit(what, allowed)
    cache.counts[key] = known + n_new


def _count(connection: Connection, organization: str, table: Table) -> int:
    condition = table.c.organization == organization
    if "deleted" in table.c:
        condition &= ~table.c.deleted
    return int(connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one())
