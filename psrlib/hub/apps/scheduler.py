"""Scheduler app: scheduled tasks on jobs and reports (control-hub-rest.md, 7.1)."""

import uuid
from typing import Any

from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.runner.cron import next_time_ms
from psrlib.hub.security.acl import check_permission, insert_acls
from psrlib.hub.store.queries import Query, Row, insert_rows
from psrlib.hub.store.schema.automation import task_audits, task_runs, tasks
from psrlib.hub.store.schema.design import report_definitions
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App, Parameter, roles

app = App("scheduler", "Scheduled tasks")
OPERATOR = roles("scheduler:operator", "jobrunner:operator", "reporting:operator")
BASE = "/scheduler/rest/v2/jobs"
ACTIONS = {"PAUSE": "PAUSED", "RESUME": "RUNNING", "KILL": "KILLED", "DELETE": "DELETED"}
TASK_ACTIONS = ("START", "STOP", "UPGRADE")
MISSED = {"IGNORE": "IGNORE", "RUN ALL": "RUN ALL", "RUN_ALL": "RUN ALL", "RUN ONCE": "RUN ONCE"}
MISSED["RUN_ONCE"] = "RUN ONCE"
DEFAULT_CRON = "0 0 1/1 * ? *"
TASKS = Query(select(tasks).where(tasks.c.organization == bindparam("org"), tasks.c.status != "DELETED"))
ROWS = (Parameter("offset", "integer", 0), Parameter("len", "integer", -1), Parameter("orderBy"))


class TaskEnvelope(Struct):
    """A task in its envelope; task fields are plain or wrapped as ``{"value": ...}``."""

    data: dict[str, Any]


def value_of(task: dict[str, Any], name: str, default: Any = None) -> Any:
    """Return a task field, plain or wrapped."""
    field = task.get(name)
    found = field.get("value") if isinstance(field, dict) and "value" in field else field
    return default if found is None else found


def _action(task: dict[str, Any]) -> str:
    info = value_of(task, "executionInfo", {})
    found = value_of(info, "action") if isinstance(info, dict) else None
    found = found or value_of(task, "executionInfo.action") or "START"
    if found not in TASK_ACTIONS:
        raise bad_request(f"executionInfo.action is '{found}': expected one of {', '.join(TASK_ACTIONS)}")
    return str(found)


def _single(task: dict[str, Any]) -> dict[str, Any]:
    return {"response": {"data": task, "success": True, "messages": []}}


def _blank(kind: str = "PIPELINE_JOB") -> dict[str, Any]:
    names = ("jobId", "jobName", "reportId", "reportName")
    return {"type": {"value": kind}} | {name: {"value": None} for name in names}


@app.route("GET", f"{BASE}/o:jobTypeSelector/pageId=SchedulerJobTypeSelectorPage", USER)
def type_selector(call: Call) -> Any:
    """Return a blank type selector."""
    return _single(_blank())


@app.route(
    "POST",
    f"{BASE}/o:new/pageId=SchedulerJobCreatePage",
    USER,
    body=TaskEnvelope,
    writes=False,
    choice="no id yet: the id comes with PUT, which is accepted without this call",
)
def new_task(call: Call) -> Any:
    """Return a task filled with defaults for a selector; stores nothing."""
    selector = call.body.data
    task = _blank(str(value_of(selector, "type", "PIPELINE_JOB")))
    for name in ("jobId", "jobName", "reportId", "reportName"):
        task[name] = {"value": value_of(selector, name)}
    task |= {
        "id": {"value": None},
        "name": {"value": ""},
        "description": {"value": ""},
        "executionInfo": {"action": {"value": "START"}},
        "crontabMask": {"value": DEFAULT_CRON},
        "timeZone": {"value": "UTC"},
        "status": {"value": "RUNNING"},
        "startTime": {"value": None},
        "endTime": {"value": None},
        "missedTriggerHandling": {"value": "IGNORE"},
    }
    return _single(task)


