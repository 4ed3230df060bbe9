"""Pipeline commits that are made together: one statement per table, however many there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.designs import labels
from psrlib.hub.events.triggers import pipelines_committed
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import insert_acls
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.text import dump
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request

TRANSFORMER_MODES = ("BATCH", "STREAMING")
MAX_TITLE = 255


@dataclass(frozen=True)
class Content:
    """What a commit holds: title, pipeline configuration, rules, stage definitions, message."""

    name: str
    definition: dict[str, Any]
    rules: dict[str, Any] | None = None
    library: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Kept:
    """What an imported commit keeps of where it comes from: ids in the organization, None for new ones."""

    pipeline_id: str | None = None
    commit_id: str | None = None
    number: int = 1


_NOTHING = Kept()


class CommitBatch:
    """Collects new pipelines and versions of one call; ``write`` stores them.

    Attributes
    ----------
    commits : list of dict
        Rows of the commits made, in order.
    labels : list of list of str
        Labels of each of them.
    pipelines : dict of str to dict
        Rows of the pipelines made or changed, by id, as they are after ``write``.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.commits: list[dict[str, Any]] = []
        self.labels: list[list[str]] = []
        self.pipelines: dict[str, dict[str, Any]] = {}
        self._new: set[str] = set()
        self._latest: dict[str, tuple[int, bool]] = {}  # version number, and whether it is a draft

    def add_pipeline(
        self,
        content: Content,
        *,
        draft: bool = False,
        fragment: bool = False,
        executor_type: str | None = None,
        sdc_id: str | None = None,
        kept: Kept = _NOTHING,
    ) -> str:
        """Add a pipeline with its first commit; return the commit id."""
        call, org = self.call, self.call.organization
        if not fragment:
            configuration.check_room(
                call.hub.cache, call.db, org, configuration.MAX_PIPELINES, pipelines, "pipelines"
            )
        mode = execution_mode(content.definition)
        pipeline_id = kept.pipeline_id or call.new_id(org)
        self._new.add(pipeline_id)
        self.pipelines[pipeline_id] = {
            "id": pipeline_id,
            "organization": org,
            "fragment": fragment,
            "template": False,
            "executor_type": executor_type or ("TRANSFORMER" if mode in TRANSFORMER_MODES else "COLLECTOR"),
            "latest_published": None,
            "creator": call.principal.id,
            "created_on": call.now,
        }
        return self._add(pipeline_id, kept.number, content, draft, sdc_id, kept.commit_id)

    def know(self, rows: Iterable[Row]) -> None:
        """Read the latest versions of existing pipelines, which ``add_version`` continues."""
        self.pipelines.update({row.id: row._asdict() for row in rows})
        ids = [row["latest_commit"] for row in self.pipelines.values() if "latest_commit" in row]
        found = _VERSIONS(self.call.db, ids)
        self._latest.update({row.pipeline_id: (row.number, row.draft) for row in found})

    def add_version(self, pipeline_id: str, content: Content, kept: Kept = _NOTHING) -> str:
        """Add the next published version of a known pipeline; return the commit id.

        Raises
        ------
        IssueError
            400 when the pipeline has a draft.
        """
        number, draft = self._latest[pipeline_id]
        if draft:
            raise bad_request(f"pipeline '{pipeline_id}' has a draft; publish or delete it first")
        return self._add(pipeline_id, max(number + 1, kept.number), content, False, None, kept.commit_id)

    def _add(
        self,
        pipeline_id: str,
        number: int,
        content: Content,
        draft: bool,
        sdc_id: str | None,
        kept_id: str | None,
    ) -> str:
        check_name(content.name)
        pipeline = self.pipelines[pipeline_id]
        commit_id = kept_id or self.call.new_id(pipeline["organization"])
        row = commit_row(self.call, commit_id, pipeline, number, content, draft)
        row["sdc_id"] = sdc_id
        texts = pipeline_labels(content.definition)
        pipeline.update(settled(self.call, row, texts))
        self.commits.append(row)
        self.labels.append(texts)
        self._latest[pipeline_id] = (number, draft)
        return commit_id

    def write(self) -> None:
        """Store everything, remember labels and fire the events of published versions."""
        if not self.commits:
            return
        call = self.call
        org = self.commits[0]["organization"]
        new = [self.pipelines[key] for key in self._new]
        changed = {row["pipeline_id"] for row in self.commits} - self._new
        if new:
            insert_rows(call.db, pipelines, new)
            insert_acls(call, "PIPELINE", self._new, org)
        if changed:
            call.db.execute(_UPDATE_PIPELINE, [_changes(self.pipelines[key]) for key in changed])
        insert_rows(call.db, commits, self.commits)
        labels.remember(call, "PIPELINE", chain.from_iterable(self.labels), org)
        pipelines_committed(call, [row for row in self.commits if not row["draft"]])


