"""App ``jobrunner``: jobs, their control and status, engines (control-hub-rest, sections 5 and 6)."""

from collections.abc import Sequence
from typing import Any

import orjson

from psrlib.client.wire import ALL, Json, OwnedApp, rows

BASE = "/jobrunner/rest/v1"
STATS_REFRESH_MS = 60_000  # vendor's default (5.3)
FORCE_STOP_MS = 120_000


def new_job(
    name: str,
    pipeline: Json,
    *,
    labels: Sequence[str],
    instances: int,
    tags: Sequence[str],
    parameters: dict[str, str],
    is_template: bool = False,
) -> Json:
    """Return a NewJob body (5.3) for a published pipeline commit as the pipeline store answers it.

    It holds what hubs of the 3.x line know. No NewJob names a template: a hub notes it for instances that it
    made itself (5.6).
    """
    return {
        "name": name,
        "description": "",
        "pipelineName": pipeline["name"],
        "pipelineId": pipeline["pipelineId"],
        "pipelineCommitId": pipeline["commitId"],
        "pipelineCommitLabel": f"v{pipeline['version']}",
        "rulesId": rules_id(pipeline),
        "labels": list(labels),
        "numInstances": instances,
        "statsRefreshInterval": STATS_REFRESH_MS,
        "migrateOffsets": True,
        "edge": False,
        "executorType": "COLLECTOR",
        "forceStopTimeout": FORCE_STOP_MS,
        "runtimeParameters": orjson.dumps(parameters).decode() if parameters or is_template else None,
        "jobTemplate": is_template,
        "rawJobTags": list(tags),
    }


def rules_id(pipeline: Json) -> str | None:
    """Return the id of a commit's rules, None when the answer holds none (list rows may not)."""
    return (pipeline.get("currentRules") or {}).get("id") or pipeline.get("rulesId")


class JobRunner(OwnedApp):
    """Jobs and engines of the session's organization."""

    ACL_PATH = f"{BASE}/job/{{}}/acl"
    RESOURCE_TYPE = "JOB"

    def jobs(self) -> list[Json]:
        """Return all jobs and job templates with their current status, without deleted ones."""
        return [row for row in self._list(f"{BASE}/jobs", "jobs") if not row.get("jobDeleted")]

    def create_job(self, job: Json) -> Json:
        """Create one job or job template."""
        return self._send_once(f"{BASE}/jobs", "jobs", self._known(job)) or {}

    def create_jobs(self, jobs: Sequence[Json]) -> list[Json]:
        """Create many jobs in one call; weakly attested, a hub may answer 404, 405 or 501 (5.1)."""
        known = [self._known(job) for job in jobs]
        return rows(self._send_once(f"{BASE}/jobs/createJobs", "jobs", known), "created jobs")

    def update_job(self, job: Json) -> Json:
        """Replace a job's record (full JSON as listed)."""
        return self._post(f"{BASE}/job/{job['id']}", "jobs", job) or {}

    def delete_jobs(self, ids: Sequence[str]) -> None:
        """Delete jobs."""
        self._post(f"{BASE}/jobs/deleteJobs", "jobs", list(ids))

    def start_jobs(self, ids: Sequence[str]) -> Any:
        """Start jobs; the answer's content is not relied on (unknown, section 13)."""
        return self._send_once(f"{BASE}/jobs/startJobs", "job starts", list(ids), method="POST")

    def stop_jobs(self, ids: Sequence[str], force: bool = False) -> None:
        """Stop jobs."""
        self._post(f"{BASE}/jobs/{'forceStopJobs' if force else 'stopJobs'}", "job stops", list(ids))

    def acknowledge_errors(self, ids: Sequence[str]) -> None:
        """Clear INACTIVE_ERROR, which forbids every other action."""
        self._post(f"{BASE}/jobs/acknowledgeErrors", "job starts", list(ids))

    def statuses(self, ids: Sequence[str]) -> dict[str, Json | None]:
        """Return the current job status per job id."""
        found = self._post(f"{BASE}/jobs/status", "job status", list(ids))
        if isinstance(found, dict):
            return found
        return {row["jobId"]: row for row in rows(found, "job status")}

    def history(self, job_id: str) -> list[Json]:
        """Return all runs of a job that the hub keeps, as job status records (5.4)."""
        return self._list(f"{BASE}/job/{job_id}/history", "job history", ALL)

    def engines(self) -> list[Json]:
        """Return all engines of the organization."""
        return self._list(f"{BASE}/sdcs", "engines")

    def delete_engine(self, engine_id: str) -> None:
        """Remove an engine from the list."""
        self._delete(f"{BASE}/sdc/{engine_id}", "engines")

    def _known(self, job: Json) -> Json:
        """Return a new job without the fields that this hub does not name: some came with later releases.

        The 3.x SDK does so with new jobs, and with no other record (control-hub-rest, 9.1).
        """
        fields = self._session.fields("jobrunner", "NewJobJson")
        return {name: value for name, value in job.items() if name in fields} if fields else job
