"""Seven days of a fleet in simulated time: nothing grows."""

import asyncio
import gc
from pathlib import Path

from support.fleet_fakes import JumpingClock, RecorderSender, base_event, identity, save_event
from support.fleet_recorder import Recorder

from psrlib.engines.fleet import Fleet
from psrlib.engines.status import describe
from psrlib.engines.store import FleetStore

DAY_MS = 86_400_000


class RareStore(FleetStore):
    """The store of a fleet, written each simulated hour instead of twice a second."""

    asked = 0

    def save(self, engines, counters) -> None:  # type: ignore[no-untyped-def]
        self.asked += 1
        if self.asked % 720 == 0:
            super().save(engines, counters)


def test_seven_days_leave_no_growth_of_state_or_memory(tmp_path: Path) -> None:
    """120,000 polls on time, one job stopped and started each day; objects, schedule, database stay flat."""
    clock = JumpingClock()
    recorder = Recorder({identity(0).id: identity(0).token})
    recorder.keep = False

    def start(job: str) -> None:
        name = f"Orders:{job}:org-0001"
        recorder.put(identity(0).id, 1001, save_event(name, UPDATE_WAIT_TIME_MS=600_000))
        recorder.put(identity(0).id, 1003, base_event(name))

    start("long")
    start("daily")
    store = RareStore(tmp_path)
    sender = RecorderSender(recorder, clock)
    fleet = Fleet([identity(0)], "http://hub", sender, clock=clock, store=store)
    begun = clock.now
    sizes: list[tuple[int, int]] = []

    start_at: list[int] = []

    def look(request: object) -> None:
        if start_at and clock.now >= start_at[0]:
            start_at.clear()
            start("daily")
        day = (clock.now - begun) // DAY_MS
        if day <= len(sizes):
            return
        recorder.engines[identity(0).id].acks.clear()  # the recorder's own memory is not the fleet's
        gc.collect()
        state = sum(path.stat().st_size for path in tmp_path.iterdir())
        sizes.append((len(gc.get_objects()), state))
        recorder.put(identity(0).id, 1009, base_event("Orders:daily:org-0001", forceTimeoutMillis=120_000))
        start_at.append(clock.now + 60_000)

    sender.after = look
    asyncio.run(fleet.run(until_ms=begun + 7 * DAY_MS))
    store.close()
    status = describe(fleet)
    assert recorder.violations == []
    assert status["polls"] >= 7 * 17_000
    assert status["errors"] == {}
    assert status["lateness_p99_s"] <= 0.001
    assert recorder.engines[identity(0).id].states["Orders:long:org-0001"] == "RUNNING"
    assert len(sizes) == 6
    assert sizes[-1][0] - sizes[0][0] < 500
    assert max(on_disk for _, on_disk in sizes) < 1_000_000
