"""What the hub forgets: history that is older than its organization keeps it, a part at a time.

The rows of a run go with the run (`psrlib.hub.runner.start`); here goes what only grows old.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ScalarSelect,
    Table,
    and_,
    cast,
    exists,
    func,
    or_,
    select,
)

from psrlib.hub.runner import words
from psrlib.hub.security import configuration
from psrlib.hub.store.schema.automation import (
    action_runs,
    alerts,
    subscriptions,
    task_audits,
    task_runs,
    tasks,
)
from psrlib.hub.store.schema.design import acl_audits, acls, connection_audits
from psrlib.hub.store.schema.execution import engine_events, instances, run_events, runs
from psrlib.hub.store.schema.security import action_audits, configs, login_audits

DAY_MS = 86_400_000
ROUND_MS = 3_600_000  # between two looks at everything
MAX_ROWS = 5_000  # of a table in one go: about 50 ms, while nothing else is written


@dataclass(frozen=True)
class History:
    """Rows of a table that grow old: since ``moment``, where ``condition`` holds.

    ``organization`` is the one whose configuration says for how many days they are kept.
    """

    table: Table
    moment: Column[int]
    organization: ColumnElement[str] | ScalarSelect[str]
    condition: ColumnElement[bool] | None = None


def _own(table: Table, moment: str, condition: ColumnElement[bool] | None = None) -> History:
    return History(table, table.c[moment], table.c.organization, condition)


def _of_task(table: Table) -> History:
    owner = select(tasks.c.organization).where(tasks.c.id == table.c.task_id).correlate(table)
    return History(table, table.c.time, owner.scalar_subquery())


_LATER_INSTANCE = instances.alias()
_LATER_EVENT = engine_events.alias()
_IS_REPLACED = exists().where(
    _LATER_INSTANCE.c.run_id == instances.c.run_id,
    _LATER_INSTANCE.c.slot == instances.c.slot,
    _LATER_INSTANCE.c.id > instances.c.id,
)
_IS_REPEATED = exists().where(
    _LATER_EVENT.c.instance == engine_events.c.instance,
    _LATER_EVENT.c.type == engine_events.c.type,
    _LATER_EVENT.c.number > engine_events.c.number,
)
_PRESENT = select(instances.c.id).where(instances.c.phase != words.GONE)
_OPEN = select(runs.c.id).where(runs.c.open)
_LAST_ACTIONS = select(func.max(action_runs.c.id)).group_by(action_runs.c.subscription_id)
_RUN_OWNER = select(runs.c.organization).where(runs.c.id == run_events.c.run_id).correlate(run_events)

HISTORIES = (
    _own(login_audits, "login_time"),
    _own(action_audits, "time"),
    _own(acl_audits, "time"),
    _own(connection_audits, "time"),
    _of_task(task_audits),
    _of_task(task_runs),
    # its last one says when a subscription fired
    _own(
        action_runs,
        "created_on",
        and_(action_runs.c.state != "WAITING", action_runs.c.id.not_in(_LAST_ACTIONS)),
    ),
    _own(alerts, "acked_on", alerts.c.status == "ACKNOWLEDGED"),
    _own(subscriptions, "last_modified_on", subscriptions.c.deleted),
    _own(tasks, "last_modified_on", tasks.c.status == "DELETED"),
    # of runs that go on for longer than history is kept
    History(run_events, run_events.c.time, _RUN_OWNER.scalar_subquery(), run_events.c.run_id.in_(_OPEN)),
    _own(
        instances,
        "created_on",
        and_(
            instances.c.phase == words.GONE,
            instances.c.status.not_in(words.FAILED_STATES),  # engines that failed are not tried again
            instances.c.run_id.in_(_OPEN),
            _IS_REPLACED,
        ),
    ),
    _own(
        engine_events,
        "created_on",
        and_(
            engine_events.c.state.in_(("SUCCESS", "ERROR", "DROPPED")),
            or_(engine_events.c.instance.not_in(_PRESENT), _IS_REPEATED),
        ),
    ),
)


def forget_old(connection: Connection, now_ms: int) -> bool:
    """Forget what is too old, so many rows of each table; return whether there may be more."""
    default = int(configuration.values(connection, configuration.GLOBAL)[configuration.HISTORY_DAYS])
    outdated = [
        _delete(connection, history.table, _is_old(history, default, now_ms)) for history in HISTORIES
    ]
    known = select(alerts.c.id)
    orphans = and_(acls.c.resource_type == "ALERT", acls.c.resource_id.not_in(known))
    outdated.append(_delete(connection, acls, orphans))
    return max(outdated) == MAX_ROWS


def _is_old(history: History, default_days: int, now_ms: int) -> ColumnElement[bool]:
    own = select(cast(configs.c.value, BigInteger)).where(
        configs.c.organization == history.organization, configs.c.id == configuration.HISTORY_DAYS
    )
    days = func.coalesce(own.scalar_subquery(), default_days)
    conditions: list[ColumnElement[bool]] = [
        history.moment <= now_ms - DAY_MS,
        days >= 0,
        history.moment <= now_ms - days * DAY_MS,
    ]
    if history.condition is not None:
        conditions.append(history.condition)
    return and_(*conditions)


def _delete(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    """Delete up to so many rows; return how many."""
    (key,) = table.primary_key.columns
    found: Sequence[Any] = connection.execute(select(key).where(condition).limit(MAX_ROWS)).scalars().all()
    if table is action_runs:
        _count_forgotten(connection, found)
    for start in range(0, len(found), 500):
        connection.execute(table.delete().where(key.in_(found[start : start + 500])))
    return len(found)


def _count_forgotten(connection: Connection, ids: Sequence[int]) -> None:
    """Add actions that are about to be forgotten to the number of times their subscriptions fired."""
    for start in range(0, len(ids), 500):
        part = action_runs.c.id.in_(ids[start : start + 500])
        counted = select(action_runs.c.subscription_id, func.count().label("n")).where(part)
        for row in list(connection.execute(counted.group_by(action_runs.c.subscription_id))):
            mine = subscriptions.c.id == row.subscription_id
            more = {"forgotten_actions": subscriptions.c.forgotten_actions + row.n}
            connection.execute(subscriptions.update().where(mine).values(more))
