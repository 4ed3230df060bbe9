"""The conversation of a real Edge process, recorded (engine-protocol.md, 13), replayed against the hub."""

import json
from typing import Any

import pytest

OFFSET = '{"Version":2,"Offset":{"$com.streamsets.sdc2go.pollsource.offset$":"random"}}'


class Edge:
    """Sends what Edge sends: no per-change events, acks in the next poll, the info event once."""

    def __init__(self, session: Any) -> None:
        self.session, self.driver = session, session.driver
        self.id = "7b0f6a52-1c1b-41eb-9a3c-0242ac110002"
        path = "/security/rest/v1/organization/acme/components"
        body = {
            "organization": "acme",
            "componentType": "dc-edge",
            "numberOfComponents": 1,
            "active": True,
        }
        answer = session.call("PUT", path, body)
        assert answer.status == 201
        self.token = answer.json()[0]["fullAuthToken"]

    def register(self) -> Any:
        body = {
            "authToken": self.token,
            "componentId": self.id,
            "attributes": {
                "baseHttpUrl": "http://edge-1.example:18633",
                "sdc2goGoVersion": "go1.19.8",
                "sdc2goGoOS": "linux",
                "sdc2goGoArch": "amd64",
                "sdc2goBuildDate": "today",
                "sdc2goRepoSha": "sha",
                "sdc2goVersion": "3.22.0",
            },
        }
        headers = {
            "User-Agent": "Go-http-client/1.1",
            "Content-Type": "application/json",
            "X-Requested-By": "dc-edge",
            "Accept-Encoding": "gzip",
        }
        path = "/security/public-rest/v1/components/registration"
        return self.driver.raw("POST", path, headers, json.dumps(body).encode())

    def headers(self) -> dict[str, str]:
        return {
            "X-Requested-By": "true",
            "X-Ss-App-Auth-Token": self.token,
            "X-Ss-App-Component-Id": self.id,
            "Content-Type": "application/json",
        }

    def send(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        body = json.dumps(list(events)).encode()
        answer = self.driver.raw("POST", "/messaging/rest/v1/events", self.headers(), body)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        return list(answer.json())

    def event(self, kind: int, payload: Any, event_id: str = "e") -> dict[str, Any]:
        both = ["jobrunner-app", "timeseries-app"] if kind == 2003 else ["jobrunner-app"]
        return {
            "eventId": event_id,
            "destinations": both,
            "requiresAck": False,
            "ackEvent": kind == 5000,
            "eventTypeId": kind,
            "payload": json.dumps(payload),
            "orgId": "",
        }

    def info(self) -> dict[str, Any]:
        payload = {
            "sdcId": self.id,
            "httpUrl": "http://edge-1.example:18633",
            "javaVersion": "go1.19.8",
            "sdcBuildInfo": {"version": "3.22.0", "builtDate": "", "builtBy": "", "builtRepoSha": ""},
            "labels": ["all"],
            "edge": True,
            "totalMemory": 0,
        }
        return self.event(2001, payload, "http://edge-1.example:18633")

    def statuses(self, *rows: tuple[str, str]) -> list[dict[str, Any]]:
        listed = [
            {
                "name": name,
                "title": name,
                "rev": "",
                "timeStamp": self.driver.clock(),
                "remote": True,
                "pipelineStatus": state,
                "message": "",
                "workerInfos": None,
                "validationStatus": None,
                "issues": "",
                "clusterMode": False,
                "offset": OFFSET,
                "offsetProtocolVersion": 0,
                "acl": None,
                "runnerCount": 0,
            }
            for name, state in rows
        ]
        figures = {"timestamp": self.driver.clock(), "sdcId": self.id, "cpuLoad": 0, "usedMemory": 612744}
        return [self.event(2002, {"pipelineStatusEventList": listed}), self.event(2003, figures)]

    def acks(self, events: list[dict[str, Any]], status: str = "SUCCESS") -> list[dict[str, Any]]:
        payload = {"ackEventStatus": status, "message": ""}
        return [self.event(5000, payload, event["eventId"]) for event in events]

    def metrics(self, job: str, run: str | None = None) -> Any:
        tag = {} if run is None else {"psr.job.runId": run}
        body = [
            {
                "timestamp": self.driver.clock(),
                "sdcId": self.id,
                "masterSdcId": "",
                "aggregated": False,
                "metadata": {
                    "dpm.job.id": job,
                    "dpm.pipeline.commitId": "c",
                    "timeSeriesAnalysis": "false",
                    **tag,
                },
                "metrics": {
                    "version": "3.0.0",
                    "gauges": {},
                    "counters": {
                        "pipeline.batchInputRecords.counter": {"count": 120},
                        "pipeline.batchOutputRecords.counter": {"count": 118},
                        "pipeline.batchErrorRecords.counter": {"count": 2},
                    },
                    "histograms": {},
                    "meters": {},
                    "timers": {},
                },
            }
        ]
        return self.driver.raw(
            "POST", "/timeseries/rest/v1/metrics", self.headers(), json.dumps(body).encode()
        )


def test_the_recorded_conversation_runs_and_stops_a_job(acme: Any) -> None:
    """Registration, first poll, SAVE and START, RUNNING in a full report only, STOP, DELETE, a second run."""
    edge = Edge(acme)
    registered = edge.register()
    assert (registered.status, registered.json()) == (200, {"configuration": {}})
    assert edge.send(edge.info(), *edge.statuses()) == []
    assert edge.send() == []
    engine = acme.get("/jobrunner/rest/v1/sdcs?executorType=EDGE&len=-1")[0]
    assert (engine["id"], engine["edge"], engine["responding"]) == (edge.id, True, True)
    assert (engine["httpUrl"], engine["version"]) == ("http://edge-1.example:18633", "3.22.0")

    job = acme.job("Edge job", edge=True)
    acme.start(job)
    handed = edge.send()
    assert [event["eventTypeId"] for event in handed] == [1001, 1003]
    save = json.loads(handed[0]["payload"])
    config = json.loads(save["pipelineConfigurationAndRules"]["pipelineConfig"])
    assert config["statsAggregatorStage"]["stageName"].endswith("_StatsDpmDirectlyDTarget")
    constants = {
        c["key"]: c["value"] for e in config["configuration"] if e["name"] == "constants" for c in e["value"]
    }
    assert constants["REMOTE_TIMESERIES_URL"] == "http://hub.test/timeseries/rest/v1/metrics"
    assert isinstance(constants["UPDATE_WAIT_TIME_MS"], int)
    name = save["name"]
    assert edge.send(*edge.acks(handed)) == []
    assert acme.status(job)["status"] == "ACTIVATING"
    edge.driver.clock.advance(60)
    assert edge.send(*edge.statuses((name, "RUNNING"))) == []
    assert (acme.status(job)["status"], acme.status(job)["color"]) == ("ACTIVE", "GREEN")
    assert edge.metrics(job["id"]).status == 200
    assert acme.status(job)["inputRecordCount"] == 120

    assert acme.stop(job)["status"] == "DEACTIVATING"
    stop = edge.send()
    assert [event["eventTypeId"] for event in stop] == [1004]
    assert edge.send(*edge.acks(stop)) == []
    edge.driver.clock.advance(60)
    delete = edge.send(*edge.statuses((name, "STOPPED")))
    assert [event["eventTypeId"] for event in delete] == [1006]
    assert edge.send(*edge.acks(delete)) == []
    status = acme.status(job)
    assert (status["status"], status["color"]) == ("INACTIVE", "GRAY")
    assert edge.send(*edge.statuses()) == []
    assert edge.metrics(job["id"]).status == 200  # Edge uploads metrics of deleted pipelines until it ends

    acme.start(job)
    again = json.loads(edge.send()[0]["payload"])
    assert (again["offset"], again["offsetProtocolVersion"]) == (OFFSET, 0)


def test_an_edge_that_cannot_stop_is_told_to_delete(acme: Any) -> None:
    """STOP of a pipeline that is not running is acked ERROR; DELETE follows and the job ends."""
    edge = Edge(acme)
    edge.register()
    edge.send(edge.info(), *edge.statuses())
    job = acme.job(edge=True)
    acme.start(job)
    handed = edge.send()
    edge.send(*edge.acks(handed), *edge.statuses((json.loads(handed[0]["payload"])["name"], "RUNNING")))
    acme.stop(job)
    stop = edge.send()
    delete = edge.send(*edge.acks(stop, "ERROR"))
    assert [event["eventTypeId"] for event in delete] == [1006]
    edge.send(*edge.acks(delete))
    assert acme.status(job)["status"] == "INACTIVE"


def test_an_edge_whose_info_event_was_lost_is_known_by_its_registration(acme: Any) -> None:
    """Address, version and kind come from the registration attributes."""
    edge = Edge(acme)
    edge.register()
    edge.send()
    engine = acme.get("/jobrunner/rest/v1/sdcs")[0]
    assert (engine["httpUrl"], engine["version"], engine["executorType"]) == (
        "http://edge-1.example:18633",
        "3.22.0",
        "EDGE",
    )


def test_wrong_credentials_are_401_and_the_next_poll_is_served(acme: Any) -> None:
    """A poll with a wrong token gets 401 with WWW-Authenticate, not 403."""
    edge = Edge(acme)
    edge.register()
    good = edge.token
    edge.token = "wrong"
    answer = edge.driver.raw("POST", "/messaging/rest/v1/events", edge.headers(), b"[]")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "dpm")
    edge.token = good
    assert edge.send() == []


