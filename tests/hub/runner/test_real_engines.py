"""What a real Data Collector does and the hub has to take, as seen on the wire."""

import json
from typing import Any

import pytest

OFFSET = '{\n  "version" : 2,\n  "offsets" : {\n    "k" : "7"\n  }\n}'


def started(acme: Any, **settings: Any) -> tuple[Any, dict[str, Any], str]:
    """An engine, the job that it runs, and the name of the job's pipeline there."""
    engine, job = acme.engine(), acme.job(**settings)
    acme.start(job)
    return engine, job, json.loads(engine.run()[0]["payload"])["name"]


def kinds(events: list[dict[str, Any]]) -> list[int]:
    return [event["eventTypeId"] for event in events]


def changes(engine: Any, name: str, *states: str, **more: Any) -> list[dict[str, Any]]:
    """State changes of a pipeline, a millisecond apart, as single events."""
    events = []
    for state in states:
        engine.driver.clock.advance(0.001)
        events.append(engine.event(2000, engine.status(name, state, **more)))
    return events


def test_a_stop_is_answered_by_nothing_more(acme: Any) -> None:
    """Row 24: the ack of STOP_DELETE stands before STOPPING, STOPPED and DELETED in one poll."""
    engine, job, name = started(acme)
    acme.stop(job)
    (stop,) = engine.poll()
    poll = [engine.ack(stop), *changes(engine, name, "STOPPING", "STOPPED", "DELETED", offset=OFFSET)]
    assert engine.send(poll) == []
    assert acme.status(job)["status"] == "INACTIVE"
    assert engine.poll() == []
    acme.start(job)
    assert json.loads(engine.poll()[0]["payload"])["offset"] == OFFSET


def test_changes_that_come_after_the_poll_of_their_ack_count_for_the_offset(acme: Any) -> None:
    """Row 24: a full report flushes no changes, so the ack can be a poll ahead of STOPPED."""
    engine, job, name = started(acme)
    acme.stop(job)
    (stop,) = engine.poll()
    assert engine.send([engine.ack(stop), engine.event(2002, {"pipelineStatusEventList": []})]) == []
    assert acme.status(job)["status"] == "INACTIVE"
    late = changes(engine, name, "STOPPING", "STOPPED", offset=OFFSET)
    assert engine.send([*late, *changes(engine, name, "DELETED", offset="old")]) == []
    acme.start(job)
    assert json.loads(engine.poll()[0]["payload"])["offset"] == "old"


def test_a_single_change_of_an_unknown_pipeline_removes_nothing(acme: Any) -> None:
    """Row 24: only a full report proves that a pipeline is where it should not be."""
    engine = acme.engine()
    assert engine.send(changes(engine, "Orders:5b0e0000:acme", "STOPPING", "STOPPED", "RUNNING")) == []
    assert kinds(engine.report(("Orders:5b0e0000:acme", "RUNNING"), full=True)) == [1009]


def test_an_engine_that_works_off_its_events_is_not_silent(acme: Any) -> None:
    """Row 25: 22 SAVE and START kept a loaded engine from polling for 113 s."""
    engine, pipeline = acme.engine(), acme.pipeline()
    ids = [acme.job(f"J{i}", pipeline)["id"] for i in range(22)]
    acme.post("/jobrunner/rest/v1/jobs/startJobs", ids)
    handed = engine.poll()
    assert len(handed) == 44
    for _ in range(113):
        acme.driver.tick(1)
    assert acme.get("/jobrunner/rest/v1/sdcs")[0]["responding"]
    assert all(not status["warnings"] for status in acme.post("/jobrunner/rest/v1/jobs/status", ids).values())
    engine.send([engine.ack(event) for event in handed])  # it has worked them off, and falls silent
    acme.driver.tick(61)
    assert not acme.get("/jobrunner/rest/v1/sdcs")[0]["responding"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/timeseries/rest/v1/metrics", [], id="metrics"),
        pytest.param("/jobrunner/rest/v1/sdc/updateLastModifiedTime", {}, id="heartbeat"),
        pytest.param("/security/rest/v1/validateAuthToken/user", {"authToken": "none"}, id="a refused call"),
    ],
)
def test_any_call_of_an_engine_is_a_sign_of_life(acme: Any, path: str, body: Any) -> None:
    """Row 25: metrics go on arriving while the poll thread is busy."""
    engine, job, _ = started(acme)
    for _ in range(4):
        acme.driver.clock.advance(40)
        acme.driver.raw("POST", path, engine.headers, json.dumps(body).encode())
        acme.driver.tick()
    assert acme.get("/jobrunner/rest/v1/sdcs")[0]["responding"]
    assert acme.status(job)["color"] == "GREEN"


