"""What acts by itself: cron times, scheduled tasks, subscriptions and their webhooks."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from support.hub_driver import ROLES

from psrlib.hub.events.webhooks import deliver_waiting
from psrlib.hub.runner.background import Background
from psrlib.hub.runner.cron import next_time_ms
from psrlib.hub.web.issues import IssueError

NOON = int(datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC).timestamp() * 1000)  # a Wednesday

# expression, first firing after NOON; checked by hand against the Quartz documentation
TIMES = [
    ("0 0 1/1 * ? *", "2026-03-04T13:00:00"),
    ("0 0/15 * * * ?", "2026-03-04T12:15:00"),
    ("30 5 * ? * *", "2026-03-04T12:05:30"),
    ("0 0 3 ? * MON-FRI", "2026-03-05T03:00:00"),
    ("0 0 3 ? * 1", "2026-03-08T03:00:00"),
    ("0 0 3 ? * 7", "2026-03-07T03:00:00"),
    ("0 0 12 1 * ?", "2026-04-01T12:00:00"),
    ("0 0 12 L * ?", "2026-03-31T12:00:00"),
    ("0 0 12 ? * 6#2", "2026-03-13T12:00:00"),
    ("0 0 12 ? * 6L", "2026-03-27T12:00:00"),
    ("0 0 0 1 1 ? 2028", "2028-01-01T00:00:00"),
    ("0 10,40 8-10 ? JUN,DEC SUN", "2026-06-07T08:10:00"),
    ("*/20 * * * * ?", "2026-03-04T12:00:20"),
]


@pytest.mark.parametrize(("expression", "expected"), TIMES, ids=[t[0] for t in TIMES])
def test_quartz_expressions_fire_at_the_right_time(expression: str, expected: str) -> None:
    """Seconds first, weekdays from 1 = Sunday, ``a/n`` steps, last days and nth weekdays."""
    moment = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert next_time_ms(expression, NOON) == int(moment.timestamp() * 1000)


def test_a_time_zone_moves_the_firing() -> None:
    """Three in the morning in Berlin is two in UTC in winter."""
    moment = datetime.fromtimestamp(next_time_ms("0 0 3 * * ?", NOON, "Europe/Berlin") / 1000, tz=UTC)
    assert moment.hour == 2


def test_an_expression_of_the_past_never_fires() -> None:
    """A year that is over gives no time."""
    assert next_time_ms("0 0 0 1 1 ? 2020", NOON) == 0


@pytest.mark.parametrize(
    "wrong", ["", "* * *", "0 0 25 * * ?", "x 0 0 * * ?", "0 0 0 * * ? 1 2", "0 0 0 ? * FOO"]
)
def test_wrong_expressions_are_named(wrong: str) -> None:
    """400 with the expression in the message."""
    with pytest.raises(IssueError, match="cron expression"):
        next_time_ms(wrong, NOON)


def task(session: Any, job: dict[str, Any], action: str, cron: str = "0 * * * * ?", **more: Any) -> str:
    """Create a task; return its id."""
    data = {
        "name": {"value": f"{action} task"},
        "executionInfo": {"action": {"value": action}},
        "crontabMask": {"value": cron},
        "jobId": {"value": job["id"]},
        "status": {"value": "RUNNING"},
    }
    data |= {name: {"value": value} for name, value in more.items()}
    made = session.put("/scheduler/rest/v2/jobs/pageId=SchedulerJobManagePage", {"data": data})
    return str(made["response"]["data"]["id"])


def runs(session: Any, task_id: str) -> list[dict[str, Any]]:
    path = f"/scheduler/rest/v2/jobs/{task_id}/pageId=SchedulerJobManagePage?runInfo=True&auditInfo=True"
    return list(session.get(path)["response"]["data"]["runs"])


def test_tasks_start_and_stop_jobs_at_their_times(acme: Any) -> None:
    """START at the full minute, STOP half a minute later; each firing is recorded with its due time."""
    engine, job, clock = acme.engine(), acme.job(), acme.driver.clock
    clock.now_ms = clock.now_ms // 60_000 * 60_000 + 1000
    start, stop = task(acme, job, "START"), task(acme, job, "STOP", "30 * * * * ?")
    acme.driver.tick(28)
    assert runs(acme, start) == runs(acme, stop) == []
    acme.driver.tick(1)  # second 30: there is nothing to stop yet
    acme.driver.tick(30)
    engine.run()
    assert acme.status(job)["status"] == "ACTIVE"
    (first,) = runs(acme, start)
    assert (first["startedOk"]["value"], first["scheduledTime"]["value"]) == (True, clock.now_ms)
    acme.driver.tick(30)
    engine.run()
    assert acme.status(job)["status"] == "INACTIVE"
    assert [r["startedOk"]["value"] for r in runs(acme, stop)] == [True, False]


def test_a_firing_that_cannot_act_is_recorded_as_an_error(acme: Any) -> None:
    """Stopping a job that does not run fails; the task goes on."""
    stop = task(acme, acme.job(), "STOP")
    acme.driver.tick(61)
    first = runs(acme, stop)[0]
    assert (first["startedOk"]["value"], "not running" in first["errorMsg"]["value"]) == (False, True)
    acme.driver.tick(60)
    assert len(runs(acme, stop)) == 2


def test_an_upgrade_task_moves_the_job_to_the_latest_version(acme: Any) -> None:
    """UPGRADE takes the newest published commit."""
    pipeline = acme.pipeline()
    job = acme.job(pipeline=pipeline)
    draft = acme.post(f"/pipelinestore/rest/v1/pipelineCommit/{pipeline['commitId']}/createDraft")
    acme.post(f"/pipelinestore/rest/v1/pipelineCommit/{draft['commitId']}/publish?commitMessage=second")
    task(acme, job, "UPGRADE")
    acme.driver.tick(61)
    assert acme.get(f"/jobrunner/rest/v1/job/{job['id']}")["pipelineCommitLabel"] == "v2"


@pytest.mark.parametrize(("missed", "expected"), [("IGNORE", 0), ("RUN_ONCE", 1), ("RUN_ALL", 10)])
def test_missed_firings_are_handled_as_the_task_says(missed: str, expected: int, lite_acme: Any) -> None:
    """After ten hours of a dead hub: nothing, once, or every one."""
    made = task(lite_acme, lite_acme.job(), "STOP", "0 0 * * * ?", missedTriggerHandling=missed)
    lite_acme.driver.clock.now_ms = (lite_acme.driver.clock.now_ms // 3_600_000) * 3_600_000 + 1_800_000
    lite_acme.driver.tick()
    n_before = len(runs(lite_acme, made))
    lite_acme.driver.restart()
    lite_acme.driver.tick(10 * 3600)
    assert len(runs(lite_acme, made)) - n_before == expected


def test_paused_killed_and_deleted_tasks_do_not_fire(acme: Any) -> None:
    """PAUSE and RESUME; KILL is for good; DELETE takes the task off the list."""
    made = task(acme, acme.job(), "STOP")
    path = f"/scheduler/rest/v2/jobs/{made}/o:action/pageId=SchedulerJobManagePage?action="
    acme.post(path + "PAUSE")
    acme.driver.tick(120)
    assert runs(acme, made) == []
    acme.post(path + "RESUME")
    acme.driver.tick(61)
    assert len(runs(acme, made)) == 1
    acme.post(path + "KILL")
    acme.driver.tick(120)
    assert len(runs(acme, made)) == 1
    assert acme.call("POST", path + "RESUME").status == 400
    acme.post(path + "DELETE")
    listing = acme.get("/scheduler/rest/v2/jobs/pageId=SchedulerJobListPage?len=-1")
    assert listing == {"response": [], "paginationInfo": {"total": 0, "offset": 0, "len": -1}}


def test_a_task_tells_who_changed_it_last(lite_acme: Any) -> None:
    """Also when it was paused by another user than its creator."""
    made = task(lite_acme, lite_acme.job(), "STOP")
    user = {"id": "u@acme", "name": "U", "roles": ROLES}
    lite_acme.put("/security/rest/v1/organization/acme/users", user)
    path = f"/scheduler/rest/v2/jobs/{made}/o:action/pageId=SchedulerJobManagePage?action=PAUSE"
    paused = lite_acme.driver.login("u@acme").post(path)["response"]["data"]
    assert paused["owner"]["value"] == "admin@acme"
    audits = f"/scheduler/rest/v2/jobs/{made}/pageId=SchedulerJobManagePage?auditInfo=True"
    last = lite_acme.get(audits)["response"]["data"]["audits"][0]
    assert (last["action"]["value"], last["userId"]["value"]) == ("PAUSE", "u@acme")


def test_a_task_ends_with_its_end_time(lite_acme: Any) -> None:
    """The last firing before endTime makes the task FINISHED."""
    end = lite_acme.driver.clock.now_ms + 90_000
    made = task(lite_acme, lite_acme.job(), "STOP", endTime=end)
    lite_acme.driver.tick(61)
    lite_acme.driver.tick(60)
    path = f"/scheduler/rest/v2/jobs/{made}/pageId=SchedulerJobManagePage"
    assert lite_acme.get(path)["response"]["data"]["status"]["value"] == "FINISHED"
    lite_acme.driver.tick(600)
    assert len(runs(lite_acme, made)) == 1


def subscribe(session: Any, uri: str, event: str = "JOB_STATUS_CHANGE", condition: str | None = None) -> str:
    config = {
        "uri": uri,
        "method": "POST",
        "payload": '{"job": "{{JOB_NAME}}", "status": "{{JOB_STATUS}}"}',
        "authType": "basic",
        "username": "u",
        "password": "p",
        "headers": {"X-Job": "{{JOB_ID}}"},
        "timeout": 2000,
    }
    body = {
        "name": "hook",
        "events": [{"eventType": event, "filter": condition}],
        "externalActions": [{"eventType": "WEBHOOKV1", "config": json.dumps(config)}],
    }
    made = session.put("/notification/rest/v1/eventsub/createEventSub", body)
    return str(made["id"])


class Sink:
    """A web server that remembers what it was sent; it runs on the driver's event loop."""

    def __init__(self, driver: Any, status: int = 200) -> None:
        self.driver, self.status, self.received = driver, status, []
        self.headers: dict[str, str] = {}
        self.run = driver.loop.run_until_complete
        application = web.Application()
        application.router.add_post("/hook", self.take)
        self.runner = web.AppRunner(application)
        self.run(self.runner.setup())
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        self.run(site.start())
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/hook"

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((await request.json(), dict(request.headers)))
        return web.Response(status=self.status, headers=self.headers)

    def deliver(self) -> int:
        async def once() -> int:
            async with aiohttp.ClientSession() as session:
                return await deliver_waiting(self.driver.app.hub, session)

        return int(self.run(once()))

    def close(self) -> None:
        self.run(self.runner.cleanup())


