"""Jobs whose status scheduled tasks change are judged by their run history, not by the momentary status."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.cron import Cron
from psrlib.seed.document import Job, Organization, ScheduledTask, SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.state.schedule import Steps, run_organizations
from psrlib.verify.check import Check, judge
from psrlib.verify.counts import JobKey

OPPOSING = {"ACTIVE": "STOP", "INACTIVE": "START"}  # the action that leads away from the desired status
LATE_S = 120  # a trigger may be handled so much later than its time
EARLY_S = 5  # clocks of hub and engines may differ by so much
RUNNING = ("ACTIVE", "ACTIVATING")
FAILED = ("INACTIVE_ERROR", "ACTIVATION_ERROR")


@dataclass(frozen=True)
class Run:
    """One start-to-stop of a job; ``finished_s`` is None while it lasts (seconds since 1970)."""

    number: int
    status: str
    color: str
    started_s: int
    finished_s: int | None


def driven_jobs(document: SeedDocument) -> set[JobKey]:
    """Return the jobs that a scheduled task leads away from the status the document asks for.

    A START task on a job that should be ACTIVE anyway, or a STOP task on an inactive one, excuses nothing.
    """
    driven = set()
    for organization in document.organizations:
        status = {job.key: job.status for job in organization.jobs}
        for task in organization.scheduled_tasks:
            if task.job in status and task.action == OPPOSING[status[task.job]]:
                driven.add((organization.id, task.job))
    return driven


def read_histories(
    document: SeedDocument, hub: ControlHub, observed: ObservedState
) -> dict[JobKey, list[Run]]:
    """Return the runs of the driven jobs that the hub holds, oldest first: one call for each such job."""
    ids: dict[str, dict[str, str]] = {}
    for organization, key in sorted(driven_jobs(document)):
        found = observed.organizations.get(organization)
        if found and key in found.jobs:
            ids.setdefault(organization, {})[key] = found.jobs[key].id
    items = [
        (organization, ids[organization.id])
        for organization in document.organizations
        if organization.id in ids
    ]
    read = run_organizations(_histories, hub, document, items)
    return {
        (o.id, key): runs for (o, _), found in zip(items, read, strict=True) for key, runs in found.items()
    }


def _histories(
    hub: ControlHub, document: SeedDocument, organization: Organization, ids: Mapping[str, str]
) -> Steps[dict[str, list[Run]]]:
    history = hub.for_organization(organization.id).jobrunner.history
    histories = yield [partial(history, id) for id in ids.values()]
    return {key: read_runs(rows) for key, rows in zip(ids, histories, strict=True)}


def read_runs(rows: Sequence[Json]) -> list[Run]:
    """Return job status records (control-hub-rest, 5.4) as runs, oldest first."""
    runs = [
        Run(
            number=int(row.get("runCount") or 0),
            status=str(row.get("status")),
            color=str(row.get("color")),
            started_s=int(row.get("startTime") or 0) // 1000,
            finished_s=int(row["finishTime"]) // 1000 if row.get("finishTime") else None,
        )
        for row in rows
    ]
    return sorted(runs, key=lambda run: run.number)


def history_check(document: SeedDocument, histories: Mapping[JobKey, Sequence[Run]]) -> Check:
    """Check that each run of a driven job began and ended as its scheduled tasks say.

    What the document itself starts is the first run of a job that should be ACTIVE. A trigger that fires
    while the hub is down is lost (missed triggers are ignored), so that a run that is missing is no finding.
    """
    driven = driven_jobs(document)
    findings: list[str] = []
    for organization in document.organizations:
        for job in organization.jobs:
            key = (organization.id, job.key)
            if key in driven:
                name = f'{organization.id}: job "{job.name}"'
                tasks = [task for task in organization.scheduled_tasks if task.job == job.key]
                texts = judge_history(job, tasks, histories.get(key, ()))
                findings += [f"{name} {text}" for text in texts]
    question = "Did scheduled tasks alone start and stop the jobs that they drive (run history)?"
    return judge("structural", "task_driven_runs", question, len(driven), findings)


def judge_history(job: Job, tasks: Sequence[ScheduledTask], runs: Sequence[Run]) -> Iterator[str]:
    """Yield what in the runs of one job its scheduled tasks do not explain."""
    starts = [Cron.parse(task.cron) for task in tasks if task.action == "START"]
    stops = [Cron.parse(task.cron) for task in tasks if task.action == "STOP"]
    if job.status == "ACTIVE" and not runs:
        yield "never ran"
    for position, run in enumerate(runs):
        if run.status in FAILED or (run.color == "RED" and run.finished_s is not None):
            yield f"failed in run {run.number} ({run.status}/{run.color})"
        first = position == 0 and job.status == "ACTIVE"
        if not first and not _fired(starts, run.started_s):
            yield f"began run {run.number} at {_time(run.started_s)}, when no scheduled task starts it"
        if run.finished_s is not None and not _fired(stops, run.finished_s):
            yield f"ended run {run.number} at {_time(run.finished_s)}, when no scheduled task stops it"
        if run.finished_s is None and run.status not in RUNNING and run.status != "DEACTIVATING":
            yield f"has run {run.number} in status {run.status}"


def _fired(crons: Sequence[Cron], at_s: int) -> bool:
    return any(cron.fires_between(at_s - LATE_S, at_s + EARLY_S) for cron in crons)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
