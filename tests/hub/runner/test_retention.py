"""What a hub forgets, and that nothing in it grows without bound."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from psrlib.hub.runner import retention
from psrlib.hub.store.schema import metadata
from psrlib.hub.store.schema.security import login_audits

HOUR_S, DAY_S = 3600, 86_400
SLAS = "/sla/rest/v1/dataSlas"
RATE = "pipeline.batchInputRecords.meter"
CHURNED = (
    "runs",
    "run_events",
    "instances",
    "engine_events",
    "task_runs",
    "action_runs",
    "alerts",
    "login_audits",
)
EVENTS = ("JOB_STATUS_CHANGE", "PIPELINE_STATUS_CHANGE", "SDC_NOT_RESPONDING", "DATA_SLA_TRIGGERED")


def configure(acme: Any, **values: object) -> None:
    """Set entries of acme's configuration; underscores stand for dots."""
    entries = [{"id": name.replace("_", "."), "value": str(value)} for name, value in values.items()]
    admin = acme.driver.login("admin@admin")
    admin.post("/security/rest/v1/organization/acme/configs", entries)


def subscribe(acme: Any, event: str) -> None:
    body = {
        "name": event,
        "organization": "acme",
        "events": [{"eventType": event, "filter": None}],
        "externalActions": [{"eventType": "EMAIL", "config": json.dumps({"recipients": ["a@example.com"]})}],
    }
    acme.put("/notification/rest/v1/eventsub/createEventSub", body)


def schedule(acme: Any, job: dict[str, Any], action: str, cron: str) -> None:
    data = {
        "name": {"value": action},
        "executionInfo": {"action": {"value": action}},
        "crontabMask": {"value": cron},
        "jobId": {"value": job["id"]},
        "status": {"value": "RUNNING"},
    }
    acme.put("/scheduler/rest/v2/jobs/pageId=SchedulerJobManagePage", {"data": data})


def watch_rate(acme: Any, job: dict[str, Any]) -> None:
    """A data SLA that a rate under 50 records a second breaks."""
    definition = {"slaConditions": [{"slaFunctionType": "MIN", "value": 50}], "jobIds": [job["id"]]}
    made = acme.put(SLAS, {"label": "Speed", "slaDefinition": json.dumps(definition)})
    acme.post(f"{SLAS}/activateSlas", [made["id"]])


def sizes(acme: Any) -> dict[str, int]:
    """Return the number of rows of every table."""
    with acme.driver.app.hub.database.reading() as connection:
        return {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in metadata.sorted_tables
        }


def deliver(acme: Any) -> None:
    """Take the actions that wait as done, as the webhooks' task does with e-mails."""
    statement = "UPDATE action_runs SET state = 'DONE' WHERE state = 'WAITING'"
    acme.driver.app.hub.write_now(lambda connection: connection.exec_driver_sql(statement))


def pass_hour(acme: Any, hour: int, engines: list[Any], jobs: dict[str, dict[str, Any]]) -> None:
    """An hour in which jobs start, stop and fail, an engine is silent at times, a rate goes up and down."""
    driver, failing = acme.driver, jobs["Failing"]
    for _ in range(2):  # the tasks' half hours
        driver.clock.advance(HOUR_S / 2)
        for engine in engines[: 1 if hour % 4 == 3 else 2]:
            figures = {"timestamp": driver.clock(), "cpuLoad": 5.0, "usedMemory": 100.0}
            engine.inbox += engine.send([engine.event(2003, figures)])
            engine.run()
            engine.send_metrics(jobs["Measured"], {"meters": {RATE: {"m1_rate": 100.0 * (hour % 2)}}})
        driver.tick()
        for engine in engines:
            engine.run()
    status = acme.status(failing)["status"]
    if status == "INACTIVE_ERROR":
        acme.post(f"/jobrunner/rest/v1/job/{failing['id']}/acknowledgeError")
    if status in (None, "INACTIVE", "INACTIVE_ERROR"):
        acme.start(failing)
    for engine in engines:
        engine.run()
        for name in [name for name in engine.pipelines if name.endswith(failing["id"])]:
            driver.clock.advance(0.001)
            engine.report((name, "RUN_ERROR"), message="broken")
            engine.run()
    acme.token = driver.login("admin@acme").token
    deliver(acme)


