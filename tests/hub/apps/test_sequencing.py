"""Release 4: sequences of jobs, draft runs, searches by name."""

from typing import Any

import pytest
from support.hub_driver import Credential

BASE = "/sequencing/rest/v1/sequencing"


def sequence(caller: Credential, name: str = "Nightly", n_jobs: int = 3) -> dict[str, Any]:
    """Create a sequence of two steps, the second one with all jobs but the first."""
    pipeline = caller.pipeline()
    ids = [caller.job(f"{name} {n}", pipeline)["id"] for n in range(n_jobs)]
    made = caller.post(BASE, {"name": name, "timezone": "UTC", "crontabMask": "0 0 1 * * ?"})
    steps = [{"stepNumber": 1, "jobIds": ids[:1]}, {"stepNumber": 2, "ignoreError": True, "jobIds": ids[1:]}]
    return dict(caller.post(f"{BASE}/{made['id']}/addStepJobs", steps))


def test_a_sequence_has_steps_with_jobs(platform: Credential) -> None:
    """All steps in one call; it is listed in the wrapper, and its jobs know it."""
    made = sequence(platform)
    assert (made["status"], made["stepCount"], made["createdBy"]) == ("INACTIVE", 2, platform.user)
    assert [len(step["jobs"]) for step in made["steps"]] == [1, 2]
    listed = platform.get(f"{BASE}?orderBy=NAME&len=50")
    assert (listed["totalCount"], listed["data"][0]) == (1, made)
    job = made["steps"][0]["jobs"][0]["jobId"]
    found = platform.get(f"{BASE}/job/{job}/sequence")
    assert found == [{"sequenceId": made["id"], "sequenceName": "Nightly"}]
    acl = platform.get(f"{BASE}/{made['id']}/acl")
    assert (acl["resourceType"], acl["resourceOwner"]) == ("JOB_SEQUENCE", platform.user)


def test_a_job_is_in_one_sequence_at_most(platform: Credential) -> None:
    """Neither twice in one nor in two; steps are numbered without a gap."""
    made = sequence(platform)
    job = made["steps"][0]["jobs"][0]["jobId"]
    other = platform.post(BASE, {"name": "Other"})
    wrong = [(made, 3, job), (other, 1, job), (other, 2, platform.job("free")["id"])]
    for target, number, one in wrong:
        body = [{"stepNumber": number, "jobIds": [one]}]
        assert platform.call("POST", f"{BASE}/{target['id']}/addStepJobs", body).status == 400


def test_steps_are_replaced_and_keep_what_they_had(platform: Credential) -> None:
    """A finish condition stays with its job when the order changes."""
    made = sequence(platform)
    path = f"{BASE}/{made['id']}"
    instance = made["steps"][0]["jobs"][0]
    condition = {"conditionType": "CRON", "crontabMask": "0 0 2 * * ?", "moveJobToError": True}
    platform.post(f"{path}/createFinishCondition/{instance['id']}", condition)
    steps = [
        {"id": step["id"], "stepNumber": 3 - step["stepNumber"], "jobIds": [j["jobId"] for j in step["jobs"]]}
        for step in made["steps"]
    ]
    changed = platform.post(f"{path}/updateSteps", steps)
    assert [step["id"] for step in changed["steps"]] == [step["id"] for step in reversed(made["steps"])]
    kept = changed["steps"][1]["jobs"][0]["finishCondition"]
    assert (kept["conditionType"], kept["moveJobToError"]) == ("CRON", True)


def test_a_sequence_runs_a_step(platform: Credential) -> None:
    """Its jobs start side by side; one that is disabled does not run."""
    made = sequence(platform)
    path = f"{BASE}/{made['id']}"
    assert platform.post(f"{path}/disable")["status"] == "DISABLED"
    assert platform.call("POST", f"{path}/run").status == 400
    assert platform.post(f"{path}/enable")["status"] == "INACTIVE"
    running = platform.post(f"{path}/run?stepNumber=2&singleStep=true")
    assert (running["status"], running["runCount"]) == ("ACTIVE", 1)
    assert running["runTimeInfo"]["singleStepExecution"] is True
    jobs = [job["status"] for step in platform.get(path)["steps"] for job in step["jobs"]]
    assert sorted(jobs) == ["INACTIVE", "RUNNING", "RUNNING"]
    assert platform.get(f"{path}/getAllRunIds") == [1]