_VERSIONS = any_of(
    lambda ids: select(commits.c.pipeline_id, commits.c.number, commits.c.draft).where(commits.c.id.in_(ids))
)
SETTLED = (
    "name",
    "execution_mode",
    "latest_commit",
    "latest_published",
    "labels",
    "last_modified_by",
    "last_modified_on",
)
_UPDATE_PIPELINE = (
    pipelines.update()
    .where(pipelines.c.id == bindparam("pipeline"))
    .values({name: bindparam(f"new_{name}") for name in SETTLED})
)


def _changes(pipeline: dict[str, Any]) -> dict[str, Any]:
    return {"pipeline": pipeline["id"], **{f"new_{name}": pipeline[name] for name in SETTLED}}


def settled(call: Call, commit: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """Return what a new or changed commit with these labels makes of its pipeline's row."""
    values = {
        "name": commit["name"],
        "execution_mode": commit["execution_mode"],
        "latest_commit": commit["id"],
        "labels": texts,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    if not commit["draft"]:
        values["latest_published"] = commit["id"]
    return values


def check_name(name: str) -> None:
    """Refuse an empty or overlong title."""
    if not name.strip() or len(name) > MAX_TITLE:
        raise bad_request(f"the pipeline name must have 1 to {MAX_TITLE} characters")


def pipeline_labels(definition: dict[str, Any]) -> list[str]:
    """Return the label texts in a definition's metadata."""
    metadata = definition.get("metadata")
    found = metadata.get("labels") if isinstance(metadata, dict) else None
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


class _Head(Struct):
    metadata: Any = None


_HEAD = msgspec.json.Decoder(_Head)


def stored_labels(definition: str) -> list[str]:
    """Return the label texts in the JSON text of a definition, of which nothing else is decoded."""
    return pipeline_labels({"metadata": _HEAD.decode(definition).metadata})


def execution_mode(definition: dict[str, Any]) -> str:
    """Return the execution mode in a definition's configuration; STANDALONE when absent."""
    for entry in definition.get("configuration") or []:
        if isinstance(entry, dict) and entry.get("name") == "executionMode":
            return str(entry.get("value") or "STANDALONE")
    return "STANDALONE"


def commit_row(
    call: Call, commit_id: str, pipeline: Mapping[str, Any], number: int, content: Content, draft: bool
) -> dict[str, Any]:
    """Return the row of a commit of a pipeline, whose row needs ``id`` and ``organization`` only."""
    org = pipeline["organization"]
    rules_id = call.new_id(org)
    definition = content.definition
    if not draft:
        definition = stamp(definition, commit_id, pipeline["id"], rules_id, number)
    info = definition.get("info")
    metadata = definition.get("metadata")
    used = metadata.get("dpm.pipeline.connections") if isinstance(metadata, dict) else None
    return {
        "id": commit_id,
        "pipeline_id": pipeline["id"],
        "organization": org,
        "number": number,
        "draft": draft,
        "name": content.name,
        "description": str(definition.get("description") or ""),
        "message": content.message,
        "committer": call.principal.id,
        "commit_time": call.now,
        "sdc_version": str(info.get("sdcVersion") or "") if isinstance(info, dict) else None,
        "execution_mode": execution_mode(definition),
        "definition": dump(definition),
        "library_definitions": content.library,
        "rules_id": rules_id,
        "rules": dump(empty_rules() if content.rules is None else content.rules),
        "fragment_commits": _fragments(definition),
        "connections": [c for c in str(used).split(",") if c] if used else [],
    }


def _fragments(definition: dict[str, Any]) -> list[str]:
    found = []
    for fragment in definition.get("fragments") or []:
        metadata = fragment.get("metadata") if isinstance(fragment, dict) else None
        commit = metadata.get("dpm.pipeline.commit.id") if isinstance(metadata, dict) else None
        if isinstance(commit, str):
            found.append(commit)
    return found


def stamp(
    definition: dict[str, Any], commit_id: str, pipeline_id: str, rules_id: str, number: int
) -> dict[str, Any]:
    """Return the definition with the hub's metadata of a published version (control-hub-rest.md, 4.4)."""
    metadata = definition.get("metadata")
    stamped = {
        "dpm.pipeline.id": pipeline_id,
        "dpm.pipeline.commit.id": commit_id,
        "dpm.pipeline.rules.id": rules_id,
        "dpm.pipeline.version": str(number),
    }
    return definition | {"metadata": (metadata if isinstance(metadata, dict) else {}) | stamped}


def empty_rules() -> dict[str, Any]:
    """Return the smallest rules (pipeline-json.md, 5)."""
    return {
        "schemaVersion": 3,
        "version": 2,
        "metricsRuleDefinitions": [],
        "dataRuleDefinitions": [],
        "driftRuleDefinitions": [],
        "uuid": "00000000-0000-0000-0000-000000000000",
        "configuration": [{"name": "emailIDs", "value": []}, {"name": "webhookConfigs", "value": []}],
    }
