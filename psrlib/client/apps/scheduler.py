"""App ``scheduler``: scheduled tasks (control-hub-rest, 7.1; API version 2 except for ACLs)."""

from typing import Any

from psrlib.client.wire import ALL, Json, OwnedApp
from psrlib.errors import HubError

BASE = "/scheduler/rest/v2/jobs"
KIND = "scheduled tasks"  # what calls count as
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
    """Return a copy of a task template with values set, wrapped wherever the template wraps."""
    task = dict(template)
    for name, content in values.items():
        if name == "executionInfo.action":
            info = task.get("executionInfo") or {}
            inner = value(info) or {}
            inner = {**inner, "action": _wrapped(inner.get("action"), content)}
            task["executionInfo"] = {**info, "value": inner} if "value" in info else inner
        else:
            task[name] = _wrapped(task.get(name), content)
    return task


def action(task: Json) -> Any:
    """Return a task's action, ``START`` for instance."""
    info = value(task.get("executionInfo")) or {}
    return value(info.get("action")) if isinstance(info, dict) else info


def _wrapped(old: Any, content: Any) -> Json:
    return {**old, "value": content} if isinstance(old, dict) else {"value": content}


class Scheduler(OwnedApp):
    """Scheduled tasks of the session's organization."""

    ACL_PATH = "/scheduler/rest/v1/jobs/{}/acl"  # of API version 1
    RESOURCE_TYPE = "SCHEDULER_JOB"

    def tasks(self) -> list[Json]:
        """Return all tasks that are neither deleted nor killed."""
        found = self._get(f"{BASE}/pageId=SchedulerJobListPage", KIND, ALL)
        listed = [_data(row) for row in (found or {}).get("response") or []]
        return [row for row in listed if value(row.get("status")) not in GONE]

    def type_selector(self) -> Json:
        """Return the blank type selector, the first of the hub's two steps to a new task."""
        path = f"{BASE}/o:jobTypeSelector/pageId=SchedulerJobTypeSelectorPage"
        return _single(self._get(path, KIND))

    def task_template(self, selector: Json, job_id: str, job_name: str) -> Json:
        """Return a task pre-filled by the hub for a job; creates nothing."""
        chosen = fill(selector, {"type": "PIPELINE_JOB", "jobId": job_id, "jobName": job_name})
        path = f"{BASE}/o:new/pageId=SchedulerJobCreatePage"
        return _single(self._post(path, KIND, {"data": chosen}))

    def create_task(self, task: Json) -> Json:
        """Create a task from a filled template."""
        path = f"{BASE}/pageId=SchedulerJobManagePage"
        return _single(self._send_once(path, KIND, {"data": task}))

    def update_task(self, task: Json) -> Json:
        """Replace a task's record."""
        path = f"{BASE}/{value(task['id'])}/pageId=SchedulerJobManagePage"
        return _single(self._post(path, KIND, {"data": task}))

    def delete_task(self, task_id: str) -> None:
        """Delete a task."""
        path = f"{BASE}/{task_id}/o:action/pageId=SchedulerJobManagePage"
        self._post(path, KIND, query={"action": "DELETE"})


def _data(row: Json) -> Json:
    return row["data"] if isinstance(row.get("data"), dict) else row


def _single(body: Any) -> Json:
    response = body.get("response") if isinstance(body, dict) else None
    if not isinstance(response, dict):
        raise HubError(f'scheduler: expected {{"response": {{"data": ...}}}}, received {str(body)[:200]}')
    return _data(response)
