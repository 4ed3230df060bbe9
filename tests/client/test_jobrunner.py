"""New jobs hold the fields that the hub knows."""

import json
from typing import Any

import pytest
from support.scripted_hub import Reply, ScriptedHub

from psrlib.client import ControlHub
from psrlib.client.apps.jobrunner import new_job

SWAGGER = "/jobrunner/rest/swagger.json"
JOBS = "/jobrunner/rest/v1/jobs"
PIPELINE = {"name": "P", "pipelineId": "p:o", "commitId": "c:o", "version": "1", "currentRules": {"id": "r"}}
# What a public script of the 3.x line sends (control-hub-rest, 5.3), and what the 3.x SDK sends besides.
SCRIPT = {
    *("name", "description", "pipelineName", "pipelineId", "pipelineCommitId", "rulesId"),
    *("pipelineCommitLabel", "labels", "statsRefreshInterval", "numInstances", "migrateOffsets", "edge"),
}
LATER = {"executorType", "forceStopTimeout", "runtimeParameters", "jobTemplate", "rawJobTags"}


def properties(names: set[str]) -> Reply:
    return Reply(body={"definitions": {"NewJobJson": {"properties": {name: {} for name in names}}}})


@pytest.mark.parametrize(
    ("swagger", "sent"),
    [
        (properties(SCRIPT | {"needsManualAck"}), SCRIPT),
        (properties(SCRIPT | LATER), SCRIPT | LATER),
        (Reply(404), SCRIPT | LATER),
        (Reply(501), SCRIPT | LATER),
        (Reply(body={"definitions": {}}), SCRIPT | LATER),
        (Reply(body={"definitions": {"NewJobJson": None}}), SCRIPT | LATER),
        (Reply(body=[]), SCRIPT | LATER),
        (Reply(), SCRIPT | LATER),
    ],
    ids=["early-3.x", "late-3.x", "404", "501", "no-type", "null-type", "list", "empty"],
)
def test_a_new_job_has_the_fields_that_the_hub_names(
    scripted: ScriptedHub, swagger: Reply, sent: set[str]
) -> None:
    """Row 3 of the observations: NewJobJson of the hub's Swagger decides; without it, the 3.x line's fields.

    The document is read once for all sessions, whatever it says.
    """
    scripted.script(SWAGGER, swagger)
    scripted.script(JOBS, Reply(body={"id": "j:o", "name": "J"}))
    scripted.script(f"{JOBS}/createJobs", Reply(body=[{"id": "j:o", "name": "J"}]))
    job: dict[str, Any] = new_job(
        "J", PIPELINE, labels=["all"], instances=1, tags=["t"], parameters={"a": "b"}, is_template=True
    )
    with ControlHub(scripted.url, "admin@admin", "secret") as hub:
        hub.for_organization("one").jobrunner.create_job(job)
        hub.for_organization("two").jobrunner.create_jobs([job, job])
    bodies = [json.loads(seen.body) for seen in scripted.seen if seen.path.startswith(JOBS)]
    assert [set(body) for body in (bodies[0], *bodies[1])] == [sent] * 3
    assert scripted.count(SWAGGER) == 1
