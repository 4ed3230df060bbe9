"""App ``scheduler``: scheduled tasks (control-hub-rest, 7.1; API version 2 except for ACLs)."""

from typing import Any

from psrlib.client.wire import ALL, App, Json, acl_body
from psrlib.errors import HubError

BASE = "/scheduler/rest/v2/jobs"
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
            info = dict(task.get("executionInfo") or {})
            inner = info.get("value") if isinstance(info.get("value"), dict) else info
            inner = {**inner, "action": _wrapped(inner.get("action"), content)} if inner is not None else {}
            task["executionInfo"] = {**info, "value": inner} if isinstance(info.get("value"), dict) else inner
        else:
            task[name] = _wrapped(task.get(name), content)
    return task


def action(task: Json) -> Any:
    """Return a task's action, ``START`` for instance."""
    info = value(task.get("executionInfo")) or {}
    return value(info.get("action")) if isinstance(info, dict) else info


def _wrapped(old: Any, content: Any) -> Json:
    return {**old, "value": content} if isinstance(old, dict) else {"value": content}


class Scheduler(App):
    """Scheduled tasks of the session's organization."""

    def tasks(self) -> list[Json]:
        """Return all tasks that are neither deleted nor killed."""
        found = self._session.call(
            "GET", f"{BASE}/pageId=SchedulerJobListPage", kind="scheduled tasks", query=ALL
        )
        listed = [_data(row) for row in (found or {}).get("response") or []]
        return [row for row in listed if value(row.get("status")) not in GONE]

    def type_selector(self) -> Json:
        """Return the blank type selector, the first of the hub's two steps to a new task."""
        path = f"{BASE}/o:jobTypeSelector/pageId=SchedulerJobTypeSelectorPage"
        return _single(self._session.call("GET", path, kind="scheduled tasks"))

    def task_template(self, selector: Json, job_id: str, job_name: str) -> Json:
        """Return a task pre-filled by the hub for a job; creates nothing."""
        chosen = fill(selector, {"type": "PIPELINE_JOB", "jobId": job_id, "jobName": job_name})
        path = f"{BASE}/o:new/pageId=SchedulerJobCreatePage"
        found = self._session.call(
            "POST", path, kind="scheduled tasks", body={"data": chosen}, repeatable=True
        )
        return _single(found)

    def create_task(self, task: Json) -> Json:
        """Create a task from a filled template."""
        path = f"{BASE}/pageId=SchedulerJobManagePage"
        return _single(self._session.call("PUT", path, kind="scheduled tasks", body={"data": task}))

    def update_task(self, task: Json) -> Json:
        """Replace a task's record."""
        path = f"{BASE}/{value(task['id'])}/pageId=SchedulerJobManagePage"
        found = self._session.call("POST", path, kind="scheduled tasks", body={"data": task}, repeatable=True)
        return _single(found)

    def delete_task(self, task_id: str) -> None:
        """Delete a task."""
        path = f"{BASE}/{task_id}/o:action/pageId=SchedulerJobManagePage"
        self._session.call("POST", path, kind="scheduled tasks", query={"action": "DELETE"}, repeatable=True)

    def acl(self, task_id: str) -> Json:
        """Return a task's ACL (API version 1)."""
        found: Json = self._session.call("GET", f"/scheduler/rest/v1/jobs/{task_id}/acl", kind="owners")
        return found

    def set_owner(self, task_id: str, owner: str) -> None:
        """Make a user the owner of a task."""
        body = acl_body(task_id, "SCHEDULER_JOB", self._organization, owner)
        path = f"/scheduler/rest/v1/jobs/{task_id}/acl"
        self._session.call("POST", path, kind="owners", body=body, repeatable=True)


def _data(row: Json) -> Json:
    return row["data"] if isinstance(row.get("data"), dict) else row


def _single(body: Any) -> Json:
    response = body.get("response") if isinstance(body, dict) else None
    if not isinstance(response, dict):
        raise HubError(f'scheduler: expected {{"response": {{"data": ...}}}}, received {str(body)[:200]}')
    return _data(response)