def _millis(task: dict[str, Any], name: str) -> int:
    found = value_of(task, name, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not -(2**62) < found < 2**62:
        raise bad_request(f"{name}: expected epoch milliseconds, received {str(found)[:40]!r}")
    return max(found, 0)


def _columns(call: Call, task: dict[str, Any]) -> dict[str, Any]:
    name = value_of(task, "name", "")
    if not isinstance(name, str) or not name.strip() or len(name) > 255:
        raise bad_request("the task name must have 1 to 255 characters")
    target = _target(call, task)
    cron, zone = str(value_of(task, "crontabMask", DEFAULT_CRON)), str(value_of(task, "timeZone", "UTC"))
    missed = MISSED.get(str(value_of(task, "missedTriggerHandling", "IGNORE")))
    if missed is None:
        raise bad_request("missedTriggerHandling: expected IGNORE, RUN ALL or RUN ONCE")
    status = str(value_of(task, "status", "RUNNING"))
    if status not in ("RUNNING", "PAUSED"):
        raise bad_request(f"status '{status}': expected RUNNING or PAUSED")
    start, end = _millis(task, "startTime"), _millis(task, "endTime")
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
        "document": {k: v for k, v in task.items() if k not in ("runs", "audits")},
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }


def _target(call: Call, task: dict[str, Any]) -> str:
    """Return the id of the job or report definition a task acts on, checked."""
    if str(value_of(task, "type", "PIPELINE_JOB")) == "REPORT_JOB":
        report = call.fetch(report_definitions, str(value_of(task, "reportId", "")), "Report definition")
        return str(report.id)
    job = call.fetch(jobs, str(value_of(task, "jobId", "")), "Job")
    check_permission(call, job.id, "EXECUTE")
    return str(job.id)


def _audit(call: Call, task_id: str, action: str) -> None:
    row = {"task_id": task_id, "action": action, "user_id": call.principal.id, "time": call.now}
    insert_rows(call.db, task_audits, [row])


@app.route(
    "PUT",
    f"{BASE}/pageId=SchedulerJobManagePage",
    OPERATOR,
    body=TaskEnvelope,
    choice="the id is made by the hub; a task fires as its owner",
)
def create_task(call: Call) -> Any:
    """Create a scheduled task."""
    task_id = str(uuid.uuid4())
    row = _columns(call, call.body.data)
    row |= {
        "id": task_id,
        "organization": call.organization,
        "creator": call.principal.id,
        "created_on": call.now,
    }
    insert_rows(call.db, tasks, [row])
    insert_acls(call, "SCHEDULER_JOB", [task_id], call.organization)
    _audit(call, task_id, "CREATE")
    return _shown(call, task_id)


def _task_json(row: Row) -> dict[str, Any]:
    task: dict[str, Any] = row.document
    wrapped = {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "crontabMask": row.cron,
        "timeZone": row.time_zone,
        "missedTriggerHandling": row.missed,
    }
    task |= {name: {"value": value} for name, value in wrapped.items() if name != "id"}
    task["executionInfo"] = {"action": {"value": row.action}}
    task["id"] = row.id
    task |= {
        "organization": row.organization,
        "creator": row.creator,
        "createTime": row.created_on,
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
        "nextExecutionTime": row.next_time,
        "messages": [],
    }
    return task


def _shown(call: Call, task_id: str) -> Any:
    return _single(_task_json(call.fetch(tasks, task_id, "Scheduled task")))


@app.route(
    "GET",
    f"{BASE}/pageId=SchedulerJobListPage",
    USER,
    query=ROWS,
    choice="deleted tasks are left out; orderBy name, status or id, with - for descending",
)
def list_tasks(call: Call) -> Any:
    """List scheduled tasks."""
    word = str(call.query["orderBy"] or "name")
    columns = {"name": tasks.c.name, "status": tasks.c.status, "id": tasks.c.id}
    column = columns.get(word.removeprefix("-"), tasks.c.name)
    call.query["orderBy"], call.query["order"] = "IT", "DESC" if word.startswith("-") else "ASC"
    order = {"ID": tasks.c.id, "IT": column}
    page = call.old_page(
        TASKS,
        order,
        lambda found: [{"data": _task_json(row)} for row in found],
        wrap=True,
        org=call.organization,
    )
    info = {"total": page["totalCount"], "offset": call.query["offset"], "len": call.query["len"]}
    return {"response": page["data"], "paginationInfo": info}