@pytest.fixture
def sink(lite_acme: Any) -> Any:
    made = Sink(lite_acme.driver)
    yield made
    made.close()


def enable_events(session: Any) -> None:
    path = "/security/rest/v1/organization/acme/configs"
    session.post(path, [{"id": "dpm.enable.events", "value": "true"}])


def test_a_status_change_calls_the_webhook_with_the_values(lite_acme: Any, sink: Sink) -> None:
    """Payload, headers and basic authentication are filled in; the audit shows the call."""
    enable_events(lite_acme)
    job = lite_acme.job("Nightly")
    subscribe(lite_acme, sink.url, condition=f"${{{{JOB_ID=='{job['id']}' && JOB_STATUS=='ACTIVATING'}}}}")
    lite_acme.engine()
    lite_acme.start(lite_acme.job("Other"))
    lite_acme.start(job)
    assert sink.deliver() == 1
    payload, headers = sink.received[0]
    assert payload == {"job": "Nightly", "status": "ACTIVATING"}
    assert headers["X-Job"] == job["id"]
    assert headers["Authorization"] == "Basic dTpw"
    audit = lite_acme.get("/notification/rest/v1/externalActions/audits")[0]
    assert (audit["subscriptionName"], audit["externalActionType"]) == ("hook", "WEBHOOKV1")
    assert sink.deliver() == 0


