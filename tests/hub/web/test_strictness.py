"""What clients send and a real hub may not take: counted and logged by every hub, refused by a strict one."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hub_driver import Driver, Session, create_organization, pipeline_document
from support.in_process import Clock

from psrlib.hub.web.issues import IssueError
from psrlib.hub.web.strictness import LOOKED_BYTES, MAX_NAMES, Strictness

HEALTH = "/public-rest/v1/health?details=true"
USERS = "/security/rest/v1/organization/acme/users"
USER = {"id": "u@acme", "name": "U", "roles": ["user"]}
CONNECTION = {"name": "C", "connectionType": "JDBC"}


@pytest.fixture
def strict(tmp_path: Path, clock: Clock) -> Iterator[Session]:
    """The administrator of acme on a strict hub."""
    driver = Driver(f"sqlite:///{tmp_path / 'strict.db'}", clock, strict=True)
    yield create_organization(driver.login("admin@admin"), "acme")
    driver.close()


def counts(session: Session) -> tuple[int, int]:
    health = session.get(HEALTH)
    return health["unknownFields"], health["wrongTypes"]


def test_an_unknown_field_is_counted_and_logged_once(
    lite_acme: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """By its name and the call; the call goes on as if it were not there."""
    with caplog.at_level(logging.WARNING):
        for name in ("One", "Two"):
            lite_acme.put("/connection/rest/v1/connections", CONNECTION | {"name": name, "colour": "red"})
    assert caplog.messages == ["PUT /connection/rest/v1/connections: unknown field 'colour'"]
    assert counts(lite_acme) == (2, 0)


def test_health_tells_no_details_unless_asked(lite_acme: Session) -> None:
    """Clients look for alive in a short answer."""
    assert lite_acme.get("/public-rest/v1/health") == {"status": "alive"}
    assert lite_acme.get(HEALTH)["strict"] is False


JOB = {"minimalJobJson": {"name": "J", "pipelineId": "p", "pipelineCommitId": "c", "colour": 1}}
WEBHOOK = {
    "name": "S",
    "events": [{"eventType": "JOB_STATUS_CHANGE", "colour": 1}],
    "externalActions": [{"eventType": "WEBHOOKV1", "config": '{"uri": "http://h/", "colour": 1}'}],
}
# call, body, name of the field in the refusal
UNKNOWN = [
    ("PUT", USERS, USER | {"colour": 1}, "colour"),
    ("PUT", "/jobrunner/rest/v1/jobs/createJobs", [{**JOB["minimalJobJson"]}], "[].colour"),
    ("POST", "/jobrunner/rest/v1/jobs/importJobsFromJson", [JOB], "minimalJobJson.colour"),
    ("PUT", "/notification/rest/v1/eventsub/createEventSub", WEBHOOK, "events[].colour"),
    (
        "PUT",
        "/notification/rest/v1/eventsub/createEventSub",
        WEBHOOK | {"events": []},
        "externalActions.config.colour",
    ),
    (
        "PUT",
        "/sla/rest/v1/dataSlas",
        {"label": "L", "slaDefinition": '{"colour": 1}'},
        "slaDefinition.colour",
    ),
    (
        "PUT",
        "/scheduler/rest/v2/jobs/pageId=SchedulerJobManagePage",
        {"data": {"name": {"value": "T", "colour": 1}}},
        "data.name.colour",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "name"), UNKNOWN, ids=[case[3] for case in UNKNOWN])
def test_a_strict_hub_refuses_an_unknown_field(
    method: str, path: str, body: Any, name: str, strict: Session
) -> None:
    """400 naming it: in bodies, and in the documents that texts of bodies hold."""
    answer = strict.call(method, path, body)
    assert answer.status == 400, answer.content
    assert f"unknown field '{name}'" in answer.json()["ISSUES"][0]["message"]


def test_a_strict_hub_takes_what_is_right(strict: Session) -> None:
    """Also an engine's whole record where a part of it is changed, and empty bodies."""
    strict.put(USERS, USER)
    engine = strict.engine()
    record = strict.get(f"/jobrunner/rest/v1/sdc/{engine.id}")
    strict.post(f"/jobrunner/rest/v1/sdc/{engine.id}/updateLabels", record | {"labels": ["west"]})
    job = strict.job()
    strict.post(f"/jobrunner/rest/v1/job/{job['id']}", strict.get(f"/jobrunner/rest/v1/job/{job['id']}"))
    assert counts(strict) == (0, 0)


