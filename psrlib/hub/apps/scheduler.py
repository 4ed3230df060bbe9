"""Scheduler app: scheduled tasks on jobs and reports (control-hub-rest.md, 7.1)."""

import uuid
from typing import Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import select

from psrlib.hub.runner.cron import next_time_ms
from psrlib.hub.security.acl import permitted
from psrlib.hub.security.owned import Owned
from psrlib.hub.store.queries import Row, any_of, by_key, insert_rows, of_organization
from psrlib.hub.store.schema.automation import task_audits, task_runs, tasks
from psrlib.hub.store.schema.design import acls, report_definitions
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import Json, JsonValue
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name
from psrlib.hub.web.records import Millis, Page, Paging
from psrlib.hub.web.routing import USER, App, roles

app = App("scheduler")
OPERATOR = roles("scheduler:operator", "jobrunner:operator", "reporting:operator")
BASE = "/scheduler/rest/v2/jobs"
ACTIONS = {"PAUSE": "PAUSED", "RESUME": "RUNNING", "KILL": "KILLED", "DELETE": "DELETED"}
TASK_ACTIONS = ("START", "STOP", "UPGRADE")
MISSED = ("IGNORE", "RUN_ALL", "RUN_ONCE")
DEFAULT_CRON = "0 0 1/1 * ? *"
IN_DOCUMENT = ("type", "description", "job_id", "job_name", "report_id", "report_name")
WRAPPED = ("name", "organization", "status", "cron", "time_zone", "missed")
TIMES = ("start_time", "end_time", "next_time")
TASK = Owned(tasks, "Scheduled task", "SCHEDULER_JOB")
T = TypeVar("T")


class Field(Struct, Generic[T], rename="camel"):
    """A field of a task, in its wrapping; what else the wrapping may hold is taken and not kept."""

    value: T | None = None
    messages: list[JsonValue] | UnsetType | None = UNSET
    scrubbed: bool | UnsetType | None = UNSET
    type: str | UnsetType | None = UNSET


class WordField(Field[str], rename="camel"):
    """A field that holds one of a few words."""

    enum_class: str | UnsetType | None = UNSET


# wrapped or plain, as the client likes; answers are wrapped
Text = Field[str] | str | UnsetType | None
Word = WordField | str | UnsetType | None
Moment = Field[Millis] | Millis | UnsetType | None


class ExecutionInfoJson(Struct, omit_defaults=True):
    """What a task does, plain or in a wrapping."""

    action: Text = UNSET
    value: "ExecutionInfoJson | None" = None


class TaskRunJson(Struct, rename="camel"):
    """A firing of a task."""

    id: str
    task_id: Field[str] = field(name="schedulerJobId")
    scheduled_time: Field[int]
    time: Field[int] = field(name="executionTime")
    started_ok: Field[bool]
    message: Field[str] = field(name="errorMsg")


class TaskAuditJson(Struct, rename="camel"):
    """A change of a task."""

    id: str
    task_id: Field[str] = field(name="schedulerJobId")
    action: WordField
    user_id: Field[str]
    time: Field[int]


class SelectorJson(Struct, rename="camel"):
    """What a task is about: a job or a report definition."""

    type: Word = UNSET
    job_id: Text = UNSET
    job_name: Text = UNSET
    report_id: Text = UNSET
    report_name: Text = UNSET


class TaskJson(SelectorJson, omit_defaults=True):
    """A scheduled task; the id is plain, as everywhere, the rest of an answer in wrappings."""

    id: Text = UNSET
    name: Text = UNSET
    description: Text = UNSET
    execution_info: ExecutionInfoJson | None = None
    action: Text = field(default=UNSET, name="executionInfo.action")
    cron: Text = field(default=UNSET, name="crontabMask")
    time_zone: Text = UNSET
    status: Word = UNSET
    start_time: Moment = UNSET
    end_time: Moment = UNSET
    missed: Word = field(default=UNSET, name="missedTriggerHandling")
    next_time: Moment = field(default=UNSET, name="nextExecutionTime")
    organization: Text = field(default=UNSET, name="organizationId")
    owner: Text = UNSET
    messages: list[JsonValue] | UnsetType | None = UNSET
    runs: list[TaskRunJson] | UnsetType | None = UNSET
    audits: list[TaskAuditJson] | UnsetType | None = UNSET


class TaskRequest(Struct):
    """A task in its envelope; task fields are plain or wrapped as ``{"value": ...}``."""

    data: TaskJson
    version: str | None = None


class SelectorRequest(Struct):
    """A type selector in its envelope."""

    data: SelectorJson
    version: str | None = None


class ResponseJson(Struct, Generic[T]):
    """A task, or the selector of one, in the envelope of an answer."""

    data: T
    success: bool = True
    messages: list[Json] = field(default_factory=list)


class SelectorAnswer(Struct):
    """The answer to who wants a type selector."""

    response: ResponseJson[SelectorJson]


class SingleJson(Struct):
    """The answer about one task."""

    response: ResponseJson[TaskJson]


class TasksJson(Struct):
    """The answer about several tasks."""

    response: list[ResponseJson[TaskJson]]


class PaginationJson(Struct, rename="camel"):
    """Which part of the list of tasks this is."""

    total: int
    offset: int
    length: int = field(name="len")


class TaskPageJson(Struct, rename="camel"):
    """A part of the list of tasks."""

    response: list[ResponseJson[TaskJson]]
    pagination_info: PaginationJson