def test_nothing_fires_while_events_are_off(lite_acme: Any, sink: Sink) -> None:
    """dpm.enable.events is off by default; a disabled or deleted subscription is silent too."""
    made = subscribe(lite_acme, sink.url)
    job = lite_acme.job()
    lite_acme.start(job)
    assert sink.deliver() == 0
    enable_events(lite_acme)
    lite_acme.call("POST", "/notification/rest/v1/eventsub/deleteEventSub", made.encode(), expect=200)
    lite_acme.stop(job)
    assert sink.deliver() == 0


def test_a_failing_webhook_is_tried_three_times_and_then_shown(lite_acme: Any, sink: Sink) -> None:
    """The subscription carries the error until it is acknowledged."""
    enable_events(lite_acme)
    sink.status = 500
    made = subscribe(lite_acme, sink.url, "PIPELINE_COMMITTED")
    lite_acme.pipeline()
    assert [sink.deliver() for _ in range(4)] == [1, 1, 1, 0]
    listed = lite_acme.get("/notification/rest/v1/eventsub")[0]
    assert "status 500" in listed["errorMessage"]
    cleared = lite_acme.call(
        "POST", "/notification/rest/v1/eventsub/ackEventSubError", made.encode(), expect=200
    )
    assert cleared["errorMessage"] is None


