"""Topology app: topologies over jobs (control-hub-rest.md, 7.4)."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import bindparam, select

from psrlib.hub.designs.pipelines import parse_document
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.design import topologies, topology_commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import contains, dump, load
from psrlib.hub.web.call import LISTING, ORGANIZATION, PAGING, WRAPPER, Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import USER, App, Parameter, roles

app = App("topology", "Topologies")
EDITOR = roles("topology:editor")
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]


class TopologyJson(Struct):
    """A topology commit."""

    topologyId: str | None = None
    commitId: str | None = None
    name: str | None = None
    description: str | None = None
    version: str | None = None
    parentVersion: str | None = None
    draft: bool | None = None
    defaultTopology: bool | None = False
    organization: str | None = None
    commitMessage: str | None = None
    commitTime: Millis | None = None
    committer: str | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: Millis | None = None
    provenanceMetaData: str | None = None
    topologyDefinition: str | None = None


TOPOLOGIES = Query(select(topologies).where(topologies.c.organization == bindparam("org")))
EMPTY = {"schemaVersion": "1", "topologyNodes": [], "stageIcons": {}, "valid": True}


def topology_json(commit: Row, topology: Row, full: bool = True) -> dict[str, Any]:
    """Return a topology commit in wire form."""
    return {
        "topologyId": commit.topology_id,
        "commitId": commit.id,
        "organization": commit.organization,
        "name": commit.name,
        "description": commit.description,
        "version": f"{commit.number}-DRAFT" if commit.draft else str(commit.number),
        "parentVersion": str(commit.number - 1) if commit.number > 1 else None,
        "draft": commit.draft,
        "defaultTopology": commit.default_topology,
        "commitMessage": commit.message,
        "commitTime": commit.commit_time,
        "committer": commit.committer,
        "lastModifiedBy": topology.last_modified_by,
        "lastModifiedOn": topology.last_modified_on,
        "provenanceMetaData": None,
        "topologyDefinition": commit.definition if full else None,
    }


def _check_definition(text: str | None) -> str:
    return dump(parse_document(text, "topologyDefinition")) if text else dump(EMPTY)


def _check_name(name: str | None) -> str:
    if name is None or not name.strip() or len(name) > 255:
        raise bad_request("the topology name must have 1 to 255 characters")
    return name


def fetch_commit(call: Call, commit_id: str) -> tuple[Row, Row]:
    """Return a topology commit and its topology."""
    commit = call.fetch(topology_commits, commit_id, "Topology commit")
    return commit, call.fetch(topologies, commit.topology_id, "Topology")


def insert_topology(
    call: Call,
    new: TopologyJson,
    draft: bool,
    message: str | None = None,
    ids: tuple[str | None, str | None] = (None, None),
    number: int = 1,
) -> str:
    """Create a topology with its first commit; return the commit id.

    ``ids`` are those of topology and commit, where an import keeps them.
    """
    org = call.organization
    configuration.check_room(
        call.hub.cache, call.db, org, configuration.MAX_TOPOLOGIES, topologies, "topologies"
    )
    topology_id, commit_id = (given or call.new_id(org) for given in ids)
    name = _check_name(new.name)
    call.db.execute(
        topologies.insert().values(
            id=topology_id,
            organization=org,
            name=name,
            latest_commit=commit_id,
            creator=call.principal.id,
            created_on=call.now,
            last_modified_by=call.principal.id,
            last_modified_on=call.now,
        )
    )
    _insert_commit(call, topology_id, commit_id, number, new, draft, message)
    insert_acls(call, "TOPOLOGY", [topology_id], org)
    return commit_id


def _check_room(call: Call) -> None:
    """Refuse a commit beyond the organization's limit."""
    limit = configuration.MAX_TOPOLOGY_COMMITS
    configuration.check_room(
        call.hub.cache, call.db, call.organization, limit, topology_commits, "topology commits"
    )


def _insert_commit(
    call: Call,
    topology_id: str,
    commit_id: str,
    number: int,
    new: TopologyJson,
    draft: bool,
    message: str | None,
) -> None:
    _check_room(call)
    call.db.execute(
        topology_commits.insert().values(
            id=commit_id,
            topology_id=topology_id,
            organization=call.organization,
            number=number,
            draft=draft,
            name=_check_name(new.name),
            description=new.description,
            message=message,
            committer=call.principal.id,
            commit_time=call.now,
            default_topology=bool(new.defaultTopology),
            definition=_check_definition(new.topologyDefinition),
        )
    )


