"""Answers as recorded from real hubs, and as the vendor's documents and public clients know them."""

import io
import json
import time
import zipfile
from typing import Any

import pytest
from sqlalchemy import select
from support.hub_driver import Session, pipeline_document

from psrlib.hub.store.schema.automation import action_runs

STORE = "/pipelinestore/rest/v1"
TASKS = "/scheduler/rest/v2/jobs"


def committed(session: Session, metadata: Any) -> str:
    """Commit a pipeline whose definition has this metadata; return its commit id."""
    definition = pipeline_document("Orders", {}) | {"metadata": metadata}
    body = {"name": "Orders", "pipelineDefinition": json.dumps(definition)}
    return str(session.put(f"{STORE}/pipelines", body)["commitId"])


def connection(session: Session) -> dict[str, Any]:
    body = {"name": "Lake", "connectionType": "STREAMSETS_JDBC", "rawConnectionTags": ["eu"]}
    made: dict[str, Any] = session.put("/connection/rest/v1/connections", body)
    return made


def n_using(session: Session, connection_id: str) -> int:
    path = f"/connection/rest/v1/connection/{connection_id}/countPipelineCommits"
    return int(session.get(path)["count"])


def test_the_connections_of_a_pipeline_are_one_text(acme: Session) -> None:
    """Row 1 of the observations: ids joined by commas, one id, or the empty text."""
    first, second = connection(acme)["id"], connection(acme)["id"]
    committed(acme, {"dpm.pipeline.connections": f"{first},{second}"})
    committed(acme, {"dpm.pipeline.connections": first})
    committed(acme, {"dpm.pipeline.connections": ""})
    assert (n_using(acme, first), n_using(acme, second)) == (2, 1)


def test_a_list_of_connections_is_not_read(acme: Session) -> None:
    """Row 1 of the observations: no real definition has the list form; it is counted as a wrong type."""
    used = connection(acme)["id"]
    committed(acme, {"dpm.pipeline.connections": [used]})
    assert n_using(acme, used) == 0
    assert acme.get("/public-rest/v1/health?details=true")["wrongTypes"] == 1


def test_a_login_says_that_it_succeeded(lite_acme: Session) -> None:
    """Row 7 of the observations: the token is in header and cookie, the principal is asked for."""
    body = json.dumps({"userName": "admin@acme", "password": "admin@acme"}).encode()
    path = "/security/public-rest/v1/authentication/login"
    answer = lite_acme.driver.raw("POST", path, {"X-Requested-By": "test"}, body)
    assert answer.json() == {"message": "Authentication succeeded"}
    assert answer.headers["X-SS-User-Auth-Token"] in answer.headers["Set-Cookie"]


def test_a_user_lists_the_own_organization(acme: Session, admin: Session) -> None:
    """Row 8 of the observations: also by name, while the system administrator sees all."""
    path = "/security/rest/v1/organizations"
    assert [row["id"] for row in acme.get(path)] == ["acme"]
    assert acme.get(f"{path}?filterText=admin&withWrapper=true")["data"] == []
    assert [row["id"] for row in admin.get(path)] == ["acme", "admin"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{STORE}/pipelines/exportPipelineCommits", ["none:acme"]),
        ("GET", f"{STORE}/pipelineCommit/none:acme", None),
        ("POST", f"{STORE}/pipelineCommit/none:acme/createDraft", None),
    ],
)
def test_an_unknown_commit_has_the_stores_code(method: str, path: str, body: Any, lite_acme: Session) -> None:
    """Row 9 of the observations: PIPELINE_STORE_09 wherever the pipeline store looks for a commit."""
    answer = lite_acme.call(method, path, body)
    (issue,) = answer.json()["ISSUES"]
    assert (answer.status, issue["code"]) == (404, "PIPELINE_STORE_09")
    assert issue["message"] == "Cannot find Pipeline Commit ID 'none:acme'"


