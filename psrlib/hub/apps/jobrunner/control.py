"""Jobrunner app: starting and stopping jobs."""

from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import select

from psrlib.hub.apps.jobrunner.records import OPERATOR, JobJson, as_new_job, insert_jobs, shown
from psrlib.hub.apps.jobrunner.status import INSTANCES, JobStatusJson, show_runs
from psrlib.hub.runner import lifecycle, words
from psrlib.hub.runner.entities import Job
from psrlib.hub.runner.start import start_jobs as start_runs
from psrlib.hub.runner.work import OFFSETS, RunnerWork, work_of
from psrlib.hub.security.acl import all_permitted, permitted
from psrlib.hub.store.queries import any_of, by_keys, insert_rows
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import jobs, offsets, runs
from psrlib.hub.store.text import Json, dump, load
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import App

app = App("jobrunner")
OPEN_RUNS = any_of(lambda ids: select(runs.c.job_id).where(runs.c.job_id.in_(ids), runs.c.open))


class JobTemplateCreationInfoJson(Struct, rename="camel"):
    """How to name and parameterise job instances of a template (control-hub-rest.md, 5.6)."""

    runtime_parameters_list: list[Json] | None = None
    name_postfix_type: str | None = "COUNTER"
    param_name: str | None = None
    name: str | None = None
    description: str | None = None
    raw_job_tags: list[str] | None = None
    attach_to_template: bool | None = True
    delete_after_completion: bool | None = False


class OffsetsJson(Struct):
    """Where a job's pipelines read on, by origin."""

    version: int = 2
    offsets: Json | None = None


def _do(
    call: Call, ids: list[str], wish: Callable[[RunnerWork, list[Job]], list[str]]
) -> list[JobStatusJson]:
    """Do what is wished of jobs that the caller may run; return the runs whose ids the wish gives."""
    rows, work = all_permitted(call, jobs, ids, "Job", "EXECUTE"), work_of(call)
    work.load_runs(row.current_run for row in rows if row.current_run)
    run_ids = wish(work, work.keep(Job, rows))
    work.flush()
    return show_runs(call, call.fetch_all(runs, run_ids, "Job status"))


def _each(call: Call, ids: list[str], wish: Callable[..., str | None], *more: object) -> list[JobStatusJson]:
    """Do what is wished of each job; ``wish`` takes work, job and ``more``, and gives the id of the run."""

    def wishes(work: RunnerWork, found: list[Job]) -> list[str]:
        return [run_id for job in found if (run_id := wish(work, job, *more)) is not None]

    return _do(call, ids, wishes)


def _start(call: Call, ids: list[str], parameters: Json | None = None) -> list[JobStatusJson]:
    user = call.principal
    groups = sorted(user.groups)
    return _do(call, ids, lambda work, found: start_runs(work, found, user.id, groups, parameters))


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/start",
    OPERATOR,
    choice="400 JOBRUNNER_06 for a job that runs; without a matching engine the run is ACTIVE/RED with "
    "warning JOBRUNNER_24 (none) or JOBRUNNER_72 (thresholds) and starts as soon as one is there",
)
def start(call: Call, job: str, body: Json) -> JobStatusJson:
    """Start a job, with other runtime parameters when given."""
    return _start(call, [job], body)[0]


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/startJobs",
    OPERATOR,
    choice="answers an array of job status; all or nothing",
)
def start_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Start several jobs."""
    return _start(call, body)


@app.route(
    "POST", "/jobrunner/rest/v1/job/{job}/stop", OPERATOR, choice="400 JOBRUNNER_07 when it does not run"
)
def stop(call: Call, job: str) -> JobStatusJson:
    """Stop a job."""
    return _each(call, [job], lifecycle.stop_job, call.principal.id)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/stopJobs", OPERATOR, choice="array of job status")
def stop_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Stop several jobs."""
    return _each(call, body, lifecycle.stop_job, call.principal.id)


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/forceStop",
    OPERATOR,
    choice="the job is INACTIVE at once; engines get STOP_DELETE with timeout 0",
)
def force_stop(call: Call, job: str) -> JobStatusJson:
    """Stop a job without waiting for its engines."""
    return _each(call, [job], lifecycle.stop_job, call.principal.id, True)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/forceStopJobs", OPERATOR)
def force_stop_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Stop several jobs without waiting for their engines."""
    return _each(call, body, lifecycle.stop_job, call.principal.id, True)


@app.route("POST", "/jobrunner/rest/v1/job/{job}/sync", OPERATOR)
def sync(call: Call, job: str) -> JobStatusJson:
    """Bring a running job in line with engine labels."""
    return _each(call, [job], lifecycle.synchronise)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/syncJobs", OPERATOR)
def sync_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Bring several running jobs in line with engine labels."""
    return _each(call, body, lifecycle.synchronise)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/balanceJobs",
    OPERATOR,
    choice="one instance at a time moves from the most to the least loaded matching engine while that helps",
)
def balance_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Redistribute jobs over engines."""
    return _each(call, body, lifecycle.balance)


@app.route(
    "POST", "/jobrunner/rest/v1/job/{job}/acknowledgeError", OPERATOR, choice="INACTIVE_ERROR to INACTIVE/RED"
)
def acknowledge_error(call: Call, job: str) -> JobStatusJson:
    """Acknowledge the error of a job."""
    return _each(call, [job], lifecycle.acknowledge_error, call.principal.id)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/acknowledgeErrors", OPERATOR)
def acknowledge_errors(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Acknowledge the errors of several jobs."""
    return _each(call, body, lifecycle.acknowledge_error, call.principal.id)


