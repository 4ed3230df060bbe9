"""Jobrunner app: starting and stopping jobs."""

from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.apps.jobrunner.records import OPERATOR, JobJson, as_new_job, insert_jobs, shown
from psrlib.hub.apps.jobrunner.status import INSTANCES, JobStatusJson, run_json_of
from psrlib.hub.runner import lifecycle, words
from psrlib.hub.runner.entities import Job
from psrlib.hub.runner.start import start_jobs as start_runs
from psrlib.hub.runner.work import RunnerWork, work_of
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Query, Row, any_of, by_keys, insert_rows
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import jobs, offsets, runs
from psrlib.hub.store.text import Json, dump, load
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import App

app = App("jobrunner", "Starting and stopping jobs")
OPEN_RUNS = any_of(lambda ids: select(runs.c.job_id).where(runs.c.job_id.in_(ids), runs.c.open))
OFFSETS = Query(select(offsets.c.offset).where(offsets.c.job_id == bindparam("job")).order_by(offsets.c.slot))


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


def _runnable(call: Call, ids: list[str]) -> list[Row]:
    rows = call.fetch_all(jobs, ids, "Job")
    for row in rows:
        check_permission(call, row.id, "EXECUTE")
    return rows


def _begin(call: Call, ids: list[str]) -> tuple[RunnerWork, list[Job]]:
    """Begin the runner's work on jobs that the caller may run, with their current runs."""
    rows, work = _runnable(call, ids), work_of(call)
    work.load_runs(row.current_run for row in rows if row.current_run)
    return work, work.keep(Job, rows)


def _finish(call: Call, work: RunnerWork, run_ids: list[str]) -> list[JobStatusJson]:
    """Write what was changed; return runs in wire form."""
    work.flush()
    found = run_json_of(call, run_ids)
    return [found[run_id] for run_id in run_ids]


def _start(call: Call, ids: list[str], parameters: Json | None = None) -> list[JobStatusJson]:
    work, started = _begin(call, ids)
    user = call.principal
    return _finish(call, work, start_runs(work, started, user.id, sorted(user.groups), parameters))


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/start",
    OPERATOR,
    choice="400 JOBRUNNER_06 for a job that runs; without a matching engine the run is "
    "ACTIVE/RED with warning "
    "JOBRUNNER_24 (none) or JOBRUNNER_72 (thresholds) and starts as soon as one is there",
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


def _stop(call: Call, ids: list[str], force: bool) -> list[JobStatusJson]:
    work, stopped = _begin(call, ids)
    user_id = call.principal.id
    return _finish(call, work, [lifecycle.stop_job(work, job, user_id, force) for job in stopped])


@app.route(
    "POST", "/jobrunner/rest/v1/job/{job}/stop", OPERATOR, choice="400 JOBRUNNER_07 when it does not run"
)
def stop(call: Call, job: str) -> JobStatusJson:
    """Stop a job."""
    return _stop(call, [job], False)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/stopJobs", OPERATOR, choice="array of job status")
def stop_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Stop several jobs."""
    return _stop(call, body, False)


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/forceStop",
    OPERATOR,
    choice="the job is INACTIVE at once; engines get STOP_DELETE with timeout 0",
)
def force_stop(call: Call, job: str) -> JobStatusJson:
    """Stop a job without waiting for its engines."""
    return _stop(call, [job], True)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/forceStopJobs", OPERATOR)
def force_stop_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Stop several jobs without waiting for their engines."""
    return _stop(call, body, True)


def _synchronise(call: Call, ids: list[str]) -> list[JobStatusJson]:
    """Take pipelines off engines that lost the labels, and put missing ones on engines that have them."""
    work, found = _begin(call, ids)
    return _finish(call, work, [lifecycle.synchronise(work, job) for job in found])


@app.route("POST", "/jobrunner/rest/v1/job/{job}/sync", OPERATOR)
def sync(call: Call, job: str) -> JobStatusJson:
    """Bring a running job in line with engine labels."""
    return _synchronise(call, [job])[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/syncJobs", OPERATOR)
def sync_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Bring several running jobs in line with engine labels."""
    return _synchronise(call, body)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/balanceJobs",
    OPERATOR,
    choice="one instance at a time moves from the most to the least loaded matching engine while that helps",
)
def balance_jobs(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Redistribute jobs over engines."""
    work, found = _begin(call, body)
    balanced = [lifecycle.balance(work, job) for job in found]
    return _finish(call, work, [run_id for run_id in balanced if run_id is not None])


def _acknowledge(call: Call, ids: list[str]) -> list[JobStatusJson]:
    work, found = _begin(call, ids)
    user_id = call.principal.id
    return _finish(call, work, [lifecycle.acknowledge_error(work, job, user_id) for job in found])


@app.route(
    "POST", "/jobrunner/rest/v1/job/{job}/acknowledgeError", OPERATOR, choice="INACTIVE_ERROR to INACTIVE/RED"
)
def acknowledge_error(call: Call, job: str) -> JobStatusJson:
    """Acknowledge the error of a job."""
    return _acknowledge(call, [job])[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/acknowledgeErrors", OPERATOR)
def acknowledge_errors(call: Call, body: list[str]) -> list[JobStatusJson]:
    """Acknowledge the errors of several jobs."""
    return _acknowledge(call, body)


def _reset(call: Call, ids: list[str]) -> None:
    rows = _runnable(call, ids)
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
    row = _runnable(call, [template])[0]
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
    kept = [kept.offset for kept in OFFSETS.rows(call.db, job=row.id)]
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
