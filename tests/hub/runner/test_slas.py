"""Data SLAs: judged by the rates engines report, alerts raised and closed, their event fired."""

import json
from typing import Any

import pytest
from sqlalchemy import select
from support.hub_driver import ROLES, create_organization

from psrlib.hub.store.schema.automation import action_runs

ALERTS = "/notification/rest/v1/alerts"
SLAS = "/sla/rest/v1/dataSlas"


def report(engine: Any, job: dict[str, Any], input_rate: float, error_rate: float = 0.0) -> None:
    """Send the one-minute rates of a job's pipeline as its engine does (engine-protocol.md, 3.5)."""
    meters = {
        "pipeline.batchInputRecords.meter": {"m1_rate": input_rate},
        "pipeline.batchErrorRecords.meter": {"m1_rate": error_rate},
    }
    engine.send_metrics(job, {"meters": meters})


def activate(session: Any, job: dict[str, Any], side: str, value: float, **more: Any) -> str:
    """Create and activate a data SLA about one job; return its id."""
    definition = {
        "enabled": True,
        "qosParameter": "THROUGHPUT_RATE",
        "slaConditions": [{"slaFunctionType": side, "value": value}],
        "jobIds": [job["id"]],
        "alertText": "look at it",
    }
    body = {"label": "Speed", "slaDefinition": json.dumps(definition | more)}
    made = session.put(SLAS, body)
    session.post(f"{SLAS}/activateSlas", [made["id"]])
    return str(made["id"])


def running(session: Any) -> tuple[Any, dict[str, Any]]:
    """Return an engine and the job that runs on it."""
    engine, job = session.engine(), session.job("Measured")
    session.start(job)
    engine.run()
    return engine, job


def active(session: Any) -> list[dict[str, Any]]:
    return list(session.get(f"{ALERTS}?alertStatus=ACTIVE"))


def events(session: Any) -> list[dict[str, Any]]:
    """Return the message parameters of the data SLA events that were put down."""
    wanted = select(action_runs.c["values"]).where(action_runs.c.event == "DATA_SLA_TRIGGERED")
    with session.driver.app.hub.database.reading() as connection:
        return list(connection.execute(wanted.order_by(action_runs.c.id)).scalars())


def subscribe(session: Any) -> str:
    session.post(
        f"/security/rest/v1/organization/{session.organization}/configs",
        [{"id": "dpm.enable.events", "value": "true"}],
    )
    body = {
        "name": "on alert",
        "events": [{"eventType": "DATA_SLA_TRIGGERED", "filter": "${str:contains(SLA_LABEL, 'Spe')}"}],
        "externalActions": [{"eventType": "EMAIL", "config": '{"recipients": ["a@example.com"]}'}],
    }
    return str(session.put("/notification/rest/v1/eventsub/createEventSub", body)["id"])


def test_an_alert_is_raised_once_and_closed_when_the_rate_is_back(acme: Any) -> None:
    """Beyond the maximum: one ACTIVE alert about the job; within it again: acknowledged by nobody."""
    engine, job = running(acme)
    sla = activate(acme, job, "MAX", 100)
    report(engine, job, 100)
    acme.driver.tick(1)
    assert active(acme) == []
    report(engine, job, 101)
    for _ in range(3):
        acme.driver.tick(1)
    raised = active(acme)
    assert len(raised) == 1
    found = raised[0]
    assert (found["label"], found["alertType"]) == ("look at it", "DATA_SLA")
    assert (found["resourceId"], found["ruleId"]) == (job["id"], sla)
    assert json.loads(found["additionalInfo"])["value"] == 101
    assert acme.get(f"{ALERTS}/resource/{job['id']}") == raised
    assert acme.get(f"{ALERTS}/{found['id']}/acl")["resourceOwner"] == "admin@acme"
    report(engine, job, 99)
    acme.driver.tick(1)
    closed = acme.get(f"{ALERTS}?alertStatus=ACKNOWLEDGED")
    assert [(a["id"], a["ackedBy"], a["ackedOn"]) for a in closed] == [
        (found["id"], None, acme.driver.clock.now_ms)
    ]
    report(engine, job, 200)
    acme.driver.tick(1)
    assert [a["id"] for a in active(acme)] != [found["id"]]


def test_an_acknowledged_or_deleted_alert_does_not_come_back_while_the_rate_stays_wrong(acme: Any) -> None:
    """The SLA remembers what it has said, also over a restart of the hub."""
    engine, job = running(acme)
    activate(acme, job, "MIN", 5)
    report(engine, job, 1)
    acme.driver.tick(1)
    alert = active(acme)[0]["id"]
    acme.post(f"{ALERTS}/ackAlerts", [alert])
    acme.driver.tick(1)
    assert active(acme) == []
    acme.post(f"{ALERTS}/deleteAlerts", [alert])
    acme.driver.restart()
    acme.driver.tick(1)
    assert acme.get(ALERTS) == []


@pytest.mark.parametrize("ending", ["deactivateSlas", "deleteSlas", "stop"])
def test_an_alert_ends_with_what_it_was_about(ending: str, acme: Any) -> None:
    """A data SLA that is deactivated or deleted, or a run that ended, leaves no active alert."""
    engine, job = running(acme)
    sla = activate(acme, job, "MAX", 1)
    report(engine, job, 2)
    acme.driver.tick(1)
    assert len(active(acme)) == 1
    if ending == "stop":
        acme.stop(job)
        engine.run()
        acme.driver.tick(1)
    else:
        acme.post(f"{SLAS}/{ending}", [sla])
    assert active(acme) == []


