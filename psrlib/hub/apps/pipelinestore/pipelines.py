"""Pipelinestore app: reading pipelines, fragments, commits and labels."""

from msgspec import Struct, field
from sqlalchemy import bindparam, func, select

from psrlib.hub.apps.pipelinestore.records import (
    PipelineJson,
    fetch_allowed,
    fetch_allowed_pipeline,
    fetch_for_answer,
    show_commit,
    show_full,
    show_latest,
    shown,
)
from psrlib.hub.apps.security.records import all_group
from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.labels import LabelJson
from psrlib.hub.store.queries import Query
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.schema.security import group_members
from psrlib.hub.store.text import Json, contains, has_item, has_path
from psrlib.hub.web.call import Call
from psrlib.hub.web.records import CountJson, Listed, Listing, Paging
from psrlib.hub.web.routing import USER, App

app = App("pipelinestore")
PIPELINES = Query(
    select(pipelines).where(
        pipelines.c.organization == bindparam("org"),
        pipelines.c.fragment == bindparam("fragment"),
        pipelines.c.template == bindparam("template"),
    )
)
ORDER = {
    "NAME": pipelines.c.name,
    "LAST_MODIFIED_ON": pipelines.c.last_modified_on,
    "LAST_MODIFIED_TIME": pipelines.c.last_modified_on,
    "CREATED_ON": pipelines.c.created_on,
}


class Finding(Listing, rename="camel"):
    """Which pipelines are wanted."""

    pipeline_label_id: str | None = None
    only_published: bool = False
    execution_modes: str | None = None
    start_time: int = -1
    end_time: int = -1
    user_ids: str | None = None
    draft: bool | None = None


class SystemInfoJson(Struct, rename="camel"):
    """The build of a Data Collector."""

    version: str = "3.22.0"
    built_by: str = "embedded"
    built_date: str = ""
    built_repo_sha: str = ""
    checksum: str = field(default="", name="sourceMd5Checksum")


class DefinitionsJson(Struct, rename="camel"):
    """Definitions of stages, and of what else pipelines are made of."""

    pipeline: list[Json] = field(default_factory=list)
    pipeline_rules: list[Json] = field(default_factory=list)
    stages: list[Json] = field(default_factory=list)
    services: list[Json] = field(default_factory=list)
    runtime_configs: list[Json] = field(default_factory=list)


def _find(
    call: Call, finding: Finding, fragment: bool = False, template: bool = False, query: Query = PIPELINES
) -> Listed[PipelineJson]:
    if finding.only_published or finding.draft is False:
        query = query.where(pipelines.c.latest_published.is_not(None))
    if finding.draft:
        query = query.where(pipelines.c.latest_commit != func.coalesce(pipelines.c.latest_published, ""))
    if label := finding.pipeline_label_id:
        query = query.where(has_path(pipelines.c.labels, label.removesuffix(f":{call.organization}")))
    if modes := finding.execution_modes:
        query = query.where(pipelines.c.execution_mode.in_(modes.split(",")))
    if users := finding.user_ids:
        query = query.where(pipelines.c.creator.in_(users.split(",")))
    if finding.start_time > 0:
        query = query.where(pipelines.c.last_modified_on >= finding.start_time)
    if finding.end_time > 0:
        query = query.where(pipelines.c.last_modified_on <= finding.end_time)
    if text := finding.filter_text:
        query = query.where(contains(pipelines.c.name, text) | contains(pipelines.c.id, text))
    return call.page(
        finding,
        query,
        ORDER,
        show_all=lambda rows: show_latest(call, rows, finding.only_published),
        wrap=True,
        fragment=fragment,
        template=template,
    )


@app.route("GET", "/pipelinestore/rest/v1/pipelines", USER)
def list_pipelines(call: Call, finding: Finding) -> Listed[PipelineJson]:
    """List pipelines, always wrapped, without definitions."""
    return _find(call, finding)


@app.route("GET", "/pipelinestore/rest/v1/pipelines/fragments", USER)
def list_fragments(call: Call, finding: Finding) -> Listed[PipelineJson]:
    """List fragments, always wrapped."""
    return _find(call, finding, fragment=True)


@app.route("GET", "/pipelinestore/rest/v1/pipelines/templates", USER, choice="none exist")
def list_templates(call: Call, finding: Finding) -> Listed[PipelineJson]:
    """List pipeline templates, always wrapped."""
    return _find(call, finding, template=True)


@app.route("GET", "/pipelinestore/rest/v1/metrics/pipelines", USER)
def list_group_pipelines(call: Call, finding: Finding, group: str | None = None) -> Listed[PipelineJson]:
    """List the pipelines that users of a group created; without a group, all."""
    if not group or group == all_group(call.organization):
        return _find(call, finding)
    members = select(group_members.c.user_id).where(group_members.c.group_id == group)
    return _find(call, finding, query=PIPELINES.where(pipelines.c.creator.in_(members)))


