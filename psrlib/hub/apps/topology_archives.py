"""Topology app: import and export of topologies with their jobs and pipelines."""

from typing import Any

import msgspec
from sqlalchemy import select

from psrlib.hub.acl import check_permission
from psrlib.hub.apps.jobrunner_archives import export_document, import_document
from psrlib.hub.apps.topology import EDITOR, TopologyJson, fetch_commit, insert_topology, topology_json
from psrlib.hub.archives import read_zip, write_zip
from psrlib.hub.call import Call, Raw, dump, load
from psrlib.hub.issues import bad_request
from psrlib.hub.routing import USER, App, Query
from psrlib.hub.schema.design import topology_commits
from psrlib.hub.schema.execution import jobs

app = App("topology", "Import and export archives of topologies")
UPDATES = tuple(
    Query(name, "boolean", False)
    for name in (
        "forceImport",
        "updateNumInstances",
        "updateRuntimeParameters",
        "updateLabels",
        "updateMigrateOffsets",
    )
)


@app.route("POST", "/topology/rest/v1/topologies/exportTopologies", USER, body=list[str], writes=False)
def export_topologies(call: Call) -> Any:
    """Return a zip with one document per topology commit, its jobs and pipelines included."""
    documents = []
    for commit in call.fetch_all(topology_commits, call.body, "Topology commit"):
        check_permission(call, commit.topology_id, "READ")
        nodes = load(commit.definition).get("topologyNodes") or []
        ids = [node.get("jobId") for node in nodes if isinstance(node, dict)]
        wanted = jobs.c.id.in_([i for i in ids if isinstance(i, str)]) & (
            jobs.c.organization == commit.organization
        )
        found = list(call.db.execute(select(jobs).where(wanted).order_by(jobs.c.name)))
        _, topology = fetch_commit(call, commit.id)
        document = {
            "topologyJson": topology_json(commit, topology),
            "jobJsonList": [export_document(call, job) for job in found],
        }
        documents.append((commit.name, document))
    return Raw(write_zip(documents), content_type="application/octet-stream")


@app.route(
    "POST",
    "/topology/rest/v1/topologies/importTopologies",
    EDITOR,
    body=bytes,
    query=UPDATES,
    choice="always new, published topologies and new jobs; the update flags are read and have no effect",
)
def import_topologies(call: Call) -> Any:
    """Import a zip of topology documents with their jobs and pipelines."""
    made = []
    for name, document in read_zip(call.body):
        given = document.get("topologyJson")
        if given is None:
            continue
        try:
            topology = msgspec.convert(given, TopologyJson)
        except msgspec.ValidationError as error:
            raise bad_request(f"entry '{name}', topologyJson: {error}") from error
        topology.topologyDefinition = _with_new_jobs(call, topology, document.get("jobJsonList") or [])
        made.append(insert_topology(call, topology, draft=False, message="Imported"))
    return [topology_json(*fetch_commit(call, commit_id)) for commit_id in made]


def _with_new_jobs(call: Call, topology: TopologyJson, parts: list[Any]) -> str | None:
    """Create the jobs of a topology document; return its definition with their new ids."""
    renamed: dict[str, str] = {}
    for part in parts:
        if isinstance(part, dict):
            old = (part.get("minimalJobJson") or {}).get("id")
            renamed[str(old)] = import_document(call, part)
    try:
        definition = load(topology.topologyDefinition)
    except ValueError as error:
        raise bad_request(f"topologyDefinition is not JSON: {error}") from error
    if not isinstance(definition, dict):
        return topology.topologyDefinition
    for node in definition.get("topologyNodes") or []:
        if isinstance(node, dict) and node.get("jobId") in renamed:
            job = call.fetch(jobs, renamed[node["jobId"]], "Job")
            node |= {
                "jobId": job.id,
                "pipelineId": job.pipeline_id,
                "pipelineCommitId": job.commit_id,
            }
    return dump(definition)
