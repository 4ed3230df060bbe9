"""Jobrunner app: starting and stopping jobs."""

from typing import Any

from msgspec import Struct
from sqlalchemy import select

from psrlib.hub.apps.jobrunner.records import OPERATOR, as_new_job, insert_jobs, shown
from psrlib.hub.apps.jobrunner.status import run_json_of
from psrlib.hub.runner import lifecycle
from psrlib.hub.runner.records import Record
from psrlib.hub.runner.words import GONE, INACTIVE, INACTIVE_ERROR, RED
from psrlib.hub.runner.work import work_of
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.schema.design import commits
from psrlib.hub.store.schema.execution import jobs, offsets, runs
from psrlib.hub.store.text import dump, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import App

app = App("jobrunner", "Starting and stopping jobs")


class JobTemplateCreationInfoJson(Struct):
    """How to name and parameterise job instances of a template (control-hub-rest.md, 5.6)."""

    runtimeParametersList: list[dict[str, Any]] | None = None
    namePostfixType: str | None = "COUNTER"
    paramName: str | None = None
    name: str | None = None
    description: str | None = None
    rawJobTags: list[str] | None = None
    attachToTemplate: bool | None = True
    deleteAfterCompletion: bool | None = False


def _runnable(call: Call, ids: list[str]) -> list[Record]:
    rows = call.fetch_all(jobs, ids, "Job")
    for row in rows:
        check_permission(call, row.id, "EXECUTE")
    return work_of(call).records.keep(jobs, rows)


def _start(call: Call, started: list[Record], parameters: dict[str, Any] | None = None) -> list[str]:
    user = call.principal
    return lifecycle.start_jobs(work_of(call), started, user.id, sorted(user.groups), parameters)


def _runs(call: Call, ids: list[str]) -> list[dict[str, Any]]:
    found = run_json_of(call, ids)
    return [found[run_id] for run_id in ids]


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/start",
    OPERATOR,
    body=dict[str, Any],
    choice="400 JOBRUNNER_06 for a job that runs; without a matching engine the run is "
    "ACTIVE/RED with warning "
    "JOBRUNNER_24 (none) or JOBRUNNER_72 (thresholds) and starts as soon as one is there",
)
def start(call: Call) -> Any:
    """Start a job, with other runtime parameters when given."""
    return _runs(call, _start(call, _runnable(call, [call.path["job"]]), call.body or None))[0]


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/startJobs",
    OPERATOR,
    body=list[str],
    choice="answers an array of job status; all or nothing",
)
def start_jobs(call: Call) -> Any:
    """Start several jobs."""
    return _runs(call, _start(call, _runnable(call, call.body)))


def _stop(call: Call, ids: list[str], force: bool) -> list[dict[str, Any]]:
    rows = _runnable(call, ids)
    work = work_of(call)
    work.load_runs(row.current_run for row in rows if row.current_run)
    return _runs(call, [lifecycle.stop_job(work, row, call.principal.id, force) for row in rows])


@app.route(
    "POST", "/jobrunner/rest/v1/job/{job}/stop", OPERATOR, choice="400 JOBRUNNER_07 when it does not run"
)
def stop(call: Call) -> Any:
    """Stop a job."""
    return _stop(call, [call.path["job"]], False)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/stopJobs", OPERATOR, body=list[str], choice="array of job status")
