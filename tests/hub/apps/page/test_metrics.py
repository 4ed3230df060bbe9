"""Figures for Prometheus, and that the dashboard asks for none that nobody tells."""

import json
import pickle
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.fleet_fakes import RecorderSender, identity
from support.fleet_recorder import Recorder
from support.hub_driver import Session

from psrlib.engines.fleet import Fleet
from psrlib.engines.status import prometheus_text
from psrlib.hub.store.cache import Recent
from psrlib.hub.web.traffic import BOUNDS_S, Traffic

DEPLOY = Path(__file__).parents[4] / "deploy"
Samples = dict[tuple[str, ...], float]


def read(text: str) -> Samples:
    """Return the value of every sample by its name and what its labels say."""
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(session: Session) -> Samples:
    session.driver.app.hub.recent = Recent()
    answer = session.driver.raw("GET", "/metrics", {})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(answer.content.decode())


def test_the_text_holds_what_is_in_the_hub(acme: Session) -> None:
    """Read back by the parser of Prometheus, on both databases: totals, and no name."""
    engine = acme.engine()
    running, _ = acme.job("secret-job"), acme.job("waits")
    acme.start(running)
    engine.run()
    found = scrape(acme)
    assert found["psr_hub_entities", "kind=jobs"] == 2
    assert found["psr_hub_entities", "kind=organizations"] == 1
    assert found["psr_hub_jobs", "color=GREEN", "status=ACTIVE"] == 1
    assert found["psr_hub_jobs", "color=NONE", "status=NEVER_RUN"] == 1
    assert found["psr_hub_engines", "state=responding"] == 1
    assert found["psr_hub_info", "kind=embedded", "release=3.22.0"] == 1
    acme.driver.tick(3600)
    found = scrape(acme)
    assert found["psr_hub_jobs", "color=RED", "status=ACTIVE"] == 1
    assert (found["psr_hub_engines", "state=responding"], found["psr_hub_engines", "state=silent"]) == (0, 1)
    assert not [name for name in found if "acme" in str(name) or "secret" in str(name)]


def test_requests_are_counted_by_app_and_status(lite_acme: Session) -> None:
    """What comes is there at the next look; unknown paths are no label of their own."""
    before = scrape(lite_acme)
    lite_acme.get("/security/rest/v1/currentUser")
    lite_acme.call("GET", "/jobrunner/rest/v1/job/nobody:acme")
    for path in ("/no/such", "/wp-login.php", "/x//y", "*"):
        lite_acme.driver.raw("GET", path, {})
    after = scrape(lite_acme)

    def more(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert more("psr_hub_requests_total", "app=security", "status=200") == 1
    assert more("psr_hub_requests_total", "app=jobrunner", "status=404") == 1
    assert more("psr_hub_requests_total", "app=other", "status=501") == 4
    assert more("psr_hub_answer_seconds_count", "app=security") == 1
    assert 0 < more("psr_hub_answer_seconds_sum", "app=security") < 10
    apps = {word for name in after for word in name if word.startswith("app=")}
    assert apps == {"app=security", "app=jobrunner", "app=other"}


def test_the_histogram_adds_up() -> None:
    """Each bucket holds what took as long as its bound at most; the last holds all."""
    traffic = Traffic(["messaging"])
    for seconds in (0.001, 0.0011, 0.3, 60.0):
        traffic.note("/messaging/rest/v1/events", 200, seconds)
    within = {bound: sum(traffic.waits["messaging"][: BOUNDS_S.index(bound) + 1]) for bound in BOUNDS_S}
    assert (within[0.001], within[0.0025], within[0.25], within[0.5], within[10.0]) == (1, 2, 2, 3, 3)
    assert sum(traffic.waits["messaging"]) == 4
    assert traffic.seconds["messaging"] == pytest.approx(60.3021)


def test_counting_takes_no_memory_whatever_is_asked_for() -> None:
    """A thousand paths and one path a thousand times are the same."""
    paths = [f"/path{number}/x" for number in range(1000)] + [f"/security/{number}" for number in range(1000)]
    sizes = []
    for asked in (paths, ["/path/x"] * 1000 + ["/security/x"] * 1000):
        traffic = Traffic(["security"])
        for path in asked:
            traffic.note(path, 501, 0.0)
        sizes.append(len(pickle.dumps(vars(traffic))))
    assert sizes[0] == sizes[1] < 1000


def test_the_dashboard_asks_for_what_is_told(lite_acme: Session) -> None:
    """Every name in its queries is one of hub or fleet, of both; Prometheus is told to ask both."""
    recorder = Recorder({identity(0).id: identity(0).token})
    fleet = Fleet([identity(0)], "http://hub", RecorderSender(recorder, lite_acme.driver.clock))
    lite_acme.get("/security/rest/v1/currentUser")
    told = {name[0] for name in scrape(lite_acme)} | {
        name[0] for name in read(prometheus_text(fleet).decode())
    }
    told |= {"psr_fleet_requests_total", "psr_fleet_errors_total", "psr_fleet_pipelines"}  # none so far
    told |= {"psr_hub_jobs"}
    dashboard = json.loads((DEPLOY / "grafana" / "psr.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"\bpsr_\w+", target["expr"])
    }
    assert asked <= told
    assert {name.split("_")[1] for name in asked} == {"hub", "fleet"}
    places = sorted(tuple(panel["gridPos"].values()) for panel in dashboard["panels"])
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    for target in ("hub:18631", "engines:18637"):
        assert target in (DEPLOY / "prometheus.yml").read_text()
