"""Pipeline commits that are made together: one statement per table, however many there are."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, select

from psrlib.hub.designs import labels
from psrlib.hub.events.triggers import fire
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import insert_acls
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.text import Json, JsonValue, dump
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import stored

TRANSFORMER_MODES = ("BATCH", "STREAMING")
MAX_TITLE = 255


class Commit(Struct):
    """A pipeline commit; fields are the columns of ``commits``."""

    id: str
    pipeline_id: str
    organization: str
    number: int
    draft: bool
    name: str
    description: str
    message: str
    committer: str
    commit_time: int
    sdc_id: str | None
    sdc_version: str | None
    execution_mode: str
    definition: str
    library_definitions: str | None
    rules_id: str
    rules: str
    fragment_commits: list[str]
    connections: list[str]


@dataclass(frozen=True)
class Content:
    """What a commit holds: title, pipeline configuration, rules, stage definitions, message."""

    name: str
    definition: Json
    rules: Json | None = None
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
    commits : list of Commit
        The commits made, in order.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.commits: list[Commit] = []
        self._labels: set[str] = set()
        self._new: dict[str, Json] = {}  # rows of new pipelines
        self._changed: dict[str, Json] = {}  # columns that change in the rows of known ones
        self._latest: dict[str, Row | Commit] = {}

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
        executor_type = executor_type or ("TRANSFORMER" if mode in TRANSFORMER_MODES else "COLLECTOR")
        pipeline_id = kept.pipeline_id or call.new_id(org)
        self._new[pipeline_id] = {
            "id": pipeline_id,
            "organization": org,
            "fragment": fragment,
            "executor_type": executor_type,
            "creator": call.principal.id,
            "created_on": call.now,
        }
        commit = new_commit(call, kept.commit_id, pipeline_id, org, kept.number, content, draft, sdc_id)
        return self._add(commit, pipeline_labels(content.definition))

    def know(self, rows: Iterable[Row]) -> None:
        """Read the latest versions of existing pipelines, which ``add_version`` continues."""
        found = _VERSIONS(self.call.db, [row.latest_commit for row in rows])
        self._latest.update({row.pipeline_id: row for row in found})

    def add_version(self, pipeline_id: str, content: Content, kept: Kept = _NOTHING) -> str:
        """Add the next published version of a known pipeline; return the commit id.

        Raises
        ------
        IssueError
            400 when the pipeline has a draft.
        """
        latest = self._latest[pipeline_id]
        if latest.draft:
            raise bad_request(f"pipeline '{pipeline_id}' has a draft; publish or delete it first")
        number = max(latest.number + 1, kept.number)
        org = latest.organization
        commit = new_commit(self.call, kept.commit_id, pipeline_id, org, number, content, draft=False)
        return self._add(commit, pipeline_labels(content.definition))

    def _add(self, commit: Commit, texts: list[str]) -> str:
        columns = self._new.get(commit.pipeline_id) or self._changed.setdefault(commit.pipeline_id, {})
        columns.update(settled(self.call, commit, texts))
        self.commits.append(commit)
        self._labels.update(texts)
        self._latest[commit.pipeline_id] = commit
        return commit.id

    def write(self) -> None:
        """Store everything, remember labels and fire the events of published versions."""
        if not self.commits:
            return
        call = self.call
        org = self.commits[0].organization
        if self._new:
            insert_rows(call.db, pipelines, list(self._new.values()))
            insert_acls(call, "PIPELINE", self._new, org)
        if self._changed:
            changed = [{"pipeline": key, **columns} for key, columns in self._changed.items()]
            call.db.execute(pipelines.update().where(pipelines.c.id == bindparam("pipeline")), changed)
        insert_rows(call.db, commits, [stored(commit, commits) for commit in self.commits])
        labels.remember(call, "PIPELINE", self._labels, org)
        announce(call, self.commits)


_VERSIONS = any_of(
    lambda ids: select(
        commits.c.pipeline_id, commits.c.organization, commits.c.number, commits.c.draft
    ).where(commits.c.id.in_(ids))
)


def settled(call: Call, commit: Commit, texts: list[str]) -> Json:
    """Return the columns of its pipeline that a new or changed commit with these labels sets."""
    values: Json = {
        "name": commit.name,
        "execution_mode": commit.execution_mode,
        "latest_commit": commit.id,
        "labels": texts,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    return values if commit.draft else values | {"latest_published": commit.id}


def announce(call: Call, made: Iterable[Commit]) -> None:
    """Fire the event of each published one of the commits."""
    for commit in made:
        if not commit.draft:
            values = {
                "PIPELINE_ID": commit.pipeline_id,
                "PIPELINE_NAME": commit.name,
                "PIPELINE_COMMIT_ID": commit.id,
                "PIPELINE_COMMITTER": commit.committer,
                "PIPELINE_COMMIT_TIME": str(commit.commit_time),
                "PIPELINE_VERSION": str(commit.number),
            }
            fire(call.hub.cache, call.db, commit.organization, "PIPELINE_COMMITTED", values, call.now)


def metadata_of(definition: Json) -> Json:
    """Return the metadata of a definition; empty when it has none."""
    metadata = definition.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def named_pipeline(definition: Json) -> str:
    """Return the id of the pipeline a definition says it is a version of; empty when it names none."""
    pipeline_id = metadata_of(definition).get("dpm.pipeline.id")
    return pipeline_id if isinstance(pipeline_id, str) else ""


def pipeline_labels(definition: Json) -> list[str]:
    """Return the label texts in a definition's metadata."""
    found = metadata_of(definition).get("labels")
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