def started(acme: Any) -> tuple[Edge, dict[str, Any], str]:
    """An Edge that started a job's pipeline and has not reported it yet, the job, and the pipeline's name."""
    edge = Edge(acme)
    edge.register()
    edge.send(edge.info(), *edge.statuses())
    job = acme.job(edge=True)
    acme.start(job)
    handed = edge.send()
    edge.driver.clock.advance(5)
    edge.send(*edge.acks(handed))
    return edge, job, json.loads(handed[0]["payload"])["name"]


def report(edge: Edge, name: str, state: str, at_ms: int) -> list[dict[str, Any]]:
    """A full report of one pipeline that is in a state since a given time."""
    statuses, figures = edge.statuses((name, state))
    payload = json.loads(statuses["payload"])
    payload["pipelineStatusEventList"][0]["timeStamp"] = at_ms
    return [statuses | {"payload": json.dumps(payload)}, figures]


@pytest.mark.parametrize("reported_before", [True, False])
def test_a_killed_edge_that_still_reports_running_starts_its_pipelines_again(
    acme: Any, reported_before: bool
) -> None:
    """As recorded: its first report repeats the old RUNNING, and nothing runs until STOP and START."""
    edge, job, name = started(acme)
    began = edge.driver.clock()
    if reported_before:
        edge.send(*report(edge, name, "RUNNING", began))
    edge.driver.clock.advance(10)
    edge.register()
    again = edge.send(edge.info(), *report(edge, name, "RUNNING", began))
    assert [event["eventTypeId"] for event in again] == [1004, 1003]
    edge.driver.clock.advance(5)
    restarted = edge.driver.clock()
    assert edge.send(*edge.acks(again)) == []
    assert acme.status(job)["pipelineStatus"][0]["status"] == "STARTING"
    edge.driver.clock.advance(60)
    assert edge.send(*report(edge, name, "RUNNING", restarted)) == []
    assert (acme.status(job)["status"], acme.status(job)["color"]) == ("ACTIVE", "GREEN")
    edge.driver.clock.advance(65)
    assert edge.send(*report(edge, name, "RUNNING", restarted)) == []


