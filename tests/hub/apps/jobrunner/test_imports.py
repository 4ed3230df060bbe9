"""Archives of jobs and topologies meet what is here already: updated, versioned, or created."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from support.hub_driver import create_organization

JOBS = "/jobrunner/rest/v1/jobs"
TOPOLOGIES = "/topology/rest/v1/topologies"
FLAGS = ("updateNumInstances", "updateRuntimeParameters", "updateLabels", "updateMigrateOffsets")


def export(session: Any, *ids: str, path: str = f"{JOBS}/exportJobs") -> bytes:
    return bytes(session.call("POST", path, list(ids)).content)


def documents(archive: bytes) -> list[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [json.loads(opened.read(name)) for name in opened.namelist()]


def packed(*contents: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.json", json.dumps(content))
    return buffer.getvalue()


def load_jobs(session: Any, archive: bytes, query: str = "", expect: int = 200) -> list[dict[str, Any]]:
    answer = session.upload(f"{JOBS}/importJobs{query}", archive)
    assert answer.status == expect, answer.content
    return [part["minimalJobJson"] for part in answer.json()] if expect == 200 else []


def asked(*on: str, off: tuple[str, ...] = ()) -> str:
    return "?" + "&".join([f"{name}=True" for name in on] + [f"{name}=False" for name in off])


def second_version(session: Any, commit: dict[str, Any]) -> dict[str, Any]:
    draft = session.post(f"/pipelinestore/rest/v1/pipelineCommit/{commit['commitId']}/createDraft")
    path = f"/pipelinestore/rest/v1/pipelineCommit/{draft['commitId']}/publish?commitMessage=second"
    return dict(session.post(path))


@pytest.fixture
def beta(acme: Any) -> Any:
    """The administrator of another organization on the same hub."""
    return create_organization(acme.driver.login("admin@admin"), "beta")


def rich_job(session: Any, pipeline: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(
        session.job(
            "Nightly",
            pipeline,
            labels=["east"],
            numInstances=3,
            migrateOffsets=False,
            runtimeParameters='{"X": "1"}',
            rawJobTags=["a/b"],
        )
    )


def test_a_new_job_keeps_its_id_and_takes_what_the_flags_name(acme: Any, beta: Any) -> None:
    """The uuid stays, the organization is the importing one's; the pipeline comes along with its version."""
    job = rich_job(acme, second_version(acme, acme.pipeline()))
    made = load_jobs(beta, export(acme, job["id"]), asked(*FLAGS))[0]
    assert made["id"] == job["id"].replace(":acme", ":beta")
    assert made["pipelineId"] == job["pipelineId"].replace(":acme", ":beta")
    assert made["pipelineCommitId"] == job["pipelineCommitId"].replace(":acme", ":beta")
    assert (made["labels"], made["numInstances"], made["migrateOffsets"]) == (["east"], 3, False)
    assert (made["runtimeParameters"], made["rawJobTags"]) == ('{"X": "1"}', ["a/b"])
    assert made["pipelineCommitLabel"] == "v2"


def test_a_new_job_has_the_defaults_of_what_the_flags_leave_out(acme: Any, beta: Any) -> None:
    """Without flags: one instance, no parameters, no labels; tags and failover as exported."""
    made = load_jobs(beta, export(acme, rich_job(acme)["id"]))[0]
    assert (made["labels"], made["numInstances"], made["runtimeParameters"]) == ([], 1, None)
    assert (made["migrateOffsets"], made["rawJobTags"]) == (False, ["a/b"])


CHANGES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], Any, Any]] = {
    # flag: field, what it is in the archive, what the organization had changed it to
    "updateNumInstances": ("numInstances", lambda job: job["numInstances"], 3, 7),
    "updateRuntimeParameters": (
        "runtimeParameters",
        lambda job: job["runtimeParameters"],
        '{"X": "1"}',
        '{"X": "2"}',
    ),
    "updateLabels": ("labels", lambda job: job["labels"], ["east"], ["west"]),
    "updateMigrateOffsets": ("migrateOffsets", lambda job: job["migrateOffsets"], False, True),
}


@pytest.mark.parametrize("flag", CHANGES)
@pytest.mark.parametrize("on", [True, False])
def test_a_flag_decides_whether_a_job_that_is_here_is_changed(flag: str, on: bool, acme: Any) -> None:
    """The archive's value overwrites the job's, or the job's own stays; no second job appears."""
    job = rich_job(acme)
    archive = export(acme, job["id"])
    field, read, exported, changed = CHANGES[flag]
    acme.post(f"/jobrunner/rest/v1/job/{job['id']}", job | {field: changed, "name": "Renamed"})
    others = tuple(name for name in FLAGS if name != flag)
    query = asked(flag, off=others) if on else asked(off=FLAGS)
    made = load_jobs(acme, archive, query)[0]
    assert (made["id"], read(made)) == (job["id"], exported if on else changed)
    assert made["name"] == "Renamed"
    assert acme.get(f"{JOBS}/count") == {"count": 1}