def add_version(
    call: Call,
    topology: Row,
    new: TopologyJson,
    message: str | None,
    commit_id: str | None,
    number: int,
) -> str:
    """Publish a version of an existing topology, numbered as given or next; return the commit id."""
    check_permission(call, topology.id, "WRITE")
    latest = call.fetch(topology_commits, topology.latest_commit, "Topology commit")
    if latest.draft:
        raise bad_request(f"topology '{topology.id}' has draft '{latest.id}'; publish or delete it first")
    commit_id = commit_id or call.new_id(topology.organization)
    _insert_commit(call, topology.id, commit_id, max(latest.number + 1, number), new, False, message)
    _touch(call, topology, latest_commit=commit_id, name=new.name)
    return commit_id


def _shown(call: Call, commit_id: str) -> Any:
    return topology_json(*fetch_commit(call, commit_id))


@app.route("PUT", "/topology/rest/v1/topologies", EDITOR, body=TopologyJson, returns=TopologyJson)
def create_topology(call: Call) -> Any:
    """Create a topology as a draft."""
    return _shown(call, insert_topology(call, call.body, draft=True))


@app.route("GET", "/topology/rest/v1/topologies", USER, query=LISTING, choice="rows without definition")
def list_topologies(call: Call) -> Any:
    """List topologies by their latest commit."""
    statement: Query = TOPOLOGIES
    if text := call.query["filterText"]:
        statement = statement.where(contains(topologies.c.name, text) | contains(topologies.c.id, text))

    def show(rows: list[Row]) -> list[Any]:
        commits = call.fetch_all(topology_commits, [row.latest_commit for row in rows], "Topology commit")
        return [topology_json(c, t, False) for c, t in zip(commits, rows, strict=True)]

    order = {
        "NAME": topologies.c.name,
        "ID": topologies.c.id,
        "LAST_MODIFIED_TIME": topologies.c.last_modified_on,
    }
    return call.old_page(statement, order, show, org=call.organization)


def _issues(call: Call, commit: Row) -> list[dict[str, Any]]:
    """Return TOPOLOGY_06 for jobs that are gone, TOPOLOGY_08 for jobs on another pipeline version."""
    issues = []
    for node in load(commit.definition).get("topologyNodes") or []:
        job_id = node.get("jobId") if isinstance(node, dict) else None
        if not isinstance(job_id, str):
            continue
        found = select(jobs).where(jobs.c.id == job_id, jobs.c.organization == commit.organization)
        job = call.db.execute(found).first()
        info = {"jobId": job_id, "instanceName": node.get("instanceName")}
        if job is None:
            message = f"TOPOLOGY_06 - Job '{job_id}' was removed"
            issues.append({"code": "TOPOLOGY_06", "message": message, "additionalInfo": info})
        elif node.get("pipelineCommitId") not in (None, job.commit_id):
            message = f"TOPOLOGY_08 - Job '{job.name}' moved to another pipeline version"
            issues.append({"code": "TOPOLOGY_08", "message": message, "additionalInfo": info})
    return issues


@app.route(
    "GET",
    "/topology/rest/v1/topology/{commit}",
    USER,
    query=(ORGANIZATION, Parameter("validate", "boolean", False)),
)
def get_topology(call: Call) -> Any:
    """Return a topology commit, with validation issues when asked for."""
    commit, topology = fetch_commit(call, call.path["commit"])
    check_permission(call, topology.id, "READ")
    shown = topology_json(commit, topology)
    return {"topology": shown, "issues": _issues(call, commit)} if call.query["validate"] else shown


@app.route("GET", "/topology/rest/v1/topology/{topology}/log", USER, query=(*PAGING, WRAPPER, ORGANIZATION))
def topology_log(call: Call) -> Any:
    """List the commits of a topology."""
    topology = call.fetch(topologies, call.path["topology"], "Topology")
    check_permission(call, topology.id, "READ")
    statement = select(topology_commits).where(topology_commits.c.topology_id == topology.id)
    if "order" not in call.raw_query:
        call.query["order"] = "DESC"
    order = {"NUMBER": topology_commits.c.number}
    return call.old_page(statement, order, lambda rows: [topology_json(row, topology, False) for row in rows])


def _writable(call: Call) -> tuple[Row, Row]:
    commit, topology = fetch_commit(call, call.path["commit"])
    check_permission(call, topology.id, "WRITE")
    return commit, topology