# metadata value, what is wrong with it
METADATA = [
    ({"labels": "prod"}, "metadata.labels': expected a list of texts, received a text"),
    ({"labels": [1]}, "metadata.labels': expected a list of texts, received a list"),
    ({"dpm.pipeline.connections": ["c"]}, "connections': expected a text, received a list"),
    ({"dpm.pipeline.version": 3}, "metadata.dpm.pipeline.version': expected a text, received a number"),
    ({"lastConfigId": True}, "metadata.lastConfigId': expected a text, received a boolean"),
    ({"MICROSERVICE": {"on": True}}, "expected a text, a number or a boolean, received an object"),
]


@pytest.mark.parametrize(("metadata", "words"), METADATA, ids=[next(iter(case[0])) for case in METADATA])
def test_every_metadata_value_has_a_type(
    metadata: Any, words: str, strict: Session, lite_acme: Session
) -> None:
    """Row 1 of the observations as a kind: refused by a strict hub, counted by every hub."""
    definition = pipeline_document("P", {}) | {"metadata": metadata}
    body = {"name": "P", "pipelineDefinition": json.dumps(definition)}
    answer = strict.call("PUT", "/pipelinestore/rest/v1/pipelines", body)
    assert (answer.status, words in answer.json()["ISSUES"][0]["message"]) == (400, True), answer.content
    lite_acme.put("/pipelinestore/rest/v1/pipelines", body)
    assert counts(lite_acme) == (0, 1)


def test_a_strict_hub_looks_at_the_rest_of_a_definition_too(strict: Session) -> None:
    """Such as the version of a stage, which is text."""
    stage = {"instanceName": "A_1", "library": "l", "stageName": "s", "stageVersion": 1}
    definition = pipeline_document("P", {}) | {"stages": [stage]}
    body = {"name": "P", "pipelineDefinition": json.dumps(definition)}
    answer = strict.call("PUT", "/pipelinestore/rest/v1/pipelines", body)
    assert (answer.status, "stages[0].stageVersion" in answer.json()["ISSUES"][0]["message"]) == (400, True)


def test_metadata_that_real_definitions_have_is_right(strict: Session) -> None:
    """Texts, flags, numbers and nothing."""
    metadata = {
        "labels": ["prod/eu"],
        "dpm.pipeline.connections": "",
        "dpm.base.url": "https://hub.example",
        "MICROSERVICE": True,
        "lastConfigId": "x:acme",
        "note": None,
    }
    definition = pipeline_document("P", {}) | {"metadata": metadata}
    strict.put(
        "/pipelinestore/rest/v1/pipelines", {"name": "P", "pipelineDefinition": json.dumps(definition)}
    )
    assert counts(strict) == (0, 0)


def test_large_bodies_are_looked_at_by_a_strict_hub_alone(strict: Session, lite_acme: Session) -> None:
    """They are decoded once more for it."""
    body = CONNECTION | {"description": "x" * LOOKED_BYTES, "colour": 1}
    lite_acme.put("/connection/rest/v1/connections", body)
    assert counts(lite_acme) == (0, 0)
    assert strict.call("PUT", "/connection/rest/v1/connections", body).status == 400


def test_names_from_outside_are_kept_up_to_a_number() -> None:
    """The counts go on."""
    strictness = Strictness()
    for number in range(MAX_NAMES + 5):
        strictness.note("unknown field", "PUT /x", str(number))
    assert len(strictness.seen) == MAX_NAMES
    assert strictness.counts["unknown field"] == MAX_NAMES + 5


def test_a_refusal_is_counted_as_well() -> None:
    """Tests read the count after a run whose refusals a client hid."""
    strictness = Strictness(strict=True)
    with pytest.raises(IssueError, match="PUT /x: wrong type 'a'; this hub is strict"):
        strictness.note("wrong type", "PUT /x", "a")
    assert strictness.counts["wrong type"] == 1
