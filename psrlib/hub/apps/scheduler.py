"""Scheduler app: scheduled tasks on jobs and reports (control-hub-rest.md, 7.1)."""

import uuid
from typing import Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType, convert, field

from psrlib.hub.runner.cron import next_time_ms
from psrlib.hub.security.acl import permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, by_key, insert_rows, of_organization
from psrlib.hub.store.schema.automation import task_audits, task_runs, tasks
from psrlib.hub.store.schema.design import report_definitions
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name
from psrlib.hub.web.records import Millis, Page, Paging, show
from psrlib.hub.web.routing import USER, App, roles

app = App("scheduler")
OPERATOR = roles("scheduler:operator", "jobrunner:operator", "reporting:operator")
BASE = "/scheduler/rest/v2/jobs"
ACTIONS = {"PAUSE": "PAUSED", "RESUME": "RUNNING", "KILL": "KILLED", "DELETE": "DELETED"}
TASK_ACTIONS = ("START", "STOP", "UPGRADE")
MISSED = ("IGNORE", "RUN ALL", "RUN ONCE")
DEFAULT_CRON = "0 0 1/1 * ? *"
TASK = Owned(tasks, "Scheduled task", "SCHEDULER_JOB")
T = TypeVar("T")


class Field(Struct, Generic[T]):
    """A field of a task, in its wrapping."""

    value: T | None = None


Text = Field[str] | str | UnsetType | None  # wrapped or plain, as the client likes; answered the same way
Moment = Field[Millis] | Millis | UnsetType | None


class ExecutionInfoJson(Struct, omit_defaults=True):
    """What a task does, plain or in a wrapping."""

    action: Text = UNSET
    value: "ExecutionInfoJson | None" = None


class TaskRunJson(Struct, rename="camel"):
    """A firing of a task."""

    id: str
    scheduled_time: int
    status: str
    message: str


class TaskAuditJson(Struct, rename="camel"):
    """A change of a task."""

    id: int
    action: str
    user_id: str = field(name="user")
    time: int


class SelectorJson(Struct, rename="camel"):
    """What a task is about: a job or a report definition."""

    type: Text = UNSET
    job_id: Text = UNSET
    job_name: Text = UNSET
    report_id: Text = UNSET
    report_name: Text = UNSET


class TaskJson(SelectorJson, omit_defaults=True):
    """A scheduled task."""

    id: Text = UNSET
    name: Text = UNSET
    description: Text = UNSET
    execution_info: ExecutionInfoJson | None = None
    action: Text = field(default=UNSET, name="executionInfo.action")
    cron: Text = field(default=UNSET, name="crontabMask")
    time_zone: Text = UNSET
    status: Text = UNSET
    start_time: Moment = UNSET
    end_time: Moment = UNSET
    missed: Text = field(default=UNSET, name="missedTriggerHandling")
    organization: str | None = None
    creator: str | None = None
    created_on: Millis | None = field(default=None, name="createTime")
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None
    next_time: int | None = field(default=None, name="nextExecutionTime")
    messages: list[str] | None = None
    runs: list[TaskRunJson] | None = None
    audits: list[TaskAuditJson] | None = None


class TaskEnvelope(Struct):
    """A task in its envelope; task fields are plain or wrapped as ``{"value": ...}``."""

    data: TaskJson


class SelectorEnvelope(Struct):
    """What comes in answer to a call about one task."""

    data: SelectorJson
    success: bool = True
    messages: list[str] = field(default_factory=list)


class SingleJson(Struct):
    """The answer about one task."""

    response: SelectorEnvelope


class TasksJson(Struct):
    """The answer about several tasks."""

    response: list[TaskEnvelope]
    success: bool = True
    messages: list[str] = field(default_factory=list)


class PaginationJson(Struct, rename="camel"):
    """Which part of the list of tasks this is."""

    total: int
    offset: int
    length: int = field(name="len")


class TaskPageJson(Struct, rename="camel"):
    """A part of the list of tasks."""

    response: list[TaskEnvelope]
    pagination_info: PaginationJson


def value_of(given: Field[T] | T | UnsetType | None, default: T) -> T:
    """Return the value of a task field, plain or wrapped; the default where there is none."""
    found = given.value if isinstance(given, Field) else given
    return default if found is None or isinstance(found, UnsetType) else found


def _single(task: SelectorJson) -> SingleJson:
    return SingleJson(SelectorEnvelope(task))


