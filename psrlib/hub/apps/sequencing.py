"""Sequencing app of release 4: jobs that run one after the other (control-hub-4x.md, section 4.7)."""

import uuid
from typing import Any, Literal

from msgspec import Struct, convert, field, to_builtins
from msgspec.structs import replace

from psrlib.hub.apps.jobrunner.control import start_jobs
from psrlib.hub.security.acl import all_permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, by_keys, of_organization
from psrlib.hub.store.schema.automation import sequences
from psrlib.hub.store.schema.execution import jobs, runs
from psrlib.hub.store.schema.security import users
from psrlib.hub.store.text import Json, has_item
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name, not_found
from psrlib.hub.web.records import Listed, Millis, Paging, show
from psrlib.hub.web.routing import USER, App, roles

app = App("sequencing")
BASE = "/sequencing/rest/v1/sequencing"
ONE = f"{BASE}/{{sequence}}"
SEQUENCE = Owned(sequences, "Sequence", "JOB_SEQUENCE")
OPERATOR = roles("jobrunner:operator")
Status = Literal["INACTIVE", "ACTIVE", "DISABLED", "ERROR"]
JobStatus = Literal["INACTIVE", "RUNNING", "ERROR"]
ERRORS = ("INACTIVE_ERROR", "ACTIVATION_ERROR")


class FinishConditionJson(Struct, rename="camel", kw_only=True):
    """When a job of a sequence counts as finished though it runs on."""

    condition_type: Literal["END_TIME", "CRON"]
    move_job_to_error: bool | None = False
    end_time: Millis | None = None
    timezone: str | None = None
    crontab_mask: str | None = None


class RFinishCondition(FinishConditionJson, kw_only=True):
    """The same, of a job in a step."""

    id: str | None = None
    step_job_instance_id: str | None = None


class RStepJobInstance(Struct, rename="camel", kw_only=True):
    """A job in a step."""

    id: str
    job_id: str
    step_id: str | None = None
    sequence_id: str | None = None
    organization: str | None = None
    status: JobStatus = "INACTIVE"
    finish_condition: RFinishCondition | None = None


class RStep(Struct, rename="camel", kw_only=True):
    """A step: its jobs run side by side."""

    id: str
    step_number: int
    ignore_error: bool
    jobs: list[RStepJobInstance]
    name: str | None = None
    type: Literal["JOB_STEP"] = "JOB_STEP"
    status: JobStatus = "INACTIVE"
    sequence_id: str | None = None
    organization: str | None = None
    created_by: str | None = None
    create_time: Millis | None = None
    last_modified_by: str | None = None
    last_modified_time: Millis | None = None


class CSequence(Struct, rename="camel"):
    """A sequence to be created."""

    name: str
    description: str | None = None
    start_time: Millis | None = 0
    end_time: Millis | None = 0
    timezone: str | None = "UTC"
    crontab_mask: str | None = None


class USequence(CSequence, rename="camel"):
    """What of a sequence is changed."""

    status: Status | None = None
    end_time_condition: Literal["NEVER", "ON"] | None = None
    repeat_enabled: bool | None = None
    start_time_enabled: bool | None = None


class RSequenceRunTimeInfo(Struct, rename="camel"):
    """How a sequence runs."""

    id: str
    single_step_execution: bool = False


class RSequence(Struct, rename="camel", kw_only=True):
    """A sequence."""

    id: str
    organization: str
    name: str
    description: str | None = None
    status: Status
    steps: list[RStep]
    start_time: Millis | None = 0
    end_time: Millis | None = 0
    timezone: str | None = None
    crontab_mask: str | None = None
    end_time_condition: Literal["NEVER", "ON"] | None = "NEVER"
    repeat_enabled: bool | None = False
    start_time_enabled: bool | None = False
    step_count: int = 0
    step_name: str | None = None
    job_list: str | None = None
    run_count: int = 0
    last_run_time: Millis | None = 0
    next_run_time: Millis | None = 0
    run_time_info: RSequenceRunTimeInfo | None = None
    creator: str | None = field(default=None, name="createdBy")
    created_by_name: str | None = None
    created_by_email: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_by_name: str | None = None
    last_modified_by_email: str | None = None
    last_modified_on: Millis | None = field(default=None, name="lastModifiedTime")


