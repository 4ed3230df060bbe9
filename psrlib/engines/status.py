"""What a fleet is doing: as a dictionary, as Prometheus text, and as a web application of both."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from psrlib.engines.counters import quantile_s
from psrlib.engines.fleet import Fleet, Member
from psrlib.process import resident_bytes

REFUSALS_SHOWN = 20


def status_app(fleet: Fleet) -> web.Application:
    """Return the application of the fleet's status: ``/status`` JSON, ``/metrics`` Prometheus text."""

    async def tell_status(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(describe(fleet)), content_type="application/json")

    async def tell_metrics(request: web.Request) -> web.Response:
        return web.Response(
            body=prometheus_text(fleet), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.add_routes([web.get("/status", tell_status), web.get("/metrics", tell_metrics)])
    return app


def describe(fleet: Fleet) -> dict[str, Any]:
    """Return the state of a fleet now (the keys are listed at ``fleet_status``)."""
    engines = list(fleet.engines())
    pipelines = Counter(p.state for engine in engines for p in engine.pipelines.values())
    refused = [engine for engine in engines if engine.refusal is not None]
    late = quantile_s(fleet.counters.lateness, 0.99)
    return {
        "engines": len(engines),
        "registered": sum(engine.registered for engine in engines),
        "polling": 0 if fleet.is_held else sum(_polls(member) for member in fleet.members),
        "refused": len(refused),
        "down": sum(engine.state != "UP" for engine in engines),
        "pipelines": dict(sorted(pipelines.items())),
        "pipelines_running": pipelines["RUNNING"],
        "unreported_changes": sum(len(engine.changes) for engine in engines),
        "dropped_changes": sum(engine.dropped_changes for engine in engines),
        "polls": fleet.counters.requests.get("poll", 0),
        "requests": dict(sorted(fleet.counters.requests.items())),
        "errors": dict(sorted(fleet.counters.errors.items())),
        "webhooks_received": fleet.webhooks_received,
        "lateness_p99_s": late,
        "lateness_histogram": list(fleet.counters.lateness),
        "cpu_s": time.process_time(),
        "memory_bytes": resident_bytes(),
        "refusals": [
            f"{e.identity.organization} {e.identity.key}: {e.refusal}" for e in refused[:REFUSALS_SHOWN]
        ],
    }


def _polls(member: Member) -> bool:
    return member.engine.refusal is None and member.poll.last_status == 200


def prometheus_text(fleet: Fleet) -> bytes:
    """Return the same figures in the Prometheus text format."""
    return generate_latest(_Collector(fleet))


class _Collector(Collector):
    """Figures are read when asked for, so polls cost nothing for them."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        status = describe(self._fleet)
        gauges = ("engines", "registered", "polling", "refused", "down", "memory_bytes", "unreported_changes")
        for name in gauges:
            yield GaugeMetricFamily(f"psr_fleet_{name}", f"{name} of the fleet", value=status[name])
        for name, label in (("requests", "kind"), ("errors", "error")):
            counts = CounterMetricFamily(f"psr_fleet_{name}", f"{name} by {label}", labels=[label])
            for text, number in status[name].items():
                counts.add_metric([text], number)
            yield counts
        states = GaugeMetricFamily("psr_fleet_pipelines", "pipelines by state", labels=["state"])
        for state, number in status["pipelines"].items():
            states.add_metric([state], number)
        yield states
        received = status["webhooks_received"]
        yield CounterMetricFamily("psr_fleet_webhooks_received", "webhooks received", value=received)
        yield CounterMetricFamily("psr_fleet_cpu_seconds", "processor time", value=status["cpu_s"])
        late = status["lateness_p99_s"]
        yield GaugeMetricFamily("psr_fleet_lateness_p99_seconds", "99th percentile of lateness", value=late)