@app.route("GET", f"{BASE}/o:jobTypeSelector/pageId=SchedulerJobTypeSelectorPage", USER)
def type_selector(call: Call) -> SingleJson:
    """Return a blank type selector."""
    blank: Field[str] = Field()
    return _single(SelectorJson(Field("PIPELINE_JOB"), blank, blank, blank, blank))


@app.route(
    "POST",
    f"{BASE}/o:new/pageId=SchedulerJobCreatePage",
    USER,
    writes=False,
    choice="no id yet: the id comes with PUT, which is accepted without this call",
)
def new_task(call: Call, body: TaskEnvelope) -> SingleJson:
    """Return a task filled with defaults for a selector; stores nothing."""
    selector = body.data
    task = TaskJson(
        type=Field(value_of(selector.type, "PIPELINE_JOB")),
        id=Field(),
        name=Field(""),
        description=Field(""),
        execution_info=ExecutionInfoJson(Field("START")),
        cron=Field(DEFAULT_CRON),
        time_zone=Field("UTC"),
        status=Field("RUNNING"),
        start_time=Field(),
        end_time=Field(),
        missed=Field("IGNORE"),
    )
    for name in ("job_id", "job_name", "report_id", "report_name"):
        setattr(task, name, Field(value_of(getattr(selector, name), None)))
    return _single(task)


def _action(task: TaskJson) -> str:
    info = task.execution_info or ExecutionInfoJson()
    found = value_of((info.value or info).action, "") or value_of(task.action, "") or "START"
    if found not in TASK_ACTIONS:
        raise bad_request(f"executionInfo.action is '{found}': expected one of {', '.join(TASK_ACTIONS)}")
    return found


def _columns(call: Call, task: TaskJson) -> Json:
    """Return the columns of a task as it was sent, checked."""
    name = value_of(task.name, "")
    check_name(name, "task name")
    target = _target(call, task)
    cron, zone = value_of(task.cron, DEFAULT_CRON), value_of(task.time_zone, "UTC")
    missed = value_of(task.missed, "IGNORE").replace("_", " ")
    if missed not in MISSED:
        raise bad_request("missedTriggerHandling: expected IGNORE, RUN ALL or RUN ONCE")
    status = value_of(task.status, "RUNNING")
    if status not in ("RUNNING", "PAUSED"):
        raise bad_request(f"status '{status}': expected RUNNING or PAUSED")
    start, end = max(value_of(task.start_time, 0), 0), max(value_of(task.end_time, 0), 0)
    following = next_time_ms(cron, max(call.now, start), zone)
    task.runs = task.audits = None
    return {
        "name": name,
        "job_id": target,
        "action": _action(task),
        "cron": cron,
        "time_zone": zone,
        "status": status,
        "missed": missed,
        "start_time": start,
        "end_time": end,
        "next_time": 0 if end and following > end else following,
        "document": task,
    }


def _target(call: Call, task: TaskJson) -> str:
    """Return the id of the job or report definition a task acts on, checked."""
    if value_of(task.type, "PIPELINE_JOB") == "REPORT_JOB":
        report = call.fetch(report_definitions, value_of(task.report_id, ""), "Report definition")
        return str(report.id)
    return str(permitted(call, jobs, value_of(task.job_id, ""), "Job", "EXECUTE").id)


def _audit(call: Call, task_id: str, action: str) -> None:
    row = {"task_id": task_id, "action": action, "user_id": call.principal.id, "time": call.now}
    insert_rows(call.db, task_audits, [row])


@app.route(
    "PUT",
    f"{BASE}/pageId=SchedulerJobManagePage",
    OPERATOR,
    choice="the id is made by the hub; a task fires as its owner",
)
def create_task(call: Call, body: TaskEnvelope) -> SingleJson:
    """Create a scheduled task."""
    made = TASK.create(call, _columns(call, body.data), str(uuid.uuid4()))
    _audit(call, made.id, "CREATE")
    return _single(_show(made))


KNOWN = ("id", "organization", "creator", "created_on", "last_modified_by", "last_modified_on", "next_time")
WRAPPED = ("name", "status", "cron", "time_zone", "missed")


