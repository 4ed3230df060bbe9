"""The hub's figures in the text format of Prometheus; imported when they are asked for."""

import time
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from psrlib.hub.apps.page.figures import Figures
from psrlib.hub.web.traffic import BOUNDS_S, Traffic
from psrlib.process import resident_bytes


def prometheus_text(release: str, traffic: Traffic, figures: Figures) -> bytes:
    """Return what is known, without names: whoever reaches the hub may read it."""
    return generate_latest(_Hub(release, traffic, figures))


class _Hub(Collector):
    def __init__(self, release: str, traffic: Traffic, figures: Figures) -> None:
        self._release = release
        self._traffic = traffic
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("psr_hub_info", "what the hub is", labels=["release", "kind"])
        info.add_metric([self._release, "embedded"], 1)
        yield info
        yield from self._answers()
        yield from self._contents()
        yield CounterMetricFamily("psr_hub_cpu_seconds", "processor time", value=time.process_time())
        yield GaugeMetricFamily("psr_hub_memory_bytes", "resident memory", value=resident_bytes())

    def _answers(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("psr_hub_requests", "requests answered", labels=["app", "status"])
        for (app, status), number in sorted(dict(self._traffic.requests).items()):
            requests.add_metric([app, str(status)], number)
        yield requests
        answers = HistogramMetricFamily("psr_hub_answer_seconds", "times of answers", labels=["app"])
        for app, counts in sorted(self._traffic.waits.items()):
            totals = list(accumulate(counts))
            if totals[-1]:
                buckets = list(zip([*map(str, BOUNDS_S), "+Inf"], map(float, totals), strict=True))
                answers.add_metric([app], buckets, self._traffic.seconds[app])
        yield answers

    def _contents(self) -> Iterator[Metric]:
        entities = GaugeMetricFamily("psr_hub_entities", "entities in the hub", labels=["kind"])
        for kind, counts in self._figures.entities.items():
            entities.add_metric([kind], counts.total())
        yield entities
        jobs = GaugeMetricFamily("psr_hub_jobs", "jobs by their current run", labels=["status", "color"])
        for key, counts in sorted(self._figures.jobs.items()):
            jobs.add_metric(key, counts.total())
        yield jobs
        engines = GaugeMetricFamily("psr_hub_engines", "engines seen by the hub", labels=["state"])
        for state, number in self._figures.engines().items():
            engines.add_metric([state], number)
        yield engines
