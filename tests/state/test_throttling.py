"""A hub that allows so many calls a minute is populated to the end, and the waiting is told and bounded."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from threading import Timer
from typing import Any

import pytest
from support.throttle import FakeClock, Throttling

from psrlib.client import AdaptiveLimit, ControlHub
from psrlib.client.limit import THROTTLED
from psrlib.errors import HubUnreachableError, InconsistentStateError
from psrlib.seed import SeedDocument
from psrlib.state import diff, observe, populate, wait_until_active
from psrlib.state.progress import Bars
from psrlib.state.schedule import run_each

Connect = Callable[..., ControlHub]
Serve = Callable[[Callable[[Any], Any]], str]


def on_clock(hub: ControlHub, clock: FakeClock) -> ControlHub:
    hub.http.limit = AdaptiveLimit(clock=clock, sleep=clock.sleep)
    return hub


@pytest.mark.parametrize("names_time", [True, False], ids=["Retry-After", "no Retry-After"])
def test_windows_of_a_minute_are_waited_out(
    rich: SeedDocument,
    serve: Serve,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    names_time: bool,
) -> None:
    """Twenty calls a minute: all is there in the end; where the hub tells the time, few calls are refused."""
    clock = FakeClock()
    gates: list[Throttling] = []

    def wrap(app: Any) -> Throttling:
        gates.append(Throttling(app, clock, allowed=20, names_time=names_time))
        return gates[0]

    with on_clock(connect(serve(wrap)), clock) as hub, caplog.at_level(logging.WARNING):
        began_s = clock.now_s
        report = populate(rich, hub, progress=False)
        assert not report.difference
        assert not diff(rich, observe(rich, hub), runtime=False)
    n_windows = (clock.now_s - began_s) / 60
    assert n_windows > 3
    assert gates[0].n_refused > 0
    if names_time:
        assert gates[0].n_refused <= hub.limit.largest * (n_windows + 1)
    told = [record.getMessage() for record in caplog.records if record.name == "psrlib.client.limit"]
    assert set(told) == {THROTTLED}
    assert 0 < len(told) <= 2 * (n_windows + 1)  # a thread may be slow to note what another waited out


def test_a_hub_that_never_lets_in_is_given_up(serve: Serve, connect: Connect) -> None:
    """After ten minutes in which it answered nothing else, in one sentence; not before."""
    clock = FakeClock()
    gates: list[Throttling] = []

    def wrap(app: Any) -> Throttling:
        gates.append(Throttling(app, clock, allowed=1, window_s=1e6, names_time=False))
        return gates[0]

    with on_clock(connect(serve(wrap)), clock) as hub:
        began_s = clock.now_s
        with pytest.raises(HubUnreachableError, match=r"throttles \(status 429\).* longer than 600 s"):
            hub.organizations()
    assert 590 < clock.now_s - began_s <= 600


def test_a_time_beyond_the_bound_is_not_waited_for(serve: Serve, connect: Connect) -> None:
    """An hour named by the hub is more than ten minutes: told at once."""
    clock = FakeClock()
    url = serve(lambda app: Throttling(app, clock, allowed=1, window_s=3600))
    with on_clock(connect(url), clock) as hub:
        with pytest.raises(HubUnreachableError, match="longer than 600 s"):
            hub.organizations()
        assert clock.now_s == 1_000.0


def test_the_first_bar_says_that_the_hub_is_waited_for(
    rich: SeedDocument, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal the words stand beside a bar until the hub answers again."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    clock = FakeClock()
    limit = AdaptiveLimit(clock=clock, sleep=clock.sleep)
    bars = Bars(rich, True, limit)
    limit.throttled(30.0)
    assert limit.wait_open() == 30.0
    assert THROTTLED in capsys.readouterr().err
    limit.answered(0.01, clock())
    bars.advance("users", 1)
    assert THROTTLED not in capsys.readouterr().err.rpartition("organizations")[2]
    bars.close()


def test_an_interruption_does_not_wait_for_the_hub(serve: Serve, connect: Connect) -> None:
    """Ctrl-C while a throttled hub is waited for ends at once, and the session can be used again."""
    url = serve(lambda app: app)
    with connect(url) as hub:
        hub.limit.throttled(3_600.0)

        def interrupt() -> None:
            raise KeyboardInterrupt

        Timer(20.0, hub.limit.interrupted.set).start()
        with pytest.raises(KeyboardInterrupt):
            run_each([hub.organizations, interrupt], hub.limit)
        assert not hub.limit.interrupted.is_set()


def test_a_hub_that_throttles_does_not_use_up_the_time_for_jobs_to_run(
    rich: SeedDocument, serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was seen meanwhile; without throttling the same wait ends with an error."""
    clock = FakeClock()
    with on_clock(connect(serve(lambda app: app)), clock) as hub:
        populate(rich, hub, progress=False)

        def look(*_: Any) -> list[dict[str, Any]]:
            looks.append(clock.now_s)
            time.sleep(0.2)
            if throttles:
                hub.limit.throttled(1.0)
            is_last = len(looks) == 2
            return [{} if is_last else {"id": ("a job", "ACTIVATING")} for _ in rich.organizations]

        monkeypatch.setattr("psrlib.state.running.run_organizations", look)
        for throttles in (True, False):
            looks: list[float] = []
            with nullcontext() if throttles else pytest.raises(InconsistentStateError):
                wait_until_active(rich, hub, 0.1)
        assert hub.limit.closed_s == 1.0


def test_overlapping_refusals_close_once() -> None:
    """Many calls are refused for one window."""
    clock = FakeClock()
    limit = AdaptiveLimit(clock=clock, sleep=clock.sleep)
    assert [limit.throttled(30.0), limit.throttled(20.0), limit.throttled(31.0)] == [30.0, 20.0, 31.0]
    assert (limit.closed_s, limit.wait_open(), limit.wait_open()) == (31.0, 31.0, 0.0)


def test_an_answer_to_an_earlier_request_does_not_say_that_the_hub_answers_again() -> None:
    """It was sent before the refusal, and comes after it: people are told once, not once for each."""
    clock = FakeClock()
    limit = AdaptiveLimit(clock=clock, sleep=clock.sleep)
    told: list[bool] = []
    limit.tell = told.append
    with limit as sent_at:
        for _ in range(3):
            limit.throttled(30.0)
            limit.wait_open()
            limit.answered(0.01, sent_at)
    assert told == [True]
    limit.answered(0.01, clock())
    assert told == [True, False]
