"""Pipeline commits that are made together: one statement per table, however many there are."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import bindparam, select

from psrlib.hub.designs import labels
from psrlib.hub.designs.checks import check_definition
from psrlib.hub.events.triggers import fire, moment_text
from psrlib.hub.security import configuration
from psrlib.hub.security.acl import insert_acls
from psrlib.hub.store.queries import Row, any_of, insert_rows
from psrlib.hub.store.schema.design import commits, pipelines
from psrlib.hub.store.text import Json, dump, load, without_nul
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request, check_name
from psrlib.hub.web.limits import BATCH_BYTES, check_depth, too_large

TRANSFORMER_MODES = ("BATCH", "STREAMING")
DOCUMENTS = ("definition", "rules", "library_definitions")  # columns of a commit that may be long


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
    commits : list of dict
        The rows of the commits made, in order.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.commits: list[Json] = []
        self._size = 0
        self._labels: set[str] = set()
        self._new: dict[str, Json] = {}  # rows of new pipelines
        self._changed: dict[str, Json] = {}  # columns that change in the rows of known ones
        self._latest: dict[str, tuple[int, bool, str]] = {}  # number, whether a draft, organization

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
        return self._add(pipeline_id, org, content, kept.commit_id, kept.number, draft, sdc_id)

    def know(self, rows: Iterable[Row]) -> None:
        """Read the latest versions of existing pipelines, which ``add_version`` continues."""
        found = _VERSIONS(self.call.db, [row.latest_commit for row in rows])
        self._latest |= {row.pipeline_id: (row.number, row.draft, row.organization) for row in found}

    def add_version(self, pipeline_id: str, content: Content, kept: Kept = _NOTHING) -> str:
        """Add the next published version of a known pipeline; return the commit id.

        Raises
        ------
        IssueError
            400 when the pipeline has a draft.
        """
        latest, is_draft, org = self._latest[pipeline_id]
        if is_draft:
            raise bad_request(f"pipeline '{pipeline_id}' has a draft; publish or delete it first")
        return self._add(pipeline_id, org, content, kept.commit_id, max(latest + 1, kept.number))

    def _add(
        self,
        pipeline_id: str,
        org: str,
        content: Content,
        commit_id: str | None,
        number: int,
        draft: bool = False,
        sdc_id: str | None = None,
    ) -> str:
        commit_id = commit_id or self.call.new_id(org)
        ids = (pipeline_id, commit_id, self.call.new_id(org))
        commit = commit_row(self.call, content, ids, org, number, draft, sdc_id)
        self._size += sum(len(commit[name] or "") for name in DOCUMENTS)
        if self._size > BATCH_BYTES:
            raise too_large(f"one call makes at most {BATCH_BYTES} bytes of pipelines; send fewer at once")
        texts = pipeline_labels(content.definition)
        columns = self._new.get(pipeline_id) or self._changed.setdefault(pipeline_id, {})
        columns.update(pipeline_columns(self.call, commit, texts))
        self.commits.append(commit)
        self._labels.update(texts)
        self._latest[pipeline_id] = (number, draft, org)
        return commit_id

    def write(self) -> None:
        """Store everything, remember labels and fire the events of published versions.

        403 where new pipelines are more than the organization's limit has room for.
        """
        if not self.commits:
            return
        call = self.call
        org = self.commits[0]["organization"]
        if self._new:
            limit, n = configuration.MAX_PIPELINES, len(self._new)
            configuration.check_room(
                call.hub.cache, call.db, org, limit, pipelines, "pipelines and fragments", n
            )
            insert_rows(call.db, pipelines, list(self._new.values()))
            insert_acls(call, "PIPELINE", self._new, org)
        if self._changed:
            changed = [{"pipeline": key, **columns} for key, columns in self._changed.items()]
            call.db.execute(pipelines.update().where(pipelines.c.id == bindparam("pipeline")), changed)
        insert_rows(call.db, commits, self.commits)
        labels.remember(call, "PIPELINE", self._labels, org)
        announce(call, self.commits)


_VERSIONS = any_of(
    lambda ids: select(
        commits.c.pipeline_id, commits.c.organization, commits.c.number, commits.c.draft
    ).where(commits.c.id.in_(ids))
)


def pipeline_columns(call: Call, commit: Json, texts: list[str]) -> Json:
    """Return the columns of its pipeline that a new or changed commit with these labels sets."""
    values: Json = {
        "name": commit["name"],
        "execution_mode": commit["execution_mode"],
        "latest_commit": commit["id"],
        "labels": texts,
        "last_modified_by": call.principal.id,
        "last_modified_on": call.now,
    }
    return values if commit["draft"] else values | {"latest_published": commit["id"]}


def announce(call: Call, made: Iterable[Json]) -> None:
    """Fire the event of each published one of the commits."""
    for commit in made:
        if not commit["draft"]:
            values = {
                "PIPELINE_ID": commit["pipeline_id"],
                "PIPELINE_NAME": commit["name"],
                "PIPELINE_COMMIT_ID": commit["id"],
                "PIPELINE_COMMITTER": commit["committer"],
                "PIPELINE_COMMIT_TIME": moment_text(commit["commit_time"]),
                "PIPELINE_VERSION": str(commit["number"]),
            }
            fire(call.hub.cache, call.db, commit["organization"], "PIPELINE_COMMITTED", values, call.now)


def metadata_of(definition: Json) -> Json:
    """Return the metadata of a definition; empty when it has none."""
    metadata = definition.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def named_pipeline(definition: Json) -> str:
    """Return the id of the pipeline a definition says it is a version of; empty when it names none."""
    pipeline_id = metadata_of(definition).get("dpm.pipeline.id")
    return without_nul(pipeline_id) if isinstance(pipeline_id, str) else ""


def pipeline_labels(definition: Json) -> list[str]:
    """Return the label texts in a definition's metadata."""
    found = metadata_of(definition).get("labels")
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def stored_labels(definition: str) -> list[str]:
    """Return the label texts in the JSON text of a definition."""
    return pipeline_labels(load(definition))