def test_a_newer_pipeline_version_arrives_as_the_next_version_of_the_same_pipeline(
    acme: Any, beta: Any
) -> None:
    """With updatePipelineRefs the job moves to it; without, pipeline and job stay as they are."""
    first = acme.pipeline()
    job = acme.job("Moves", first)
    load_jobs(beta, export(acme, job["id"]))
    second_version(acme, first)
    acme.post(f"{JOBS}/upgradeJobs", [job["id"]])
    archive = export(acme, job["id"])
    still = load_jobs(beta, archive, asked(off=("updatePipelineRefs",)))[0]
    assert still["pipelineCommitLabel"] == "v1"
    assert len(beta.get(f"/pipelinestore/rest/v1/pipeline/{still['pipelineId']}/log")) == 1
    moved = load_jobs(beta, archive)[0]
    assert (moved["id"], moved["pipelineId"]) == (still["id"], still["pipelineId"])
    assert moved["pipelineCommitLabel"] == "v2"
    assert beta.get("/pipelinestore/rest/v1/pipelines/count") == {"count": 1}
    assert load_jobs(beta, archive)[0]["pipelineCommitId"] == moved["pipelineCommitId"]
    assert len(beta.get(f"/pipelinestore/rest/v1/pipeline/{still['pipelineId']}/log")) == 2


def test_documents_without_ids_are_matched_by_name(acme: Any) -> None:
    """As a script writes them: the job and the pipeline of that name are meant."""
    job = rich_job(acme)
    document = documents(export(acme, job["id"]))[0]
    for field in ("id", "organization"):
        document["minimalJobJson"].pop(field)
    document["minimalJobJson"] |= {"pipelineId": "p", "pipelineCommitId": "c", "rulesId": None}
    document["minimalJobJson"]["numInstances"] = 9
    made = acme.post(f"{JOBS}/importJobsFromJson{asked('updateNumInstances')}", document)[0]["minimalJobJson"]
    assert (made["id"], made["numInstances"]) == (job["id"], 9)
    assert made["pipelineCommitId"] == job["pipelineCommitId"]
    document["minimalJobJson"]["name"] = "Another"
    made = acme.post(f"{JOBS}/importJobsFromJson", [document])[0]["minimalJobJson"]
    assert made["id"] != job["id"]
    assert acme.get("/pipelinestore/rest/v1/pipelines/count") == {"count": 1}


def test_a_forced_import_makes_new_jobs(acme: Any) -> None:
    """forceImport: what is here is left alone."""
    job = rich_job(acme)
    document = documents(export(acme, job["id"]))[0]
    made = acme.post(f"{JOBS}/importJobsFromJson?forceImport=true", document)[0]["minimalJobJson"]
    assert made["id"] != job["id"]
    assert acme.get(f"{JOBS}/count") == {"count": 2}


def test_an_import_that_fails_half_way_changes_nothing(acme: Any) -> None:
    """The second document is wrong, or its job runs: the first job keeps its values too."""
    first, second = rich_job(acme), acme.job("Runs")
    archive = export(acme, first["id"], second["id"])
    acme.post(f"/jobrunner/rest/v1/job/{first['id']}", first | {"numInstances": 7})
    acme.start(second)
    load_jobs(acme, archive, asked(*FLAGS), expect=400)
    good, bad = documents(archive)
    bad["minimalJobJson"]["numInstances"] = 0
    acme.stop(second)
    acme.driver.tick(300)
    load_jobs(acme, packed(good, bad), asked(*FLAGS), expect=400)
    assert acme.get(f"/jobrunner/rest/v1/job/{first['id']}")["numInstances"] == 7


def test_an_import_needs_the_permission_to_change_what_is_here(acme: Any, beta: Any) -> None:
    """WRITE on the job; the editor's role for pipelines that it brings."""
    base = "/security/rest/v1/organization/acme"
    acme.post(f"{base}/configs", [{"id": "dpm.enforce.permissions", "value": "true"}])
    roles = ["user", "jobrunner:operator"]
    acme.put(f"{base}/users", {"id": "u@acme", "name": "U", "roles": roles})
    user, job = acme.driver.login("u@acme"), rich_job(acme)
    archive = export(acme, job["id"])
    load_jobs(user, archive, expect=403)
    beta.put("/security/rest/v1/organization/beta/users", {"id": "u@beta", "name": "U", "roles": roles})
    operator = acme.driver.login("u@beta")
    load_jobs(operator, archive, expect=403)
    assert beta.get("/pipelinestore/rest/v1/pipelines/count") == {"count": 0}
    load_jobs(beta, archive)
    load_jobs(operator, archive)