def test_rates_of_several_engines_are_added_and_old_ones_forgotten(acme: Any) -> None:
    """Two engines with 60 records per second each are beyond 100; silent for six minutes they are 0."""
    first, second = acme.engine(), acme.engine()
    job = acme.job(numInstances=2)
    acme.start(job)
    first.run(), second.run()
    activate(acme, job, "MAX", 100)
    activate(acme, job, "MIN", 10, alertText=None)
    report(first, job, 60)
    acme.driver.tick(1)
    assert active(acme) == []
    report(second, job, 60)
    acme.driver.tick(1)
    assert [a["label"] for a in active(acme)] == ["look at it"]
    acme.driver.tick(360)
    assert [a["label"] for a in active(acme)] == [
        f"Speed: throughput of job {job['id']} is below 10 records per second"
    ]


def test_error_rates_are_judged_and_what_is_switched_off_is_not(lite_acme: Any) -> None:
    """ERROR_RATE reads the errors; an inactive SLA and one with enabled false say nothing."""
    engine, job = running(lite_acme)
    activate(lite_acme, job, "MAX", 1, qosParameter="ERROR_RATE")
    activate(lite_acme, job, "MAX", 1, enabled=False)
    off = activate(lite_acme, job, "MAX", 1)
    lite_acme.post(f"{SLAS}/deactivateSlas", [off])
    report(engine, job, 50, error_rate=2)
    lite_acme.driver.tick(1)
    assert [json.loads(a["additionalInfo"])["qosParameter"] for a in active(lite_acme)] == ["ERROR_RATE"]


def test_a_job_that_has_not_reported_is_not_judged(lite_acme: Any) -> None:
    """Neither a job that never started nor one whose engine has sent no metrics yet breaks a minimum."""
    _, job = running(lite_acme)
    activate(lite_acme, job, "MIN", 1)
    activate(lite_acme, lite_acme.job("idle"), "MIN", 1)
    lite_acme.driver.tick(1)
    assert active(lite_acme) == []


def test_the_event_carries_the_documented_parameters(acme: Any) -> None:
    """SLA_ID, SLA_LABEL, ALERT_TEXT and ALERT_VALUE, and the general parameters."""
    engine, job = running(acme)
    sla, subscription = activate(acme, job, "MAX", 10), subscribe(acme)
    for rate in (11, 9, 12):
        report(engine, job, rate)
        acme.driver.tick(1)
    fired = events(acme)
    expected = {
        "SLA_ID": sla,
        "SLA_LABEL": "Speed",
        "ALERT_TEXT": "look at it",
        "ALERT_VALUE": "10",
        "ORGANIZATION": "acme",
        "SUBSCRIPTION_ID": subscription,
        "SUBSCRIPTION_NAME": "on alert",
    }
    assert [{name: values[name] for name in expected} for values in fired] == [expected, expected]


def test_a_subscription_hears_only_of_what_its_creator_may_read(acme: Any) -> None:
    """Where permissions are enforced; sharing the job with the creator makes it heard."""
    base = "/security/rest/v1/organization/acme"
    acme.put(f"{base}/users", {"id": "u@acme", "name": "U", "roles": ROLES})
    path = f"{base}/configs"
    acme.post(path, [{"id": "dpm.enable.events", "value": "true"}])
    acme.post(path, [{"id": "dpm.enforce.permissions", "value": "true"}])
    body = {
        "name": "mine",
        "events": [{"eventType": "JOB_STATUS_CHANGE"}],
        "externalActions": [{"eventType": "EMAIL", "config": "{}"}],
    }
    user = acme.driver.login("u@acme")
    user.put("/notification/rest/v1/eventsub/createEventSub", body)

    def heard() -> int:
        with acme.driver.app.hub.database.reading() as connection:
            return len(list(connection.execute(select(action_runs.c.id))))

    job = acme.job()
    acme.start(job)
    assert heard() == 0
    acl = acme.get(f"/jobrunner/rest/v1/job/{job['id']}/acl")
    acl["permissions"].append({"subjectId": "u@acme", "subjectType": "USER", "actions": ["READ"]})
    acme.post(f"/jobrunner/rest/v1/job/{job['id']}/acl", acl)
    acme.stop(job)
    assert heard() > 0


WRONG = {
    "not JSON": "{",
    "no object": "[]",
    "unknown parameter": '{"qosParameter": "LATENCY"}',
    "unknown function": '{"slaConditions": [{"slaFunctionType": "AVG", "value": 1}]}',
    "a value that is no number": '{"slaConditions": [{"slaFunctionType": "MAX", "value": "x"}]}',
}


@pytest.mark.parametrize("definition", WRONG.values(), ids=WRONG)
def test_a_wrong_definition_is_refused(definition: str, lite_acme: Any) -> None:
    """400, and nothing is stored."""
    answer = lite_acme.call("PUT", SLAS, {"label": "S", "slaDefinition": definition})
    assert (answer.status, answer.json()["ISSUES"][0]["message"][:14]) == (400, "slaDefinition:")
    assert lite_acme.get(SLAS) == []


def test_a_data_sla_about_a_job_of_another_organization_is_refused(acme: Any) -> None:
    """404, as for a job that does not exist."""
    beta = create_organization(acme.driver.login("admin@admin"), "beta")
    body = {"label": "S", "slaDefinition": json.dumps({"jobIds": [acme.job()["id"]]})}
    assert beta.call("PUT", SLAS, body).status == 404
