"""Topology app: topologies over jobs (control-hub-rest.md, 7.4)."""

from typing import Annotated

from msgspec import Meta, Struct, field
from sqlalchemy import bindparam, select

from psrlib.hub.designs.pipelines import parse_document
from psrlib.hub.designs.versions import next_draft, version_fields
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import check_permission, drop_acls, insert_acls
from psrlib.hub.store.queries import Query, Row, by_key, insert_rows
from psrlib.hub.store.schema.design import topologies, topology_commits
from psrlib.hub.store.schema.execution import jobs
from psrlib.hub.store.text import JsonValue, contains, dump, load
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name
from psrlib.hub.web.records import Listed, Listing, Paging, show
from psrlib.hub.web.routing import USER, App, roles

app = App("topology")
EDITOR = roles("topology:editor")
Millis = Annotated[int, Meta(ge=-(2**62), le=2**62)]
TOPOLOGIES = Query(select(topologies).where(topologies.c.organization == bindparam("org")))
COMMITS = Query(select(topology_commits).where(topology_commits.c.topology_id == bindparam("topology")))
EMPTY = {"schemaVersion": "1", "topologyNodes": [], "stageIcons": {}, "valid": True}


class TopologyJson(Struct, rename="camel"):
    """A topology commit."""

    topology_id: str | None = None
    commit_id: str | None = None
    name: str | None = None
    description: str | None = None
    version: str | None = None
    parent_version: str | None = None
    draft: bool | None = None
    default_topology: bool | None = False
    organization: str | None = None
    message: str | None = field(default=None, name="commitMessage")
    commit_time: Millis | None = None
    committer: str | None = None
    last_modified_by: str | None = None
    last_modified_on: Millis | None = None
    provenance_meta_data: dict[str, str] | None = None
    definition: str | None = field(default=None, name="topologyDefinition")


class NodeJson(Struct, rename="camel"):
    """The job that an issue of a topology is about."""

    job_id: str
    instance_name: JsonValue


class IssueJson(Struct, rename="camel"):
    """What is wrong with a topology."""

    code: str
    message: str
    additional_info: NodeJson


class CheckedTopologyJson(Struct):
    """A topology commit and what is wrong with it."""

    topology: TopologyJson
    issues: list[IssueJson]


def _show(commit: Row, topology: Row) -> TopologyJson:
    return show(TopologyJson, commit, **version_fields(commit, topology))


def _show_light(commit: Row, topology: Row) -> TopologyJson:
    return show(TopologyJson, commit, **version_fields(commit, topology), definition=None)


def shown(call: Call, commit_id: str) -> TopologyJson:
    """Return a topology commit with its definition."""
    return _show(*_fetch(call, commit_id))


def _fetch(call: Call, commit_id: str) -> tuple[Row, Row]:
    """Return a topology commit and its topology."""
    commit = call.fetch(topology_commits, commit_id, "Topology commit")
    return commit, call.fetch(topologies, commit.topology_id, "Topology")


def _fetch_allowed(call: Call, commit_id: str, action: str) -> tuple[Row, Row]:
    commit, topology = _fetch(call, commit_id)
    check_permission(call, topology.id, action)
    return commit, topology


def _check_definition(text: str | None) -> str:
    return dump(parse_document(text, "topologyDefinition") if text else EMPTY)


def _changed(call: Call) -> dict[str, object]:
    return {"last_modified_by": call.principal.id, "last_modified_on": call.now}


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
    limit = configuration.MAX_TOPOLOGIES
    configuration.check_room(call.hub.cache, call.db, org, limit, topologies, "topologies")
    topology_id, commit_id = (given or call.new_id(org) for given in ids)
    row = {
        "id": topology_id,
        "organization": org,
        "name": check_name(new.name, "topology name"),
        "latest_commit": commit_id,
        "creator": call.principal.id,
        "created_on": call.now,
    }
    insert_rows(call.db, topologies, [row | _changed(call)])
    _insert_commit(
        call, new, topology_id=topology_id, id=commit_id, number=number, draft=draft, message=message
    )
    insert_acls(call, "TOPOLOGY", [topology_id], org)
    return commit_id