def test_an_edge_that_was_shut_down_in_order_starts_its_pipelines_again(acme: Any) -> None:
    """It stored STOPPED at the end of its process: the job goes on, with a START alone."""
    edge, job, name = started(acme)
    edge.send(*report(edge, name, "RUNNING", edge.driver.clock()))
    edge.driver.clock.advance(10)
    ended = edge.driver.clock()
    edge.driver.clock.advance(10)
    edge.register()
    again = edge.send(edge.info(), *report(edge, name, "STOPPED", ended))
    assert [event["eventTypeId"] for event in again] == [1003]
    assert acme.status(job)["status"] == "ACTIVE"
    edge.send(*edge.acks(again))
    edge.driver.clock.advance(60)
    assert edge.send(*report(edge, name, "RUNNING", ended + 15_000)) == []
    assert (acme.status(job)["status"], acme.status(job)["color"]) == ("ACTIVE", "GREEN")


def test_a_restart_survives_the_hub_and_a_lost_info_event(acme: Any) -> None:
    """Registration alone tells of the new process, and a hub that dies after it still knows."""
    edge, _, name = started(acme)
    began = edge.driver.clock()
    edge.send(*report(edge, name, "RUNNING", began))
    edge.driver.clock.advance(10)
    edge.register()
    edge.driver.restart()
    assert edge.send() == []
    edge.driver.clock.advance(60)
    again = edge.send(*report(edge, name, "RUNNING", began))
    assert [event["eventTypeId"] for event in again] == [1004, 1003]