class CStepJob(Struct, rename="camel"):
    """A step to be added."""

    step_number: int
    job_ids: list[str]
    ignore_error: bool | None = False


class UStepJob(CStepJob, rename="camel"):
    """A step as it is to be."""

    id: str | None = None
    name: str | None = None


class RJobSequencingInfo(Struct, rename="camel"):
    """The sequence of a job."""

    sequence_id: str
    sequence_name: str


def show_sequences(call: Call, rows: list[Row]) -> list[RSequence]:
    """Return sequences in wire form, with what is known of their users and of their jobs' runs."""
    ids = {user for row in rows for user in (row.creator, row.last_modified_by)}
    people = {row.id: row for row in by_keys(users)(call.db, ids)}
    statuses = _job_statuses(call, [job for row in rows for job in row.jobs])
    return [_show(row, people, statuses) for row in rows]


def _show(row: Row, people: dict[str, Row], statuses: dict[str, JobStatus]) -> RSequence:
    steps = convert(row.steps, list[RStep])
    for step in steps:
        for job in step.jobs:
            job.status = statuses.get(job.job_id, "INACTIVE")
        found = {job.status for job in step.jobs}
        step.status = next((each for each in ("ERROR", "RUNNING") if each in found), "INACTIVE")
    creator, changer = people.get(row.creator), people.get(row.last_modified_by)
    return show(
        RSequence,
        row,
        steps=steps,
        step_count=len(steps),
        created_by_name=creator.name if creator else None,
        created_by_email=creator.email if creator else None,
        last_modified_by_name=changer.name if changer else None,
        last_modified_by_email=changer.email if changer else None,
    )


def _job_statuses(call: Call, ids: list[str]) -> dict[str, JobStatus]:
    found = {row.id: row.current_run for row in by_keys(jobs)(call.db, ids)}
    status = {row.id: row for row in by_keys(runs)(call.db, filter(None, found.values()))}
    return {job: _job_status(status.get(run)) for job, run in found.items()}


def _job_status(run: Row | None) -> JobStatus:
    if run is None:
        return "INACTIVE"
    return "ERROR" if run.status in ERRORS else "RUNNING" if run.open else "INACTIVE"


def _columns(new: CSequence) -> Json:
    check_name(new.name, "sequence name")
    names = ("name", "description", "start_time", "end_time", "crontab_mask")
    return {name: getattr(new, name) for name in names} | {"timezone": new.timezone or "UTC"}


@app.route("POST", BASE, OPERATOR, release=4, choice="INACTIVE; names may repeat; no clock starts it")
def create_sequence(call: Call, body: CSequence) -> RSequence:
    """Create a sequence without steps."""
    made = SEQUENCE.create(call, _columns(body) | {"status": "INACTIVE", "steps": [], "jobs": []})
    return show_sequences(call, [made])[0]


@app.route("GET", BASE, USER, release=4)
def list_sequences(call: Call, paging: Paging, organization: str | None = None) -> Listed[RSequence]:
    """List sequences, always wrapped."""
    columns = sequences.c
    order = {"NAME": columns.name, "CREATOR": columns.creator, "CREATE_TIME": columns.created_on}
    order["LAST_MODIFIED_TIME"] = columns.last_modified_on
    found = of_organization(sequences)
    return call.page(paging, found, order, show_all=lambda rows: show_sequences(call, rows), wrap=True)


@app.route("GET", ONE, USER, release=4)
def get_sequence(call: Call, sequence: str) -> RSequence:
    """Return a sequence."""
    return show_sequences(call, [SEQUENCE.fetch(call, sequence, "READ")])[0]