def test_a_sequence_is_changed_and_deleted(platform: Credential) -> None:
    """Its jobs stay."""
    made = sequence(platform)
    path = f"{BASE}/{made['id']}"
    changed = platform.call("PUT", path, {"name": "Weekly", "endTimeCondition": "ON"}, 200)
    assert (changed["name"], changed["endTimeCondition"], changed["steps"]) == ("Weekly", "ON", made["steps"])
    (gone,) = platform.post(f"{BASE}/deleteSequences", [made["id"]])
    assert gone["id"] == made["id"]
    assert platform.call("GET", path).status == 404
    assert len(platform.get("/jobrunner/rest/v1/jobs")) == 3


def draft(caller: Credential) -> dict[str, Any]:
    """Return a draft of a published pipeline."""
    made = caller.pipeline("Orders")
    path = f"/pipelinestore/rest/v1/pipelineCommit/{made['commitId']}/createDraft"
    return dict(caller.post(path))


def test_a_draft_run_is_no_other_job(platform: Credential) -> None:
    """It is found by its pipeline, and listed where it is asked for."""
    commit = draft(platform)
    path = "/jobrunner/rest/v1/jobs"
    find = f"{path}/draftRunJobForPipelineId?pipelineId={commit['pipelineId']}"
    assert platform.call("GET", find).content == b""
    made = platform.job("Draft Run for Orders", commit, draftRun=True, labels=[])
    assert platform.get(find)["id"] == made["id"]
    assert platform.get(path) == []
    assert platform.get(f"{path}/count")["count"] == 0
    assert [job["id"] for job in platform.get(f"{path}?draftRun=true")] == [made["id"]]
    assert platform.start(made)["status"] == "ACTIVE"


def test_a_draft_runs_as_a_draft_run_only(platform: Credential) -> None:
    """And a published version does not."""
    commit = draft(platform)
    body = {"name": "j", "pipelineId": commit["pipelineId"], "pipelineCommitId": commit["commitId"]}
    assert platform.call("PUT", "/jobrunner/rest/v1/jobs", body).status == 400
    published = platform.pipeline("Claims")
    body = {"name": "j", "pipelineId": published["pipelineId"], "pipelineCommitId": published["commitId"]}
    assert platform.call("PUT", "/jobrunner/rest/v1/jobs", body | {"draftRun": True}).status == 400


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ('name=="Job a"', ["Job a"]),
        ("name=='Job*'", ["Job a", "Job b"]),
        ('name=="Job a" and name=="Job b"', []),
        ("name==Job*;name==*b", ["Job b"]),
        ("name=='Job_a'", []),
        ("", ["Job a", "Job b", "other"]),
    ],
)
def test_jobs_are_searched_by_name(platform: Credential, search: str, found: list[str]) -> None:
    """One comparison or several, with a star for any characters."""
    pipeline = platform.pipeline()
    for name in ("Job a", "Job b", "other"):
        platform.job(name, pipeline)
    platform.job("Job template", pipeline, jobTemplate=True)
    page = platform.get(
        f"/jobrunner/rest/v1/saql/jobs/search?orderBy=name&search={search}".replace(" ", "%20")
    )
    assert ([job["name"] for job in page["data"]], page["totalCount"]) == (found, len(found))


def test_each_kind_is_searched_where_it_is(platform: Credential) -> None:
    """Templates, draft runs, pipelines, fragments and sequences."""
    made = sequence(platform)
    platform.job("template", jobTemplate=True)
    platform.job("draft", draft(platform), draftRun=True, labels=[])
    paths = {
        "jobrunner/rest/v1/saql/jobs/search/templates": ["template"],
        "jobrunner/rest/v1/saql/jobs/search/draftRuns": ["draft"],
        "pipelinestore/rest/v1/saql/pipelines/search/fragments": [],
        "sequencing/rest/v1/saql/sequencing/search": [made["name"]],
    }
    for path, names in paths.items():
        assert [each["name"] for each in platform.get(f"/{path}")["data"]] == names
    assert platform.get("/pipelinestore/rest/v1/saql/pipelines/search?search=name==Orders")["totalCount"] == 3


@pytest.mark.parametrize("search", ["name", "label==x", "name=gt=3", 'name=="a" or name=="b"'])
def test_other_searches_are_refused(platform: Credential, search: str) -> None:
    """With 400, and not answered with everything."""
    answer = platform.call("GET", f"/jobrunner/rest/v1/saql/jobs/search?search={search}".replace(" ", "%20"))
    assert answer.status == 400