def test_an_import_respects_the_limits_of_the_organization(acme: Any, beta: Any) -> None:
    """Updating is free, creating is counted."""
    archive = export(acme, acme.job("one")["id"], acme.job("two")["id"])
    system = acme.driver.login("admin@admin")
    path = "/security/rest/v1/organization/beta/configs"
    system.post(path, [{"id": "org.max.jobs", "value": "1"}])
    load_jobs(beta, archive, expect=403)
    assert beta.get(f"{JOBS}/count") == {"count": 0}
    system.post(path, [{"id": "org.max.jobs", "value": "2"}])
    for _ in range(2):
        assert len(load_jobs(beta, archive)) == 2


def topology(session: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Publish a topology with one job."""
    node = {"nodeType": "JOB", "instanceName": "n", "jobId": job["id"]}
    node["pipelineCommitId"] = job["pipelineCommitId"]
    definition = json.dumps({"schemaVersion": "1", "topologyNodes": [node], "stageIcons": {}, "valid": True})
    draft = session.put(TOPOLOGIES, {"name": "T", "topologyDefinition": definition})
    return dict(session.post(f"/topology/rest/v1/topology/{draft['commitId']}/publish?commitMessage=go"))


def load_topologies(session: Any, archive: bytes, query: str = "") -> list[dict[str, Any]]:
    answer = session.upload(f"{TOPOLOGIES}/importTopologies{query}", archive)
    assert answer.status == 200, answer.content
    return list(answer.json())


def test_a_topology_is_imported_once_and_its_jobs_follow_the_flags(acme: Any, beta: Any) -> None:
    """The same commit again adds nothing; the job it brings is updated as the flags say."""
    job = rich_job(acme)
    made = topology(acme, job)
    archive = export(acme, made["commitId"], path=f"{TOPOLOGIES}/exportTopologies")
    first = load_topologies(beta, archive, asked(*FLAGS))[0]
    assert first["topologyId"] == made["topologyId"].replace(":acme", ":beta")
    assert json.loads(first["topologyDefinition"])["topologyNodes"][0]["jobId"].endswith(":beta")
    carried = beta.get(JOBS)[0]
    beta.post(f"/jobrunner/rest/v1/job/{carried['id']}", carried | {"numInstances": 7})
    assert load_topologies(beta, archive)[0]["commitId"] == first["commitId"]
    assert beta.get(f"/jobrunner/rest/v1/job/{carried['id']}")["numInstances"] == 7
    load_topologies(beta, archive, asked("updateNumInstances"))
    assert beta.get(f"/jobrunner/rest/v1/job/{carried['id']}")["numInstances"] == 3
    assert (len(beta.get(TOPOLOGIES)), beta.get(f"{JOBS}/count")) == (1, {"count": 1})


def test_a_newer_topology_commit_becomes_the_next_version(acme: Any, beta: Any) -> None:
    """Versions are counted on; forceImport makes a topology of its own."""
    made = topology(acme, acme.job())
    path = f"{TOPOLOGIES}/exportTopologies"
    load_topologies(beta, export(acme, made["commitId"], path=path))
    draft = acme.post(f"/topology/rest/v1/topology/{made['commitId']}/createDraft")
    acme.post(f"/topology/rest/v1/topology/{draft['commitId']}/publish?commitMessage=again")
    archive = export(acme, draft["commitId"], path=path)
    second = load_topologies(beta, archive)[0]
    assert (second["version"], second["draft"], second["commitMessage"]) == ("2", False, "again")
    assert [t["commitId"] for t in beta.get(TOPOLOGIES)] == [second["commitId"]]
    forced = load_topologies(beta, archive, "?forceImport=true")[0]
    assert forced["topologyId"] != second["topologyId"]
    assert beta.get(f"{JOBS}/count") == {"count": 2}


def test_a_topology_with_jobs_needs_the_operators_role_too(acme: Any, beta: Any) -> None:
    """topology:editor alone brings no jobs into an organization."""
    archive = export(acme, topology(acme, acme.job())["commitId"], path=f"{TOPOLOGIES}/exportTopologies")
    body = {"id": "u@beta", "name": "U", "roles": ["user", "topology:editor"]}
    beta.put("/security/rest/v1/organization/beta/users", body)
    user = acme.driver.login("u@beta")
    assert user.upload(f"{TOPOLOGIES}/importTopologies", archive).status == 403
    assert (beta.get(TOPOLOGIES), beta.get(f"{JOBS}/count")) == ([], {"count": 0})
