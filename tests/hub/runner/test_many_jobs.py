"""Starting many jobs: cost per job, even shares, and engines that wait for a busy hub."""

from typing import Any

from sqlalchemy import event

from psrlib.hub.runner.pool import Pool
from psrlib.hub.store.contacts import Contacts


def statements_of_start(session: Any, jobs: list[dict[str, Any]]) -> int:
    """Start jobs with one call; return how many SQL statements the hub's writer executed."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    writer = session.driver.writer
    event.listen(writer, "before_cursor_execute", note)
    try:
        session.post("/jobrunner/rest/v1/jobs/startJobs", [job["id"] for job in jobs])
    finally:
        event.remove(writer, "before_cursor_execute", note)
    return len(seen)


def test_statements_of_a_start_do_not_grow_with_the_number_of_engines(lite_acme: Any) -> None:
    """Two engines or eight: ten jobs cost the same statements."""
    pipeline = lite_acme.pipeline()
    lite_acme.engine(), lite_acme.engine()
    few = statements_of_start(lite_acme, [lite_acme.job(f"a{n}", pipeline) for n in range(10)])
    for _ in range(6):
        lite_acme.engine()
    many = statements_of_start(lite_acme, [lite_acme.job(f"b{n}", pipeline) for n in range(10)])
    assert 0 < many <= few


def test_ten_jobs_of_a_call_cost_the_statements_of_two(lite_acme: Any) -> None:
    """What is read and written for the jobs of a call goes into one statement per table."""
    pipeline = lite_acme.pipeline()
    for _ in range(3):
        lite_acme.engine()
    two, ten = (
        statements_of_start(lite_acme, [lite_acme.job(f"{size}-{n}", pipeline) for n in range(size)])
        for size in (2, 10)
    )
    assert 0 < ten == two


def test_jobs_of_one_call_are_shared_out_evenly(acme: Any) -> None:
    """Nine jobs on three engines: three each."""
    engines = [acme.engine() for _ in range(3)]
    pipeline = acme.pipeline()
    jobs = [acme.job(f"Job {n}", pipeline) for n in range(9)]
    acme.post("/jobrunner/rest/v1/jobs/startJobs", [job["id"] for job in jobs])
    used = [acme.status(job)["sdcIds"][0] for job in jobs]
    assert sorted(used.count(engine.id) for engine in engines) == [3, 3, 3]


def test_a_pool_follows_loads_and_passes_over_other_engines() -> None:
    """An engine moves with its load; one outside the pool changes nothing."""
    rows: Any = {"a": None, "b": None}
    pool = Pool(2, rows)
    pool.fill({"b": 1})
    pool.move("a", 1)
    pool.move("elsewhere", 1)
    assert pool.by_load == {1: ["b", "a"]}


def test_an_engine_whose_poll_waits_for_the_hub_is_not_silent() -> None:
    """However long the hub takes; the heartbeat interval begins with the answer."""
    fleet, now = Contacts(started_on=0), [1_000]
    with fleet.poll("engine", lambda: now[0]):
        now[0] += 600_000
        assert fleet.is_responding("engine", now[0], 60_000)
    assert fleet.is_responding("engine", now[0] + 59_999, 60_000)
    assert not fleet.is_responding("engine", now[0] + 60_000, 60_000)


def test_a_blocked_hub_does_not_fail_jobs_over(lite_acme: Any) -> None:
    """While an engine's poll is unanswered, its job stays where it is; true silence moves it."""
    driver, engine = lite_acme.driver, lite_acme.engine()
    job = lite_acme.job("Job", migrateOffset=True)
    lite_acme.start(job)
    engine.run()
    other = lite_acme.engine()
    fleet = driver.app.hub.contacts
    with fleet.poll(engine.id, driver.clock), fleet.poll(other.id, driver.clock):
        driver.tick(600)
        assert lite_acme.status(job)["sdcIds"] == [engine.id]
    driver.clock.advance(59)
    other.poll()
    driver.tick(2)
    assert lite_acme.status(job)["sdcIds"] == [other.id]
