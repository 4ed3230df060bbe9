"""App ``jobrunner``: jobs, their control and status, engines (control-hub-rest, sections 5 and 6)."""

from collections.abc import Sequence
from typing import Any

import orjson
from msgspec import Struct

from psrlib.client.apps.connection import Tag
from psrlib.client.shapes import Document, anything, listing, record
from psrlib.client.wire import ALL, Json, OwnedApp

BASE = "/jobrunner/rest/v1"
STATS_REFRESH_MS = 60_000  # vendor's default (5.3)
FORCE_STOP_MS = 120_000


class PipelineStatus(Struct, rename="camel"):
    """What an engine reported of a job's pipeline."""

    sdc_id: str | None = None
    status: str | None = None


class JobStatus(Struct, rename="camel"):
    """A run of a job (5.4)."""

    job_id: str | None = None
    start_time: int | None = None
    finish_time: int | None = None
    status: str | None = None
    color: str | None = None
    run_count: int | None = None
    sdc_ids: list[str | None] | None = None
    pipeline_status: list[PipelineStatus] | None = None
    warnings: list[Any] | None = None
    error_message: str | None = None


class StatusOfJob(JobStatus, kw_only=True):
    """A run in a list, which says whose it is."""

    job_id: str


class Job(Struct, rename="camel"):
    """A job or job template in an answer (5.3)."""

    id: str
    name: str
    pipeline_id: str | None = None
    pipeline_commit_id: str | None = None
    labels: list[str | None] | None = None
    num_instances: int | None = None
    raw_job_tags: list[str | None] | None = None
    job_tags: list[Tag] | None = None
    runtime_parameters: Document = None
    template_job_id: str | None = None
    current_job_status: JobStatus | None = None


STATUSES = dict[str, JobStatus | None] | list[StatusOfJob]  # a list before release 3.14 or so


class Engine(Struct, rename="camel"):
    """An engine in an answer (6.2)."""

    id: str
    http_url: str | None = None
    executor_type: str | None = None
    labels: list[str | None] | None = None
    reported_labels: list[str | None] | None = None


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
        "runtimeParameters": parameters_text(parameters),
        "jobTemplate": is_template,
        "rawJobTags": list(tags),
    }


def parameters_text(parameters: dict[str, str]) -> str:
    """Return runtime parameters as jobs carry them; ``{}`` for none, which templates must not lack."""
    return orjson.dumps(parameters).decode()


def rules_id(pipeline: Json) -> str | None:
    """Return the id of a commit's rules, None when the answer holds none (list rows may not)."""
    return (pipeline.get("currentRules") or {}).get("id") or pipeline.get("rulesId")


class JobRunner(OwnedApp):
    """Jobs and engines of the session's organization."""

    ACL_PATH = f"{BASE}/job/{{}}/acl"
    RESOURCE_TYPE = "JOB"

    def jobs(self) -> list[Json]:
        """Return all jobs and job templates with their current status, without deleted ones."""
        return [row for row in self._list(f"{BASE}/jobs", "jobs", Job) if not row.get("jobDeleted")]

    def create_job(self, job: Json) -> Json:
        """Create one job or job template."""
        made: Json = self._send_once(f"{BASE}/jobs", "jobs", record(Job), self._known(job))
        return made

    def create_jobs(self, jobs: Sequence[Json]) -> list[Json]:
        """Create many jobs in one call; weakly attested, a hub may answer 404, 405 or 501 (5.1)."""
        known = [self._known(job) for job in jobs]
        made: list[Json] = self._send_once(f"{BASE}/jobs/createJobs", "jobs", listing(Job), known)
        return made

    def update_job(self, job: Json) -> None:
        """Replace a job's record (full JSON as listed)."""
        self._update(f"{BASE}/job/{job['id']}", "jobs", job, Job)

    def delete_jobs(self, ids: Sequence[str]) -> None:
        """Delete jobs."""
        self._post(f"{BASE}/jobs/deleteJobs", "jobs", list(ids))

    def start_jobs(self, ids: Sequence[str]) -> Any:
        """Start jobs; the answer's content is not relied on (unknown, section 13)."""
        return self._send_once(f"{BASE}/jobs/startJobs", "job starts", anything, list(ids), method="POST")

    def stop_jobs(self, ids: Sequence[str], force: bool = False) -> None:
        """Stop jobs."""
        self._post(f"{BASE}/jobs/{'forceStopJobs' if force else 'stopJobs'}", "job stops", list(ids))

    def balance_jobs(self, ids: Sequence[str]) -> None:
        """Move pipelines of running jobs to engines that run fewer."""
        self._post(f"{BASE}/jobs/balanceJobs", "job balancing", list(ids))

    def acknowledge_errors(self, ids: Sequence[str]) -> None:
        """Clear INACTIVE_ERROR, which forbids every other action."""
        self._post(f"{BASE}/jobs/acknowledgeErrors", "job starts", list(ids))

    def statuses(self, ids: Sequence[str]) -> dict[str, Json | None]:
        """Return the current job status per job id."""
        found = self._post(f"{BASE}/jobs/status", "job status", list(ids), read=record(STATUSES))
        return found if isinstance(found, dict) else {row["jobId"]: row for row in found}

    def history(self, job_id: str) -> list[Json]:
        """Return all runs of a job that the hub keeps, as job status records (5.4)."""
        return self._list(f"{BASE}/job/{job_id}/history", "job history", JobStatus, ALL)

    def engines(self) -> list[Json]:
        """Return all engines of the organization."""
        return self._list(f"{BASE}/sdcs", "engines", Engine)

    def delete_engine(self, engine_id: str) -> None:
        """Remove an engine from the list."""
        self._delete(f"{BASE}/sdc/{engine_id}", "engines")

    def _known(self, job: Json) -> Json:
        """Return a new job without the fields that this hub does not name: some came with later releases.

        The 3.x SDK does so with new jobs, and with no other record (control-hub-rest, 9.1).
        """
        fields = self._session.fields("jobrunner", "NewJobJson")
        return {name: value for name, value in job.items() if name in fields} if fields else job
