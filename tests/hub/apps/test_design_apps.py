"""Pipelines, topologies, connections, SLAs, reports, deployments, and the archives that carry them."""

import io
import json
import zipfile
from typing import Any

import pytest
from support.hub_driver import create_organization

from psrlib.hub.designs import archives

STORE = "/pipelinestore/rest/v1"


def zipped(**documents: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, document in documents.items():
            target.writestr(f"{name}.json", document if isinstance(document, bytes) else json.dumps(document))
    return buffer.getvalue()


def export(title: str, **metadata: Any) -> dict[str, Any]:
    config = {"title": title, "configuration": [], "stages": [], "metadata": metadata, "info": {}}
    return {"pipelineConfig": config, "pipelineRules": {"uuid": "1"}, "libraryDefinitions": None}


def test_one_call_commits_and_publishes(acme: Any) -> None:
    """Version 1, rules, label objects, and the hub's metadata in the definition."""
    made = acme.pipeline("Orders")
    assert (made["version"], made["draft"], made["commitMessage"]) == ("1", False, "first")
    assert made["pipelineLabels"] == [
        {"id": "prod/eu:acme", "label": "prod/eu", "parentId": "prod:acme", "organization": "acme"}
    ]
    metadata = json.loads(made["pipelineDefinition"])["metadata"]
    assert metadata["dpm.pipeline.id"] == made["pipelineId"]
    assert metadata["dpm.pipeline.rules.id"] == made["currentRules"]["id"]
    assert made["pipelineId"].endswith(":acme")
    assert [label["label"] for label in acme.get(f"{STORE}/pipelineLabels")] == ["prod", "prod/eu"]


def test_a_definition_that_names_its_pipeline_becomes_the_next_version(acme: Any) -> None:
    """dpm.pipeline.id in the metadata; importPipeline makes a new pipeline all the same."""
    first = acme.pipeline("Orders")
    body = {"name": "Orders", "pipelineDefinition": first["pipelineDefinition"], "commitMessage": "second"}
    second = acme.put(f"{STORE}/pipelines", body)
    assert (second["pipelineId"], second["version"]) == (first["pipelineId"], "2")
    third = acme.put(f"{STORE}/pipelines?importPipeline=True&newPipeline=False", body)
    assert third["pipelineId"] != first["pipelineId"]
    assert acme.get(f"{STORE}/pipelines/count") == {"count": 2}
    log = acme.get(f"{STORE}/pipeline/{first['pipelineId']}/log")
    assert [c["version"] for c in log] == ["2", "1"]


def test_drafts_are_saved_published_and_deleted(acme: Any) -> None:
    """newPipeline makes 1-DRAFT; publishing makes it 1; the next draft is 2-DRAFT."""
    draft = acme.put(f"{STORE}/pipelines?newPipeline=True", {"name": "New"})
    assert (draft["version"], draft["draft"]) == ("1-DRAFT", True)
    path = f"{STORE}/pipelineCommit/{draft['commitId']}"
    saved = acme.post(f"{path}?validate=True", draft | {"name": "Named", "pipelineLabels": [{"label": "x"}]})
    assert (saved["name"], [p["label"] for p in saved["pipelineLabels"]]) == ("Named", ["x"])
    assert acme.get(f"{STORE}/pipelines?onlyPublished=true")["totalCount"] == 0
    assert acme.post(f"{path}/publish?commitMessage=go")["version"] == "1"
    assert acme.call("POST", f"{path}/publish").status == 400
    assert acme.call("POST", path, saved).status == 400
    second = acme.post(f"{path}/createDraft")
    assert second["version"] == "2-DRAFT"
    assert acme.call("POST", f"{path}/createDraft").status == 400
    acme.call("DELETE", f"{STORE}/pipelineCommit/{second['commitId']}", expect=200)
    assert acme.get(f"{STORE}/pipeline/{draft['pipelineId']}/latest")["version"] == "1"


def test_listed_pipelines_have_no_definitions_and_bulk_reads_have(acme: Any) -> None:
    """The listing is always wrapped; POST pipelineCommit returns everything in the order asked."""
    made = [acme.pipeline(name) for name in ("B", "A")]
    page = acme.get(f"{STORE}/pipelines?len=-1")
    assert [p["name"] for p in page["data"]] == ["A", "B"]
    assert {p["pipelineDefinition"] for p in page["data"]} == {None}
    full = acme.post(f"{STORE}/pipelineCommit", [m["commitId"] for m in made])
    assert [json.loads(p["pipelineDefinition"])["title"] for p in full] == ["B", "A"]
    latest = acme.post(f"{STORE}/pipelines/latestCommit", [made[0]["pipelineId"]])
    assert latest[0]["commitId"] == made[0]["commitId"]
    labelled = acme.get(f"{STORE}/pipelines?pipelineLabelId=prod:acme")
    assert labelled["totalCount"] == 2


def test_a_zip_of_many_pipelines_is_imported_in_its_order(acme: Any) -> None:
    """All published at once, with the message; exported again they are the same documents."""
    content = zipped(one=export("One"), two=export("Two"))
    answer = acme.upload(f"{STORE}/pipelines/importPipelineCommits?commitMessage=moved", content)
    made = answer.json()
    assert [(p["name"], p["version"], p["commitMessage"]) for p in made] == [
        ("One", "1", "moved"),
        ("Two", "1", "moved"),
    ]
    ids = [p["commitId"] for p in made]
    back = acme.call("POST", f"{STORE}/pipelines/exportPipelineCommits", ids)
    with zipfile.ZipFile(io.BytesIO(back.content)) as archive:
        titles = [json.loads(archive.read(name))["pipelineConfig"]["title"] for name in archive.namelist()]
    assert titles == ["One", "Two"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"no zip", 400),
        (zipped(bad=b"{"), 400),
        (zipped(bad=b"[]"), 400),
        (zipped(good=export("Good"), bad={"x": 1}), 400),
        (zipped(untitled={"pipelineConfig": {}}), 400),
    ],
    ids=["no zip", "no JSON", "no object", "one bad of two", "no title"],
)
def test_a_bad_archive_imports_nothing(content: bytes, status: int, acme: Any) -> None:
    """All or nothing."""
    answer = acme.upload(f"{STORE}/pipelines/importPipelineCommits", content)
    assert answer.status == status, answer.content
    assert acme.get(f"{STORE}/pipelines/count") == {"count": 0}


