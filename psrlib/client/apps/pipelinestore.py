"""App ``pipelinestore``: pipelines, fragments and their commits (control-hub-rest, section 4)."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

from psrlib.client.request import Request, Upload
from psrlib.client.shapes import excerpt
from psrlib.client.wire import LIST_BYTES, Json, OwnedApp, Version

BASE = "/pipelinestore/rest/v1"
ZIP_LEVEL = 1  # definitions compress well at any level; the client's processor time is what counts


def export_archive(documents: Mapping[str, bytes]) -> bytes:
    """Return a zip with one pipeline export (JSON: ``pipelineConfig``, ``pipelineRules``, ...) per name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as archive:
        for name, text in documents.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


class Rules(Struct, rename="camel"):
    """The rules of a commit."""

    id: str | None = None
    rules_definition: str | None = None


class Pipeline(Struct, rename="camel"):
    """A commit of a pipeline or fragment in an answer (4.3); in listings its definitions are missing."""

    pipeline_id: str
    commit_id: str
    name: str
    version: Version
    current_rules: Rules | None = None
    rules_id: str | None = None


class Commit(Pipeline, rename="camel"):
    """What is kept of a commit with its definition: library definitions are twenty times as long."""

    commit_message: str | None = None
    pipeline_definition: str | None = None


class PipelineStore(OwnedApp):
    """Pipelines and fragments of the session's organization."""

    ACL_PATH = f"{BASE}/pipeline/{{}}/acl"
    RESOURCE_TYPE = "PIPELINE"

    def pipelines(self) -> list[Json]:
        """Return all pipelines, latest commit each, without definitions."""
        return self._list(f"{BASE}/pipelines", "pipelines", Pipeline)

    def fragments(self) -> list[Json]:
        """Return all fragments, latest commit each, without definitions."""
        return self._list(f"{BASE}/pipelines/fragments", "fragments", Pipeline)

    def commits(self, commit_ids: Sequence[str]) -> list[Json]:
        """Return commits with their definitions."""

        def read(content: bytes) -> list[Json]:
            found: list[Json] = excerpt(list[Commit])(content)
            told = {commit["commitId"] for commit in found if commit["pipelineDefinition"]}
            if lacking := set(commit_ids) - told:
                raise ValueError(f"without {len(lacking)} of {len(commit_ids)} definitions asked for")
            return found

        found: list[Json] = self._post(f"{BASE}/pipelineCommit", "pipelines", list(commit_ids), read=read)
        return found

    def import_pipelines(
        self, documents: Mapping[str, bytes], message: str, fragments: bool = False
    ) -> list[Json]:
        """Import and publish one pipeline per export document, JSON text; return the commits made."""
        upload = Upload("pipelines.zip", export_archive(documents))
        query = {"commitMessage": message, "fragments": fragments}
        path, kind = f"{BASE}/pipelines/importPipelineCommits", "fragments" if fragments else "pipelines"

        def read(content: bytes) -> list[Json]:
            made: list[Json] = excerpt(list[Pipeline])(content)
            if len(made) != len(documents):
                raise ValueError(f"{len(made)} commits for {len(documents)} documents")
            return made

        request = Request("POST", path, kind, query, None, upload, read=read, max_bytes=LIST_BYTES)
        made: list[Json] = self._session.answer(request).body
        return made

    def commit_pipeline(self, name: str, document: Json, message: str, fragment: bool = False) -> Json:
        """Commit and publish one pipeline in one call (4.2)."""
        config = document["pipelineFragmentConfig" if fragment else "pipelineConfig"]
        body = {
            "name": name,
            "commitMessage": message,
            "pipelineDefinition": _text(config),
            "rulesDefinition": _text(document.get("pipelineRules")),
            "libraryDefinitions": _text(document.get("libraryDefinitions")),
            "fragment": fragment,
        }
        query = {"fragment": True} if fragment else None
        kind = "fragments" if fragment else "pipelines"
        made: Json = self._send_once(f"{BASE}/pipelines", kind, excerpt(Pipeline), body, query=query)
        return made

    def import_new_version(self, pipeline_id: str, document: Json, message: str) -> Json:
        """Publish the next version of a pipeline from an export document."""
        path = f"{BASE}/pipeline/{pipeline_id}/importPipelineNewVersion"
        query = {"commitMessage": message}
        read = excerpt(Pipeline)
        made: Json = self._send_once(path, "pipelines", read, document, query=query, method="POST")
        return made

    def log(self, pipeline_id: str) -> list[Json]:
        """Return all commits of a pipeline, without definitions."""
        return self._list(f"{BASE}/pipeline/{pipeline_id}/log", "pipelines", Pipeline)

    def delete_commit(self, commit_id: str) -> None:
        """Delete one version of a pipeline."""
        self._delete(f"{BASE}/pipelineCommit/{commit_id}", "pipelines")

    def delete_pipeline(self, pipeline_id: str) -> None:
        """Delete a pipeline with all its versions."""
        self._delete(f"{BASE}/pipeline/{pipeline_id}", "pipelines")


def _text(document: Any) -> str | None:
    if document is None or isinstance(document, str):
        return document
    return orjson.dumps(document).decode()