def test_an_exported_pipeline_is_named_and_marked_as_real_ones(lite_acme: Session) -> None:
    """Row 10 of the observations: entry name, the hub's address, library definitions an object."""
    commit = lite_acme.pipeline("Orders (daily) 2")["commitId"]
    answer = lite_acme.call("POST", f"{STORE}/pipelines/exportPipelineCommits", [commit])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [f"Ordersdaily2{commit}.json"]
        document = json.loads(archive.read(archive.namelist()[0]))
    assert document["pipelineConfig"]["metadata"]["dpm.base.url"] == "http://hub.test"
    assert document["libraryDefinitions"] == {}


def test_series_have_the_names_that_clients_look_for(lite_acme: Session) -> None:
    """Row 17 of the observations: family, meter and kind, not the name of the measurement."""
    job = lite_acme.job()["id"]
    names = {
        "PIPELINE_BATCH_INPUT_RECORDS_METER": "pipeline_batchInputRecords_meter",
        "PIPELINE_BATCH_OUTPUT_RECORDS_METER": "pipeline_batchOutputRecords_meter",
        "PIPELINE_BATCH_ERROR_RECORDS_METER": "pipeline_batchErrorRecords_meter",
        "PIPELINE_BATCH_COUNT_METER": "pipeline_batchCount_meter",
        "STAGE_BATCH_PROCESSING_TIMER": "stage_batchProcessing_timer",
    }
    wishes = [{"jobId": job, "measurement": measurement} for measurement in names]
    answers = lite_acme.post("/timeseries/rest/v1/metrics/query", wishes)
    assert [answer["series"][0]["name"] for answer in answers] == list(names.values())


def test_a_connection_says_who_made_and_changed_it(lite_acme: Session) -> None:
    """Row 18 of the observations: names of its own, and readOnly."""
    made, now = connection(lite_acme), lite_acme.driver.clock.now_ms
    shown = lite_acme.get(f"/connection/rest/v1/connection/{made['id']}")
    assert shown["createdBy"] == shown["lastModifiedBy"] == "admin@acme"
    assert shown["createdTime"] == shown["lastModifiedTime"] == now
    assert shown["readOnly"] is False
    assert not {"creator", "createTime", "lastModifiedOn"} & set(shown)


def test_a_subscription_says_when_and_how_often_it_fired(acme: Session) -> None:
    """Row 19 of the observations: createTime, lastTriggered, triggerCount."""
    acme.post("/security/rest/v1/organization/acme/configs", [{"id": "dpm.enable.events", "value": "true"}])
    body = {
        "name": "watch",
        "events": [{"eventType": "PIPELINE_COMMITTED"}],
        "externalActions": [{"eventType": "EMAIL", "config": "{}"}],
    }
    made = acme.put("/notification/rest/v1/eventsub/createEventSub", body)
    assert made["createTime"] == acme.driver.clock.now_ms
    assert (made["lastTriggered"], made["triggerCount"]) == (0, 0)
    acme.pipeline("One")
    acme.driver.clock.advance(5)
    acme.pipeline("Two")
    (shown,) = acme.get("/notification/rest/v1/eventsub")
    assert (shown["lastTriggered"], shown["triggerCount"]) == (acme.driver.clock.now_ms, 2)
    assert "createdOn" not in shown


