"""Topology app: import and export of topologies with their jobs and pipelines."""

import msgspec
from sqlalchemy import select

from psrlib.hub.apps.jobrunner.archives import export_document
from psrlib.hub.apps.jobrunner.imports import Updates, find_local, import_job, local_id, version_number
from psrlib.hub.apps.jobrunner.records import OPERATOR
from psrlib.hub.apps.topology.topologies import EDITOR, TopologyJson, add_version, insert_topology, shown
from psrlib.hub.designs.archives import entry_name, read_zip, write_zip
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.design import topologies, topology_commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import NOT_JSON, Json, dump, load
from psrlib.hub.web.access import check_roles
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App

app = App("topology")


@app.route("POST", "/topology/rest/v1/topologies/exportTopologies", USER, writes=False)
def export_topologies(call: Call, body: list[str]) -> Raw:
    """Return a zip with one document per topology commit, its jobs and pipelines included."""
    found = call.fetch_all(topology_commits, body, "Topology commit")
    documents = (_export_document(call, commit) for commit in found)
    return Raw(write_zip(documents), content_type="application/octet-stream")


def _export_document(call: Call, commit: Row) -> tuple[str, Json]:
    check_permission(call, commit.topology_id, "READ")
    nodes = load(commit.definition).get("topologyNodes") or []
    ids = [node.get("jobId") for node in nodes if isinstance(node, dict)]
    wanted = jobs.c.id.in_([i for i in ids if isinstance(i, str)])
    mine = select(jobs).where(wanted, jobs.c.organization == commit.organization).order_by(jobs.c.name)
    document = {
        "topologyJson": shown(call, commit.id),
        "jobJsonList": [export_document(call, job) for job in Query(mine, kept=False).rows(call.db)],
    }
    return entry_name(commit.name, commit.id), document


@app.route(
    "POST",
    "/topology/rest/v1/topologies/importTopologies",
    EDITOR,
    choice="all or nothing; ids are kept as importJobs keeps them: a topology commit that is here is not "
    "imported again, another commit of a topology that is here becomes its next published version; jobs and "
    "pipelines as importJobs, with the pipeline's version always; needs also the roles for the jobs and "
    "pipelines it brings; forceImport: new topologies and new jobs",
)
def import_topologies(call: Call, updates: Updates, body: bytes) -> list[TopologyJson]:
    """Import a zip of topology documents with their jobs and pipelines."""
    made = []
    for name, document in read_zip(body):
        given = document.get("topologyJson")
        if given is None:
            continue
        try:
            topology = msgspec.convert(given, TopologyJson)
        except msgspec.ValidationError as error:
            raise bad_request(f"entry '{name}', topologyJson: {error}") from error
        call.check_fields(TopologyJson, given, "topologyJson")
        parts = [part for part in document.get("jobJsonList") or [] if isinstance(part, dict)]
        if parts:
            check_roles(call.principal, OPERATOR.roles)
        renamed = {_job_id(part): import_job(call, part, updates) for part in parts}
        topology.definition = _with_jobs(call, topology, renamed)
        made.append(_import_topology(call, topology, updates.force_import))
    return [shown(call, commit_id) for commit_id in made]


def _job_id(part: Json) -> str:
    minimal = part.get("minimalJobJson")
    return str(minimal.get("id")) if isinstance(minimal, dict) else ""


def _import_topology(call: Call, topology: TopologyJson, force: bool) -> str:
    message = topology.message or "Imported"
    number = version_number(topology.version)
    if force:
        return insert_topology(call, topology, draft=False, message=message)
    commit = find_local(call, topology_commits, topology.commit_id)
    if commit is not None:
        check_permission(call, commit.topology_id, "READ")
        return str(commit.id)
    commit_id = local_id(call, topology.commit_id)
    present = find_local(call, topologies, topology.topology_id)
    if present is not None:
        return add_version(call, present, topology, message, commit_id, number)
    ids = (local_id(call, topology.topology_id), commit_id)
    return insert_topology(call, topology, draft=False, message=message, ids=ids, number=number)


def _with_jobs(call: Call, topology: TopologyJson, renamed: dict[str, str]) -> str | None:
    """Return a topology's definition with the ids that its jobs have here."""
    try:
        definition = load(topology.definition)
    except NOT_JSON as error:
        raise bad_request(f"topologyDefinition is not JSON: {error}") from error
    if not isinstance(definition, dict):
        return topology.definition
    for node in definition.get("topologyNodes") or []:
        if isinstance(node, dict) and node.get("jobId") in renamed:
            job = call.fetch(jobs, renamed[node["jobId"]], "Job")
            node |= {"jobId": job.id, "pipelineId": job.pipeline_id, "pipelineCommitId": job.commit_id}
    return dump(definition)