def execution_mode(definition: Json) -> str:
    """Return the execution mode in a definition's configuration; STANDALONE when absent."""
    for entry in definition.get("configuration") or []:
        if isinstance(entry, dict) and entry.get("name") == "executionMode":
            return without_nul(str(entry.get("value") or "STANDALONE"))
    return "STANDALONE"


def commit_row(
    call: Call,
    content: Content,
    ids: tuple[str, str, str],
    organization: str,
    number: int,
    draft: bool,
    sdc_id: str | None,
) -> Json:
    """Return the row of a commit; ``ids`` are those of the pipeline, the commit and its rules.

    Raises
    ------
    IssueError
        400 for an empty or overlong title, and for documents that are nested too deep or not JSON.
    """
    pipeline_id, commit_id, rules_id = ids
    definition = content.definition
    check_depth(definition, "the pipeline's definition")
    check_depth(content.rules or {}, "its rules")
    _check_library(content.library)
    if not draft:
        definition = stamp(call, definition, ids, number)
    check_definition(call, content.definition)
    info = definition.get("info")
    return {
        "id": commit_id,
        "pipeline_id": pipeline_id,
        "organization": organization,
        "number": number,
        "draft": draft,
        "name": check_name(content.name, "pipeline name"),
        "description": without_nul(str(definition.get("description") or "")),
        "message": content.message,
        "committer": call.principal.id,
        "commit_time": call.now,
        "sdc_id": sdc_id,
        "sdc_version": without_nul(str(info.get("sdcVersion") or "")) if isinstance(info, dict) else None,
        "execution_mode": execution_mode(definition),
        "definition": dump(definition),
        "library_definitions": content.library or None,
        "rules_id": rules_id,
        "rules": dump(EMPTY_RULES if content.rules is None else content.rules),
        "fragment_commits": _fragments(definition),
        "connections": used_connections(definition),
    }


def used_connections(definition: Json) -> list[str]:
    """Return the ids of the connections a definition uses: one text, ids joined by commas.

    Anything else is none: a real hub does not read a list.

    Examples
    --------
    >>> used_connections({"metadata": {"dpm.pipeline.connections": "a:acme,b:acme"}})
    ['a:acme', 'b:acme']
    >>> used_connections({"metadata": {"dpm.pipeline.connections": ["a:acme"]}})
    []
    """
    used = metadata_of(definition).get("dpm.pipeline.connections")
    return [part.strip() for part in used.split(",") if part.strip()] if isinstance(used, str) else []


def _check_library(text: str | None) -> None:
    try:
        msgspec.json.decode(text or "{}", type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise bad_request(f"libraryDefinitions is not JSON: {error}") from error


def _fragments(definition: Json) -> list[str]:
    parts = [part for part in definition.get("fragments") or [] if isinstance(part, dict)]
    found = [metadata_of(part).get("dpm.pipeline.commit.id") for part in parts]
    return [commit for commit in found if isinstance(commit, str)]


def stamp(call: Call, definition: Json, ids: tuple[str, str, str], number: int) -> Json:
    """Return the definition with the hub's metadata of a published version (control-hub-rest.md, 4.4).

    ``ids`` are those of the pipeline, the commit and its rules.
    """
    pipeline_id, commit_id, rules_id = ids
    stamped = {
        "dpm.base.url": call.hub.url,
        "dpm.pipeline.id": pipeline_id,
        "dpm.pipeline.commit.id": commit_id,
        "dpm.pipeline.rules.id": rules_id,
        "dpm.pipeline.version": str(number),
    }
    return definition | {"metadata": metadata_of(definition) | stamped}


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
