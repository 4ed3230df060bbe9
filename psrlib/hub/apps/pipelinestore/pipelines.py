"""Pipelinestore app: reading pipelines, fragments, commits and labels."""

from typing import Any

from sqlalchemy import Select, bindparam, func, select

from psrlib.hub.apps.pipelinestore.records import PipelineJson, pipeline_json, rows_json, shown
from psrlib.hub.apps.security.records import all_group
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.labels import LabelJson
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Query
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.security import group_members
from psrlib.hub.store.text import contains, has_item, has_path
from psrlib.hub.web.call import LISTING, ORGANIZATION, PAGING, WRAPPER, Call
from psrlib.hub.web.records import Listed, Listing
from psrlib.hub.web.routing import USER, App, Parameter

app = App("pipelinestore", "Pipelines, fragments, commits and labels")
FINDING = (
    *LISTING,
    Parameter("pipelineLabelId"),
    Parameter("onlyPublished", "boolean", False),
    Parameter("executionModes"),
    Parameter("startTime", "integer", -1),
    Parameter("endTime", "integer", -1),
    Parameter("userIds"),
    Parameter("draft", "boolean"),
    Parameter("system", "boolean", False),
)
PIPELINES = Query(
    select(pipelines).where(
        pipelines.c.organization == bindparam("org"),
        pipelines.c.fragment == bindparam("fragment"),
        pipelines.c.template == bindparam("template"),
    )
)


def _finding(call: Call, fragment: bool, template: bool = False, creators: Select[Any] | None = None) -> Any:
    query = call.query
    org = call.organization
    statement: Query = PIPELINES
    if creators is not None:
        statement = statement.where(pipelines.c.creator.in_(creators))
    if query["onlyPublished"] or query["draft"] is False:
        statement = statement.where(pipelines.c.latest_published.is_not(None))
    if query["draft"]:
        statement = statement.where(
            pipelines.c.latest_commit != func.coalesce(pipelines.c.latest_published, "")
        )
    if label := query["pipelineLabelId"]:
        statement = _with_label(statement, label.removesuffix(f":{org}"))
    if modes := query["executionModes"]:
        statement = statement.where(pipelines.c.execution_mode.in_(modes.split(",")))
    if users := query["userIds"]:
        statement = statement.where(pipelines.c.creator.in_(users.split(",")))
    if query["startTime"] > 0:
        statement = statement.where(pipelines.c.last_modified_on >= query["startTime"])
    if query["endTime"] > 0:
        statement = statement.where(pipelines.c.last_modified_on <= query["endTime"])
    if text := query["filterText"]:
        statement = statement.where(contains(pipelines.c.name, text) | contains(pipelines.c.id, text))
    order = {
        "NAME": pipelines.c.name,
        "LAST_MODIFIED_ON": pipelines.c.last_modified_on,
        "LAST_MODIFIED_TIME": pipelines.c.last_modified_on,
        "CREATED_ON": pipelines.c.created_on,
    }
    return call.old_page(
        statement,
        order,
        lambda rows: rows_json(call, rows, query["onlyPublished"]),
        wrap=True,
        org=org,
        fragment=fragment,
        template=template,
    )


def _with_label(statement: Query, path: str) -> Query:
    return statement.where(has_path(pipelines.c.labels, path))


@app.route("GET", "/pipelinestore/rest/v1/pipelines", USER, query=FINDING)
def list_pipelines(call: Call) -> Any:
    """List pipelines, always wrapped, without definitions."""
    return _finding(call, fragment=False)


@app.route("GET", "/pipelinestore/rest/v1/pipelines/fragments", USER, query=FINDING)
def list_fragments(call: Call) -> Any:
    """List fragments, always wrapped."""
    return _finding(call, fragment=True)


@app.route("GET", "/pipelinestore/rest/v1/pipelines/templates", USER, query=FINDING, choice="none exist")
def list_templates(call: Call) -> Any:
    """List pipeline templates, always wrapped."""
    return _finding(call, fragment=False, template=True)


@app.route("GET", "/pipelinestore/rest/v1/metrics/pipelines", USER, query=(*FINDING, Parameter("group")))
def list_group_pipelines(call: Call) -> Any:
    """List the pipelines that users of a group created; without a group, all."""
    group = call.query["group"]
    if not group or group == all_group(call.organization):
        return _finding(call, fragment=False)
    members = select(group_members.c.user_id).where(group_members.c.group_id == group)
    return _finding(call, fragment=False, creators=members)


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipelines/count",
    USER,
    query=(ORGANIZATION, Parameter("system", "boolean", False)),
    choice="counts pipelines, not fragments",
)
def count_pipelines(call: Call) -> Any:
    """Count pipelines."""
    table = pipelines
    statement = select(func.count()).where(table.c.organization == call.organization, ~table.c.fragment)
    return {"count": call.db.execute(statement).scalar_one()}