def _reset(call: Call, ids: list[str]) -> None:
    rows = all_permitted(call, jobs, ids, "Job", "EXECUTE")
    running = {row.job_id for row in OPEN_RUNS(call.db, ids)}
    for row in rows:
        if row.id in running:
            raise bad_request(f"job '{row.name}' runs; its origin can be reset when it is INACTIVE")
    call.db.execute(offsets.delete().where(offsets.c.job_id.in_(ids)))


@app.route("POST", "/jobrunner/rest/v1/jobs/resetOffset", OPERATOR)
def reset_offsets(call: Call, body: list[str]) -> list[str]:
    """Forget the offsets of several jobs: they start from the beginning."""
    _reset(call, body)
    return []


@app.route("POST", "/jobrunner/rest/v1/job/{job}/resetOffset", OPERATOR)
def reset_offset(call: Call, job: str) -> None:
    """Forget the offset of a job."""
    _reset(call, [job])


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{template}/createAndStartJobInstances",
    OPERATOR,
    bulk=True,
    choice="names: <template> - <counter | epoch ms and counter | parameter value>",
)
def create_and_start(call: Call, template: str, body: JobTemplateCreationInfoJson) -> list[JobStatusJson]:
    """Create and start one job per parameter object of a template."""
    row = permitted(call, jobs, template, "Job", "EXECUTE")
    if not row.template:
        raise bad_request(f"job '{row.name}' is not a template")
    commit = call.fetch(commits, row.commit_id, "Pipeline commit")
    made = []
    first = len(by_keys(jobs, "template_id")(call.db, [row.id])) + 1
    for number, values in enumerate(body.runtime_parameters_list or [{}], first):
        copy = as_new_job(row, commit)
        copy.template = False
        copy.name = f"{body.name or row.name} - {_postfix(call, body, values, number)}"
        copy.description = copy.description if body.description is None else body.description
        copy.tags = copy.tags if body.raw_job_tags is None else body.raw_job_tags
        defaults = load(copy.runtime_parameters) if copy.runtime_parameters else {}
        copy.runtime_parameters = dump(defaults | values)
        made.append(copy)
    created = insert_jobs(call, made, None if body.attach_to_template is False else row.id)
    return _start(call, [str(job.id) for job in created])


def _postfix(call: Call, info: JobTemplateCreationInfoJson, values: Json, number: int) -> str:
    if info.name_postfix_type == "TIME_STAMP":
        return f"{call.now}_{number}"
    if info.name_postfix_type == "PARAM_VALUE":
        if not info.param_name or info.param_name not in values:
            raise bad_request(f"paramName '{info.param_name}' is not in the runtime parameters")
        return str(values[info.param_name])
    return str(number)


@app.route(
    "GET",
    "/jobrunner/rest/v1/job/{job}/committedOffsets",
    OPERATOR,
    choice="the offsets of all instances merged into one object",
)
def committed_offsets(call: Call, job: str) -> OffsetsJson | Raw:
    """Return the offsets a job's next run starts from."""
    row = call.fetch(jobs, job, "Job")
    kept = [kept.offset for kept in OFFSETS(call.db, [row.id])]
    parts = INSTANCES(call.db, [row.current_run or ""])
    merged: Json = {}
    for text in [*kept, *(part.offset for part in parts if part.phase != words.GONE and part.offset)]:
        merged.update(_entries(text))
    return OffsetsJson(offsets=merged) if merged else Raw(b"")


def _entries(text: str) -> Json:
    try:
        document = load(text)
    except ValueError:
        return {"$com.streamsets.datacollector.pollsource.offset$": text}
    entries = document.get("offsets", document.get("Offset")) if isinstance(document, dict) else None
    return entries if isinstance(entries, dict) else {}


@app.route("POST", "/jobrunner/rest/v1/job/{job}/uploadOffsetAsJson", OPERATOR)
def upload_offset_json(call: Call, job: str, body: OffsetsJson) -> JobJson:
    """Set the offset a job's next run starts from."""
    return _upload(call, job, {"version": body.version, "offsets": body.offsets or {}})


@app.route("POST", "/jobrunner/rest/v1/job/{job}/uploadOffset", OPERATOR)
def upload_offset(call: Call, job: str, body: bytes) -> JobJson:
    """Set the offset from an uploaded JSON file."""
    try:
        document = load(body.decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise bad_request(f"the uploaded offset is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("offsets"), dict):
        raise bad_request("the uploaded offset needs an object 'offsets'")
    return _upload(call, job, {"version": document.get("version", 2), "offsets": document["offsets"]})


def _upload(call: Call, job: str, document: Json) -> JobJson:
    _reset(call, [job])
    values = {"job_id": job, "slot": 0, "offset": dump(document), "protocol": 2, "changed_on": call.now}
    insert_rows(call.db, offsets, [values])
    return shown(call, [job])[0]
