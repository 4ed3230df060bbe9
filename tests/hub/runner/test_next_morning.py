"""Silence and return of engines over restarts of the hub: what is red becomes green again by itself."""

import json
from typing import Any

import pytest

NIGHT_S = 12 * 3600
TICK_S = 5


def running(acme: Any, n_engines: int, n_jobs: int) -> tuple[list[Any], list[str]]:
    """Engines that run jobs, spread evenly, and the ids of the jobs."""
    engines = [acme.engine() for _ in range(n_engines)]
    pipeline = acme.pipeline()
    ids = [acme.job(f"J{i}", pipeline)["id"] for i in range(n_jobs)]
    acme.post("/jobrunner/rest/v1/jobs/startJobs", ids)
    for engine in engines:
        engine.run()
    return engines, ids


def pass_time(acme: Any, seconds: int, *polling: Any) -> None:
    """Let time pass for a hub that is up; engines that are up poll."""
    for _ in range(seconds // TICK_S):
        acme.driver.clock.advance(TICK_S)
        for engine in polling:
            engine.run()
        acme.driver.tick()


def statuses(acme: Any, ids: list[str]) -> list[dict[str, Any]]:
    found = acme.post("/jobrunner/rest/v1/jobs/status", ids)
    return [found[id] for id in ids]


def colors(acme: Any, ids: list[str]) -> set[str]:
    return {status["color"] for status in statuses(acme, ids)}


def spread(acme: Any, ids: list[str], engines: list[Any]) -> list[int]:
    """How many jobs each engine has."""
    owners = [status["sdcIds"][0] for status in statuses(acme, ids)]
    return [owners.count(engine.id) for engine in engines]


def report_all(engine: Any, at_ms: int | None = None) -> None:
    """What an engine says first after a pause: all its pipelines."""
    more = {} if at_ms is None else {"timeStamp": at_ms}
    engine.report(*engine.pipelines.items(), full=True, **more)


def times_triggered(acme: Any) -> int:
    """How often the only subscription fired."""
    (subscription,) = acme.get("/notification/rest/v1/eventsub")
    return int(subscription["triggerCount"])


def test_a_hub_that_was_up_without_its_engines_is_green_when_they_are_back(acme: Any) -> None:
    """Up for 100 s, down for a night, up again: what is red is cleared at the first poll."""
    engines, ids = running(acme, 2, 6)
    before = spread(acme, ids, engines)
    acme.driver.restart()
    pass_time(acme, 100)
    assert colors(acme, ids) == {"RED"}
    acme.driver.clock.advance(NIGHT_S)
    acme.driver.restart()
    pass_time(acme, 30)
    assert colors(acme, ids) == {"RED"}  # still nobody is there
    for engine in engines:
        report_all(engine)
        acme.driver.tick(1)
    assert colors(acme, ids) == {"GREEN"}
    assert all(status["warnings"] == [] for status in statuses(acme, ids))
    assert spread(acme, ids, engines) == before == [3, 3]


@pytest.mark.parametrize("down_s", [10, 300, NIGHT_S])
def test_engines_have_an_interval_from_the_start_of_the_hub(acme: Any, down_s: int) -> None:
    """However long the hub was down, whoever was there at its end is not silent before a minute is over."""
    engines, ids = running(acme, 2, 4)
    acme.driver.tick()
    acme.driver.clock.advance(down_s)
    acme.driver.restart()
    pass_time(acme, 55)
    assert colors(acme, ids) == {"GREEN"}
    assert {row["responding"] for row in acme.get("/jobrunner/rest/v1/sdcs")} == {True}
    pass_time(acme, 10, engines[0])
    assert sorted(colors(acme, ids)) == ["GREEN"]  # the second one's jobs moved to the first
    assert spread(acme, ids, engines) == [4, 0]


def test_a_silence_is_told_once_however_often_the_hub_starts(acme: Any) -> None:
    """SDC_NOT_RESPONDING fires when an engine falls silent, not when a hub starts that knows it is."""
    path = "/security/rest/v1/organization/acme/configs"
    acme.post(path, [{"id": "dpm.enable.events", "value": "true"}])
    subscription = {
        "name": "Silence",
        "enabled": True,
        "organization": "acme",
        "events": [{"eventType": "SDC_NOT_RESPONDING", "filter": None}],
        "externalActions": [{"eventType": "EMAIL", "config": json.dumps({"recipients": ["a@example.com"]})}],
    }
    acme.put("/notification/rest/v1/eventsub/createEventSub", subscription)
    (engine,), _ = running(acme, 1, 1)
    for _ in range(3):
        pass_time(acme, 100)
        acme.driver.restart()
    assert times_triggered(acme) == 1
    engine.poll()
    pass_time(acme, 100)
    assert times_triggered(acme) == 2


def test_engines_that_come_back_one_after_another_keep_their_jobs(acme: Any) -> None:
    """The first one back does not get the jobs of those that are half a minute behind."""
    engines, ids = running(acme, 3, 6)
    pass_time(acme, 100)
    assert colors(acme, ids) == {"RED"}
    for n in range(1, 4):
        for engine in engines[:n]:
            report_all(engine)
        pass_time(acme, 15, *engines[:n])
    assert colors(acme, ids) == {"GREEN"}
    assert spread(acme, ids, engines) == [2, 2, 2]


def test_an_engine_that_does_not_come_back_with_the_others_loses_its_jobs(acme: Any) -> None:
    """A heartbeat interval after the first one is back the rest counts as lost."""
    engines, ids = running(acme, 3, 6)
    pass_time(acme, 100)
    for engine in engines[:2]:
        report_all(engine)
    pass_time(acme, 80, *engines[:2])
    assert colors(acme, ids) == {"GREEN"}
    assert spread(acme, ids, engines) == [3, 3, 0]


def test_balancing_makes_the_spread_even_after_failover_and_return(acme: Any) -> None:
    """Twelve jobs end on two of three engines; one call brings each four, and none is moved for nothing."""
    engines, ids = running(acme, 3, 12)
    pass_time(acme, 70, *engines[:2])
    assert spread(acme, ids, engines) == [6, 6, 0]
    report_all(engines[2])
    pass_time(acme, 10, *engines)
    assert spread(acme, ids, engines) == [6, 6, 0]
    acme.post("/jobrunner/rest/v1/jobs/balanceJobs", ids)
    pass_time(acme, 10, *engines)
    assert spread(acme, ids, engines) == [4, 4, 4]
    assert colors(acme, ids) == {"GREEN"}
    acme.post("/jobrunner/rest/v1/jobs/balanceJobs", ids)
    assert all(len(status["sdcIds"]) == 1 for status in statuses(acme, ids))


def test_balancing_one_engine_full_of_jobs_does_not_overshoot(acme: Any) -> None:
    """Pipelines that are leaving no longer count as load of the engine that they leave."""
    engines, ids = running(acme, 1, 10)
    engines.append(acme.engine())
    acme.post("/jobrunner/rest/v1/jobs/balanceJobs", ids)
    pass_time(acme, 10, *engines)
    assert spread(acme, ids, engines) == [5, 5]


def test_a_tick_that_fails_loses_no_return(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen is written with what follows from it, or seen again."""
    (engine,), ids = running(acme, 1, 1)
    pass_time(acme, 100)
    report_all(engine)
    with monkeypatch.context() as broken:
        broken.setattr("psrlib.hub.runner.background.fire_due_tasks", fail)
        with pytest.raises(RuntimeError):
            acme.driver.tick(1)
    assert colors(acme, ids) == {"RED"}
    acme.driver.tick(1)
    assert colors(acme, ids) == {"GREEN"}


def fail(_: object) -> None:
    raise RuntimeError