def _check_room(call: Call) -> None:
    """Refuse a commit beyond the organization's limit."""
    limit, org = configuration.MAX_TOPOLOGY_COMMITS, call.organization
    configuration.check_room(call.hub.cache, call.db, org, limit, topology_commits, "topology commits")


def _insert_commit(call: Call, new: TopologyJson, **columns: object) -> None:
    _check_room(call)
    row = columns | {
        "organization": call.organization,
        "name": check_name(new.name, "topology name"),
        "description": new.description,
        "committer": call.principal.id,
        "commit_time": call.now,
        "default_topology": bool(new.default_topology),
        "definition": _check_definition(new.definition),
    }
    insert_rows(call.db, topology_commits, [row])


def add_version(
    call: Call, topology: Row, new: TopologyJson, message: str | None, commit_id: str | None, number: int
) -> str:
    """Publish a version of an existing topology, numbered as given or next; return the commit id."""
    check_permission(call, topology.id, "WRITE")
    latest = call.fetch(topology_commits, topology.latest_commit, "Topology commit")
    if latest.draft:
        raise bad_request(f"topology '{topology.id}' has draft '{latest.id}'; publish or delete it first")
    commit_id = commit_id or call.new_id(topology.organization)
    number = max(latest.number + 1, number)
    _insert_commit(
        call, new, topology_id=topology.id, id=commit_id, number=number, draft=False, message=message
    )
    _update(call, topology.id, latest_commit=commit_id, name=new.name, **_changed(call))
    return commit_id


@app.route("PUT", "/topology/rest/v1/topologies", EDITOR)
def create_topology(call: Call, body: TopologyJson) -> TopologyJson:
    """Create a topology as a draft."""
    return shown(call, insert_topology(call, body, draft=True))


@app.route("GET", "/topology/rest/v1/topologies", USER, choice="rows without definition")
def list_topologies(call: Call, listing: Listing) -> Listed[TopologyJson]:
    """List topologies by their latest commit."""
    query = TOPOLOGIES
    if text := listing.filter_text:
        query = query.where(contains(topologies.c.name, text) | contains(topologies.c.id, text))

    def show_latest(rows: list[Row]) -> list[TopologyJson]:
        latest = call.fetch_all(topology_commits, [row.latest_commit for row in rows], "Topology commit")
        return list(map(_show_light, latest, rows))

    order = {
        "NAME": topologies.c.name,
        "ID": topologies.c.id,
        "LAST_MODIFIED_TIME": topologies.c.last_modified_on,
    }
    return call.page(listing, query, order, show_all=show_latest)


def _issues(call: Call, commit: Row) -> list[IssueJson]:
    """Return TOPOLOGY_06 for jobs that are gone, TOPOLOGY_08 for jobs on another pipeline version."""
    issues = []
    for node in load(commit.definition).get("topologyNodes") or []:
        job_id = node.get("jobId") if isinstance(node, dict) else None
        if not isinstance(job_id, str):
            continue
        job = by_key(jobs).first(call.db, key=job_id)
        info = NodeJson(job_id, node.get("instanceName"))
        if job is None or job.organization != commit.organization:
            issues.append(IssueJson("TOPOLOGY_06", f"TOPOLOGY_06 - Job '{job_id}' was removed", info))
        elif node.get("pipelineCommitId") not in (None, job.commit_id):
            message = f"TOPOLOGY_08 - Job '{job.name}' moved to another pipeline version"
            issues.append(IssueJson("TOPOLOGY_08", message, info))
    return issues


@app.route("GET", "/topology/rest/v1/topology/{commit}", USER)
def get_topology(call: Call, commit: str, validate: bool = False) -> TopologyJson | CheckedTopologyJson:
    """Return a topology commit, with validation issues when asked for."""
    row, topology = _fetch_allowed(call, commit, "READ")
    record = _show(row, topology)
    return CheckedTopologyJson(record, _issues(call, row)) if validate else record


@app.route("GET", "/topology/rest/v1/topology/{topology}/log", USER)
def topology_log(
    call: Call, topology: str, paging: Paging, with_wrapper: bool = False
) -> Listed[TopologyJson]:
    """List the commits of a topology."""
    row = call.fetch(topologies, topology, "Topology")
    check_permission(call, row.id, "READ")
    return call.page(
        paging,
        COMMITS,
        {"NUMBER": topology_commits.c.number},
        lambda commit: _show_light(commit, row),
        wrap=with_wrapper,
        newest_first=True,
        topology=row.id,
    )