def value_of(given: Field[T] | T | UnsetType | None, default: T) -> T:
    """Return the value of a task field, plain or wrapped; the default where there is none."""
    found = given.value if isinstance(given, Field) else given
    return default if found is None or isinstance(found, UnsetType) else found


def _single(task: TaskJson) -> SingleJson:
    return SingleJson(ResponseJson(task))


@app.route("GET", f"{BASE}/o:jobTypeSelector/pageId=SchedulerJobTypeSelectorPage", USER)
def type_selector(call: Call) -> SelectorAnswer:
    """Return a blank type selector."""
    blank: Field[str] = Field()
    return SelectorAnswer(ResponseJson(SelectorJson(WordField("PIPELINE_JOB"), blank, blank, blank, blank)))


@app.route(
    "POST",
    f"{BASE}/o:new/pageId=SchedulerJobCreatePage",
    USER,
    writes=False,
    choice="no id yet: the id comes with PUT, which is accepted without this call",
)
def new_task(call: Call, body: SelectorRequest) -> SingleJson:
    """Return a task filled with defaults for a selector; stores nothing."""
    selector = body.data
    task = TaskJson(
        type=WordField(value_of(selector.type, "PIPELINE_JOB")),
        id=None,
        name=Field(""),
        description=Field(""),
        execution_info=ExecutionInfoJson(Field("START")),
        cron=Field(DEFAULT_CRON),
        time_zone=Field("UTC"),
        status=WordField("RUNNING"),
        start_time=Field(),
        end_time=Field(),
        missed=WordField("IGNORE"),
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
    missed = value_of(task.missed, "IGNORE")
    if missed not in MISSED:
        raise bad_request(f"missedTriggerHandling is '{missed}': expected one of {', '.join(MISSED)}")
    status = value_of(task.status, "RUNNING")
    if status not in ("RUNNING", "PAUSED"):
        raise bad_request(f"status '{status}': expected RUNNING or PAUSED")
    start, end = max(value_of(task.start_time, 0), 0), max(value_of(task.end_time, 0), 0)
    following = next_time_ms(cron, max(call.now, start), zone)
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
        "document": {name: value_of(getattr(task, name), None) for name in IN_DOCUMENT},
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
def create_task(call: Call, body: TaskRequest) -> SingleJson:
    """Create a scheduled task."""
    made = TASK.create(call, _columns(call, body.data), str(uuid.uuid4()))
    _audit(call, made.id, "CREATE")
    return _shown(call, made.id)


OWNERS = any_of(
    lambda ids: select(acls.c.resource_id, acls.c.resource_owner).where(acls.c.resource_id.in_(ids))
)


def _show_all(call: Call, rows: list[Row]) -> list[TaskJson]:
    """Return tasks as the hub answers them, owners read in one query."""
    owners = {acl.resource_id: acl.resource_owner for acl in OWNERS(call.db, [row.id for row in rows])}
    return [_show(row, owners.get(row.id, row.creator)) for row in rows]


def _show(row: Row, owner: str) -> TaskJson:
    fields: Json = {name: Field(getattr(row, name)) for name in WRAPPED}
    fields |= {name: Field(getattr(row, name) or None) for name in TIMES}
    fields |= {name: Field(value) for name, value in row.document.items()}
    info = ExecutionInfoJson(Field(row.action))
    return TaskJson(id=row.id, owner=Field(owner), execution_info=info, messages=[], **fields)


def _shown(call: Call, task_id: str) -> SingleJson:
    return _single(*_show_all(call, [call.fetch(tasks, task_id, "Scheduled task")]))


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
        show_all=lambda rows: _show_all(call, rows),
        wrap=True,
    )
    assert isinstance(page, Page)
    found = list(map(ResponseJson, page.data))
    return TaskPageJson(found, PaginationJson(page.total_count, paging.offset, paging.length))


@app.route("GET", f"{BASE}/{{task}}/pageId=SchedulerJobManagePage", USER)
def get_task(call: Call, task: str, run_info: bool = False, audit_info: bool = False) -> SingleJson:
    """Return a scheduled task, with runs and audits when asked for."""
    row = TASK.fetch(call, task, "READ")
    (record,) = _show_all(call, [row])
    if run_info:
        runs = by_key(task_runs, "task_id").page(task_runs.c.scheduled_time, task_runs.c.id, descending=True)
        record.runs = [_show_run(run) for run in runs.rows(call.db, key=row.id)]
    if audit_info:
        audits = by_key(task_audits, "task_id").page(task_audits.c.id, task_audits.c.id, descending=True)
        record.audits = [_show_audit(audit) for audit in audits.rows(call.db, key=row.id)]
    return _single(record)


def _show_run(row: Row) -> TaskRunJson:
    good = row.status == "SUCCESS"
    message: Field[str] = Field(None if good else row.message)
    return TaskRunJson(
        row.id, Field(row.task_id), Field(row.scheduled_time), Field(row.time), Field(good), message
    )


def _show_audit(row: Row) -> TaskAuditJson:
    return TaskAuditJson(
        str(row.id), Field(row.task_id), WordField(row.action), Field(row.user_id), Field(row.time)
    )


@app.route("POST", f"{BASE}/{{task}}/pageId=SchedulerJobManagePage", OPERATOR)
def update_task(call: Call, task: str, body: TaskRequest) -> SingleJson:
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
    if action != "DELETE":  # a real hub knows no such audit
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
    found = _show_all(call, call.fetch_all(tasks, id, "Scheduled task"))
    return TasksJson(list(map(ResponseJson, found)))
