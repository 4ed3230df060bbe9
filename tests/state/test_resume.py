"""Half-made organizations: every place where a populate can have been killed is gone on from."""

from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.http import HttpClient
from psrlib.seed import SeedDocument
from psrlib.state import diff, observe, plan, populate

Connect = Callable[..., ControlHub]


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def stop_after(last: int, document: SeedDocument, hub: ControlHub, monkeypatch: pytest.MonkeyPatch) -> int:
    """Populate and stop before request number ``last + 1``; return the requests sent."""
    sent = 0
    send = HttpClient.send

    def counted(self: HttpClient, request: Request) -> Answer:
        nonlocal sent
        if sent >= last:
            raise KilledError
        sent += 1
        return send(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(HttpClient, "send", counted)
        with suppress(KilledError):
            populate(document, hub, progress=False)
    return sent


def assert_complete(document: SeedDocument, hub: ControlHub) -> None:
    difference = diff(document, observe(document, hub), runtime=False)
    assert not difference, difference.frame().to_string()


@pytest.mark.parametrize("last", [1, 2, 3, 5, 8, 12, 20, 30, 45])
def test_a_run_that_ended_early_is_completed(
    last: int, rich: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of requests, the next populate creates the rest and nothing twice."""
    with connect(workers=1) as hub:
        assert stop_after(last, rich, hub, monkeypatch) == last
    with connect() as hub:
        populate(rich, hub, progress=False)
        assert_complete(rich, hub)


def test_a_plan_for_a_half_made_hub_counts_the_reading(
    sample: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What exists is read before and after; the estimate is within a third of what the rest then takes."""
    with connect(workers=1) as hub:
        stop_after(60, sample, hub, monkeypatch)
    with connect() as hub:
        planned = plan(sample, hub)
        assert planned.calls["reading"] > 0
    with connect() as hub:
        report = populate(sample, hub, progress=False)
        assert planned.n_calls == pytest.approx(report.n_calls, rel=0.34)


def test_a_topology_that_was_never_published_is(rich: SeedDocument, connect: Connect) -> None:
    """Creating and publishing are two calls; a draft of the right name is published, not made again."""
    organization = rich.organizations[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        store = hub.for_organization(organization.id).topology
        (row,) = store.topologies()
        nodes = store.topology(row["commitId"])["topologyDefinition"]
        store.delete_topologies([row["topologyId"]])
        store.create_topology(row["name"], orjson.loads(nodes)["topologyNodes"])
        assert store.topologies()[0]["draft"]
        report = populate(rich, hub, progress=False)
        assert report.created == {}
        (published,) = store.topologies()
        assert not published["draft"]
        assert_complete(rich, hub)


def test_a_deactivated_organization_is_activated(rich: SeedDocument, connect: Connect) -> None:
    """Its administrator cannot log in before; the difference says so, and populating repairs it."""
    organization = rich.organizations[1]
    with connect() as hub:
        populate(rich, hub, progress=False)
        row = next(row for row in hub.security.organizations() if row["id"] == organization.id)
        hub.security.update_organization({**row, "active": False})
        fields = {item.field for item in diff(rich, observe(rich, hub)).items if item.kind == "organizations"}
        assert fields == {"active", "administrator"}
        populate(rich, hub, progress=False)
        assert_complete(rich, hub)
