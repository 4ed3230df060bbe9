"""Start the jobs that should be ACTIVE, and wait until engines report their pipelines RUNNING."""

import logging
import time
from collections.abc import Sequence
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import InconsistentStateError
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.adoption import held
from psrlib.state.create_once import repeat_lost
from psrlib.state.reading import hub_id, hub_name
from psrlib.state.schedule import Steps, run_each, run_steps

log = logging.getLogger(__name__)

RUNNING = ("ACTIVE", "ACTIVATING")
STOPPED = (None, "INACTIVE", "INACTIVE_ERROR", "ACTIVATION_ERROR")  # end states (control-hub-rest, 5.4)
STOP_PAUSE_S = 0.5
NEEDS_ACKNOWLEDGEMENT = "INACTIVE_ERROR"
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 3.0
SHOWN = 5  # jobs named in an error


def start_jobs(document: SeedDocument, hub: ControlHub) -> int:
    """Start every job the seed document wants ACTIVE and the hub has not active; return how many.

    Two calls per organization: one listing, one start for all its jobs.

    Raises
    ------
    InconsistentStateError
        If the hub lacks such a job or its organization: populate first.
    HubError
        If the hub refuses the start, for want of engines for instance.
    """
    document = held(document, hub)
    _check_present(document, hub)
    steps = (_start(hub, organization) for organization in document.organizations)
    started = sum(run_steps(steps, hub.limit))
    log.info("started %d jobs", started)
    return started


def balance_jobs(document: SeedDocument, hub: ControlHub) -> int:
    """Spread the jobs that run over their engines again, evenly; return how many jobs run.

    After a failover pipelines stay where they went, also when their engine is back.
    """

    document = held(document, hub)

    def balance(organization: Organization) -> int:
        running = [row for row in _wanted_rows(hub, organization) if job_status(row) == "ACTIVE"]
        if running:
            ids = [hub_id("jobs", row) for row in running]
            hub.for_organization(organization.id).jobrunner.balance_jobs(ids)
        return len(running)

    return sum(run_each([partial(balance, o) for o in document.organizations], hub.limit))


def wait_until_active(document: SeedDocument, hub: ControlHub, timeout_s: float = 120.0) -> float:
    """Wait until every job that should be ACTIVE is, its pipelines RUNNING; return the seconds it took.

    Raises
    ------
    InconsistentStateError
        If some are not in time, with their status, or the hub lacks a job or its organization.
    """
    document = held(document, hub)
    _check_present(document, hub)
    begun = time.monotonic()
    rows = run_each([partial(_wanted_rows, hub, o) for o in document.organizations], hub.limit)
    waiting = dict(zip([o.id for o in document.organizations], rows, strict=True))
    pause_s = FIRST_PAUSE_S
    while True:
        open_organizations = [id for id, rows in waiting.items() if rows]
        calls = [partial(_not_running, hub.for_organization(id), waiting[id]) for id in open_organizations]
        waiting = dict(zip(open_organizations, run_each(calls, hub.limit), strict=True))
        left = [(id, row) for id, rows in waiting.items() for row in rows]
        elapsed_s = time.monotonic() - begun
        if not left:
            return elapsed_s
        if elapsed_s + pause_s > timeout_s:
            named = ", ".join(f'"{hub_name(row)}" of {id}: {_describe(row)}' for id, row in left[:SHOWN])
            raise InconsistentStateError(
                f"{len(left)} jobs are not running after {timeout_s:.0f} s: {named}; "
                "are the engines started (psr engines start), and do they respond?"
            )
        time.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)


def is_running(status: Json | None) -> bool:
    """Whether a job status is ACTIVE, not RED, with every pipeline reported RUNNING by its engine (5.4).

    RED with RUNNING is a job whose engine is silent: it was running when it was last heard of.
    """
    if not status or status.get("status") != "ACTIVE" or status.get("color") == "RED":
        return False
    pipelines = status.get("pipelineStatus") or []
    return bool(pipelines) and all(pipeline.get("status") == "RUNNING" for pipeline in pipelines)


def stop_jobs(session: ControlHub, ids: Sequence[str], timeout_s: float, force: bool = False) -> list[str]:
    """Stop jobs and wait for their ends; return the ids of those that have not ended in time."""
    left = list(ids)
    if left:
        session.jobrunner.stop_jobs(left, force)
    give_up_at = time.monotonic() + timeout_s
    while left and time.monotonic() < give_up_at:
        time.sleep(STOP_PAUSE_S)
        statuses = session.jobrunner.statuses(left)
        left = [id for id in left if (statuses.get(id) or {}).get("status") not in STOPPED]
    return left


def job_status(row: Json) -> str | None:
    """Return the status of a job's current run from the job's record; None before the first start."""
    return (row.get("currentJobStatus") or {}).get("status")


def _check_present(document: SeedDocument, hub: ControlHub) -> None:
    """Say that organizations lack; the login of their administrators would be refused without a reason."""
    present = hub.organizations()
    if absent := [o.id for o in document.organizations if o.id not in present]:
        raise InconsistentStateError(
            f"the Control Hub lacks {len(absent)} of {len(document.organizations)} organizations, "
            f"{absent[0]} for one; populate it first"
        )


def _start(hub: ControlHub, organization: Organization) -> Steps[int]:
    session = hub.for_organization(organization.id)
    (rows,) = yield [partial(_wanted_rows, hub, organization)]
    idle = [row for row in rows if job_status(row) not in RUNNING]
    failed = [hub_id("jobs", row) for row in idle if job_status(row) == NEEDS_ACKNOWLEDGEMENT]
    if failed:
        yield [partial(session.jobrunner.acknowledge_errors, failed)]
    ids = [hub_id("jobs", row) for row in idle]
    if ids:
        yield [partial(_start_once, session, ids)]
    return len(ids)


def _start_once(session: ControlHub, ids: Sequence[str]) -> None:
    """Start jobs; after a lost answer, only those that did not begin to run are started again."""
    remaining = list(ids)

    def done() -> bool | None:
        statuses = session.jobrunner.statuses(remaining)
        remaining[:] = [id for id in remaining if (statuses.get(id) or {}).get("status") not in RUNNING]
        return None if remaining else True

    def start() -> bool:
        session.jobrunner.start_jobs(remaining)
        return True

    repeat_lost(start, done)


def _wanted_rows(hub: ControlHub, organization: Organization) -> list[Json]:
    """Return the hub's records of the jobs that should be ACTIVE."""
    wanted = {job.name for job in organization.jobs if job.status == "ACTIVE" and not job.is_template}
    if not wanted:
        return []
    rows = {hub_name(row): row for row in hub.for_organization(organization.id).jobrunner.jobs()}
    if missing := sorted(wanted - set(rows)):
        raise InconsistentStateError(
            f'{organization.id} lacks {len(missing)} of {len(wanted)} jobs to start, "{missing[0]}" for one; '
            "populate the Control Hub first"
        )
    return [rows[name] for name in sorted(wanted)]


def _not_running(session: ControlHub, rows: Sequence[Json]) -> list[Json]:
    statuses = session.jobrunner.statuses([hub_id("jobs", row) for row in rows])
    return [
        {**row, "currentJobStatus": statuses.get(hub_id("jobs", row))}
        for row in rows
        if not is_running(statuses.get(hub_id("jobs", row)))
    ]


def _describe(row: Json) -> str:
    run = row.get("currentJobStatus") or {}
    warnings = (run.get("warnings") or [])[:1]
    parts = (run.get("status") or "never started", run.get("color"), run.get("errorMessage"), *warnings)
    return " ".join(str(part) for part in parts if part)