@app.route("GET", "/pipelinestore/rest/v1/pipelines/count", USER, choice="counts pipelines, not fragments")
def count_pipelines(call: Call, organization: str | None = None) -> CountJson:
    """Count pipelines."""
    query = PIPELINES.count()
    return CountJson(query.scalar(call.db, org=call.organization, fragment=False, template=False))


@app.route("POST", "/pipelinestore/rest/v1/pipelines/latestCommit", USER, writes=False)
def latest_commits(call: Call, body: list[str]) -> list[PipelineJson]:
    """Return the latest commits of several pipelines, without definitions."""
    return show_latest(call, call.fetch_all(pipelines, body, "Pipeline"))


@app.route("GET", "/pipelinestore/rest/v1/pipeline/{pipeline}/latest", USER)
def latest_commit(call: Call, pipeline: str, only_published: bool = False) -> PipelineJson:
    """Return the latest commit of a pipeline; commitId null when published is asked and none is."""
    row = fetch_allowed_pipeline(call, pipeline, "READ")
    commit_id = row.latest_published if only_published else row.latest_commit
    return shown(call, commit_id) if commit_id else PipelineJson(row.id)


@app.route(
    "GET",
    "/pipelinestore/rest/v1/pipeline/{pipeline}/log",
    USER,
    choice="newest first unless order=ASC is sent",
)
def pipeline_log(
    call: Call, pipeline: str, paging: Paging, with_wrapper: bool = False, only_published: bool = False
) -> Listed[PipelineJson]:
    """List the commits of a pipeline, without definitions."""
    row = fetch_allowed_pipeline(call, pipeline, "READ")
    query = Query(select(*store.LIGHT).where(commits.c.pipeline_id == row.id), kept=False)
    return call.page(
        paging,
        query.where(~commits.c.draft) if only_published else query,
        {"NUMBER": commits.c.number},
        lambda commit: show_commit(commit, row, full=False),
        wrap=with_wrapper,
        newest_first=True,
    )


@app.route(
    "GET", "/pipelinestore/rest/v1/pipeline/{pipeline}/tags", USER, choice="no call creates tags: empty"
)
def pipeline_tags(call: Call, pipeline: str) -> list[Json]:
    """List commit tags of a pipeline."""
    store.fetch_pipeline(call, pipeline)
    return []


@app.route("GET", "/pipelinestore/rest/v1/pipelineCommit/{commit}", USER)
def get_commit(call: Call, commit: str) -> PipelineJson:
    """Return a commit with its definitions."""
    row = fetch_allowed(call, commit, "READ")
    return show_commit(row, store.fetch_pipeline(call, row.pipeline_id))


@app.route("POST", "/pipelinestore/rest/v1/pipelineCommit", USER, writes=False)
def get_commits(call: Call, body: list[str]) -> list[PipelineJson]:
    """Return several commits with their definitions."""
    return show_full(call, fetch_for_answer(call, body))


@app.route("GET", "/pipelinestore/rest/v1/pipelineCommit/{commit}/pipelinesUsingFragment", USER)
def pipelines_using_fragment(call: Call, commit: str, paging: Paging) -> Listed[PipelineJson]:
    """List the pipelines whose latest commit uses a fragment commit."""
    row = store.fetch_commit(call, commit)
    using = (
        select(pipelines)
        .join(commits, commits.c.id == pipelines.c.latest_commit)
        .where(pipelines.c.organization == row.organization)
        .where(has_item(commits.c.fragment_commits, row.id))
    )
    order = {"NAME": pipelines.c.name}
    return call.page(
        paging, Query(using, kept=False), order, show_all=lambda rows: show_latest(call, rows), wrap=False
    )


@app.route("GET", "/pipelinestore/rest/v1/pipelineLabels", USER, choice="without parentId the whole tree")
def list_pipeline_labels(call: Call, listing: Listing, parent_id: str | None = None) -> Listed[LabelJson]:
    """List pipeline labels."""
    return label_tree.list_labels(call, "PIPELINE", listing, parent_id, label_tree.show_label)


@app.route("GET", "/pipelinestore/rest/v1/system/info", USER, choice="a constant: there is no system engine")
def system_info(call: Call) -> SystemInfoJson:
    """Return the build of the system Data Collector."""
    return SystemInfoJson()


@app.route(
    "GET", "/pipelinestore/rest/v1/definitions", USER, choice="empty lists: no stage libraries are carried"
)
def definitions(call: Call) -> DefinitionsJson:
    """Return stage definitions."""
    return DefinitionsJson()
