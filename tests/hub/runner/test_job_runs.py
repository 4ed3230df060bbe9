"""Jobs really run: the hub's side of the life of a run, on both databases."""

import json
from typing import Any

EIGHT = {
    "eventId",
    "from",
    "requiresAck",
    "ackEvent",
    "eventTypeId",
    "payload",
    "receivedTime",
    "orgId",
}


def test_a_started_job_is_activating_until_its_engine_reports_running(acme: Any) -> None:
    """ACTIVATING at start, ACTIVE and GREEN with the first RUNNING."""
    engine, job = acme.engine(), acme.job()
    assert acme.start(job)["status"] == "ACTIVATING"
    handed = engine.poll()
    assert [e["eventTypeId"] for e in handed] == [1001, 1003]
    assert acme.status(job)["status"] == "ACTIVATING"
    name = json.loads(handed[0]["payload"])["name"]
    engine.send([engine.ack(e) for e in handed])
    engine.report((name, "STARTING"), (name, "RUNNING"))
    status = acme.status(job)
    assert (status["status"], status["color"], status["sdcIds"]) == ("ACTIVE", "GREEN", [engine.id])
    assert [(a["eventType"], a["ackStatus"]) for a in status["ackTrackers"]] == [
        ("SAVE_PIPELINE", "SUCCESS"),
        ("START_PIPELINE", "SUCCESS"),
    ]


def test_server_events_have_exactly_the_eight_fields_and_a_text_payload(acme: Any) -> None:
    """An SDC rejects an envelope with any other field (engine-protocol.md, section 4)."""
    engine = acme.engine()
    acme.start(acme.job())
    for event in engine.poll():
        assert set(event) == EIGHT
        assert isinstance(json.loads(event["payload"]), dict)
        assert (event["requiresAck"], event["ackEvent"], event["from"]) == (True, False, "jobrunner-app")


def test_save_carries_the_constants_of_the_job_and_its_parameters(acme: Any) -> None:
    """Job context and runtime parameters travel in the pipeline's constants; the rules go along."""
    engine = acme.engine()
    pipeline = acme.pipeline("Orders of the day", REGION="eu", KEPT="yes")
    job = acme.job("Nightly", pipeline, runtimeParameters='{"REGION": "us"}', statsRefreshInterval=2000)
    acme.start(job)
    payload = json.loads(engine.poll()[0]["payload"])
    assert payload["name"] == f"Ordersoft:{job['id']}"
    config = json.loads(payload["pipelineConfigurationAndRules"]["pipelineConfig"])
    entry = next(e for e in config["configuration"] if e["name"] == "constants")
    constants = {c["key"]: c["value"] for c in entry["value"]}
    assert constants == {
        "REGION": "us",
        "KEPT": "yes",
        "JOB_ID": job["id"],
        "JOB_NAME": "Nightly",
        "PIPELINE_COMMIT_ID": pipeline["commitId"],
        "UPDATE_WAIT_TIME_MS": 2000,
        "TIME_SERIES_ANALYSIS": False,
        "REMOTE_TIMESERIES_URL": "http://hub.test/timeseries/rest/v1/metrics",
    }
    assert config["metadata"]["dpm.pipeline.commit.id"] == pipeline["commitId"]
    assert "metricsRuleDefinitions" in payload["pipelineConfigurationAndRules"]["pipelineRules"]
    assert (payload["offset"], payload["offsetProtocolVersion"]) == (None, 2)


