"""Data delivery reports: what jobs and topologies moved in a time range."""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, select

from psrlib.hub.runner.work import Work
from psrlib.hub.store.schema.design import report_definitions, reports, topology_commits
from psrlib.hub.store.schema.execution import jobs, metrics, runs
from psrlib.hub.store.text import load

MAX_PER_TICK = 20
UNITS_MS = {"SECONDS": 1000, "MINUTES": 60_000, "HOURS": 3_600_000, "DAYS": 86_400_000}
_TIME = re.compile(r"\$\{\s*time:now\(\)\s*(?:-\s*(\d{1,9})\s*\*\s*([A-Z]+)\s*)?\}")


def generate_reports(work: Work) -> None:
    """Write the text of reports that were asked for."""
    waiting = select(reports).where(reports.c.status == "REPORT_TO_BE_GENERATED").limit(MAX_PER_TICK)
    for report in list(work.db.execute(waiting)):
        wanted = select(report_definitions).where(report_definitions.c.id == report.definition_id)
        definition = work.db.execute(wanted).first()
        document = load(definition.document) if definition is not None else {}
        values = {"status": "REPORT_SUCCESS", "content": "\n".join(_lines(work, report, document))}
        work.db.execute(reports.update().where(reports.c.id == report.id).values(values))
        facts = {
            "REPORT_ID": report.id,
            "REPORT_NAME": report.name,
            "REPORT_DEFINITION_ID": report.definition_id,
        }
        work.fire(report.organization, "REPORT_GENERATED", facts)


def moment_ms(given: int | str | None, now_ms: int) -> int | None:
    """Return a time of a report definition in epoch milliseconds; None when it is open or not understood.

    Examples
    --------
    >>> moment_ms("${time:now() - 30 * MINUTES}", 2_000_000), moment_ms("${time:now()}", 5), moment_ms(7, 5)
    (200000, 5, 7)
    """
    if isinstance(given, int):
        return given
    found = _TIME.fullmatch((given or "").strip())
    if found is None:
        return None
    amount, unit = found.groups()
    if unit is None:
        return now_ms
    return now_ms - int(amount) * UNITS_MS[unit] if unit in UNITS_MS else None


def _lines(work: Work, report: Row[Any], document: dict[str, Any]) -> list[str]:
    start = moment_ms(document.get("startTime"), report.trigger_time)
    end = moment_ms(document.get("endTime"), report.trigger_time)
    lines = [f"Data delivery report {report.name}", f"Triggered: {_stamp(report.trigger_time)}"]
    lines.append(f"From {_stamp(start)} to {_stamp(end)}")
    for artifact in document.get("reportArtifacts") or []:
        resource, kind = str(artifact.get("resourceId")), artifact.get("resourceType")
        lines += ["", f"{kind} {resource}"]
        ids = _jobs_of_topology(work, resource) if kind == "TOPOLOGY" else [resource]
        for job_id in ids:
            lines.append(_job_line(work, report.organization, job_id, start, end))
    return lines


def _stamp(moment: int | None) -> str:
    if moment is None or not 0 <= moment < 253_402_300_800_000:  # the year 10000
        return "open"
    return datetime.fromtimestamp(moment / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _jobs_of_topology(work: Work, commit_id: str) -> list[str]:
    wanted = select(topology_commits.c.definition).where(topology_commits.c.id == commit_id)
    definition = load(work.db.execute(wanted).scalar()) or {}
    nodes = definition.get("topologyNodes") or []
    ids = [node.get("jobId") for node in nodes if isinstance(node, dict)]
    return list(dict.fromkeys(job_id for job_id in ids if isinstance(job_id, str)))


def _job_line(work: Work, organization: str, job_id: str, start: int | None, end: int | None) -> str:
    job = work.job(job_id)
    if job is None or job.organization != organization:
        return f"job {job_id}: removed"
    current = work.run(job.current_run) if job.current_run else None
    counted = [runs.c.job_id == job_id]
    if start is not None:
        counted.append((runs.c.finish_time >= start) | runs.c.open)
    if end is not None:
        counted.append(runs.c.start_time <= end)
    sums = (metrics.c.input_count, metrics.c.output_count, metrics.c.error_count)
    moved = (
        select(func.count(runs.c.id.distinct()), *(func.coalesce(func.sum(column), 0) for column in sums))
        .select_from(jobs.join(runs, runs.c.job_id == jobs.c.id))
        .outerjoin(metrics, (metrics.c.job_id == runs.c.job_id) & (metrics.c.run_count == runs.c.run_count))
        .where(*counted)
    )
    n_runs, n_in, n_out, n_errors = work.db.execute(moved).one()
    state = current.status if current is not None else "never started"
    return f"job {job.name}: {state}, {n_runs} runs, {n_in} records in, {n_out} out, {n_errors} errors"