def test_a_zip_bomb_is_stopped_while_it_unpacks(lite_acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are counted while unpacking, per entry, in total, and by number of entries: 413."""
    path = f"{STORE}/pipelines/importPipelineCommits"
    bomb = zipped(a=b" " * 3_000_000 + b"{}")
    assert len(bomb) < 10_000
    monkeypatch.setattr(archives, "MAX_ENTRY_BYTES", 1_000_000)
    assert lite_acme.upload(path, bomb).status == 413
    monkeypatch.setattr(archives, "MAX_ENTRY_BYTES", 10_000_000)
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1_000_000)
    assert lite_acme.upload(path, bomb).status == 413
    monkeypatch.setattr(archives, "MAX_ENTRIES", 1)
    assert lite_acme.upload(path, zipped(a=export("A"), b=export("B"))).status == 413


def test_archive_names_never_become_paths(lite_acme: Any, tmp_path: Any) -> None:
    """An entry named ../../x is a document like any other; exported names are plain."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("../../../escape.json", json.dumps(export("../../etc/passwd")))
    made = lite_acme.upload(f"{STORE}/pipelines/importPipelineCommits", buffer.getvalue()).json()
    assert made[0]["name"] == "../../etc/passwd"
    back = lite_acme.call("POST", f"{STORE}/pipelines/exportPipelineCommits", [made[0]["commitId"]])
    with zipfile.ZipFile(io.BytesIO(back.content)) as archive:
        assert "/" not in archive.namelist()[0]


def test_fragments_are_listed_apart_and_moved_to_new_versions(acme: Any) -> None:
    """updateFragmentVersion publishes a new version of each pipeline that uses the old commit."""
    fragment = {"title": "F", "configuration": [], "metadata": {}}
    body = {"name": "F", "pipelineDefinition": json.dumps(fragment), "fragment": True}
    old = acme.put(f"{STORE}/pipelines?fragment=true", body)
    new = acme.put(f"{STORE}/pipelines", body | {"pipelineDefinition": old["pipelineDefinition"]})
    document = {"title": "P", "configuration": [], "fragments": [json.loads(old["pipelineDefinition"])]}
    user = acme.put(f"{STORE}/pipelines", {"name": "P", "pipelineDefinition": json.dumps(document)})
    assert acme.get(f"{STORE}/pipelines/fragments")["totalCount"] == 1
    assert acme.get(f"{STORE}/pipelines")["totalCount"] == 1
    using = f"{STORE}/pipelineCommit/{old['commitId']}/pipelinesUsingFragment"
    assert [p["name"] for p in acme.get(using)] == ["P"]
    path = f"{STORE}/pipelines/updateFragmentVersion/{old['commitId']}/{new['commitId']}"
    moved = acme.post(path, [user["commitId"]])[0]
    assert (moved["version"], moved["fragmentCommitIds"]) == ("2", [new["commitId"]])


def test_what_a_job_uses_cannot_be_deleted(acme: Any) -> None:
    """Neither the pipeline nor the commit; after the job both can."""
    made = acme.pipeline()
    job = acme.job(pipeline=made)
    assert acme.call("DELETE", f"{STORE}/pipeline/{made['pipelineId']}").status == 400
    assert acme.call("DELETE", f"{STORE}/pipelineCommit/{made['commitId']}").status == 400
    acme.call("DELETE", f"/jobrunner/rest/v1/job/{job['id']}", expect=200)
    acme.call("DELETE", f"{STORE}/pipeline/{made['pipelineId']}", expect=200)
    assert acme.get(f"{STORE}/pipelines/count") == {"count": 0}


def test_duplicates_are_drafts_named_by_prefix(acme: Any) -> None:
    """One copy has the name, several a number."""
    path = f"{STORE}/pipelineCommit/{acme.pipeline()['commitId']}/duplicate"
    assert [p["name"] for p in acme.post(path, {"namePrefix": "C", "numberOfCopies": 2})] == ["C1", "C2"]
    copy = acme.post(path, {"namePrefix": "D", "numberOfCopies": 1})[0]
    assert (copy["name"], copy["draft"]) == ("D", True)


# what is wrong with a job, changes of a good body
WRONG_JOBS = [
    ("unknown commit", {"pipelineCommitId": "x:acme"}, 404),
    ("commit of another pipeline", {"pipelineId": "x:acme"}, 400),
    ("rules of another commit", {"rulesId": "x:acme"}, 400),
    ("no instances", {"numInstances": 0}, 400),
    ("parameters that are no JSON", {"runtimeParameters": "{"}, 400),
    ("empty name", {"name": " "}, 400),
    ("unknown executor", {"executorType": "TOASTER"}, 400),
    ("labels of the wrong type", {"labels": "all"}, 400),
]


@pytest.mark.parametrize(("change", "status"), [w[1:] for w in WRONG_JOBS], ids=[w[0] for w in WRONG_JOBS])
def test_a_wrong_job_is_refused_also_in_bulk(change: dict[str, Any], status: int, lite_acme: Any) -> None:
    """The good job beside it is not created either."""
    made = lite_acme.pipeline()
    good = {"name": "J", "pipelineId": made["pipelineId"], "pipelineCommitId": made["commitId"]}
    assert lite_acme.call("PUT", "/jobrunner/rest/v1/jobs", good | change).status == status
    bulk = lite_acme.call("PUT", "/jobrunner/rest/v1/jobs/createJobs", [good, good | change])
    assert bulk.status == status
    assert lite_acme.get("/jobrunner/rest/v1/jobs/count") == {"count": 0}


def test_jobs_are_exported_and_imported_with_their_pipeline(acme: Any) -> None:
    """Into another organization: pipeline and job are made there."""
    job = acme.job("Moved", rawJobTags=["a/b"], runtimeParameters='{"X": "1"}')
    archive = acme.call("POST", "/jobrunner/rest/v1/jobs/exportJobs", [job["id"]]).content
    beta = create_organization(acme.driver.login("admin@admin"), "beta")
    made = beta.upload("/jobrunner/rest/v1/jobs/importJobs", archive).json()[0]["minimalJobJson"]
    assert (made["name"], made["organization"], made["rawJobTags"]) == ("Moved", "beta", ["a/b"])
    assert made["pipelineId"].endswith(":beta")
    assert beta.get("/pipelinestore/rest/v1/pipelines/count") == {"count": 1}


def test_topologies_are_drafted_validated_and_carried_over(acme: Any) -> None:
    """TOPOLOGY_06 for a removed job; an archive brings topology, jobs and pipelines along."""
    job = acme.job("Node")
    node = {"nodeType": "JOB", "instanceName": "n", "jobId": job["id"], "pipelineCommitId": "other"}
    definition = json.dumps({"schemaVersion": "1", "topologyNodes": [node], "stageIcons": {}, "valid": True})
    draft = acme.put("/topology/rest/v1/topologies", {"name": "T", "topologyDefinition": definition})
    path = f"/topology/rest/v1/topology/{draft['commitId']}"
    assert acme.post(f"{path}/publish?commitMessage=go")["version"] == "1"
    issues = acme.get(f"{path}?validate=true")["issues"]
    assert [i["code"] for i in issues] == ["TOPOLOGY_08"]
    archive = acme.call("POST", "/topology/rest/v1/topologies/exportTopologies", [draft["commitId"]]).content
    beta = create_organization(acme.driver.login("admin@admin"), "beta")
    made = beta.upload("/topology/rest/v1/topologies/importTopologies", archive).json()[0]
    carried = json.loads(made["topologyDefinition"])["topologyNodes"][0]
    assert beta.get(f"/jobrunner/rest/v1/job/{carried['jobId']}")["name"] == "Node"
    acme.call("DELETE", f"/jobrunner/rest/v1/job/{job['id']}", expect=200)
    assert [i["code"] for i in acme.post(f"{path}/validate")] == ["TOPOLOGY_06"]


def test_connections_are_read_by_engines_with_an_audit(acme: Any) -> None:
    """The engine's call gets the values; use in pipelines is counted by metadata."""
    definition = json.dumps({"version": "2", "configuration": [{"name": "url", "value": "jdbc:x"}]})
    body = {"name": "Db", "connectionType": "JDBC", "connectionDefinition": definition}
    made = acme.put("/connection/rest/v1/connections", body | {"rawConnectionTags": ["t"]})
    engine = acme.engine()
    headers = {
        "X-Requested-By": "SDC",
        "X-SS-App-Component-Id": engine.id,
        "X-SS-App-Auth-Token": engine.token,
    }
    path = f"/connection/rest/v1/connection/{made['id']}"
    read = acme.driver.raw("GET", f"{path}/configs?user=admin%40acme", headers).json()
    assert read == {"type": "JDBC", "version": "2", "configuration": [{"name": "url", "value": "jdbc:x"}]}
    document = {"title": "P", "configuration": [], "metadata": {"dpm.pipeline.connections": made["id"]}}
    acme.put(f"{STORE}/pipelines", {"name": "P", "pipelineDefinition": json.dumps(document)})
    assert acme.get(f"{path}/countPipelineCommits") == {"count": 1}
    audits = acme.get("/connection/rest/v1/connections/acme/connectionAudits")
    assert [a["auditAction"] for a in audits] == ["READ", "CREATE"]
    page = acme.get("/connection/rest/v1/connections?organization=acme&withTotalCount=true")
    assert page["totalCount"] == 1


def test_report_definitions_and_slas_are_kept(acme: Any) -> None:
    """Definitions are stored, no reports are made; SLAs start inactive."""
    artifact = {"resourceId": acme.job()["id"], "resourceType": "JOB"}
    made = acme.put("/reporting/rest/v1/reports", {"name": "R", "reportArtifacts": [artifact]})
    base = f"/reporting/rest/v1/report/{made['id']}"
    assert acme.get(base)["reportArtifacts"] == [artifact]
    acme.call("POST", f"{base}/generateReport", expect=501)
    sla = acme.put("/sla/rest/v1/dataSlas", {"label": "S", "slaDefinition": "{}"})
    assert sla["slaStatus"] == "INACTIVE"
    assert acme.post("/sla/rest/v1/dataSlas/activateSlas", [sla["id"]])[0]["slaStatus"] == "ACTIVE"


def test_metrics_of_engines_are_taken_plain_and_in_snappy(acme: Any) -> None:
    """Both bodies of engine-protocol.md, 3.5; totals appear in the job's status."""
    import cramjam

    engine, job = acme.engine(), acme.job()
    acme.start(job)
    engine.run()
    counters = {"pipeline.batchInputRecords.counter": {"count": 7}}
    body = json.dumps([{"metadata": {"dpm.job.id": job["id"]}, "metrics": {"counters": counters}}]).encode()
    headers = {
        "X-Requested-By": "SDC",
        "X-SS-App-Component-Id": engine.id,
        "X-SS-App-Auth-Token": engine.token,
        "Content-Encoding": "snappy",
    }
    path = "/timeseries/rest/v1/metrics"
    packed = bytes(cramjam.snappy.compress(body))
    assert acme.driver.raw("POST", path, headers, packed).status == 200
    assert acme.status(job)["inputRecordCount"] == 7
    assert acme.driver.raw("POST", path, headers, b"not snappy").status == 400
    counts = acme.get(f"/timeseries/rest/v1/metrics/job/{job['id']}/recordCountsForAllRuns")
    assert (counts["0"]["inputCount"], counts["1"]["runCount"]) == (7, 1)
