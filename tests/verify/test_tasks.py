"""Jobs that scheduled tasks start or stop are judged by their runs."""

from datetime import UTC, datetime

import msgspec
import pytest

from psrlib.seed import SeedDocument
from psrlib.seed.document import Job, ScheduledTask
from psrlib.verify.tasks import Run, driven_jobs, history_check, judge_history, read_runs

START = ScheduledTask("t1", "start", "job-1", "START", "0 0 2 * * ? *", "u1")
STOP = ScheduledTask("t2", "stop", "job-1", "STOP", "0 0 4 * * ? *", "u1")


def job(status: str) -> Job:
    return Job("job-1", "Load", "p1", "u1", status, ["all"], 1, [], {})  # type: ignore[arg-type]


def at(hour: int, minute: int = 0, second: int = 0) -> int:
    return int(datetime(2026, 3, 4, hour, minute, second, tzinfo=UTC).timestamp())


def run(number: int, started_s: int, finished_s: int | None, status: str = "INACTIVE") -> Run:
    return Run(number, "ACTIVE" if finished_s is None else status, "GREEN", started_s, finished_s)


@pytest.mark.parametrize(
    ("status", "runs"),
    [
        ("INACTIVE", []),
        ("INACTIVE", [run(1, at(2, 0, 1), at(4, 0, 2))]),
        ("INACTIVE", [run(1, at(2, 1), None)]),
        ("ACTIVE", [run(1, at(0, 17), None)]),
        ("ACTIVE", [run(1, at(0, 17), at(4, 0, 1))]),
        ("ACTIVE", [run(1, at(0, 17), at(4)), run(2, at(2) + 86400, None)]),
    ],
    ids=["waits", "ran once", "runs", "started by us", "stopped by task", "started again"],
)
def test_runs_at_the_times_of_tasks_are_as_they_should_be(status: str, runs: list[Run]) -> None:
    """Our own first start of an active job needs no task."""
    assert list(judge_history(job(status), [START, STOP], runs)) == []


@pytest.mark.parametrize(
    ("status", "runs", "words"),
    [
        ("ACTIVE", [], "never ran"),
        ("INACTIVE", [run(1, at(3, 17), None)], "began run 1 at 2026-03-04T03:17:00Z"),
        ("INACTIVE", [run(1, at(2), at(3))], "ended run 1"),
        ("INACTIVE", [run(1, at(2), at(4), "INACTIVE_ERROR")], "failed in run 1"),
        ("ACTIVE", [run(1, at(0), at(4)), run(2, at(5), None)], "began run 2"),
    ],
    ids=["never", "wrong start", "wrong end", "error", "started by somebody"],
)
def test_what_no_task_explains_is_found(status: str, runs: list[Run], words: str) -> None:
    """Each finding says which run and when."""
    (finding,) = judge_history(job(status), [START, STOP], runs)
    assert words in finding


def test_only_opposing_tasks_excuse_a_job(document: SeedDocument) -> None:
    """The generator's tasks agree with the desired status and excuse nothing; the other way round does."""
    assert driven_jobs(document) == set()
    organization = document.organizations[0]
    active = next(job for job in organization.jobs if job.status == "ACTIVE" and not job.is_template)
    task = msgspec.structs.replace(organization.scheduled_tasks[0], job=active.key, action="STOP")
    changed = msgspec.structs.replace(
        document, organizations=[msgspec.structs.replace(organization, scheduled_tasks=[task])]
    )
    assert driven_jobs(changed) == {(organization.id, active.key)}
    check = history_check(changed, {})
    assert not check.ok
    assert "never ran" in check.answer


def test_wire_records_become_runs_oldest_first() -> None:
    """``finishTime`` 0 means that the run lasts."""
    rows = [
        {"runCount": 2, "status": "ACTIVE", "color": "GREEN", "startTime": 5000, "finishTime": 0},
        {"runCount": 1, "status": "INACTIVE", "color": "GRAY", "startTime": 1000, "finishTime": 2000},
    ]
    assert read_runs(rows) == [Run(1, "INACTIVE", "GRAY", 1, 2), Run(2, "ACTIVE", "GREEN", 5, None)]
