"""The SAVE event: a job's pipeline with its constants, as engines want it (engine-protocol.md, 5 and 8)."""

import re
from collections.abc import Iterable

from sqlalchemy import select

from psrlib.hub.runner.entities import Instance, Job, Run
from psrlib.hub.runner.work import RunnerWork
from psrlib.hub.store.queries import Row
from psrlib.hub.store.schema.design import acls, commits
from psrlib.hub.store.text import Json, dump, load

STATS_LIBRARY = "streamsets-datacollector-basic-lib"
STATS_STAGE = "com_streamsets_pipeline_stage_destination_devnull_StatsDpmDirectlyDTarget"
RUN_KEY = "psr.job.runId"  # metadata entry that engines echo with metrics; the hub's own
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
    work.records.load(Instance, numbers)
    found = [work.records.get(Instance, number) for number in numbers]
    live = [instance for instance in found if instance is not None]
    work.load_runs(instance.run_id for instance in live)
    runs = {instance.id: run for instance in live if (run := work.run(instance.run_id)) is not None}
    documents = _documents(work, {run.commit_id for run in runs.values()})
    rights = _acls(work, {run.job_id for run in runs.values()})
    payloads = {}
    for instance in live:
        run = runs.get(instance.id)
        job = work.job(instance.job_id)
        if run is not None and job is not None:
            commit, acl = documents[run.commit_id], rights.get(job.id)
            payloads[instance.id] = dump(_save_payload(work, instance, run, job, commit, acl))
    return payloads


def _documents(work: RunnerWork, commit_ids: Iterable[str]) -> dict[str, Row]:
    columns = (commits.c.id, commits.c.definition, commits.c.rules, commits.c.description)
    statement = select(*columns).where(commits.c.id.in_(list(commit_ids)))
    rows: list[Row] = list(work.db.execute(statement))
    return {row.id: row for row in rows}


def _acls(work: RunnerWork, job_ids: Iterable[str]) -> dict[str, Row]:
    statement = select(acls).where(acls.c.resource_id.in_(list(job_ids)))
    return {row.resource_id: row for row in work.db.execute(statement)}


def _save_payload(
    work: RunnerWork, instance: Instance, run: Run, job: Job, commit: Row, acl: Row | None
) -> Json:
    engine = work.engine(instance.engine_id)
    definition = load(commit.definition)
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
    own = run.parameters or {}
    return {
        **own,
        "JOB_ID": job.id,
        "JOB_NAME": job.name,
        "PIPELINE_COMMIT_ID": run.commit_id,
        "UPDATE_WAIT_TIME_MS": int(settings.get("statsRefreshInterval") or 60_000),
        "TIME_SERIES_ANALYSIS": bool(settings.get("timeSeries")),
        "REMOTE_TIMESERIES_URL": f"{work.hub.url}/timeseries/rest/v1/metrics",
    }


def _set_constants(definition: Json, values: Json) -> None:
    configuration = definition.setdefault("configuration", [])
    entry = next((e for e in configuration if e.get("name") == "constants"), None)
    if entry is None:
        entry = {"name": "constants", "value": []}
        configuration.append(entry)
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
    configuration = definition.setdefault("configuration", [])
    name = f"{STATS_LIBRARY}::{STATS_STAGE}::1"
    for entry in configuration:
        if entry.get("name") == "statsAggregatorStage":
            entry["value"] = name
            return
    configuration.append({"name": "statsAggregatorStage", "value": name})


def _acl_json(row: Row, name: str) -> Json:
    permissions = [
        {
            "subjectId": p.get("subjectId"),
            "subjectType": p.get("subjectType"),
            "lastModifiedBy": p.get("lastModifiedBy"),
            "lastModifiedOn": p.get("lastModifiedOn"),
            "actions": p.get("actions"),
        }
        for p in row.permissions
    ]
    return {
        "resourceId": name,
        "resourceOwner": row.resource_owner,
        "resourceCreatedTime": row.resource_created_time,
        "resourceType": "PIPELINE",
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedOn": row.last_modified_on,
        "permissions": permissions,
    }