def test_a_stop_refused_while_stopping_is_waited_for(acme: Any) -> None:
    """Row 26: the pipeline stays; the job ends with DELETED."""
    engine, job, name = started(acme)
    acme.stop(job)
    (stop,) = engine.poll()
    engine.send([engine.ack(stop, "ERROR", "Cannot change state from STOPPING to STOPPING")])
    assert acme.status(job)["status"] == "DEACTIVATING"
    engine.send(changes(engine, name, "STOPPED", "DELETED"))
    assert acme.status(job)["status"] == "INACTIVE"


def test_a_pipeline_that_stays_after_a_refused_stop_is_stopped_again(acme: Any) -> None:
    """Row 26: a full report shows it, and no removal waits."""
    engine, job, name = started(acme)
    acme.stop(job)
    (stop,) = engine.poll()
    engine.send([engine.ack(stop, "ERROR", "Cannot change state from STARTING to STOPPING")])
    acme.driver.clock.advance(1)
    assert engine.report((name, "STOPPING"), full=True) == []
    acme.driver.clock.advance(1)
    assert kinds(engine.report((name, "RUNNING"), full=True)) == [1009]
    assert acme.status(job)["status"] == "DEACTIVATING"


def test_a_stop_during_the_start_may_report_running_after_stopping(acme: Any) -> None:
    """Row 27: STARTING, STOPPING, RUNNING, STOPPED in that order."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    handed = engine.poll()
    name = json.loads(handed[0]["payload"])["name"]
    engine.send([engine.ack(event) for event in handed])
    acme.stop(job)
    (stop,) = engine.poll()
    engine.send(changes(engine, name, "STARTING", "STOPPING", "RUNNING", "STOPPED"))
    assert acme.status(job)["status"] == "DEACTIVATING"
    engine.send([engine.ack(stop), *changes(engine, name, "DELETED", title=None)])
    assert acme.status(job)["status"] == "INACTIVE"


def test_what_looks_odd_in_a_report_is_taken_as_it_is(acme: Any) -> None:
    """Row 27: no title, a pretty-printed offset, a message with a trailing blank, acks that come again."""
    engine, job, name = started(acme)
    engine.send(changes(engine, name, "RUNNING", title=None, offset=OFFSET, message="All is well. "))
    (pipeline,) = acme.status(job)["pipelineStatus"]
    assert (pipeline["title"], pipeline["message"]) == (name.split(":")[0], "All is well. ")
    acme.stop(job)
    (stop,) = engine.poll()
    assert engine.send([engine.ack(stop), *changes(engine, name, "DELETED", title=None)]) == []
    assert engine.send([engine.ack(stop), engine.ack(stop)]) == []
    assert acme.status(job)["pipelineOffsets"][0]["offset"] == OFFSET


def test_who_built_an_engine_and_when_may_be_swapped(acme: Any) -> None:
    """Row 27: builtDate and builtBy have each other's values; the engine is known all the same."""
    engine = acme.engine()
    build = {"version": "3.23.0", "builtBy": "2026-11-29T10:00:00Z", "builtDate": "builder"}
    info = {"httpUrl": "http://a:18630", "sdcBuildInfo": build, "labels": ["all"]}
    assert engine.send([engine.event(2001, info)]) == []
    known = acme.get(f"/jobrunner/rest/v1/sdc/{engine.id}")
    assert (known["version"], known["reportedLabels"]) == ("3.23.0", ["all"])


def test_the_marker_header_may_come_folded(acme: Any) -> None:
    """Row 27: the engine adds it twice."""
    engine = acme.engine()
    headers = engine.headers | {"X-Requested-By": "SDC,SDC"}
    assert acme.driver.raw("POST", "/messaging/rest/v1/events", headers, b"[]").status == 200


