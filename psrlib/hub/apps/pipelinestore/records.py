"""Pipelinestore app: records of pipelines and commits."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import select

from psrlib.hub.designs import labels as label_tree
from psrlib.hub.designs import pipelines as store
from psrlib.hub.designs.commits import stored_labels
from psrlib.hub.store.queries import Row, any_of
from psrlib.hub.store.schema.design import commits
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.routing import roles

EDITOR = roles("pipelinestore:pipelineEditor")
LIGHT_COMMITS = any_of(lambda ids: select(*store.LIGHT).where(commits.c.id.in_(ids)))
Copies = Annotated[int, Meta(ge=1, le=1000)]


class CommitPipelineJson(Struct):
    """A pipeline to be committed (control-hub-rest.md, 4.2)."""

    name: str
    sdcId: str | None = None
    pipelineDefinition: str | None = None
    rulesDefinition: str | None = None
    libraryDefinitions: str | None = None
    commitMessage: str | None = None
    fragment: bool | None = False
    executorType: str | None = None
    failIfExists: bool | None = False


class RulesJson(Struct):
    """Rules of a commit."""

    id: str | None = None
    rulesDefinition: str | None = None


class LabelJson(Struct):
    """A label or tag."""

    label: str | None = None
    id: str | None = None
    parentId: str | None = None
    organization: str | None = None


class PipelineJson(Struct):
    """A pipeline commit (control-hub-rest.md, 4.3)."""

    pipelineId: str | None = None
    commitId: str | None = None
    organization: str | None = None
    name: str | None = None
    description: str | None = None
    version: str | None = None
    parentVersion: str | None = None
    draft: bool | None = None
    commitMessage: str | None = None
    commitTime: int | None = None
    committer: str | None = None
    creator: str | None = None
    lastModifiedBy: str | None = None
    lastModifiedOn: int | None = None
    sdcId: str | None = None
    sdcVersion: str | None = None
    executorType: str | None = None
    executionMode: str | None = None
    pipelineDefinition: str | None = None
    libraryDefinitions: str | None = None
    currentRules: RulesJson | None = None
    pipelineLabels: list[LabelJson] | None = None
    fragment: bool | None = None
    fragmentCommitIds: list[str] | None = None


class DuplicatePipelineJson(Struct):
    """How to copy a pipeline."""

    namePrefix: str
    description: str | None = None
    numberOfCopies: Copies = 1


def pipeline_json(commit: Any, pipeline: Any, full: bool, texts: list[str] | None = None) -> dict[str, Any]:
    """Return a commit in wire form; definitions only when ``full``.

    ``texts`` are the commit's labels where they are known; else they are read from its definition, or are
    its pipeline's.
    """
    if texts is None:
        texts = stored_labels(commit.definition) if full else pipeline.labels
    return {
        "pipelineId": commit.pipeline_id,
        "commitId": commit.id,
        "organization": commit.organization,
        "name": commit.name,
        "description": commit.description,
        "version": version_text(commit.number, commit.draft),
        "draft": commit.draft,
        "commitMessage": commit.message,
        "commitTime": commit.commit_time,
        "committer": commit.committer,
        "parentVersion": str(commit.number - 1) if commit.number > 1 else None,
        "creator": pipeline.creator,
        "createdOn": pipeline.created_on,
        "lastModifiedBy": pipeline.last_modified_by,
        "lastModifiedOn": pipeline.last_modified_on,
        "sdcId": commit.sdc_id,
        "sdcVersion": commit.sdc_version,
        "executorType": pipeline.executor_type,
        "executionMode": commit.execution_mode,
        "pipelineDefinition": commit.definition if full else None,
        "libraryDefinitions": commit.library_definitions if full else None,
        "currentRules": {"id": commit.rules_id, "rulesDefinition": commit.rules if full else None},
        "pipelineLabels": [label_tree.show_label(text, commit.organization) for text in texts],
        "fragment": pipeline.fragment,
        "fragmentCommitIds": commit.fragment_commits,
        "templateCommitId": None,
    }


def version_text(number: int, draft: bool) -> str:
    """Return ``n``, or ``n-DRAFT`` for the draft that will be published as n."""
    return f"{number}-DRAFT" if draft else str(number)


def shown(call: Call, commit_id: str) -> dict[str, Any]:
    """Return a commit with its definitions."""
    commit = store.fetch_commit(call, commit_id)
    return pipeline_json(commit, store.fetch_pipeline(call, commit.pipeline_id), True)


def rows_json(call: Call, rows: list[Row], only_published: bool) -> list[dict[str, Any]]:
    """Return pipelines by their latest commit, without definitions."""
    wanted = {row.id: row.latest_published if only_published else row.latest_commit for row in rows}
    found = {row.id: row for row in LIGHT_COMMITS(call.db, filter(None, wanted.values()))}
    return [pipeline_json(found[wanted[row.id]], row, False) for row in rows]


def label_text(label: LabelJson) -> str:
    """Return the path of a label given by text or by id."""
    text = label.label or (label.id or "").rpartition(":")[0]
    if not text:
        raise bad_request("a pipeline label needs label or id")
    return text