class _Head(Struct):
    metadata: JsonValue = None


_HEAD = msgspec.json.Decoder(_Head)


def stored_labels(definition: str) -> list[str]:
    """Return the label texts in the JSON text of a definition, of which nothing else is decoded."""
    return pipeline_labels({"metadata": _HEAD.decode(definition).metadata})


def execution_mode(definition: Json) -> str:
    """Return the execution mode in a definition's configuration; STANDALONE when absent."""
    for entry in definition.get("configuration") or []:
        if isinstance(entry, dict) and entry.get("name") == "executionMode":
            return str(entry.get("value") or "STANDALONE")
    return "STANDALONE"


def new_commit(
    call: Call,
    commit_id: str | None,
    pipeline_id: str,
    organization: str,
    number: int,
    content: Content,
    draft: bool,
    sdc_id: str | None = None,
    rules_id: str | None = None,
) -> Commit:
    """Return a commit of a pipeline, with new ids where None is given.

    Raises
    ------
    IssueError
        400 for an empty or overlong title.
    """
    if not content.name.strip() or len(content.name) > MAX_TITLE:
        raise bad_request(f"the pipeline name must have 1 to {MAX_TITLE} characters")
    commit_id, rules_id = commit_id or call.new_id(organization), rules_id or call.new_id(organization)
    definition = content.definition
    if not draft:
        definition = stamp(definition, commit_id, pipeline_id, rules_id, number)
    info = definition.get("info")
    used = metadata_of(definition).get("dpm.pipeline.connections")
    return Commit(
        id=commit_id,
        pipeline_id=pipeline_id,
        organization=organization,
        number=number,
        draft=draft,
        name=content.name,
        description=str(definition.get("description") or ""),
        message=content.message,
        committer=call.principal.id,
        commit_time=call.now,
        sdc_id=sdc_id,
        sdc_version=str(info.get("sdcVersion") or "") if isinstance(info, dict) else None,
        execution_mode=execution_mode(definition),
        definition=dump(definition),
        library_definitions=content.library,
        rules_id=rules_id,
        rules=dump(EMPTY_RULES if content.rules is None else content.rules),
        fragment_commits=_fragments(definition),
        connections=[c for c in str(used).split(",") if c] if used else [],
    )


def _fragments(definition: Json) -> list[str]:
    parts = [part for part in definition.get("fragments") or [] if isinstance(part, dict)]
    found = [metadata_of(part).get("dpm.pipeline.commit.id") for part in parts]
    return [commit for commit in found if isinstance(commit, str)]


def stamp(definition: Json, commit_id: str, pipeline_id: str, rules_id: str, number: int) -> Json:
    """Return the definition with the hub's metadata of a published version (control-hub-rest.md, 4.4)."""
    stamped = {
        "dpm.pipeline.id": pipeline_id,
        "dpm.pipeline.commit.id": commit_id,
        "dpm.pipeline.rules.id": rules_id,
        "dpm.pipeline.version": str(number),
    }
    return definition | {"metadata": metadata_of(definition) | stamped}


def version_text(number: int, draft: bool) -> str:
    """Return ``n``, or ``n-DRAFT`` for the draft that will be published as n."""
    return f"{number}-DRAFT" if draft else str(number)


# the smallest rules (pipeline-json.md, 5)
EMPTY_RULES: Json = {
    "schemaVersion": 3,
    "version": 2,
    "metricsRuleDefinitions": [],
    "dataRuleDefinitions": [],
    "driftRuleDefinitions": [],
    "uuid": "00000000-0000-0000-0000-000000000000",
    "configuration": [{"name": "emailIDs", "value": []}, {"name": "webhookConfigs", "value": []}],
}