def _show(row: Row) -> TaskJson:
    """Return a task as it was sent, with what the hub knows better."""
    task = convert(row.document, TaskJson)
    for name in KNOWN:
        setattr(task, name, getattr(row, name))
    for name in WRAPPED:
        setattr(task, name, Field(getattr(row, name)))
    task.execution_info, task.messages = ExecutionInfoJson(Field(row.action)), []
    return task


def _show_all(rows: list[Row]) -> list[TaskEnvelope]:
    return [TaskEnvelope(_show(row)) for row in rows]


def _shown(call: Call, task_id: str) -> SingleJson:
    return _single(_show(call.fetch(tasks, task_id, "Scheduled task")))


@app.route(
    "GET",
    f"{BASE}/pageId=SchedulerJobListPage",
    USER,
    choice="deleted tasks are left out; orderBy name, status or id, with - for descending",
)
def list_tasks(call: Call, paging: Paging) -> TaskPageJson:
    """List scheduled tasks."""
    by = paging.order_by or "name"
    columns = {"name": tasks.c.name, "status": tasks.c.status, "id": tasks.c.id}
    page = call.page(
        Paging(paging.offset, paging.length, "IT", "DESC" if by.startswith("-") else "ASC"),
        of_organization(tasks).where(tasks.c.status != "DELETED"),
        {"ID": tasks.c.id, "IT": columns.get(by.removeprefix("-"), tasks.c.name)},
        show_all=_show_all,
        wrap=True,
    )
    assert isinstance(page, Page)
    return TaskPageJson(page.data, PaginationJson(page.total_count, paging.offset, paging.length))


@app.route("GET", f"{BASE}/{{task}}/pageId=SchedulerJobManagePage", USER)
def get_task(call: Call, task: str, run_info: bool = False, audit_info: bool = False) -> SingleJson:
    """Return a scheduled task, with runs and audits when asked for."""
    row = TASK.fetch(call, task, "READ")
    record = _show(row)
    if run_info:
        runs = by_key(task_runs, "task_id").page(task_runs.c.scheduled_time, task_runs.c.id, descending=True)
        record.runs = [show(TaskRunJson, run) for run in runs.rows(call.db, key=row.id)]
    if audit_info:
        audits = by_key(task_audits, "task_id").page(task_audits.c.id, task_audits.c.id, descending=True)
        record.audits = [show(TaskAuditJson, audit) for audit in audits.rows(call.db, key=row.id)]
    return _single(record)


@app.route("POST", f"{BASE}/{{task}}/pageId=SchedulerJobManagePage", OPERATOR)
def update_task(call: Call, task: str, body: TaskEnvelope) -> SingleJson:
    """Update a scheduled task."""
    row = TASK.fetch(call, task, "WRITE")
    if row.status in ("KILLED", "DELETED"):
        raise bad_request(f"task '{row.name}' is {row.status}")
    TASK.update(call, row.id, _columns(call, body.data))
    _audit(call, row.id, "UPDATE")
    return _shown(call, row.id)


@app.route(
    "POST",
    f"{BASE}/{{task}}/o:action/pageId=SchedulerJobManagePage",
    OPERATOR,
    choice="a killed task can only be deleted",
)
def act_on_task(call: Call, task: str, action: str | None = None) -> SingleJson:
    """Pause, resume, kill or delete a scheduled task."""
    _act(call, task, action or "")
    return _shown(call, task)


def _act(call: Call, task: str, action: str) -> None:
    row = TASK.fetch(call, task, "WRITE")
    if action not in ACTIONS:
        raise bad_request(f"action '{action}': expected one of {', '.join(ACTIONS)}")
    if row.status == "DELETED" or (row.status == "KILLED" and action != "DELETE"):
        raise bad_request(f"task '{row.name}' is {row.status}")
    values: Json = {"status": ACTIONS[action]}
    if action == "RESUME":
        values["next_time"] = next_time_ms(row.cron, max(call.now, row.start_time), row.time_zone)
    TASK.update(call, row.id, values)
    _audit(call, row.id, action)


@app.route(
    "POST",
    f"{BASE}/o:action/pageId=SchedulerJobListPage",
    OPERATOR,
    choice="not in 3.x: clients of the 4.x line repeat the parameter id",
)
def act_on_tasks(call: Call, id: list[str], action: str | None = None) -> TasksJson:
    """Pause, resume, kill or delete several scheduled tasks."""
    for task_id in id:
        _act(call, task_id, action or "")
    return TasksJson(_show_all(call.fetch_all(tasks, id, "Scheduled task")))