def test_an_engine_registers_again_after_a_refused_user_token(acme: Any) -> None:
    """Row 27: 403 for the token makes it register a second time, and its job goes on."""
    engine, job, _ = started(acme)
    path = "/security/rest/v1/validateAuthToken/user"
    body = json.dumps({"authToken": "expired"}).encode()
    assert acme.driver.raw("POST", path, engine.headers, body).status == 403
    engine.register()
    assert engine.poll() == []
    assert acme.status(job)["color"] == "GREEN"


def set_labels(acme: Any, engine: Any, *labels: str) -> None:
    path = f"/jobrunner/rest/v1/sdc/{engine.id}/updateLabels"
    acme.post(path, {"id": engine.id, "organization": "acme", "labels": list(labels)})


def test_a_job_moves_to_the_engine_that_has_its_labels_now(acme: Any) -> None:
    """Row 6: two engines swap their labels; one sync ends with the job running on the right one."""
    first, second = acme.engine(), acme.engine()
    set_labels(acme, first, "eu")
    set_labels(acme, second, "us")
    job = acme.job(labels=["eu"])
    assert acme.start(job)["sdcIds"] == [first.id]
    name = json.loads(first.run()[0]["payload"])["name"]
    set_labels(acme, first, "us")
    set_labels(acme, second, "eu")
    acme.post("/jobrunner/rest/v1/jobs/syncJobs", [job["id"]])
    assert second.poll() == []  # not before the pipeline has left the first one: its offset goes along
    (stop,) = first.poll()
    first.send([first.ack(stop), *changes(first, name, "STOPPING", "STOPPED", "DELETED", offset=OFFSET)])
    handed = second.run()
    assert (kinds(handed), json.loads(handed[0]["payload"])["offset"]) == ([1001, 1003], OFFSET)
    status = acme.status(job)
    assert (status["status"], status["color"], status["sdcIds"]) == ("ACTIVE", "GREEN", [second.id])
    assert (first.poll(), second.poll()) == ([], [])


def test_a_job_waits_for_an_engine_when_its_own_lost_the_labels(acme: Any) -> None:
    """Row 6: red with a warning until an engine has them."""
    first, second = acme.engine(), acme.engine()
    set_labels(acme, first, "eu")
    job = acme.job(labels=["eu"])
    acme.start(job)
    first.run()
    set_labels(acme, first)
    acme.post("/jobrunner/rest/v1/jobs/syncJobs", [job["id"]])
    first.run()
    status = acme.status(job)
    assert (status["color"], [w[:12] for w in status["warnings"]]) == ("RED", ["JOBRUNNER_24"])
    set_labels(acme, second, "eu")
    acme.driver.tick(1)
    second.run()
    assert (acme.status(job)["color"], acme.status(job)["sdcIds"]) == ("GREEN", [second.id])


def test_of_two_pipelines_that_go_one_failing_both_are_replaced(acme: Any) -> None:
    """One report tells that a pipeline was deleted and that another failed: each gets an engine again."""
    engines = {engine.id: engine for engine in (acme.engine(), acme.engine(), acme.engine(), acme.engine())}
    job = acme.job(numInstances=2)
    running = [engines[id] for id in acme.start(job)["sdcIds"]]
    names = [json.loads(engine.run()[0]["payload"])["name"] for engine in running]
    lost, failing = running
    acme.driver.clock.advance(1)
    lost.report((names[0], "DELETED"))
    failing.report((names[1], "RUN_ERROR"), message="broken")
    for engine in engines.values():
        engine.run()
    status = acme.status(job)
    assert (status["status"], status["color"], len(status["sdcIds"])) == ("ACTIVE", "GREEN", 2)
    assert failing.id not in status["sdcIds"]


