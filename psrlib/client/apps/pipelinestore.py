"""App ``pipelinestore``: pipelines, fragments and their commits (control-hub-rest, section 4)."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from psrlib.client.request import Upload
from psrlib.client.wire import Json, OwnedApp, rows

BASE = "/pipelinestore/rest/v1"
ZIP_LEVEL = 1  # definitions compress well at any level; the client's processor time is what counts


def export_archive(documents: Mapping[str, bytes]) -> bytes:
    """Return a zip with one pipeline export (JSON: ``pipelineConfig``, ``pipelineRules``, ...) per name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as archive:
        for name, text in documents.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


class PipelineStore(OwnedApp):
    """Pipelines and fragments of the session's organization."""

    ACL_PATH = f"{BASE}/pipeline/{{}}/acl"
    RESOURCE_TYPE = "PIPELINE"

    def pipelines(self) -> list[Json]:
        """Return all pipelines, latest commit each, without definitions."""
        return self._list(f"{BASE}/pipelines", "pipelines")

    def fragments(self) -> list[Json]:
        """Return all fragments, latest commit each, without definitions."""
        return self._list(f"{BASE}/pipelines/fragments", "fragments")

    def commits(self, commit_ids: Sequence[str]) -> list[Json]:
        """Return commits with their definitions."""
        return rows(self._post(f"{BASE}/pipelineCommit", "pipelines", list(commit_ids)), "pipeline commits")

    def import_pipelines(
        self, documents: Mapping[str, bytes], message: str, fragments: bool = False
    ) -> list[Json]:
        """Import and publish one pipeline per export document, JSON text; return the commits made."""
        upload = Upload("pipelines.zip", export_archive(documents))
        query = {"commitMessage": message, "fragments": fragments}
        path, kind = f"{BASE}/pipelines/importPipelineCommits", "fragments" if fragments else "pipelines"
        found = self._send_once(path, kind, query=query, upload=upload, method="POST")
        return rows(found, "imported pipelines")

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
        return self._send_once(f"{BASE}/pipelines", kind, body, query=query) or {}

    def import_new_version(self, pipeline_id: str, document: Json, message: str) -> Json:
        """Publish the next version of a pipeline from an export document."""
        path = f"{BASE}/pipeline/{pipeline_id}/importPipelineNewVersion"
        query = {"commitMessage": message}
        return self._send_once(path, "pipelines", document, query=query, method="POST") or {}

    def log(self, pipeline_id: str) -> list[Json]:
        """Return all commits of a pipeline, without definitions."""
        return self._list(f"{BASE}/pipeline/{pipeline_id}/log", "pipelines")

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
