"""Archives as real hubs and engines write them come out as they went in."""

import io
import json
import zipfile
from typing import Any

import pytest
from support.hub_driver import Session

IMPORT = "/pipelinestore/rest/v1/pipelines/importPipelineCommits"
EXPORT = "/pipelinestore/rest/v1/pipelines/exportPipelineCommits"
STAMPS = (  # what a hub writes into the metadata of what it publishes
    "dpm.base.url",
    "dpm.pipeline.id",
    "dpm.pipeline.commit.id",
    "dpm.pipeline.rules.id",
    "dpm.pipeline.version",
)
# The text of an export with what real ones hold: quotes as escaped control characters in the definitions of
# delimited data, limits of JavaScript beyond 64 bits, true NULs in values, characters of all kinds, numbers
# that are whole and not, settings of every shape, the metadata of another hub.
PIPELINE = r"""
{"pipelineConfig": {
  "schemaVersion": 6, "version": 18, "pipelineId": "Bestellen1f7c0d2e-6b1e-4d2c-8b1a-0d9a1f2b3c4d",
  "title": "Bestellungen → Lager (täglich) 😀", "description": "one\nline two\ttabbed \"quoted\" \\ back",
  "uuid": "3f0d2b9c-9a1d-4c53-8f6e-2f9d6f2d7a10",
  "configuration": [
    {"name": "executionMode", "value": "STANDALONE"},
    {"name": "constants", "value": [{"key": "P1", "value": "x"}, {"key": "EMPTY", "value": ""}]},
    {"name": "retryAttempts", "value": -1}, {"name": "rateLimit", "value": 0},
    {"name": "memoryLimit", "value": "${jvm:maxMemoryMB() * 0.85}"}, {"name": "shouldRetry", "value": true},
    {"name": "emailIDs", "value": []}, {"name": "nothing", "value": null}],
  "uiInfo": {"previewConfig": {"batchSize": 10, "timeout": 30000, "zoom": 0.75}},
  "fragments": [],
  "stages": [{
    "instanceName": "DevRawDataSource_01", "library": "streamsets-datacollector-dev-lib",
    "stageName": "com_streamsets_pipeline_stage_devtest_rawdata_RawDataDSource", "stageVersion": "3",
    "configuration": [
      {"name": "rawData", "value": "{\"f1\": \"abc\u0000\\u0000\", \"f2\": \"ü\"}"},
      {"name": "csvQuoteChar", "value": "\u0000"}, {"name": "csvEscapeChar", "value": "\\"},
      {"name": "longValue", "value": 9223372036854775807},
      {"name": "batchSize", "value": 1000}, {"name": "ratio", "value": 1.5e-7}],
    "uiInfo": {"label": "Dev Raw Data Source 1", "xPos": 60, "yPos": 50.5, "stageType": "SOURCE"},
    "inputLanes": [], "outputLanes": ["DevRawDataSource_01OutputLane16000000000000"], "eventLanes": [],
    "services": [{"service": "com.streamsets.pipeline.api.service.dataformats.DataFormatParserService",
      "serviceVersion": 1, "configuration": [{"name": "dataFormat", "value": "JSON"}]}]}],
  "errorStage": null, "statsAggregatorStage": null, "testOriginStage": null,
  "startEventStages": [], "stopEventStages": [],
  "info": {"pipelineId": "Bestellen", "title": "Bestellungen", "created": 1605123456789,
    "lastModified": 1605123456999, "creator": "jane@foreign", "lastModifier": "jane@foreign", "lastRev": "0",
    "uuid": "3f0d2b9c-9a1d-4c53-8f6e-2f9d6f2d7a10", "valid": true, "metadata": {"labels": []},
    "name": "Bestellen", "sdcVersion": "3.16.0", "sdcId": "SYSTEM_SDC_ID"},
  "metadata": {"labels": ["prod/eu", "Größe"], "dpm.pipeline.connections": "a1b2:foreign,c3d4:foreign",
    "dpm.base.url": "https://foreign.example", "dpm.pipeline.id": "f0:foreign",
    "dpm.pipeline.commit.id": "f1:foreign", "dpm.pipeline.rules.id": "f2:foreign",
    "dpm.pipeline.version": "7", "MICROSERVICE": true},
  "valid": true, "issues": {"stageIssues": {}, "pipelineIssues": [], "issueCount": 0}, "previewable": true},
 "pipelineRules": {"schemaVersion": 3, "version": 2, "metricsRuleDefinitions": [{"id": "badRecordsAlertID",
    "alertText": "High incidence of Error Records", "condition": "${value() > 100}", "enabled": false,
    "threshold": 99.0, "timestamp": 1605123456790}],
  "dataRuleDefinitions": [], "driftRuleDefinitions": [], "uuid": "7", "configuration": [
    {"name": "emailIDs", "value": []}, {"name": "webhookConfigs", "value": []}],
  "ruleIssues": [], "configIssues": []},
 "libraryDefinitions": {"schemaVersion": "1", "pipeline": [{"configDefinitions": [
    {"name": "retryAttempts", "min": -9223372036854776000, "max": 9223372036854776000,
     "defaultValue": -1, "elConstantDefinitionsIdx": []}]}],
  "stages": [{"name": "delimited", "configDefinitions": [
    {"name": "csvCustomQuote", "defaultValue": "\u0000", "description": "None is \\u0000"},
    {"name": "text", "defaultValue": "{\"escaped\": \"\\u0000\"}"}]}],
  "stageIcons": {"delimited.svg": "PHN2Zy8+"}}}
"""