@app.route("PUT", ONE, OPERATOR, release=4, choice="its status is set by enable and disable")
def update_sequence(call: Call, sequence: str, body: USequence) -> RSequence:
    """Update a sequence, but for its steps."""
    row = SEQUENCE.fetch(call, sequence, "WRITE")
    columns = _columns(body)
    for name in ("end_time_condition", "repeat_enabled", "start_time_enabled"):
        if (value := getattr(body, name)) is not None:
            columns[name] = value
    SEQUENCE.update(call, row.id, columns)
    return get_sequence(call, sequence)


def _set_steps(call: Call, row: Row, steps: list[UStepJob], known: list[RStep]) -> RSequence:
    """Give a sequence steps; those that are known keep their jobs' finish conditions."""
    ids = [job for step in steps for job in step.job_ids]
    if len(set(ids)) < len(ids):
        raise bad_request("a job is in two steps of a sequence, or twice in one")
    numbers = sorted(step.step_number for step in steps)
    if numbers != list(range(1, len(numbers) + 1)):
        raise bad_request(f"stepNumber: expected 1 to {len(numbers)}, each once, received {numbers}")
    for job in all_permitted(call, jobs, ids, "Job", "EXECUTE"):
        others = [each for each in _sequences_of(call, job.id) if each.id != row.id]
        if others:
            raise bad_request(f"job '{job.name}' is in sequence '{others[0].name}' already")
    old = {step.id: step for step in known}
    made = [_step(call, row, step, old.get(step.id or "")) for step in steps]
    made.sort(key=lambda step: step.step_number)
    SEQUENCE.update(call, row.id, {"steps": to_builtins(made), "jobs": ids})
    return get_sequence(call, row.id)


def _step(call: Call, row: Row, new: UStepJob, old: RStep | None) -> RStep:
    step = old.id if old else call.new_id(row.organization)
    had = {job.job_id: job for job in old.jobs} if old else {}
    of_sequence = {"step_id": step, "sequence_id": row.id, "organization": row.organization}
    return RStep(
        id=step,
        step_number=new.step_number,
        ignore_error=bool(new.ignore_error),
        name=new.name or f"Step {new.step_number}",
        jobs=[
            had.get(job) or RStepJobInstance(id=call.new_id(row.organization), job_id=job, **of_sequence)
            for job in new.job_ids
        ],
        sequence_id=row.id,
        organization=row.organization,
        created_by=old.created_by if old else call.principal.id,
        create_time=old.create_time if old else call.now,
        last_modified_by=call.principal.id,
        last_modified_time=call.now,
    )


def _sequences_of(call: Call, job: str) -> list[Row]:
    query = of_organization(sequences).where(has_item(sequences.c.jobs, job))
    return query.rows(call.db, org=call.organization)


@app.route(
    "POST",
    f"{ONE}/addStepJobs",
    OPERATOR,
    release=4,
    choice="a job is in one sequence at most; step numbers go on from those there are, without a gap",
)
def add_steps(call: Call, sequence: str, body: list[CStepJob]) -> RSequence:
    """Add steps to a sequence."""
    row = SEQUENCE.fetch(call, sequence, "WRITE")
    known = convert(row.steps, list[RStep])
    kept = [
        UStepJob(step.step_number, [job.job_id for job in step.jobs], step.ignore_error, step.id, step.name)
        for step in known
    ]
    new = [UStepJob(step.step_number, step.job_ids, step.ignore_error) for step in body]
    return _set_steps(call, row, kept + new, known)


@app.route("POST", f"{ONE}/updateSteps", OPERATOR, release=4, choice="steps that are not named are gone")
def update_steps(call: Call, sequence: str, body: list[UStepJob]) -> RSequence:
    """Replace the steps of a sequence."""
    row = SEQUENCE.fetch(call, sequence, "WRITE")
    return _set_steps(call, row, body, convert(row.steps, list[RStep]))


