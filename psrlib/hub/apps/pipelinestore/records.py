"""Pipelinestore app: records of pipelines and commits."""

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Annotated

from msgspec import Meta, Struct, field
from sqlalchemy import ColumnElement, func, select

from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.commits import DOCUMENTS, stored_labels
from psrlib.hub.designs.labels import LabelJson
from psrlib.hub.designs.versions import version_fields
from psrlib.hub.security.acl import check_permission
from psrlib.hub.store.queries import Row, any_of
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.limits import ANSWER_BYTES, too_large
from psrlib.hub.web.records import show
from psrlib.hub.web.routing import roles

EDITOR = roles("pipelinestore:pipelineEditor")
LIGHT_COMMITS = any_of(lambda ids: select(*store.LIGHT).where(commits.c.id.in_(ids)))

_LENGTHS: list[ColumnElement[int]] = [func.coalesce(func.length(commits.c[name]), 0) for name in DOCUMENTS]
_SIZE = reduce(operator.add, _LENGTHS).label("size")
SIZES = any_of(lambda ids: select(commits.c.id, _SIZE).where(commits.c.id.in_(ids)))


class CommitPipelineJson(Struct, rename="camel"):
    """A pipeline to be committed (control-hub-rest.md, 4.2)."""

    name: str
    sdc_id: str | None = None
    pipeline_definition: str | None = None
    rules_definition: str | None = None
    library_definitions: str | None = None
    commit_message: str | None = None
    fragment: bool | None = False
    executor_type: str | None = None
    fail_if_exists: bool | None = False


class RulesJson(Struct, rename="camel"):
    """Rules of a commit."""

    id: str | None = None
    rules_definition: str | None = None


class PipelineJson(Struct, rename="camel"):
    """A pipeline commit (control-hub-rest.md, 4.3)."""

    pipeline_id: str | None = None
    commit_id: str | None = None
    organization: str | None = None
    name: str | None = None
    description: str | None = None
    version: str | None = None
    parent_version: str | None = None
    draft: bool | None = None
    message: str | None = field(default=None, name="commitMessage")
    commit_time: int | None = None
    committer: str | None = None
    creator: str | None = None
    last_modified_by: str | None = None
    last_modified_on: int | None = None
    sdc_id: str | None = None
    sdc_version: str | None = None
    executor_type: str | None = None
    execution_mode: str | None = None
    definition: str | None = field(default=None, name="pipelineDefinition")
    library_definitions: str | None = None
    current_rules: RulesJson | None = None
    pipeline_labels: list[LabelJson] | None = None
    fragment: bool | None = None
    fragment_commits: list[str] | None = field(default=None, name="fragmentCommitIds")


class DuplicatePipelineJson(Struct, rename="camel"):
    """How to copy a pipeline."""

    name_prefix: str
    description: str | None = None
    number_of_copies: Annotated[int, Meta(ge=1, le=1000)] = 1


def show_commit(commit: Row, pipeline: Row, full: bool = True) -> PipelineJson:
    """Return a commit in wire form; definitions only when ``full``: else the row may lack them."""
    texts = stored_labels(commit.definition) if full else pipeline.labels
    shown = show(
        PipelineJson,
        commit,
        creator=pipeline.creator,
        executor_type=pipeline.executor_type,
        fragment=pipeline.fragment,
        current_rules=RulesJson(commit.rules_id, commit.rules if full else None),
        pipeline_labels=[label_tree.show_label(text, commit.organization) for text in texts],
        **version_fields(commit, pipeline),
    )
    if not full:
        shown.definition = shown.library_definitions = None
    return shown


def shown(call: Call, commit_id: str) -> PipelineJson:
    """Return a commit with its definitions."""
    commit = store.fetch_commit(call, commit_id)
    return show_commit(commit, store.fetch_pipeline(call, commit.pipeline_id))


def show_full(call: Call, rows: list[Row]) -> list[PipelineJson]:
    """Return commits with their definitions."""
    parents = call.fetch_all(pipelines, [row.pipeline_id for row in rows], "Pipeline")
    return list(map(show_commit, rows, parents))


def show_latest(call: Call, rows: list[Row], only_published: bool = False) -> list[PipelineJson]:
    """Return pipelines by their latest commit, without definitions."""
    wanted = {row.id: row.latest_published if only_published else row.latest_commit for row in rows}
    found = {row.id: row for row in LIGHT_COMMITS(call.db, filter(None, wanted.values()))}
    return [show_commit(found[wanted[row.id]], row, full=False) for row in rows]


def fetch_allowed(call: Call, commit_id: str, action: str) -> Row:
    """Return a commit, of a pipeline on which the caller may do the action."""
    commit = store.fetch_commit(call, commit_id)
    check_permission(call, commit.pipeline_id, action)
    return commit


def fetch_for_answer(call: Call, commit_ids: Sequence[str]) -> list[Row]:
    """Return commits that the caller may read.

    Raises
    ------
    IssueError
        413 when they are too much for one answer; one that is asked for twice counts twice.
    """
    sizes = {row.id: row.size for row in SIZES(call.db, commit_ids)}
    if sum(sizes.get(commit_id, 0) for commit_id in commit_ids) > ANSWER_BYTES:
        raise too_large(f"the answer would have more than {ANSWER_BYTES} bytes; ask for fewer at once")
    rows = call.fetch_all(commits, commit_ids, "Pipeline commit")
    for pipeline_id in {row.pipeline_id for row in rows}:
        check_permission(call, pipeline_id, "READ")
    return rows


def fetch_allowed_pipeline(call: Call, pipeline_id: str, action: str) -> Row:
    """Return a pipeline on which the caller may do the action."""
    pipeline = store.fetch_pipeline(call, pipeline_id)
    check_permission(call, pipeline.id, action)
    return pipeline


def label_text(label: LabelJson) -> str:
    """Return the path of a label given by text or by id."""
    text = label.label or (label.id or "").rpartition(":")[0]
    if not text:
        raise bad_request("a pipeline label needs label or id")
    return text
