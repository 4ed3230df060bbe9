"""Status as a dict and as Prometheus text."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families
from support.fleet_fakes import JumpingClock, RecorderSender, base_event, identity, save_event
from support.fleet_recorder import EVENTS, Recorder

from psrlib.engines.fleet import Fleet
from psrlib.engines.status import describe, prometheus_text


def test_the_text_holds_the_figures_of_the_dict(clock: JumpingClock) -> None:
    """Read back by the Prometheus parser."""
    recorder = Recorder({identity(n).id: identity(n).token for n in range(2)})
    recorder.put(identity(0).id, 1001, save_event())
    recorder.put(identity(0).id, 1003, base_event())
    recorder.faults[EVENTS].append(503)
    fleet = Fleet([identity(0), identity(1)], "http://hub", RecorderSender(recorder, clock), clock=clock)
    found = {}

    async def run() -> None:
        task = asyncio.create_task(fleet.run(until_ms=clock.now + 30_000))
        while not task.done():
            if clock.now_ms() % 1000 == 0:
                found.update(describe(fleet))
            await asyncio.sleep(0)
        await task

    asyncio.run(run())
    status = describe(fleet)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(prometheus_text(fleet).decode())
        for sample in family.samples
    }
    assert samples["psr_fleet_engines",] == status["engines"] == 2
    assert samples["psr_fleet_polling",] == status["polling"] == 2
    assert samples["psr_fleet_requests_total", "poll"] == status["polls"]
    assert samples["psr_fleet_errors_total", "poll: HTTP 503"] == status["errors"]["poll: HTTP 503"] == 1
    assert samples["psr_fleet_pipelines", "DISCONNECTED"] == status["pipelines"]["DISCONNECTED"] == 1
    assert samples["psr_fleet_memory_bytes",] > 1e6
    assert found["registered"] == 2