def _touch(call: Call, topology: Row, **values: Any) -> None:
    values |= {"last_modified_by": call.principal.id, "last_modified_on": call.now}
    call.db.execute(topologies.update().where(topologies.c.id == topology.id).values(values))


@app.route("POST", "/topology/rest/v1/topology/{commit}", EDITOR, body=TopologyJson, returns=TopologyJson)
def save_topology(call: Call) -> Any:
    """Save a draft."""
    commit, topology = _writable(call)
    if not commit.draft:
        raise bad_request(f"topology commit '{commit.id}' is published; create a draft first")
    new = call.body
    values = {
        "name": _check_name(new.name or commit.name),
        "description": commit.description if new.description is None else new.description,
        "definition": _check_definition(new.topologyDefinition or commit.definition),
        "default_topology": bool(new.defaultTopology),
        "commit_time": call.now,
        "committer": call.principal.id,
    }
    call.db.execute(topology_commits.update().where(topology_commits.c.id == commit.id).values(values))
    _touch(call, topology, name=values["name"])
    return _shown(call, commit.id)


@app.route("POST", "/topology/rest/v1/topology/{commit}/createDraft", EDITOR, returns=TopologyJson)
def create_draft(call: Call) -> Any:
    """Create a draft of the next version."""
    commit, topology = _writable(call)
    latest = call.fetch(topology_commits, topology.latest_commit, "Topology commit")
    if latest.draft:
        raise bad_request(f"topology '{topology.id}' already has draft '{latest.id}'")
    _check_room(call)
    row = commit._asdict() | {
        "id": call.new_id(topology.organization),
        "number": latest.number + 1,
        "draft": True,
        "message": None,
        "committer": call.principal.id,
        "commit_time": call.now,
    }
    call.db.execute(topology_commits.insert().values(row))
    _touch(call, topology, latest_commit=row["id"])
    return _shown(call, row["id"])


@app.route(
    "POST",
    "/topology/rest/v1/topology/{commit}/publish",
    EDITOR,
    query=(Parameter("commitMessage"),),
    returns=TopologyJson,
)
def publish(call: Call) -> Any:
    """Publish a draft."""
    commit, topology = _writable(call)
    if not commit.draft:
        raise bad_request(f"topology commit '{commit.id}' is already published")
    values = {
        "draft": False,
        "message": call.query["commitMessage"],
        "committer": call.principal.id,
        "commit_time": call.now,
    }
    call.db.execute(topology_commits.update().where(topology_commits.c.id == commit.id).values(values))
    _touch(call, topology)
    return _shown(call, commit.id)


@app.route("POST", "/topology/rest/v1/topology/{commit}/validate", EDITOR, writes=False)
def validate(call: Call) -> Any:
    """Return the validation issues of a topology."""
    commit, _ = _writable(call)
    return _issues(call, commit)


@app.route("POST", "/topology/rest/v1/topologies/deleteTopologies", EDITOR, body=list[str])
def delete_topologies(call: Call) -> Any:
    """Delete topologies with all versions."""
    for row in call.fetch_all(topologies, call.body, "Topology"):
        check_permission(call, row.id, "WRITE")
    call.db.execute(topology_commits.delete().where(topology_commits.c.topology_id.in_(call.body)))
    call.db.execute(topologies.delete().where(topologies.c.id.in_(call.body)))
    drop_acls(call, call.body)
    return []


@app.route("POST", "/topology/rest/v1/topologies/deleteTopologyVersions", EDITOR, body=list[str])
def delete_versions(call: Call) -> Any:
    """Delete topology versions; a topology goes with its last one."""
    for commit in call.fetch_all(topology_commits, call.body, "Topology commit"):
        check_permission(call, commit.topology_id, "WRITE")
        call.db.execute(topology_commits.delete().where(topology_commits.c.id == commit.id))
        rest = call.db.execute(
            select(topology_commits)
            .where(topology_commits.c.topology_id == commit.topology_id)
            .order_by(topology_commits.c.number.desc())
        ).first()
        if rest is None:
            call.db.execute(topologies.delete().where(topologies.c.id == commit.topology_id))
            drop_acls(call, [commit.topology_id])
        else:
            values = {"latest_commit": rest.id, "name": rest.name}
            call.db.execute(topologies.update().where(topologies.c.id == commit.topology_id).values(values))
    return []
