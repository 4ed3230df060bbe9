"""NUL characters: legal in definitions, on either database; refused in names and texts, which are columns."""

import io
import json
import zipfile
from typing import Any

import pytest
from support.hub_driver import pipeline_document

STORE = "/pipelinestore/rest/v1"
ESCAPED = r"\u0000"  # six characters, as they stand in the library definitions of delimited-data stages
TRUE = "a\x00b"


def archive(*documents: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number, document in enumerate(documents):
            file.writestr(f"{number}.json", json.dumps(document))
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return dict(json.loads(file.read(file.namelist()[0])))


def definition(text: str) -> dict[str, Any]:
    return pipeline_document("Orders", {"DELIMITER": text})


def constants(document: dict[str, Any]) -> list[dict[str, str]]:
    return next(entry["value"] for entry in document["configuration"] if entry["name"] == "constants")


@pytest.mark.parametrize("text", [ESCAPED, "\\" + ESCAPED, TRUE], ids=["escaped", "twice", "true"])
def test_an_archive_whose_definitions_hold_nul_comes_back_as_it_was(acme: Any, text: str) -> None:
    """Row 5 of the observations: 72 of 102 real archives hold the escaped one, and both are legal."""
    library = {"stageDefinitions": [{"defaultValue": text}]}
    document = {"pipelineConfig": definition(text), "libraryDefinitions": library}
    answer = acme.upload(f"{STORE}/pipelines/importPipelineCommits", archive(document))
    assert answer.status == 200, answer.content
    exported = acme.call("POST", f"{STORE}/pipelines/exportPipelineCommits", [answer.json()[0]["commitId"]])
    found = unpacked(exported.content)
    assert constants(found["pipelineConfig"]) == constants(document["pipelineConfig"])
    library_found = found["libraryDefinitions"]
    assert (json.loads(library_found) if isinstance(library_found, str) else library_found) == library


@pytest.mark.parametrize("text", [ESCAPED, TRUE], ids=["escaped", "true"])
def test_a_definition_with_nul_is_kept_in_every_body(acme: Any, text: str) -> None:
    """Row 5 of the observations: as a text in a body, and as the body; a job with it exports and imports."""
    pipeline = acme.pipeline("Orders", DELIMITER=text)
    base = f"{STORE}/pipeline/{pipeline['pipelineId']}"
    body = {"pipelineConfig": definition(text) | {"title": "Orders"}}
    second = acme.post(f"{base}/importPipelineNewVersion?commitMessage=2", body)
    for commit in (pipeline["commitId"], second["commitId"]):
        stored = acme.get(f"{STORE}/pipelineCommit/{commit}")["pipelineDefinition"]
        assert constants(json.loads(stored)) == [{"key": "DELIMITER", "value": text}]
    job = acme.job("Job", pipeline)
    exported = acme.call("POST", "/jobrunner/rest/v1/jobs/exportJobs", [job["id"]])
    imported = acme.upload("/jobrunner/rest/v1/jobs/importJobs?forceImport=true", exported.content)
    assert imported.status == 200, imported.content


def test_what_a_definition_gives_to_columns_is_without_nul(acme: Any) -> None:
    """Description, labels, mode and version are found and shown without it; the definition keeps it."""
    document = definition(TRUE) | {"description": TRUE, "metadata": {"labels": [f"x/{TRUE}"]}}
    document["configuration"].insert(0, {"name": "executionMode", "value": "STANDALONE\x00"})
    document["info"]["sdcVersion"] = "3.22.0\x00"
    body = {"name": "Orders", "commitMessage": "1", "pipelineDefinition": json.dumps(document)}
    made = acme.put(f"{STORE}/pipelines", body)
    stored = json.loads(acme.get(f"{STORE}/pipelineCommit/{made['commitId']}")["pipelineDefinition"])
    assert stored["description"] == TRUE
    assert acme.get(f"{STORE}/pipelines?organization=acme")["data"][0]["executionMode"] == "STANDALONE"


@pytest.mark.parametrize("name", [TRUE, "\x00"])
def test_a_name_with_nul_is_refused(acme: Any, name: str) -> None:
    """In a body, in an archive's title, and in the records of a job archive: 400 on either database."""
    answers = [
        acme.call("PUT", f"{STORE}/pipelines", {"name": name, "commitMessage": "1"}),
        acme.upload(
            f"{STORE}/pipelines/importPipelineCommits",
            archive({"pipelineConfig": definition("x") | {"title": name}}),
        ),
        acme.upload(
            "/jobrunner/rest/v1/jobs/importJobs", archive({"minimalJobJson": {"name": name, "labels": []}})
        ),
        acme.call("GET", f"{STORE}/pipelines?organization=acme&filterText=%00"),
        acme.call("GET", "/pipelinestore/rest/v1/pipelines?orgId=acme&orderBy=%00&pipelineLabelId=%00"),
    ]
    assert [answer.status for answer in answers[:4]] == [400] * 4
    assert answers[4].status < 500