def test_a_message_shows_when_the_event_was(lite_acme: Session) -> None:
    """Row 15 of the observations: TRIGGERED_ON, and other moments, as date and time."""
    lite_acme.post(
        "/security/rest/v1/organization/acme/configs", [{"id": "dpm.enable.events", "value": True}]
    )
    for event in ("PIPELINE_COMMITTED", "JOB_STATUS_CHANGE"):
        body = {
            "name": event,
            "events": [{"eventType": event}],
            "externalActions": [{"eventType": "EMAIL", "config": "{}"}],
        }
        lite_acme.put("/notification/rest/v1/eventsub/createEventSub", body)
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(lite_acme.driver.clock.now_ms // 1000))
    lite_acme.engine()
    lite_acme.start(lite_acme.job())
    with lite_acme.driver.app.hub.database.reading() as connection:
        told = list(connection.execute(select(action_runs.c.event, action_runs.c["values"])))
    assert {event for event, _ in told} == {"PIPELINE_COMMITTED", "JOB_STATUS_CHANGE"}
    assert {values["TRIGGERED_ON"] for _, values in told} == {now}
    assert told[0][1]["PIPELINE_COMMIT_TIME"] == now


def task(session: Session, **more: str) -> dict[str, Any]:
    """Create a scheduled task with every field plain; return it as it is answered."""
    data = {
        "name": "nightly",
        "jobId": session.job()["id"],
        "executionInfo": {"action": "START"},
        "crontabMask": "0 0 * * * ?",
    }
    made = session.put(f"{TASKS}/pageId=SchedulerJobManagePage", {"data": data | more})
    found: dict[str, Any] = made["response"]["data"]
    return found


def test_a_task_is_answered_in_wrappings(lite_acme: Session) -> None:
    """Row 20 of the observations: whatever was sent plain; the id is plain; the next time is told."""
    made = task(lite_acme)
    plain = {name for name, value in made.items() if not isinstance(value, dict)}
    assert plain == {"id", "messages"}
    now = lite_acme.driver.clock.now_ms
    assert now < made["nextExecutionTime"]["value"] <= now + 3_600_000
    assert made["organizationId"]["value"] == "acme"


@pytest.mark.parametrize("missed", ["IGNORE", "RUN_ALL", "RUN_ONCE"])
def test_the_handling_of_missed_firings_has_underscores(missed: str, lite_acme: Session) -> None:
    """Row 20 of the observations: one spelling in requests, answers and the database."""
    assert task(lite_acme, missedTriggerHandling=missed)["missedTriggerHandling"]["value"] == missed
    blank = {"data": {"name": "x", "jobId": lite_acme.job()["id"], "missedTriggerHandling": "RUN ALL"}}
    assert lite_acme.call("PUT", f"{TASKS}/pageId=SchedulerJobManagePage", blank).status == 400


def test_runs_and_audits_of_a_task_are_in_wrappings(lite_acme: Session) -> None:
    """Row 20 of the observations: all members but the id."""
    made = task(lite_acme, crontabMask="0 * * * * ?")["id"]
    lite_acme.driver.tick(61)
    path = f"{TASKS}/{made}/pageId=SchedulerJobManagePage?runInfo=True&auditInfo=True"
    shown = lite_acme.get(path)["response"]["data"]
    for member in (*shown["runs"], *shown["audits"]):
        assert {name for name, value in member.items() if not isinstance(value, dict)} == {"id"}
    assert [audit["action"]["value"] for audit in shown["audits"]] == ["CREATE"]
    assert len(shown["runs"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobrunner/rest/v1/job/logMessages?jobId=x"),
        ("POST", "/jobrunner/rest/v1/job/jobTagsBulk"),
        ("GET", "/topology/rest/v1/topology/listAclAudits"),
        ("GET", "/connection/rest/v1/connection/listAclAudits"),
        ("GET", "/timeseries/rest/v1/metrics/job/x/recordCountsPerHour"),
    ],
)
def test_a_named_route_is_not_taken_for_an_id(method: str, path: str, lite_acme: Session) -> None:
    """Row 21 of the observations: 501 until it is served."""
    assert lite_acme.call(method, path, []).status == 501


def test_the_access_list_of_an_agent_has_its_real_type(lite_acme: Session) -> None:
    """Row 22 of the observations: DPM_AGENT."""
    path = "/security/rest/v1/organization/acme/components"
    body = {"componentType": "provisioning-agent", "numberOfComponents": 1}
    token = lite_acme.put(path, body)[0]["fullAuthToken"]
    registration = json.dumps({"authToken": token, "componentId": "agent-1"}).encode()
    path = "/security/public-rest/v1/components/registration"
    assert lite_acme.driver.raw("POST", path, {"X-Requested-By": "test"}, registration).status == 200
    acl = lite_acme.get("/provisioning/rest/v1/dpmAgent/agent-1/acl")
    assert acl["resourceType"] == "DPM_AGENT"