def test_no_table_grows_without_bound(lite_acme: Any) -> None:
    """Churn for five days with one day of history: every table is as large after five as after three."""
    acme = lite_acme
    configure(acme, org_max_history_days=1, org_max_job_runs=5, org_max_scheduled_runs=5)
    configure(acme, dpm_enable_events="true")
    pipeline = acme.pipeline()
    jobs = {name: acme.job(name, pipeline) for name in ("Hourly", "Failing", "Measured")}
    for event in EVENTS:
        subscribe(acme, event)
    schedule(acme, jobs["Hourly"], "START", "0 * * * * ?")
    schedule(acme, jobs["Hourly"], "STOP", "30 * * * * ?")
    watch_rate(acme, jobs["Measured"])
    engines = [acme.engine(), acme.engine()]
    acme.start(jobs["Measured"])
    by_day = []
    for hour in range(5 * 24):
        pass_hour(acme, hour, engines, jobs)
        if hour % 24 == 23:
            by_day.append(sizes(acme))
    first, third, last = by_day[0], by_day[2], by_day[4]
    grown = {name: (third[name], last[name]) for name in last if last[name] > 1.1 * third[name] + 3}
    assert grown == {}
    assert [name for name in CHURNED if not first[name]] == []
    triggered = {s["name"]: s["triggerCount"] for s in acme.get("/notification/rest/v1/eventsub")}
    assert triggered["DATA_SLA_TRIGGERED"] > last["alerts"]  # counted, though forgotten
    assert acme.status(jobs["Measured"])["status"] == "ACTIVE"
    assert {row["cpuLoad"] for row in acme.get("/jobrunner/rest/v1/sdcs")} == {5.0}  # the last ones


def test_history_is_kept_for_the_days_of_its_organization(acme: Any) -> None:
    """30 by default, or what the organization's configuration says; -1 keeps all."""
    hub = acme.driver.app.hub

    def n_after(days: float) -> int:
        acme.driver.clock.advance(days * DAY_S)
        hub.write_now(lambda connection: retention.forget_old(connection, hub.now()))
        with hub.database.reading() as connection:
            mine = login_audits.c.organization == "acme"
            return int(
                connection.execute(select(func.count()).select_from(login_audits).where(mine)).scalar_one()
            )

    assert n_after(29) > 0
    configure(acme, org_max_history_days=-1)
    assert n_after(29) > 0
    configure(acme, org_max_history_days=60)
    assert n_after(1) > 0
    configure(acme, org_max_history_days=30)
    assert n_after(1) == 0


def test_what_is_too_old_goes_a_part_at_a_time(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction stays short, however much there is; each tick goes on until nothing is left."""
    monkeypatch.setattr(retention, "MAX_ROWS", 10)
    rows = [
        {"organization": "acme", "user_id": "a@acme", "ip_address": "", "login_time": 1, "success": True}
        for _ in range(25)
    ]
    acme.driver.app.hub.write_now(lambda connection: connection.execute(login_audits.insert(), rows))
    before = sizes(acme)["login_audits"]
    left = []
    for _ in range(4):
        acme.driver.tick(1)
        left.append(sizes(acme)["login_audits"] - before)
    assert left == [-10, -20, -25, -25]
    acme.driver.app.hub.write_now(lambda connection: connection.execute(login_audits.insert(), rows[:1]))
    acme.driver.tick(1)
    assert sizes(acme)["login_audits"] - before == -24  # the next look is in an hour
    acme.driver.tick(HOUR_S)
    assert sizes(acme)["login_audits"] - before == -25


def test_the_file_gives_back_the_space_of_what_was_forgotten(lite_acme: Any) -> None:
    """SQLite: pages of deleted rows are given back until a quarter of the file is left for new ones."""
    database = lite_acme.driver.app.hub.database
    audit = {"organization": "acme", "user_id": "a@acme", "login_time": 1, "success": True}
    rows = [audit | {"ip_address": "", "details": "x" * 3000} for _ in range(6000)]

    def pages() -> tuple[int, int]:
        with database.reading() as connection:
            names = ("page_count", "freelist_count")
            count, free = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names)
        return count, free

    lite_acme.driver.app.hub.write_now(lambda connection: connection.execute(login_audits.insert(), rows))
    full, _ = pages()
    for _ in range(20):
        lite_acme.driver.tick(1)
    count, free = pages()
    assert count < full / 2
    assert free <= max(2000, count // 4 + 1)