@app.route("POST", "/pipelinestore/rest/v1/pipelines/latestCommit", USER, body=list[str], writes=False)
def latest_commits(call: Call) -> Any:
    """Return the latest commits of several pipelines, without definitions."""
    rows = call.fetch_all(pipelines, call.body, "Pipeline")
    return rows_json(call, rows, False)


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/latest",
    USER,
    query=(Parameter("user"), Parameter("onlyPublished", "boolean", False)),
    returns=PipelineJson,
)
def latest_commit(call: Call) -> Any:
    """Return the latest commit of a pipeline; commitId null when published is asked and none is."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "READ")
    commit_id = pipeline.latest_published if call.query["onlyPublished"] else pipeline.latest_commit
    return shown(call, commit_id) if commit_id else {"pipelineId": pipeline.id, "commitId": None}


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/log",
    USER,
    query=(*PAGING, WRAPPER, ORGANIZATION, Parameter("onlyPublished", "boolean", False)),
    choice="newest first unless order=ASC is sent",
)
def pipeline_log(call: Call) -> Any:
    """List the commits of a pipeline, without definitions."""
    pipeline = store.fetch_pipeline(call, call.path["pipeline"])
    check_permission(call, pipeline.id, "READ")
    light = [c for c in commits.c if c.name not in ("definition", "library_definitions", "rules")]
    statement = select(*light).where(commits.c.pipeline_id == pipeline.id)
    if call.query["onlyPublished"]:
        statement = statement.where(~commits.c.draft)
    if "order" not in call.raw_query:
        call.query["order"] = "DESC"
    return call.old_page(
        statement,
        {"NUMBER": commits.c.number},
        lambda rows: [pipeline_json(row, pipeline, False) for row in rows],
    )


@app.route(
    "GET", "/pipelinestore/rest/v1/pipeline/{pipeline}/tags", USER, choice="no call creates tags: empty"
)
def pipeline_tags(call: Call) -> Any:
    """List commit tags of a pipeline."""
    store.fetch_pipeline(call, call.path["pipeline"])
    return []


@app.route("GET", "/pipelinestore/rest/v1/pipelineCommit/{commit}", USER, returns=PipelineJson)
def get_commit(call: Call) -> Any:
    """Return a commit with its definitions."""
    commit = store.fetch_commit(call, call.path["commit"])
    check_permission(call, commit.pipeline_id, "READ")
    return pipeline_json(commit, store.fetch_pipeline(call, commit.pipeline_id), True)


@app.route("POST", "/pipelinestore/rest/v1/pipelineCommit", USER, body=list[str], writes=False)
def get_commits(call: Call) -> Any:
    """Return several commits with their definitions."""
    rows = call.fetch_all(commits, call.body, "Pipeline commit")
    parents = call.fetch_all(pipelines, [row.pipeline_id for row in rows], "Pipeline")
    for parent in {p.id: p for p in parents}.values():
        check_permission(call, parent.id, "READ")
    return [pipeline_json(row, parent, True) for row, parent in zip(rows, parents, strict=True)]


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipelineCommit/{commit}/pipelinesUsingFragment",
    USER,
    query=PAGING,
)
def pipelines_using_fragment(call: Call) -> Any:
    """List the pipelines whose latest commit uses a fragment commit."""
    commit = store.fetch_commit(call, call.path["commit"])
    statement = (
        select(pipelines)
        .join(commits, commits.c.id == pipelines.c.latest_commit)
        .where(pipelines.c.organization == commit.organization)
        .where(has_item(commits.c.fragment_commits, commit.id))
    )
    return call.old_page(
        statement, {"NAME": pipelines.c.name}, lambda rows: rows_json(call, rows, False), wrap=False
    )


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipelineLabels",
    USER,
    choice="without parentId the whole tree",
)
def list_pipeline_labels(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[LabelJson]:
    """List pipeline labels."""
    return label_tree.list_labels(call, "PIPELINE", listing, parent_id, label_tree.show_label)


SYSTEM_SDC = {
    "version": "3.22.0",
    "builtBy": "embedded",
    "builtDate": "",
    "builtRepoSha": "",
    "sourceMd5Checksum": "",
}


@app.route("GET", "/pipelinestore/rest/v1/system/info", USER, choice="a constant: there is no system engine")
def system_info(call: Call) -> Any:
    """Return the build of the system Data Collector."""
    return SYSTEM_SDC


@app.route(
    "GET", "/pipelinestore/rest/v1/definitions", USER, choice="empty lists: no stage libraries are carried"
)
def definitions(call: Call) -> Any:
    """Return stage definitions."""
    return {"pipeline": [], "pipelineRules": [], "stages": [], "services": [], "runtimeConfigs": []}