def stop_jobs(call: Call) -> Any:
    """Stop several jobs."""
    return _stop(call, call.body, False)


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{job}/forceStop",
    OPERATOR,
    choice="the job is INACTIVE at once; engines get STOP_DELETE with timeout 0",
)
def force_stop(call: Call) -> Any:
    """Stop a job without waiting for its engines."""
    return _stop(call, [call.path["job"]], True)[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/forceStopJobs", OPERATOR, body=list[str])
def force_stop_jobs(call: Call) -> Any:
    """Stop several jobs without waiting for their engines."""
    return _stop(call, call.body, True)


def _sync(call: Call, ids: list[str]) -> list[dict[str, Any]]:
    """Take pipelines off engines that lost the labels, and put missing ones on engines that have them."""
    work = work_of(call)
    touched = []
    for row in _runnable(call, ids):
        run = work.run(row.current_run) if row.current_run else None
        if run is None or not run.open:
            raise bad_request(f"job '{row.name}' is not running")
        lifecycle.synchronise(work, run, row)
        touched.append(run.id)
    return _runs(call, touched)


@app.route("POST", "/jobrunner/rest/v1/job/{job}/sync", OPERATOR)
def sync(call: Call) -> Any:
    """Bring a running job in line with engine labels."""
    return _sync(call, [call.path["job"]])[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/syncJobs", OPERATOR, body=list[str])
def sync_jobs(call: Call) -> Any:
    """Bring several running jobs in line with engine labels."""
    return _sync(call, call.body)


@app.route(
    "POST",
    "/jobrunner/rest/v1/jobs/balanceJobs",
    OPERATOR,
    body=list[str],
    choice="one instance at a time moves from the most to the least loaded matching engine while that helps",
)
def balance_jobs(call: Call) -> Any:
    """Redistribute jobs over engines."""
    work = work_of(call)
    touched = []
    for row in _runnable(call, call.body):
        run = work.run(row.current_run) if row.current_run else None
        if run is not None and run.open:
            lifecycle.balance(work, run, row)
            touched.append(run.id)
    return _runs(call, touched)


def _acknowledge(call: Call, ids: list[str]) -> list[dict[str, Any]]:
    work = work_of(call)
    touched = []
    for row in _runnable(call, ids):
        run = work.run(row.current_run) if row.current_run else None
        if run is None or run.status != INACTIVE_ERROR:
            raise bad_request(f"job '{row.name}' has no error to acknowledge")
        lifecycle.set_status(work, run, INACTIVE, RED, call.principal.id)
        touched.append(run.id)
    return _runs(call, touched)


@app.route(
    "POST", "/jobrunner/rest/v1/job/{job}/acknowledgeError", OPERATOR, choice="INACTIVE_ERROR to INACTIVE/RED"
)
def acknowledge_error(call: Call) -> Any:
    """Acknowledge the error of a job."""
    return _acknowledge(call, [call.path["job"]])[0]


@app.route("POST", "/jobrunner/rest/v1/jobs/acknowledgeErrors", OPERATOR, body=list[str])
def acknowledge_errors(call: Call) -> Any:
    """Acknowledge the errors of several jobs."""
    return _acknowledge(call, call.body)


def _reset(call: Call, ids: list[str]) -> None:
    rows = _runnable(call, ids)
    for row in rows:
        running = call.db.execute(select(runs.c.id).where(runs.c.job_id == row.id, runs.c.open)).first()
        if running is not None:
            raise bad_request(f"job '{row.name}' runs; its origin can be reset when it is INACTIVE")
    call.db.execute(offsets.delete().where(offsets.c.job_id.in_(ids)))


@app.route("POST", "/jobrunner/rest/v1/jobs/resetOffset", OPERATOR, body=list[str])
def reset_offsets(call: Call) -> Any:
    """Forget the offsets of several jobs: they start from the beginning."""
    _reset(call, call.body)
    return []


@app.route("POST", "/jobrunner/rest/v1/job/{job}/resetOffset", OPERATOR)
def reset_offset(call: Call) -> Any:
    """Forget the offset of a job."""
    _reset(call, [call.path["job"]])
    return None


@app.route(
    "POST",
    "/jobrunner/rest/v1/job/{template}/createAndStartJobInstances",
    OPERATOR,
    body=JobTemplateCreationInfoJson,
    bulk=True,
    choice="names: <template> - <counter | epoch ms and counter | parameter value>",
)
def create_and_start(call: Call) -> Any:
    """Create and start one job per parameter object of a template."""
    row = _runnable(call, [call.path["template"]])[0]
    if not row.template:
        raise bad_request(f"job '{row.name}' is not a template")
    commit = call.fetch(commits, row.commit_id, "Pipeline commit")
    made, info = [], call.body
    first = _instances_so_far(call, row)
    for index, values in enumerate(info.runtimeParametersList or [{}]):
        copy = as_new_job(row, commit)
        copy.template = False
        copy.name = f"{info.name or row.name} - {_postfix(call, info, values, first + index + 1)}"
        copy.description = copy.description if info.description is None else info.description
        copy.tags = copy.tags if info.rawJobTags is None else info.rawJobTags
        defaults = load(copy.runtime_parameters) if copy.runtime_parameters else {}
        copy.runtime_parameters = dump(defaults | values)
        made.append(copy)
    created = insert_jobs(call, made, None if info.attachToTemplate is False else row.id)
    ids = [str(job.id) for job in created]
    return _runs(call, _start(call, _runnable(call, ids)))


def _instances_so_far(call: Call, template: Record) -> int:
    return len(call.db.execute(select(jobs.c.id).where(jobs.c.template_id == template.id)).all())


def _postfix(call: Call, info: JobTemplateCreationInfoJson, values: dict[str, Any], number: int) -> str:
    if info.namePostfixType == "TIME_STAMP":
        return f"{call.now}_{number}"
    if info.namePostfixType == "PARAM_VALUE":
        if not info.paramName or info.paramName not in values:
            raise bad_request(f"paramName '{info.paramName}' is not in the runtime parameters")
        return str(values[info.paramName])
    return str(number)


@app.route(
    "GET",
    "/jobrunner/rest/v1/job/{job}/committedOffsets",
    OPERATOR,
    choice="the offsets of all instances merged into one object",
)
def committed_offsets(call: Call) -> Any:
    """Return the offsets a job's next run starts from."""
    row = call.fetch(jobs, call.path["job"], "Job")
    merged: dict[str, Any] = {}
    work = work_of(call)
    live = [i for i in work.instances_of(row.current_run or "") if i.phase != GONE]
    stored = call.db.execute(
        select(offsets.c.offset).where(offsets.c.job_id == row.id).order_by(offsets.c.slot)
    )
    for text in [*stored.scalars(), *(i.offset for i in live if i.offset)]:
        merged.update(_entries(text))
    return {"version": 2, "offsets": merged} if merged else None


def _entries(text: str) -> dict[str, Any]:
    try:
        document = load(text)
    except ValueError:
        return {"$com.streamsets.datacollector.pollsource.offset$": text}
    entries = document.get("offsets", document.get("Offset")) if isinstance(document, dict) else None
    return entries if isinstance(entries, dict) else {}


class OffsetsJson(Struct):
    """Offsets to be set."""

    version: int = 2
    offsets: dict[str, Any] | None = None


@app.route("POST", "/jobrunner/rest/v1/job/{job}/uploadOffsetAsJson", OPERATOR, body=OffsetsJson)
def upload_offset_json(call: Call) -> Any:
    """Set the offset a job's next run starts from."""
    return _upload(call, {"version": call.body.version, "offsets": call.body.offsets or {}})


@app.route("POST", "/jobrunner/rest/v1/job/{job}/uploadOffset", OPERATOR, body=bytes)
def upload_offset(call: Call) -> Any:
    """Set the offset from an uploaded JSON file."""
    try:
        document = load(call.body.decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise bad_request(f"the uploaded offset is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("offsets"), dict):
        raise bad_request("the uploaded offset needs an object 'offsets'")
    return _upload(call, {"version": document.get("version", 2), "offsets": document["offsets"]})


def _upload(call: Call, document: dict[str, Any]) -> Any:
    _reset(call, [call.path["job"]])
    call.db.execute(
        offsets.insert().values(
            job_id=call.path["job"], slot=0, offset=dump(document), protocol=2, changed_on=call.now
        )
    )
    return shown(call, [call.path["job"]])[0]