def _serve_status(word: str, status: Status) -> None:
    def set_status(call: Call, sequence: str) -> RSequence:
        row = SEQUENCE.fetch(call, sequence, "WRITE")
        SEQUENCE.update(call, row.id, {"status": status})
        return get_sequence(call, sequence)

    set_status.__doc__ = f"{word.title()} a sequence."
    app.route("POST", f"{ONE}/{word}", OPERATOR, release=4, choice=f"it is {status} then")(set_status)


_serve_status("enable", "INACTIVE")
_serve_status("disable", "DISABLED")


@app.route(
    "POST",
    f"{ONE}/run",
    OPERATOR,
    release=4,
    choice="the jobs of the step are started, and the sequence is ACTIVE; the next step is not: the hub does "
    "not wait for the end of jobs",
)
def run_sequence(call: Call, sequence: str, step_number: int = 1, single_step: bool = False) -> RSequence:
    """Run a sequence from a step on."""
    row = SEQUENCE.fetch(call, sequence, "EXECUTE")
    if row.status == "DISABLED":
        raise bad_request(f"sequence '{row.name}' is disabled")
    steps = [step for step in convert(row.steps, list[RStep]) if step.step_number == step_number]
    if not steps:
        raise bad_request(f"sequence '{row.name}' has no step {step_number}")
    start_jobs(call, [job.job_id for job in steps[0].jobs])
    SEQUENCE.update(
        call, row.id, {"status": "ACTIVE", "run_count": row.run_count + 1, "last_run_time": call.now}
    )
    made = get_sequence(call, sequence)
    return replace(made, run_time_info=RSequenceRunTimeInfo(str(uuid.uuid4()), single_step))


@app.route("GET", f"{ONE}/getAllRunIds", USER, release=4, choice="1 to the number of runs")
def run_ids(call: Call, sequence: str) -> list[int]:
    """List the numbers of a sequence's runs."""
    return list(range(1, SEQUENCE.fetch(call, sequence, "READ").run_count + 1))


@app.route("GET", f"{BASE}/job/{{job}}/sequence", USER, release=4)
def sequence_of_job(call: Call, job: str) -> list[RJobSequencingInfo]:
    """Return the sequence that a job is in; none or one."""
    found = call.fetch(jobs, job, "Job")
    return [RJobSequencingInfo(row.id, row.name) for row in _sequences_of(call, found.id)]


@app.route(
    "POST", f"{ONE}/createFinishCondition/{{instance}}", OPERATOR, release=4, choice="kept, not acted on"
)
def create_finish_condition(
    call: Call, sequence: str, instance: str, body: FinishConditionJson
) -> RFinishCondition:
    """Give a job of a step a finish condition."""
    row = SEQUENCE.fetch(call, sequence, "WRITE")
    steps = convert(row.steps, list[RStep])
    job = next((job for step in steps for job in step.jobs if job.id == instance), None)
    if job is None:
        raise not_found("Job of a step", instance)
    given: Any = {name: getattr(body, name) for name in body.__struct_fields__}
    job.finish_condition = RFinishCondition(id=call.new_id(), step_job_instance_id=job.id, **given)
    SEQUENCE.update(call, row.id, {"steps": to_builtins(steps)})
    return job.finish_condition


@app.route("POST", f"{BASE}/deleteSequences", OPERATOR, release=4)
def delete_sequences(call: Call, body: list[str]) -> list[RSequence]:
    """Delete sequences; their jobs stay."""
    gone = show_sequences(call, all_permitted(call, sequences, body, "Sequence", "WRITE"))
    SEQUENCE.delete(call, body)
    return gone


@app.route("DELETE", ONE, OPERATOR, release=4)
def delete_sequence(call: Call, sequence: str) -> RSequence:
    """Delete a sequence; its jobs stay."""
    return delete_sequences(call, [sequence])[0]