def _update_draft(call: Call, commit: Row, topology: Row, **values: object) -> TopologyJson:
    values |= {"committer": call.principal.id, "commit_time": call.now}
    call.db.execute(topology_commits.update().where(topology_commits.c.id == commit.id).values(values))
    _update(call, topology.id, name=values.get("name", topology.name), **_changed(call))
    return shown(call, commit.id)


def _update(call: Call, topology_id: str, **values: object) -> None:
    call.db.execute(topologies.update().where(topologies.c.id == topology_id).values(values))


@app.route("POST", "/topology/rest/v1/topology/{commit}", EDITOR)
def save_topology(call: Call, commit: str, body: TopologyJson) -> TopologyJson:
    """Save a draft."""
    row, topology = _fetch_allowed(call, commit, "WRITE")
    if not row.draft:
        raise bad_request(f"topology commit '{row.id}' is published; create a draft first")
    return _update_draft(
        call,
        row,
        topology,
        name=check_name(body.name or row.name, "topology name"),
        description=row.description if body.description is None else body.description,
        definition=_check_definition(body.definition or row.definition),
        default_topology=bool(body.default_topology),
    )


@app.route("POST", "/topology/rest/v1/topology/{commit}/createDraft", EDITOR)
def create_draft(call: Call, commit: str) -> TopologyJson:
    """Create a draft of the next version."""
    row, topology = _fetch_allowed(call, commit, "WRITE")
    latest = call.fetch(topology_commits, topology.latest_commit, "Topology commit")
    draft = next_draft(call, "topology", topology, latest, row)
    _check_room(call)
    insert_rows(call.db, topology_commits, [draft])
    _update(call, topology.id, latest_commit=draft["id"], **_changed(call))
    return shown(call, draft["id"])


@app.route("POST", "/topology/rest/v1/topology/{commit}/publish", EDITOR)
def publish(call: Call, commit: str, commit_message: str | None = None) -> TopologyJson:
    """Publish a draft."""
    row, topology = _fetch_allowed(call, commit, "WRITE")
    if not row.draft:
        raise bad_request(f"topology commit '{row.id}' is already published")
    return _update_draft(call, row, topology, draft=False, message=commit_message)


@app.route("POST", "/topology/rest/v1/topology/{commit}/validate", EDITOR, writes=False)
def validate(call: Call, commit: str) -> list[IssueJson]:
    """Return the validation issues of a topology."""
    row, _ = _fetch_allowed(call, commit, "WRITE")
    return _issues(call, row)


@app.route("POST", "/topology/rest/v1/topologies/deleteTopologies", EDITOR)
def delete_topologies(call: Call, body: list[str]) -> list[str]:
    """Delete topologies with all versions."""
    for row in call.fetch_all(topologies, body, "Topology"):
        check_permission(call, row.id, "WRITE")
    call.db.execute(topology_commits.delete().where(topology_commits.c.topology_id.in_(body)))
    call.db.execute(topologies.delete().where(topologies.c.id.in_(body)))
    drop_acls(call, body)
    return []


@app.route("POST", "/topology/rest/v1/topologies/deleteTopologyVersions", EDITOR)
def delete_versions(call: Call, body: list[str]) -> list[str]:
    """Delete topology versions; a topology goes with its last one."""
    number = topology_commits.c.number
    newest_first = COMMITS.page(number, number, descending=True)
    for commit in call.fetch_all(topology_commits, body, "Topology commit"):
        check_permission(call, commit.topology_id, "WRITE")
        call.db.execute(topology_commits.delete().where(topology_commits.c.id == commit.id))
        rest = newest_first.first(call.db, topology=commit.topology_id)
        if rest is None:
            call.db.execute(topologies.delete().where(topologies.c.id == commit.topology_id))
            drop_acls(call, [commit.topology_id])
        else:
            _update(call, commit.topology_id, latest_commit=rest.id, name=rest.name)
    return []
