"""The SAVE event: a job's pipeline with its constants, as engines want it (engine-protocol.md, 5 and 8)."""

import re

from sqlalchemy import select

from psrlib.hub.runner.entities import Engine, Instance, Job, Run
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.store.queries import Row, any_of, by_keys
from psrlib.hub.store.schema.design import acls, commits
from psrlib.hub.store.text import Json, dump, load

STATS_LIBRARY = "streamsets-datacollector-basic-lib"
STATS_STAGE = "com_streamsets_pipeline_stage_destination_devnull_StatsDpmDirectlyDTarget"
RUN_KEY = "psr.job.runId"  # metadata entry that engines echo with metrics; the hub's own
DOCUMENTS = any_of(
    lambda ids: select(commits.c.id, commits.c.definition, commits.c.rules, commits.c.description).where(
        commits.c.id.in_(ids)
    )
)
ACLS = by_keys(acls, "resource_id")
TITLE_LETTERS = 9  # control-hub-rest.md, 1.6: the name starts with the first letters of the title


def pipeline_name(title: str, job_id: str) -> str:
    """Return the name of a job's pipeline on an engine: ``<letters>:<uuid>:<organization>``.

    Examples
    --------
    >>> pipeline_name("Simple pipeline!", "5b0e:acme")
    'Simplepip:5b0e:acme'
    """
    letters = re.sub(r"[^A-Za-z0-9]", "", title)[:TITLE_LETTERS] or "pipeline"
    return f"{letters}:{job_id}"


def save_payloads(work: RunnerWork, numbers: list[int]) -> dict[int, str]:
    """Return the payload of SAVE, JSON text, for each pipeline instance that has a run."""
    work.load(Instance, numbers)
    live = [found for number in numbers if (found := work.get(Instance, number)) is not None]
    work.load_runs(instance.run_id for instance in live)
    runs = {instance.id: run for instance in live if (run := work.get(Run, instance.run_id)) is not None}
    documents = {row.id: row for row in DOCUMENTS(work.db, [run.commit_id for run in runs.values()])}
    rights = {row.resource_id: row for row in ACLS(work.db, [run.job_id for run in runs.values()])}
    payloads = {}
    for instance in live:
        run, job = runs.get(instance.id), work.get(Job, instance.job_id)
        if run is not None and job is not None:
            commit, acl = documents[run.commit_id], rights.get(job.id)
            payloads[instance.id] = dump(_save_payload(work, instance, run, job, commit, acl))
    return payloads


def _save_payload(
    work: RunnerWork, instance: Instance, run: Run, job: Job, commit: Row, acl: Row | None
) -> Json:
    engine, definition = work.get(Engine, instance.engine_id), load(commit.definition)
    is_edge = engine is not None and engine.is_edge
    _set_constants(definition, _constants(work, job, run))
    definition["metadata"] = {**(definition.get("metadata") or {}), RUN_KEY: run.id}
    if is_edge:
        _set_statistics_stage(definition)
    return {
        "name": instance.name,
        "rev": "0",
        "user": run.user_id,
        "pipelineConfigurationAndRules": {"pipelineConfig": dump(definition), "pipelineRules": commit.rules},
        "description": commit.description,
        "offset": instance.offset,
        "offsetProtocolVersion": instance.offset_protocol if is_edge else 2,
        "acl": None if acl is None else _acl_json(acl, instance.name),
    }


def _constants(work: RunnerWork, job: Job, run: Run) -> Json:
    settings = job.settings
    return {
        **(run.parameters or {}),
        "JOB_ID": job.id,
        "JOB_NAME": job.name,
        "PIPELINE_COMMIT_ID": run.commit_id,
        "UPDATE_WAIT_TIME_MS": int(settings.get("statsRefreshInterval") or 60_000),
        "TIME_SERIES_ANALYSIS": bool(settings.get("timeSeries")),
        "REMOTE_TIMESERIES_URL": f"{work.hub.url}/timeseries/rest/v1/metrics",
    }


def _set_constants(definition: Json, values: Json) -> None:
    entry = _entry(definition, "constants")
    own = {c["key"]: c.get("value") for c in entry.get("value") or [] if isinstance(c, dict) and "key" in c}
    entry["value"] = [{"key": key, "value": value} for key, value in (own | values).items()]


def _set_statistics_stage(definition: Json) -> None:
    """Edge sends metrics only when this stage is there (engine-protocol.md, 3.5)."""
    current = definition.get("statsAggregatorStage")
    if isinstance(current, dict) and current.get("stageName") == STATS_STAGE:
        return
    definition["statsAggregatorStage"] = {
        "instanceName": "statsAggregatorStageInstance",
        "library": STATS_LIBRARY,
        "stageName": STATS_STAGE,
        "stageVersion": "1",
        "configuration": [],
        "services": [],
        "uiInfo": {"label": "Stats Aggregator", "description": "", "stageType": "TARGET"},
        "inputLanes": [],
        "outputLanes": [],
        "eventLanes": [],
    }
    _entry(definition, "statsAggregatorStage")["value"] = f"{STATS_LIBRARY}::{STATS_STAGE}::1"


def _entry(definition: Json, name: str) -> Json:
    """Return the entry of a pipeline's configuration, made when it is not there."""
    configuration: list[Json] = definition.setdefault("configuration", [])
    for entry in configuration:
        if entry.get("name") == name:
            return entry
    configuration.append({"name": name, "value": None})
    return configuration[-1]


def _acl_json(row: Row, name: str) -> Json:
    members = ("subjectId", "subjectType", "lastModifiedBy", "lastModifiedOn", "actions")
    return {
        "resourceId": name,
        "resourceOwner": row.resource_owner,
        "resourceCreatedTime": row.resource_created_time,
        "resourceType": "PIPELINE",
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
        "permissions": [{member: p.get(member) for member in members} for p in row.permissions],
    }