def test_jobs_go_to_the_least_loaded_engine(acme: Any) -> None:
    """Twelve jobs over three equal engines: four each."""
    engines = [acme.engine() for _ in range(3)]
    pipeline = acme.pipeline()
    ids = [acme.job(f"J{i}", pipeline)["id"] for i in range(12)]
    acme.post("/jobrunner/rest/v1/jobs/startJobs", ids)
    assert sorted(len(engine.run()) // 2 for engine in engines) == [4, 4, 4]


def test_an_engine_needs_all_labels_of_the_job(acme: Any) -> None:
    """Reported and assigned labels count together."""
    acme.engine(labels=("all",))
    both = acme.engine(labels=("all", "eu"))
    path = f"/jobrunner/rest/v1/sdc/{both.id}/updateLabels"
    acme.post(path, {"id": both.id, "organization": "acme", "labels": ["gpu"]})
    job = acme.job(labels=["eu", "gpu"])
    assert acme.start(job)["sdcIds"] == [both.id]


def test_without_an_engine_the_job_waits_red_and_starts_when_one_comes(acme: Any) -> None:
    """Warning JOBRUNNER_24, then the engine gets the job at the next tick."""
    job = acme.job()
    status = acme.start(job)
    assert (status["status"], status["color"]) == ("ACTIVE", "RED")
    assert status["warnings"][0].startswith("JOBRUNNER_24")
    engine = acme.engine()
    acme.driver.tick(1)
    engine.run()
    status = acme.status(job)
    assert (status["status"], status["color"], status["warnings"]) == ("ACTIVE", "GREEN", [])


def test_over_the_threshold_the_job_waits_with_warning_72(acme: Any) -> None:
    """An engine with maxPipelinesRunning 1 takes one job of two; the other starts when it is free."""
    engine = acme.engine()
    path = f"/jobrunner/rest/v1/sdc/{engine.id}/updateSdcResourceThresholds"
    acme.post(path, {"id": engine.id, "maxPipelinesRunning": 1})
    pipeline = acme.pipeline()
    first, second = acme.job("A", pipeline), acme.job("B", pipeline)
    acme.post("/jobrunner/rest/v1/jobs/startJobs", [first["id"], second["id"]])
    engine.run()
    assert acme.status(second)["warnings"][0].startswith("JOBRUNNER_72")
    acme.stop(first)
    engine.run()
    acme.driver.tick(1)
    engine.run()
    assert acme.status(second)["color"] == "GREEN"


def test_stopping_sends_stop_delete_and_ends_when_the_pipeline_is_deleted(acme: Any) -> None:
    """DEACTIVATING until DELETED arrives, then INACTIVE and GRAY with a finish time."""
    engine, job = acme.engine(), acme.job(forceStopTimeout=5000)
    acme.start(job)
    name = json.loads(engine.run()[0]["payload"])["name"]
    assert acme.stop(job)["status"] == "DEACTIVATING"
    stop = engine.poll()[0]
    assert stop["eventTypeId"] == 1009
    assert json.loads(stop["payload"])["forceTimeoutMillis"] == 5000
    engine.report((name, "STOPPING"), (name, "STOPPED"))
    assert acme.status(job)["status"] == "DEACTIVATING"
    engine.report((name, "DELETED"))
    status = acme.status(job)
    assert (status["status"], status["color"]) == ("INACTIVE", "GRAY")
    assert status["finishTime"] >= status["startTime"]


def test_a_stop_before_the_engine_polled_never_reaches_it(acme: Any) -> None:
    """SAVE and START that were never handed out are taken back."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    assert acme.stop(job)["status"] == "INACTIVE"
    assert engine.poll() == []


def test_a_refused_start_leaves_nothing_behind(acme: Any) -> None:
    """The numbers of its pipelines are not given again: events of the next start are about its own."""
    engine, job, template = acme.engine(), acme.job(), acme.job("T", jobTemplate=True)
    answer = acme.call("POST", "/jobrunner/rest/v1/jobs/startJobs", [job["id"], template["id"]])
    assert answer.status == 400
    assert engine.poll() == []
    acme.start(job)
    assert [e["eventTypeId"] for e in engine.run()] == [1001, 1003]
    assert acme.status(job)["color"] == "GREEN"


def test_the_offset_of_a_run_starts_the_next_one(acme: Any) -> None:
    """The last offset comes back unchanged in the next SAVE, until it is reset."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    name = json.loads(engine.run()[0]["payload"])["name"]
    acme.driver.clock.advance(1)
    offset = '{"version":2,"offsets":{"$com.streamsets.datacollector.pollsource.offset$":"42"}}'
    engine.report((name, "RUNNING"), offset=offset)
    acme.stop(job)
    engine.run()
    path = f"/jobrunner/rest/v1/job/{job['id']}/committedOffsets"
    assert acme.get(path)["offsets"] == {"$com.streamsets.datacollector.pollsource.offset$": "42"}
    assert acme.start(job)["runCount"] == 2
    assert json.loads(engine.run()[0]["payload"])["offset"] == offset
    acme.stop(job)
    engine.run()
    acme.post("/jobrunner/rest/v1/jobs/resetOffset", [job["id"]])
    acme.start(job)
    assert json.loads(engine.poll()[0]["payload"])["offset"] is None


def test_a_finished_pipeline_makes_the_job_inactive(acme: Any) -> None:
    """FINISHED: the hub removes the pipeline and the job ends GRAY."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    name = json.loads(engine.run()[0]["payload"])["name"]
    acme.driver.clock.advance(5)
    engine.report((name, "FINISHED"))
    assert acme.status(job)["status"] == "DEACTIVATING"
    assert [e["eventTypeId"] for e in engine.run()] == [1009]
    status = acme.status(job)
    assert (status["status"], status["color"]) == ("INACTIVE", "GRAY")


def test_a_start_error_without_failover_needs_acknowledgement(acme: Any) -> None:
    """START_ERROR ends in INACTIVE_ERROR; nothing starts before the error is acknowledged."""
    engine, job = acme.engine(), acme.job(migrateOffsets=False)
    acme.start(job)
    name = json.loads(engine.poll()[0]["payload"])["name"]
    engine.report((name, "START_ERROR"), message="no such table")
    engine.run()
    status = acme.status(job)
    assert (status["status"], status["color"]) == ("INACTIVE_ERROR", "RED")
    assert status["errorMessage"] == "no such table"
    answer = acme.call("POST", f"/jobrunner/rest/v1/job/{job['id']}/start")
    assert (answer.status, answer.code) == (400, "JOBRUNNER_05")
    acme.post(f"/jobrunner/rest/v1/job/{job['id']}/acknowledgeError")
    assert acme.status(job)["status"] == "INACTIVE"
    assert acme.start(job)["status"] == "ACTIVATING"


def test_a_failing_pipeline_moves_to_another_engine(acme: Any) -> None:
    """RUN_ERROR with failover: each other engine is tried once, then the run fails."""
    first, second = acme.engine(), acme.engine()
    job = acme.job()
    chosen = acme.start(job)["sdcIds"][0]
    engines = sorted((first, second), key=lambda e: e.id != chosen)
    for engine in engines:
        handed = [e for e in engine.run() if e["eventTypeId"] == 1003]
        acme.driver.clock.advance(1)
        engine.report((json.loads(handed[0]["payload"])["name"], "RUN_ERROR"), message="broken")
    for engine in engines:
        engine.run()
    assert acme.status(job)["status"] == "INACTIVE_ERROR"


def test_a_silent_engine_loses_its_job_to_another_with_the_offset(acme: Any) -> None:
    """Failover after the heartbeat interval; the engine that comes back is told to remove its pipeline."""
    first, second = acme.engine(), acme.engine()
    job = acme.job()
    chosen = acme.start(job)["sdcIds"][0]
    old, new = (first, second) if chosen == first.id else (second, first)
    name = json.loads(old.run()[0]["payload"])["name"]
    acme.driver.clock.advance(1)
    old.report((name, "RUNNING"), offset='{"version":2,"offsets":{"k":"7"}}')
    for _ in range(13):
        acme.driver.clock.advance(5)
        new.poll()
    acme.driver.tick()
    handed = new.run()
    assert [e["eventTypeId"] for e in handed] == [1001, 1003]
    assert json.loads(handed[0]["payload"])["offset"] == '{"version":2,"offsets":{"k":"7"}}'
    status = acme.status(job)
    assert (status["sdcIds"], status["color"]) == ([new.id], "GREEN")
    assert [e["eventTypeId"] for e in old.report((name, "RUNNING"), full=True)] == [1009]


def test_a_returning_engine_is_told_to_remove_what_failed_over(acme: Any) -> None:
    """An unknown remote pipeline in a full report is removed with STOP_DELETE, asked for once."""
    engine = acme.engine()
    stray = engine.report(("Orders:5b0e0000:acme", "RUNNING"), full=True)
    assert [(e["eventTypeId"], json.loads(e["payload"])["name"]) for e in stray] == [
        (1009, "Orders:5b0e0000:acme")
    ]
    assert engine.report(("Orders:5b0e0000:acme", "RUNNING"), full=True) == []


def test_without_failover_a_silent_engine_makes_the_job_red(acme: Any) -> None:
    """Warning JOBRUNNER_62, gone when the engine polls again."""
    engine, job = acme.engine(), acme.job(migrateOffsets=False)
    acme.start(job)
    engine.run()
    acme.driver.tick(61)
    status = acme.status(job)
    assert (status["status"], status["color"]) == ("ACTIVE", "RED")
    assert status["warnings"][0].startswith("JOBRUNNER_62")
    engine.poll()
    acme.driver.tick(1)
    status = acme.status(job)
    assert (status["status"], status["color"], status["warnings"]) == ("ACTIVE", "GREEN", [])


def test_events_without_ack_are_handed_out_again(acme: Any) -> None:
    """Redelivery after 30 s with the same ids; the errors of a repeated SAVE and START do no harm."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    first = engine.poll()
    acme.driver.clock.advance(10)
    assert engine.poll() == []
    acme.driver.clock.advance(25)
    again = engine.poll()
    assert [e["eventId"] for e in again] == [e["eventId"] for e in first]
    engine.send(
        [
            engine.ack(again[0], "ERROR", "Pipeline 'x' already exists"),
            engine.ack(again[1], "ERROR", "Cannot change state from RUNNING to STARTING"),
        ]
    )
    engine.report((json.loads(first[0]["payload"])["name"], "RUNNING"))
    assert acme.status(job)["color"] == "GREEN"


def test_every_engine_runs_a_job_with_minus_one_instances(acme: Any) -> None:
    """numInstances -1 means all matching engines; sync adds those that came later."""
    engines = [acme.engine() for _ in range(2)]
    job = acme.job(numInstances=-1)
    assert len(acme.start(job)["sdcIds"]) == 2
    for engine in engines:
        engine.run()
    engines.append(acme.engine())
    assert len(acme.post(f"/jobrunner/rest/v1/job/{job['id']}/sync")["sdcIds"]) == 3


def test_balancing_moves_a_job_to_an_idle_engine(acme: Any) -> None:
    """Two jobs on one engine, then a second engine: balance moves one of them."""
    engine = acme.engine()
    pipeline = acme.pipeline()
    ids = [acme.job(f"J{i}", pipeline)["id"] for i in range(2)]
    acme.post("/jobrunner/rest/v1/jobs/startJobs", ids)
    engine.run()
    other = acme.engine()
    acme.post("/jobrunner/rest/v1/jobs/balanceJobs", ids)
    assert [e["eventTypeId"] for e in engine.run()] == [1009]
    assert [e["eventTypeId"] for e in other.run()] == [1001, 1003]
    statuses = acme.post("/jobrunner/rest/v1/jobs/status", ids).values()
    assert sorted(s["sdcIds"][0] for s in statuses) == sorted((engine.id, other.id))


def test_force_stop_ends_the_job_at_once(acme: Any) -> None:
    """INACTIVE without waiting; the engine gets STOP_DELETE with timeout 0."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    engine.run()
    status = acme.post(f"/jobrunner/rest/v1/job/{job['id']}/forceStop")
    assert status["status"] == "INACTIVE"
    stop = engine.poll()[0]
    assert (stop["eventTypeId"], json.loads(stop["payload"])["forceTimeoutMillis"]) == (1009, 0)


def test_a_stop_nobody_answers_ends_by_itself(acme: Any) -> None:
    """After the force-stop timeout the instance is given up."""
    engine, job = acme.engine(), acme.job(forceStopTimeout=1000)
    acme.start(job)
    engine.run()
    acme.stop(job)
    acme.driver.tick(200)
    assert acme.status(job)["status"] == "INACTIVE"


def test_a_template_starts_instances_with_their_parameters(acme: Any) -> None:
    """One call creates and starts one job per parameter object."""
    acme.engine()
    template = acme.job("Load", jobTemplate=True, runtimeParameters='{"TABLE": "t", "N": "1"}')
    answer = acme.call("POST", f"/jobrunner/rest/v1/job/{template['id']}/start")
    assert answer.status == 400
    body = {
        "namePostfixType": "PARAM_VALUE",
        "paramName": "TABLE",
        "runtimeParametersList": [{"TABLE": "a"}, {"TABLE": "b"}],
    }
    path = f"/jobrunner/rest/v1/job/{template['id']}/createAndStartJobInstances"
    started = acme.post(path, body)
    rows = acme.post("/jobrunner/rest/v1/jobs", [s["jobId"] for s in started])
    assert [row["name"] for row in rows] == ["Load - a", "Load - b"]
    assert json.loads(rows[1]["runtimeParameters"]) == {"TABLE": "b", "N": "1"}
    assert {row["templateJobId"] for row in rows} == {template["id"]}


def test_the_history_keeps_every_run_up_to_the_limit(acme: Any, admin: Any) -> None:
    """Newest first; older runs than the limit allows are dropped."""
    path = "/security/rest/v1/organization/acme/configs"
    admin.post(path, [{"id": "org.max.job.runs", "value": "2"}])
    job = acme.job()
    for _ in range(3):
        acme.start(job)
        acme.post(f"/jobrunner/rest/v1/job/{job['id']}/forceStop")
    runs = acme.get(f"/jobrunner/rest/v1/job/{job['id']}/history")
    assert [run["runCount"] for run in runs] == [3, 2]
    events = acme.get(f"/jobrunner/rest/v1/job/{runs[0]['id']}/jobStatusHistory")
    assert [e["status"] for e in events] == ["ACTIVATING", "ACTIVE", "DEACTIVATING", "INACTIVE"]


def test_counts_by_status_split_active_by_color(acme: Any) -> None:
    """ACTIVE_GREEN, ACTIVE_RED, and '' for jobs that never ran."""
    engine = acme.engine()
    pipeline = acme.pipeline()
    green, red = acme.job("G", pipeline), acme.job("R", pipeline, labels=["nowhere"])
    acme.job("N", pipeline)
    acme.start(green)
    acme.start(red)
    engine.run()
    counts = acme.get("/jobrunner/rest/v1/metrics/jobCountByStatus")["data"]
    assert {c["status"]: c["count"] for c in counts} == {"": 1, "ACTIVE_GREEN": 1, "ACTIVE_RED": 1}


def test_a_restart_of_the_hub_loses_nothing(acme: Any) -> None:
    """Sessions, components, queued events and runs are there again; polling goes on."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    acme.driver.restart()
    handed = engine.run()
    assert [e["eventTypeId"] for e in handed] == [1001, 1003]
    assert acme.status(job)["color"] == "GREEN"
    acme.driver.tick(30)
    assert acme.status(job)["color"] == "GREEN"


def test_a_job_started_right_after_a_forced_stop_runs(acme: Any) -> None:
    """DELETED, which the old run's pipeline reports under the same name, does not end the new one."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    engine.run()
    acme.post(f"/jobrunner/rest/v1/job/{job['id']}/forceStop")
    acme.start(job)
    assert [[e["eventTypeId"] for e in engine.run()] for _ in range(2)] == [[1009], [1001, 1003]]
    status = acme.status(job)
    assert (status["status"], status["color"], status["sdcIds"]) == ("ACTIVE", "GREEN", [engine.id])


def test_a_pipeline_deleted_at_its_engine_is_sent_again(acme: Any) -> None:
    """Somebody removed it by hand; its run goes on."""
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    name = json.loads(engine.run()[0]["payload"])["name"]
    acme.driver.clock.advance(1)
    assert [e["eventTypeId"] for e in engine.report((name, "DELETED"))] == [1001, 1003]
    engine.run()
    status = acme.status(job)
    assert (status["status"], status["color"], status["sdcIds"]) == ("ACTIVE", "GREEN", [engine.id])
