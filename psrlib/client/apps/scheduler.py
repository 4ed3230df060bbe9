"""App ``scheduler``: scheduled tasks (control-hub-rest, 7.1; API version 2 except for ACLs)."""

from typing import Any

import msgspec
from msgspec import Struct

from psrlib.client.request import Request
from psrlib.client.shapes import Page, Read, record
from psrlib.client.wire import ALL, LIST_BYTES, Json, OwnedApp
from psrlib.decoders import decoder_of

BASE = "/scheduler/rest/v2/jobs"
KIND = "scheduled tasks"  # what calls count as
JOB_ID = "pipelineJobId"  # in the executionInfo of a task, for the SDK of 4.x reads it there
OF_JOB = ("type", "jobId", "jobName")
GONE = ("DELETED", "KILLED")


def value(field: Any) -> Any:
    """Return the content of a task field, which is wrapped as ``{"value": ...}`` or plain.

    Examples
    --------
    >>> value({"value": "nightly", "messages": []}), value("plain"), value(None)
    ('nightly', 'plain', None)
    """
    return field.get("value") if isinstance(field, dict) and "value" in field else field


def fill(template: Json, values: dict[str, Any]) -> Json:
    """Return a copy of a task template with values set, wrapped wherever the template wraps.

    Where the template says in its ``executionInfo`` which job the task is for, as those of 4.x do, it is said
    there and nowhere else.
    """
    task, info = dict(template), template.get("executionInfo") or {}
    inner = dict(_inner(info))
    has_job = JOB_ID in inner
    for name, content in values.items():
        if name == "executionInfo.action":
            inner["action"] = _wrapped(inner.get("action"), content)
        elif name == "jobId" and has_job:
            inner[JOB_ID] = _wrapped(inner[JOB_ID], content)
        elif not has_job or name not in OF_JOB or name in task:
            task[name] = _wrapped(task.get(name), content)
    if "executionInfo.action" in values:
        task["executionInfo"] = {**info, "value": inner} if info.get("value") else {**info, **inner}
    return task


def job_id(task: Json) -> Any:
    """Return the id of the job that a task is for."""
    return value(task.get("jobId")) or value(_inner(task.get("executionInfo")).get(JOB_ID))


def action(task: Json) -> Any:
    """Return a task's action, ``START`` for instance."""
    return value(_inner(task.get("executionInfo")).get("action"))


def _inner(info: Any) -> Json:
    """Return what an ``executionInfo`` holds, wrapped or not."""
    wrapped = value(info)
    inner = info if wrapped is None else wrapped
    return inner if isinstance(inner, dict) else {}


def _wrapped(old: Any, content: Any) -> Json:
    return {**old, "value": content} if isinstance(old, dict) else {"value": content}


class Field(Struct):
    """A field of a task as the scheduler wraps it."""

    value: str | None = None


class Template(Struct, rename="camel"):
    """A task before it is created: the type selector, or the hub's pre-filled record."""

    id: str | Field | None = None
    execution_info: Json | None = None


class Task(Struct, rename="camel"):
    """A scheduled task in an answer."""

    id: str | Field
    name: str | Field
    status: str | Field | None = None
    job_id: str | Field | None = None
    crontab_mask: str | Field | None = None
    execution_info: Json | None = None


class Scheduler(OwnedApp):
    """Scheduled tasks of the session's organization."""

    ACL_PATH = "/scheduler/rest/v1/jobs/{}/acl"  # of API version 1
    RESOURCE_TYPE = "SCHEDULER_JOB"

    def tasks(self) -> list[Json]:
        """Return all tasks that are neither deleted nor killed."""
        path = f"{BASE}/pageId=SchedulerJobListPage"
        request = Request("GET", path, KIND, ALL, repeatable=True, read=_listed, max_bytes=LIST_BYTES)
        return [task for task in self._session.rows(request) if value(task.get("status")) not in GONE]

    def type_selector(self) -> Json:
        """Return the blank type selector, the first of the hub's two steps to a new task."""
        path = f"{BASE}/o:jobTypeSelector/pageId=SchedulerJobTypeSelectorPage"
        found: Json = self._get(path, KIND, _one(Template))
        return found

    def task_template(self, selector: Json, job_id: str, job_name: str) -> Json:
        """Return a task pre-filled by the hub for a job; creates nothing."""
        chosen = fill(selector, {"type": "PIPELINE_JOB", "jobId": job_id, "jobName": job_name})
        path = f"{BASE}/o:new/pageId=SchedulerJobCreatePage"
        found: Json = self._post(path, KIND, {"data": chosen}, read=_one(Template))
        return found

    def create_task(self, task: Json) -> Json:
        """Create a task from a filled template."""
        path = f"{BASE}/pageId=SchedulerJobManagePage"
        made: Json = self._send_once(path, KIND, _one(Task), {"data": task})
        return made

    def update_task(self, task: Json) -> None:
        """Replace a task's record."""
        path = f"{BASE}/{value(task['id'])}/pageId=SchedulerJobManagePage"
        self._post(path, KIND, {"data": task}, read=_one(Task))

    def delete_task(self, task_id: str) -> None:
        """Delete a task."""
        path = f"{BASE}/{task_id}/o:action/pageId=SchedulerJobManagePage"
        self._post(path, KIND, query={"action": "DELETE"})


def _one(form: type[Struct]) -> Read:
    """Return the reader of an envelope ``{"response": {"data": task}}`` or ``{"response": task}``."""
    return lambda content: _data(record(dict[str, Any])(content).get("response"), form)


def _listed(content: bytes) -> Page:
    """Return the tasks of ``{"response": [{"data": task}, ...], "paginationInfo": {"total": n}}``."""
    envelope = record(dict[str, Any])(content)
    rows = msgspec.convert(envelope.get("response"), list[Json])
    total = (envelope.get("paginationInfo") or {}).get("total")
    return Page([_data(row, Task) for row in rows], total)


def _data(row: Any, form: type[Struct]) -> Json:
    row = msgspec.convert(row, Json)
    task: Json = row["data"] if isinstance(row.get("data"), dict) else row
    decoder_of(form)
    msgspec.convert(task, form)
    return task