def test_a_webhook_that_is_sent_elsewhere_stays_where_it_is(lite_acme: Any, sink: Sink) -> None:
    """A redirect would lead it past the rule where it may go: it is not followed, and counts as a failure."""
    enable_events(lite_acme)
    sink.status, sink.headers = 307, {"Location": sink.url}
    subscribe(lite_acme, sink.url, "PIPELINE_COMMITTED")
    lite_acme.pipeline()
    assert [sink.deliver() for _ in range(4)] == [1, 1, 1, 0]
    assert len(sink.received) == 3
    assert "status 307" in lite_acme.get("/notification/rest/v1/eventsub")[0]["errorMessage"]


FOREIGN = ("http://[::ffff:7f00:1]:{port}/hook", "http://0.0.0.0:{port}/hook", "http://127.1:{port}/hook")


@pytest.mark.parametrize("uri", [*FOREIGN, "http://127.0.0.1@0.0.0.0:{port}/hook"])
def test_a_webhook_calls_loopback_and_hosts_that_were_allowed(lite_acme: Any, sink: Sink, uri: str) -> None:
    """Not what the hub could reach as well; what is loopback by another writing counts as elsewhere."""
    enable_events(lite_acme)
    hub, host = lite_acme.driver.app.hub, "0.0.0.0"
    subscribe(lite_acme, uri.format(port=sink.runner.addresses[0][1]), "PIPELINE_COMMITTED")
    lite_acme.pipeline()
    assert [sink.deliver() for _ in range(4)] == [1, 1, 1, 0]
    assert sink.received == []
    message = lite_acme.get("/notification/rest/v1/eventsub")[0]["errorMessage"]
    assert "--webhook-host" in message
    if f"//{host}" in uri:
        for allowed in ({host}, {"*"}):
            hub.webhook_hosts = allowed
            lite_acme.pipeline()
            sink.deliver()
        assert len(sink.received) == 2


def test_actions_that_wait_survive_a_restart(lite_acme: Any, sink: Sink) -> None:
    """What was put down before the hub died is done after it."""
    enable_events(lite_acme)
    subscribe(lite_acme, sink.url, "PIPELINE_COMMITTED")
    lite_acme.pipeline()
    lite_acme.driver.restart()
    assert sink.deliver() == 1


def test_a_silent_engine_fires_its_event(lite_acme: Any, sink: Sink) -> None:
    """Once, when the heartbeat interval is over."""
    enable_events(lite_acme)
    subscribe(lite_acme, sink.url, "SDC_NOT_RESPONDING")
    lite_acme.engine()
    for _ in range(3):
        lite_acme.driver.tick(61)
    assert sink.deliver() == 1


def test_the_background_runs_by_itself(lite_acme: Any) -> None:
    """The application's own tasks tick, here to end old sessions, and stop with it."""
    hub = lite_acme.driver.app.hub
    background = Background(hub)

    async def live() -> None:
        background.start()
        async with asyncio.timeout(30):
            while hub.callers.sessions:
                await asyncio.sleep(0.01)
        await background.stop()

    engine = lite_acme.engine()
    lite_acme.driver.clock.advance(24 * 3600 + 1)
    engine.poll()
    lite_acme.driver.loop.run_until_complete(live())
    lite_acme.driver.restart()
    found = lite_acme.driver.login("admin@acme").get(f"/jobrunner/rest/v1/sdc/{engine.id}")
    assert found["lastReportedTime"] == lite_acme.driver.clock.now_ms