def test_an_event_done_by_a_process_that_died_before_its_ack_does_no_harm(acme: Any) -> None:
    """As recorded: the new process answers the repeated DELETE with an error, and the job ends."""
    edge, job, name = started(acme)
    edge.send(*report(edge, name, "RUNNING", edge.driver.clock()))
    acme.stop(job)
    edge.send(*edge.acks(edge.send()))
    delete = edge.send(*report(edge, name, "STOPPED", edge.driver.clock() + 1))
    edge.register()
    assert edge.send(edge.info(), *edge.statuses()) == []
    edge.driver.clock.advance(30)
    repeated = edge.send()
    assert [event["eventId"] for event in repeated] == [event["eventId"] for event in delete]
    edge.send(*edge.acks(repeated, "ERROR"))
    assert acme.status(job)["status"] == "INACTIVE"


def test_a_started_pipeline_that_an_edge_lost_is_sent_again(acme: Any) -> None:
    """The engine's disk was replaced before it reported the pipeline for the first time."""
    edge, _, _ = started(acme)
    edge.driver.clock.advance(10)
    edge.register()
    again = edge.send(edge.info(), *edge.statuses())
    assert [event["eventTypeId"] for event in again] == [1001, 1003]


def test_metrics_of_a_finished_run_do_not_count_for_the_next_one(acme: Any) -> None:
    """Edge uploads what a finished pipeline counted until its process ends, beside the next run's figures."""
    edge = Edge(acme)
    edge.register()
    edge.send(edge.info(), *edge.statuses())
    job = acme.job(edge=True)

    def run_tag() -> str:
        acme.start(job)
        handed = edge.send()
        config = json.loads(
            json.loads(handed[0]["payload"])["pipelineConfigurationAndRules"]["pipelineConfig"]
        )
        edge.send(*edge.acks(handed))
        return str(config["metadata"]["psr.job.runId"])

    first = run_tag()
    assert edge.metrics(job["id"], first).status == 200
    assert acme.status(job)["inputRecordCount"] == 120
    name = acme.status(job)["pipelineStatus"][0]["name"].replace("__", ":")
    edge.driver.clock.advance(60)
    delete = edge.send(*edge.statuses((name, "FINISHED")))
    edge.send(*edge.acks(delete))
    assert acme.status(job)["status"] == "INACTIVE"
    second = run_tag()
    assert edge.metrics(job["id"], first).status == 200
    assert acme.status(job)["inputRecordCount"] == 0
    edge.metrics(job["id"], second)
    assert acme.status(job)["inputRecordCount"] == 120


def test_an_event_that_cannot_be_read_spoils_no_poll(acme: Any) -> None:
    """The engine would repeat its acks for ever if the whole poll were refused."""
    edge, job, name = started(acme)
    broken = edge.event(5000, {}) | {"payload": "{"}
    missing = edge.event(2001, {}) | {"payload": None}
    assert edge.send(broken, missing, *report(edge, name, "RUNNING", edge.driver.clock())) == []
    assert acme.status(job)["status"] == "ACTIVE"
    assert acme.get("/jobrunner/rest/v1/sdcs")[0]["reportedLabels"] == ["all"]


def test_a_job_for_edge_says_so_in_both_fields(acme: Any) -> None:
    """Older clients read ``edge``, later ones ``executorType``; the later one wins when both are sent."""
    job = acme.job(executorType="EDGE")
    assert (job["edge"], job["executorType"]) == (True, "EDGE")
    other = acme.job(edge=True, executorType="COLLECTOR")
    assert (other["edge"], other["executorType"]) == (False, "COLLECTOR")


def test_a_nul_character_in_a_message_spoils_no_poll(acme: Any) -> None:
    """It is left out: a text column cannot keep it, and the engine would send it again for ever.

    In an offset, which is a document, it is one of its characters.
    """
    edge, job, name = started(acme)
    statuses, figures = report(edge, name, "RUNNING", edge.driver.clock())
    payload = json.loads(statuses["payload"])
    payload["pipelineStatusEventList"][0] |= {"message": "a\x00b", "offset": json.dumps({"o": "c\x00d"})}
    assert edge.send(statuses | {"payload": json.dumps(payload)}, figures) == []
    status = acme.status(job)
    assert (status["color"], status["pipelineStatus"][0]["message"]) == ("GREEN", "ab")
    assert json.loads(status["pipelineOffsets"][0]["offset"]) == {"o": "c\x00d"}