@app.route(
    "GET",
    f"{BASE}/{{task}}/pageId=SchedulerJobManagePage",
    USER,
    query=(Parameter("runInfo", "boolean", False), Parameter("auditInfo", "boolean", False)),
)
def get_task(call: Call) -> Any:
    """Return a scheduled task, with runs and audits when asked for."""
    row = call.fetch(tasks, call.path["task"], "Scheduled task")
    check_permission(call, row.id, "READ")
    task = _task_json(row)
    if call.query["runInfo"]:
        found = (
            select(task_runs).where(task_runs.c.task_id == row.id).order_by(task_runs.c.scheduled_time.desc())
        )
        task["runs"] = [
            {"id": r.id, "scheduledTime": r.scheduled_time, "status": r.status, "message": r.message}
            for r in call.db.execute(found)
        ]
    if call.query["auditInfo"]:
        audits = select(task_audits).where(task_audits.c.task_id == row.id).order_by(task_audits.c.id.desc())
        task["audits"] = [
            {"id": a.id, "action": a.action, "user": a.user_id, "time": a.time}
            for a in call.db.execute(audits)
        ]
    return _single(task)


@app.route("POST", f"{BASE}/{{task}}/pageId=SchedulerJobManagePage", OPERATOR, body=TaskEnvelope)
def update_task(call: Call) -> Any:
    """Update a scheduled task."""
    row = call.fetch(tasks, call.path["task"], "Scheduled task")
    check_permission(call, row.id, "WRITE")
    if row.status in ("KILLED", "DELETED"):
        raise bad_request(f"task '{row.name}' is {row.status}")
    call.db.execute(tasks.update().where(tasks.c.id == row.id).values(_columns(call, call.body.data)))
    _audit(call, row.id, "UPDATE")
    return _shown(call, row.id)


@app.route(
    "POST",
    f"{BASE}/{{task}}/o:action/pageId=SchedulerJobManagePage",
    OPERATOR,
    query=(Parameter("action"),),
    choice="a killed task can only be deleted",
)
def act_on_task(call: Call) -> Any:
    """Pause, resume, kill or delete a scheduled task."""
    _act(call, call.path["task"])
    return _shown(call, call.path["task"])


def _act(call: Call, task_id: str) -> None:
    row = call.fetch(tasks, task_id, "Scheduled task")
    check_permission(call, row.id, "WRITE")
    action = str(call.query["action"] or "")
    if action not in ACTIONS:
        raise bad_request(f"action '{action}': expected one of {', '.join(ACTIONS)}")
    if row.status == "DELETED" or (row.status == "KILLED" and action != "DELETE"):
        raise bad_request(f"task '{row.name}' is {row.status}")
    values: dict[str, Any] = {"status": ACTIONS[action], "last_modified_on": call.now}
    if action == "RESUME":
        values["next_time"] = next_time_ms(row.cron, max(call.now, row.start_time), row.time_zone)
    call.db.execute(tasks.update().where(tasks.c.id == row.id).values(values))
    _audit(call, row.id, action)


@app.route(
    "POST",
    f"{BASE}/o:action/pageId=SchedulerJobListPage",
    OPERATOR,
    query=(Parameter("action"), Parameter("id")),
    choice="not in 3.x: clients of the 4.x line repeat the parameter id",
)
def act_on_tasks(call: Call) -> Any:
    """Pause, resume, kill or delete several scheduled tasks."""
    ids = [value for name, value in call.pairs if name == "id"]
    for task_id in ids:
        _act(call, task_id)
    rows = call.fetch_all(tasks, ids, "Scheduled task")
    return {"response": [{"data": _task_json(row)} for row in rows], "success": True, "messages": []}