def zipped(entries: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def imported(session: Session, archive: bytes) -> list[str]:
    answer = session.upload(IMPORT, archive)
    assert answer.status == 200, answer.content
    return [row["commitId"] for row in answer.json()]


def exported(session: Session, commits: list[str]) -> list[str]:
    """Return the texts in the archive that the hub writes."""
    with zipfile.ZipFile(io.BytesIO(session.call("POST", EXPORT, commits).content)) as archive:
        return [archive.read(name).decode() for name in archive.namelist()]


def canonical(text: str) -> str:
    """Return the text of an export without white space, and without what the hub itself writes into it."""
    document = json.loads(text)
    config = document.get("pipelineConfig") or document["pipelineFragmentConfig"]
    config["metadata"] = {k: v for k, v in config["metadata"].items() if k not in STAMPS}
    return json.dumps(document, separators=(",", ":"))


FRAGMENT = PIPELINE.replace('"pipelineConfig"', '"pipelineFragmentConfig"', 1).replace(
    '"schemaVersion": 6, "version": 18, "pipelineId"', '"schemaVersion": 6, "version": 3, "fragmentId"'
)


@pytest.mark.parametrize("text", [PIPELINE, FRAGMENT], ids=["pipeline", "fragment"])
def test_an_export_comes_out_as_it_went_in(text: str, acme: Session) -> None:
    """Every text, number and key in its order; twice, as the export of an import."""
    (first,) = exported(acme, imported(acme, zipped({"Bestellen1f7c0d2e:foreign.json": text})))
    (second,) = exported(acme, imported(acme, zipped({"again.json": first})))
    assert canonical(first) == canonical(second) == canonical(text)


def test_folders_and_connections_beside_the_pipelines_are_passed_over(lite_acme: Session) -> None:
    """As archives of a Mac and of newer engines hold them."""
    archive = zipped(
        {
            "__MACOSX/._a.json": "x",
            "folder/.DS_Store": "x",
            "folder/a.json": PIPELINE,
            "connections_metadata.json": '{"connections": []}',
        }
    )
    assert len(imported(lite_acme, archive)) == 1


def test_a_commit_is_read_as_it_was_sent(acme: Session) -> None:
    """The three documents of a commit that is sent as texts."""
    document: dict[str, Any] = json.loads(PIPELINE)
    texts = {
        "pipelineDefinition": json.dumps(document["pipelineConfig"]),
        "rulesDefinition": json.dumps(document["pipelineRules"]),
        "libraryDefinitions": json.dumps(document["libraryDefinitions"]),
    }
    made = acme.put("/pipelinestore/rest/v1/pipelines?importPipeline=true", {"name": "Orders"} | texts)
    shown = acme.get(f"/pipelinestore/rest/v1/pipelineCommit/{made['commitId']}")
    back = {
        "pipelineConfig": json.loads(shown["pipelineDefinition"]),
        "pipelineRules": json.loads(shown["currentRules"]["rulesDefinition"]),
        "libraryDefinitions": json.loads(shown["libraryDefinitions"]),
    }
    assert canonical(json.dumps(back)) == canonical(PIPELINE)


def test_a_job_comes_out_as_it_went_in(acme: Session) -> None:
    """With its pipeline; where it came from is told in a map, as the vendor's documents have it."""
    (commit,) = imported(acme, zipped({"a.json": PIPELINE}))
    row = acme.get(f"/pipelinestore/rest/v1/pipelineCommit/{commit}")
    job = acme.job("Nightly", row, runtimeParameters='{"P1": "\\u0000"}', rawJobTags=["prod/eu"])
    before = acme.call("POST", "/jobrunner/rest/v1/jobs/exportJobs", [job["id"]]).content
    with zipfile.ZipFile(io.BytesIO(before)) as archive:
        (name,) = archive.namelist()
        document = json.loads(archive.read(name))
    assert name == f"Nightly{job['id']}.json"
    document["minimalJobJson"]["provenanceMetaData"] = {"origin": "elsewhere"}
    acme.post("/jobrunner/rest/v1/jobs/deleteJobs", [job["id"]])
    path = "/jobrunner/rest/v1/jobs/importJobs?updateLabels=true&updateRuntimeParameters=true"
    answer = acme.upload(path, zipped({name: json.dumps(document)}))
    assert answer.status == 200, answer.content
    after = acme.call("POST", "/jobrunner/rest/v1/jobs/exportJobs", [job["id"]]).content
    with zipfile.ZipFile(io.BytesIO(after)) as archive:
        again = json.loads(archive.read(name))
    assert again["commitPipelineJson"] == document["commitPipelineJson"]
    assert again["minimalJobJson"] == document["minimalJobJson"] | {"provenanceMetaData": None}