def test_an_engine_names_what_is_about_to_start_and_counts_the_rest(acme: Any) -> None:
    """Row 2: pipelinesCommitted is empty beside a pipelinesCount once the pipelines have a status."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    path = f"/jobrunner/rest/v1/sdc/{engine.id}"
    name = f"Orders__{job['id'].replace(':', '__')}"
    before = acme.get(path)
    assert (before["pipelinesCommitted"], before["pipelinesCount"]) == ([name], 0)
    engine.run()
    after = acme.get(path)
    assert (after["pipelinesCommitted"], after["pipelinesCount"]) == ([], 1)


def test_a_status_names_a_pipeline_as_its_engine_does(acme: Any) -> None:
    """Row 11: the parts are joined by the engine's idSeparator, wherever a pipeline is named."""
    engine, job, name = started(acme)
    acme.driver.clock.advance(1)
    engine.report((name, "RUNNING"), offset=OFFSET)
    own = acme.get(f"/jobrunner/rest/v1/sdc/{engine.id}")
    local = own["idSeparator"].join(["Orders", *job["id"].split(":")])
    status = acme.status(job)
    assert status["pipelineStatus"][0]["name"] == local
    assert status["pipelineOffsets"][0]["pipelineId"] == local
    assert acme.get(f"/jobrunner/rest/v1/sdc/{engine.id}/pipelines")[0]["name"] == local


def test_several_engines_are_deleted_in_one_call(acme: Any) -> None:
    """Row 12: 200, and their pipelines are given up."""
    engine, job, _ = started(acme)
    other = acme.engine()
    assert acme.call("POST", "/jobrunner/rest/v1/sdcs/delete", [engine.id, "unknown"]).status == 200
    assert [row["id"] for row in acme.get("/jobrunner/rest/v1/sdcs")] == [other.id]
    acme.driver.tick(1)
    other.run()
    assert acme.status(job)["sdcIds"] == [other.id]


def test_the_labels_of_an_engine_are_those_assigned_in_the_hub(acme: Any) -> None:
    """Row 13: none after they were taken away; what it reports stays beside them."""
    engine = acme.engine()
    path = f"/jobrunner/rest/v1/sdc/{engine.id}"
    set_labels(acme, engine, "eu")
    assert acme.get(f"{path}/labels") == ["eu"]
    set_labels(acme, engine)
    assert acme.get(f"{path}/labels") == []
    assert acme.get("/jobrunner/rest/v1/sdcs")[0]["reportedLabels"] == ["all"]


def test_deleting_an_engine_that_never_polled_is_no_error(acme: Any) -> None:
    """Row 14: registered or not, there is nothing to do."""
    engine = acme.engine()
    path = "/security/rest/v1/organization/acme/components"
    body = {"componentType": "dc", "numberOfComponents": 1}
    engine.token, engine.id = acme.put(path, body)[0]["fullAuthToken"], "0b1e7c9a-0000-11ee-8000-000000000000"
    engine.register()
    for id in (engine.id, "unknown"):
        assert acme.call("DELETE", f"/jobrunner/rest/v1/sdc/{id}").status == 200
    assert engine.poll() == []  # its token is good, and it appears


def test_warnings_have_the_words_of_a_real_hub(acme: Any) -> None:
    """Row 16: 62 and 24 come together; the job is ACTIVE and RED, its pipeline still RUNNING."""
    engine, job, _ = started(acme)
    acme.driver.tick(61)
    status = acme.status(job)
    url = f"http://{engine.id}:18630"
    assert status["warnings"] == [
        f"JOBRUNNER_62 - Not responding Data Collectors execution engines '[{url}]'",
        f"JOBRUNNER_24 - Cannot failover Data Collectors '[{url}]' as no instances available for failover",
    ]
    assert (status["status"], status["color"]) == ("ACTIVE", "RED")
    assert status["pipelineStatus"][0]["status"] == "RUNNING"


def test_a_job_over_the_thresholds_names_the_engines(acme: Any) -> None:
    """Row 16: the text of 72 ends with a full stop."""
    engine = acme.engine()
    path = f"/jobrunner/rest/v1/sdc/{engine.id}/updateSdcResourceThresholds"
    acme.post(path, {"id": engine.id, "maxPipelinesRunning": 0})
    assert acme.start(acme.job())["warnings"] == [
        "JOBRUNNER_72 - Insufficient Data Collector resources to run job. All matching Data Collectors "
        f"[http://{engine.id}:18630] have reached their maximum CPU usage limits."
    ]
