"""The populator on a 4.x hub beside the vendor's SDK 7: what it sends, and what the SDK reads of it."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace
from streamsets.sdk import ControlHub as VendorHub
from support.rich_model import rich_model
from support.sdk_populate import Sent, populate_with_sdk, record, sent

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.http import HttpClient
from psrlib.hub.process.hub_process import start_hub
from psrlib.run import open_hub
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import populate

# What the populator sends and the SDK does not, each with why.
OURS = {
    # many in one call, where the SDK makes one call each
    ("PUT", "/jobrunner/rest/v1/jobs/createJobs"),
    ("POST", "/pipelinestore/rest/v1/pipelines/importPipelineCommits"),  # the SDK has it for archives
    ("POST", "/pipelinestore/rest/v1/pipelineCommit"),  # definitions of many commits at once
    # configuration of the organization, of which the SDK's guide tells, and reading what is there
    ("POST", "/security/rest/v1/organization/{}/configs"),
}
SINGLE = {"/jobrunner/rest/v1/jobs/createJobs": "/jobrunner/rest/v1/jobs"}


class Recorder(HttpClient):
    """Notes what is sent."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.sent: list[Sent] = []

    def send(self, request: Request) -> Answer:
        prepared = self._prepare(request)
        body = None if request.upload else prepared.body
        self.sent.append(sent(request.method, str(prepared.url), body))
        return super().send(request)


class RecordedHub(ControlHub):
    """A session that notes what it sends."""

    HTTP = Recorder


@dataclass(frozen=True)
class Both:
    """One organization filled by the populator, another one by the SDK, with all requests of both."""

    document: SeedDocument
    ours: list[Sent]
    n_calls: int
    sdk: list[Sent]
    reader: Any  # the SDK, in the organization that the populator filled


def vendor(hub: ControlHub, name: str) -> Any:
    credential = hub.dialect.credentials.organizations[name]  # type: ignore[attr-defined]
    return VendorHub(
        credential_id=credential.id, token=credential.token, aster_url=hub.url, use_websocket_tunneling=False
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    rich = resolve_variables(create_seed(rich_model(folder), 7, 2), {})
    one = replace(rich, organizations=rich.organizations[:1])
    with ExitStack() as stack:
        stack.enter_context(start_hub(folder, release=4))
        hub = stack.enter_context(open_hub(folder, release="4", document=rich))
        other = vendor(hub, rich.organizations[1].id)
        sdk = record(other)
        populate_with_sdk(other, one, one.organizations[0])
        credentials = hub.dialect.credentials  # type: ignore[attr-defined]
        recorded = stack.enter_context(RecordedHub(hub.url, credentials=credentials))
        report = populate(one, recorded, progress=False)
        assert not report.difference
        yield Both(one, recorded.http.sent, report.n_calls, sdk, vendor(hub, one.organizations[0].id))  # type: ignore[attr-defined]


def writes(requests: list[Sent]) -> set[tuple[str, str]]:
    return {(one.method, one.path) for one in requests if one.method != "GET"}


def test_the_populator_writes_by_the_paths_of_the_sdk(both: Both) -> None:
    """Same methods and paths for the same entities, but for calls that do many at once."""
    assert writes(both.ours) - writes(both.sdk) - OURS == set()


def test_no_body_has_a_field_that_the_sdk_would_not_send(both: Both) -> None:
    """Field by field, for every call that both make; a job in a list is a job."""
    known: dict[tuple[str, str], frozenset[str]] = {}
    for one in both.sdk:
        key = (one.method, one.path)
        known[key] = known.get(key, frozenset()) | one.fields
    compared = Counter[str]()
    for one in both.ours:
        key = (one.method, SINGLE.get(one.path, one.path))
        if one.fields and key in known:
            assert one.fields <= known[key], f"{key}: {sorted(one.fields - known[key])}"
            compared[one.path] += 1
    assert len(compared) >= 6, compared


def test_the_sdk_makes_several_times_as_many_calls(both: Both) -> None:
    """Counted here for a small organization; what it takes to connect is left out on both sides."""
    assert len(both.sdk) > 2.5 * both.n_calls, (len(both.sdk), both.n_calls)


def test_the_sdk_reads_what_the_populator_made(both: Both) -> None:
    """Its objects are those of the seed document, entity by entity and field by field."""
    (desired,) = both.document.organizations
    sch = both.reader
    pipelines = {p.key: p for p in desired.pipelines}
    jobs = {job.key: job for job in desired.jobs}
    found = {p.name: p for p in sch.pipelines}
    assert {name: found[name].version for name in found} == {
        p.name: str(p.commits) for p in desired.pipelines
    }
    made = {job.job_name: job for job in sch.jobs}
    for job in desired.jobs:
        if job.is_template:
            continue
        one = made[job.name]
        assert one.pipeline_name == pipelines[job.pipeline].name
        assert sorted(one.data_collector_labels) == sorted(job.labels)
        assert one.number_of_instances == job.instances
        assert json.loads(one._data["runtimeParameters"]) == job.parameters
        assert sorted(tag.tag for tag in one.tags) == sorted(job.tags)
    templates = {t.job_name for t in sch.jobs.get_all(job_template=True)}
    assert templates == {job.name for job in desired.jobs if job.is_template}
    tasks = {t.name: (t.cron_expression, t.status) for t in sch.scheduled_tasks}
    assert tasks == {t.name: (t.cron, "RUNNING") for t in desired.scheduled_tasks}
    assert {t.topology_name for t in sch.topologies} == {t.name for t in desired.topologies}
    assert {c.name: c.connection_type for c in sch.connections} == {
        c.name: c.type for c in desired.connections
    }
    assert {s.name for s in sch.subscriptions} == {s.name for s in desired.subscriptions}
    groups = {g.display_name for g in sch.groups}
    assert {g.name for g in desired.groups} <= groups
    assert jobs
