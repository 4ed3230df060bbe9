"""Data SLAs: rates that engines report against thresholds; alerts raised and closed."""

import uuid
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.security.acl import acl_row
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema.automation import alerts
from psrlib.hub.store.schema.design import acls, slas
from psrlib.hub.store.schema.execution import jobs, metrics, runs
from psrlib.hub.store.text import dump

STALE_MS = 300_000  # a rate that no engine has reported for 5 minutes (LAST_5M) counts as 0
WORDS = {"THROUGHPUT_RATE": "throughput", "ERROR_RATE": "error rate"}
Rates = dict[tuple[str, str], dict[str, float]]  # by job and organization, then by word; records per second


class Condition(Struct, rename="camel"):
    """A threshold in records per second: the rate may be no more (MAX) or no less (MIN) than the value."""

    sla_function_type: Literal["MAX", "MIN"]
    value: float

    def is_broken(self, rate: float) -> bool:
        """Whether a rate is beyond the threshold; the threshold itself is still good."""
        return rate > self.value if self.sla_function_type == "MAX" else rate < self.value


class SlaDefinition(Struct, rename="camel"):
    """What a data SLA asks of its jobs (control-hub-rest.md, 7.5)."""

    qos_parameter: Literal["THROUGHPUT_RATE", "ERROR_RATE"] = "THROUGHPUT_RATE"
    sla_conditions: list[Condition] | None = None
    job_ids: list[str] | None = None
    alert_text: str | None = None
    enabled: bool | None = True


def read_definition(text: str | None) -> SlaDefinition:
    """Return a ``slaDefinition``; a `msgspec.MsgspecError` when the text is none."""
    return msgspec.json.decode(text or "{}", type=SlaDefinition, strict=False)


def watch_slas(work: RunnerWork) -> None:
    """Judge every active data SLA by the latest rates; called once a second.

    An alert is raised once, when a job goes beyond a threshold, and is closed when it is back within.
    """
    work.flush()
    active = work.db.execute(select(slas).where(slas.c.status == "ACTIVE"))
    judged = [(row, read_definition(row.definition)) for row in active]
    rates = _rates(work, [job for _, definition in judged for job in definition.job_ids or []])
    for row, definition in judged:
        if definition.enabled is not False:
            _judge(work, row, definition, rates)


LATEST = any_of(
    lambda ids: (
        select(metrics.c.job_id, metrics.c.organization, metrics.c.changed_on)
        .add_columns(metrics.c.input_rate, metrics.c.error_rate)
        .join(jobs, jobs.c.id == metrics.c.job_id)
        .join(runs, (runs.c.id == jobs.c.current_run) & (runs.c.run_count == metrics.c.run_count))
        .where(runs.c.open, metrics.c.job_id.in_(ids))
    )
)


def _rates(work: RunnerWork, job_ids: list[str]) -> Rates:
    """Return the rates of jobs that run and have reported."""
    found: Rates = {}
    for row in LATEST(work.db, job_ids):
        rates = found.setdefault((row.job_id, row.organization), dict.fromkeys(WORDS, 0.0))
        if work.now - row.changed_on <= STALE_MS:
            rates["THROUGHPUT_RATE"] += row.input_rate
            rates["ERROR_RATE"] += row.error_rate
    return found


def _judge(work: RunnerWork, row: Row, definition: SlaDefinition, rates: Rates) -> None:
    before, now = set(row.violating), {}
    for job_id in definition.job_ids or []:
        if measured := rates.get((job_id, row.organization)):
            rate = measured[definition.qos_parameter]
            broken = next((c for c in definition.sla_conditions or [] if c.is_broken(rate)), None)
            if broken is not None:
                now[job_id] = (rate, broken)
    if before == set(now):
        return
    for job_id in sorted(set(now) - before):
        _raise_alert(work, row, definition, job_id, *now[job_id])
    close_alerts(work.db, row.id, before - set(now), work.now)
    work.db.execute(slas.update().where(slas.c.id == row.id).values(violating=sorted(now)))


def _raise_alert(
    work: RunnerWork, row: Row, definition: SlaDefinition, job_id: str, rate: float, broken: Condition
) -> None:
    side, word = "above" if broken.sla_function_type == "MAX" else "below", WORDS[definition.qos_parameter]
    sentence = f"{row.label}: {word} of job {job_id} is {side} {broken.value:g} records per second"
    text = definition.alert_text or sentence
    info = {
        "slaLabel": row.label,
        "topologyId": row.topology_id,
        "topologyCommitId": row.topology_commit_id,
        "jobId": job_id,
        "qosParameter": definition.qos_parameter,
        "slaFunctionType": broken.sla_function_type,
        "threshold": broken.value,
        "value": rate,
    }
    alert_id = f"{uuid.uuid4()}:{row.organization}"
    alert = {
        "id": alert_id,
        "organization": row.organization,
        "label": text,
        "status": "ACTIVE",
        "type": "DATA_SLA",
        "resource_id": job_id,
        "rule_id": row.id,
        "additional_info": dump(info),
        "triggered_on": work.now,
    }
    insert_rows(work.db, alerts, [alert])
    insert_rows(work.db, acls, [acl_row(row.creator, work.now, alert_id, "ALERT", row.organization)])
    values = {
        "SLA_ID": row.id,
        "SLA_LABEL": row.label,
        "ALERT_TEXT": text,
        "ALERT_VALUE": f"{broken.value:g}",
        "JOB_ID": job_id,
    }
    work.fire(row.organization, "DATA_SLA_TRIGGERED", values)


def close_alerts(connection: Connection, sla_id: str, job_ids: Collection[str], now_ms: int) -> None:
    """Acknowledge in nobody's name the active alerts of a data SLA about jobs that are within it again."""
    mine = (alerts.c.rule_id == sla_id, alerts.c.status == "ACTIVE", alerts.c.resource_id.in_(job_ids))
    if job_ids:
        values = {"status": "ACKNOWLEDGED", "acked_on": now_ms}
        connection.execute(alerts.update().where(*mine).values(values))


def forget_violations(connection: Connection, sla_ids: Sequence[str], now_ms: int) -> None:
    """Close the alerts of data SLAs that are no longer judged: deactivated or deleted."""
    for row in list(connection.execute(select(slas).where(slas.c.id.in_(sla_ids), slas.c.violating != "[]"))):
        close_alerts(connection, row.id, row.violating, now_ms)
        connection.execute(slas.update().where(slas.c.id == row.id).values(violating="[]"))
