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
from psrlib.state.schedule import Steps, run_organizations

log = logging.getLogger(__name__)

RUNNING = ("ACTIVE", "ACTIVATING")
STOPPED = (None, "INACTIVE", "INACTIVE_ERROR", "ACTIVATION_ERROR")  # end states (control-hub-rest, 5.4)
STOP_PAUSE_S = 0.5
NEEDS_ACKNOWLEDGEMENT = "INACTIVE_ERROR"
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 3.0
SHOWN = 5  # jobs named in an error
Waiting = dict[str, tuple[str, str]]  # id of a job -> its name and what is known of its run


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
    items = [(o,) for o in document.organizations]
    looked = run_organizations(_count_idle, hub, document, items) if hub.crew else None
    begun = run_organizations(_start, hub, document, items)
    started = sum(begun if looked is None else looked)  # a machine that was lost cannot tell what it began
    log.info("started %d jobs", started)
    return started


def balance_jobs(document: SeedDocument, hub: ControlHub) -> int:
    """Spread the jobs that run over their engines again, evenly; return how many jobs run.

    After a failover pipelines stay where they went, also when their engine is back.
    """

    document = held(document, hub)
    return sum(run_organizations(_balance, hub, document, [(o,) for o in document.organizations]))


def wait_until_active(document: SeedDocument, hub: ControlHub, timeout_s: float = 120.0) -> float:
    """Wait until every job that should be ACTIVE is, its pipelines RUNNING; return the seconds it took.

    Time in which the hub throttles, so that nothing is seen, does not count.

    Raises
    ------
    InconsistentStateError
        If some are not in time, with their status, or the hub lacks a job or its organization.
    """
    document = held(document, hub)
    _check_present(document, hub)
    begun, closed_s = time.monotonic(), hub.limit.closed_s
    waiting: list[tuple[Organization, Waiting | None]] = [(o, None) for o in document.organizations]
    pause_s = FIRST_PAUSE_S
    while True:
        found = run_organizations(_not_running, hub, document, waiting)
        waiting = [(o, jobs) for (o, _), jobs in zip(waiting, found, strict=True) if jobs]
        left = [(o.id, job) for o, jobs in waiting for job in (jobs or {}).values()]
        elapsed_s = time.monotonic() - begun - (hub.limit.closed_s - closed_s)
        if not left:
            return elapsed_s
        if elapsed_s + pause_s > timeout_s:
            named = ", ".join(f'"{name}" of {id}: {status}' for id, (name, status) in left[:SHOWN])
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
    give_up_at, closed_s = time.monotonic() + timeout_s, session.limit.closed_s
    while left and time.monotonic() - (session.limit.closed_s - closed_s) < give_up_at:
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


def _start(hub: ControlHub, document: SeedDocument, organization: Organization) -> Steps[int]:
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


def _count_idle(hub: ControlHub, document: SeedDocument, organization: Organization) -> Steps[int]:
    (rows,) = yield [partial(_wanted_rows, hub, organization)]
    return sum(job_status(row) not in RUNNING for row in rows)


def _balance(hub: ControlHub, document: SeedDocument, organization: Organization) -> Steps[int]:
    (rows,) = yield [partial(_wanted_rows, hub, organization)]
    ids = [hub_id("jobs", row) for row in rows if job_status(row) == "ACTIVE"]
    if ids:
        yield [partial(hub.for_organization(organization.id).jobrunner.balance_jobs, ids)]
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


def _not_running(
    hub: ControlHub, document: SeedDocument, organization: Organization, jobs: Waiting | None
) -> Steps[Waiting]:
    """Return the jobs that do not run yet, of all that should (None) or of some."""
    if jobs is None:
        (rows,) = yield [partial(_wanted_rows, hub, organization)]
        jobs = {hub_id("jobs", row): (hub_name(row), "") for row in rows}
    if not jobs:
        return {}
    (statuses,) = yield [partial(hub.for_organization(organization.id).jobrunner.statuses, list(jobs))]
    return {
        id: (name, _describe(statuses.get(id)))
        for id, (name, _) in jobs.items()
        if not is_running(statuses.get(id))
    }


def _describe(status: Json | None) -> str:
    run = status or {}
    warnings = (run.get("warnings") or [])[:1]
    parts = (run.get("status") or "never started", run.get("color"), run.get("errorMessage"), *warnings)
    return " ".join(str(part) for part in parts if part)
