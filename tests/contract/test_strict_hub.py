"""The populator's whole traffic on a strict hub, and held against the vendor's types.

A mistake in what is sent, such as a list where the wire has text, is refused here at once; a field that the
embedded hub knows and the vendor does not is found by holding each body against the vendor's documents.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from support.rich_model import rich_model
from support.served_hub import Exchange, Recorder, serve_hub
from support.vendor import Vendor, faults, record_in, shape

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.engines import start_fleet
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.seed.rewrite import FieldRule, Rule, rewrite_seed
from psrlib.state import apply_rewrite, populate, setup_engines, start_jobs, teardown, wait_until_active
from psrlib.verify import verify

VENDOR = Vendor()
STORE = "pipelinestore"
# bodies that the documents do not tell
BODIES = {("PUT", "/pipelinestore/rest/v1/pipelines"): "CommitPipelineJson"}
# answers that the documents tell as the class behind them
ANSWERS = {("GET", "/security/rest/v1/organization/{}/groups"): ["GroupJson"]}
# what is sent and the documents do not have, with the reason
KNOWN = {
    "RSchedulerJob has no such field": "3.x clients write job and report into the task",
    "executionInfo.action: DBeanDBean": "the documents name the base class; 3.x clients write the action",
    "info.created": "real definitions have epoch milliseconds",
    "info.lastModified": "real definitions have epoch milliseconds",
    "pipelineRules.schemaVersion": "real rules have a number",
    "pipelineRules.version": "real rules have a number",
}
RANDOM_SEED = 12  # of a small organization that has what the rules rewrite
REWRITTEN: list[Rule] = [
    FieldRule("users.email", re.compile("@"), "+moved@"),
    FieldRule("jobs.parameters.*", re.compile("$"), "1"),
    FieldRule("scheduled_tasks.cron", re.compile("^0 "), "30 "),
    FieldRule("subscriptions.target", re.compile("$"), "?moved"),
]
ONLY_RICH: list[Rule] = [FieldRule("connections.configuration.*", re.compile("$"), "-moved")]


@dataclass
class Run:
    """A seed document that went through everything, and what was said on the way."""

    recorder: Recorder
    health: dict[str, Any]


@pytest.fixture(scope="module", params=["sample", "rich"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The traffic of a document of the sample model, and of one with every kind of entity."""
    folder = tmp_path_factory.mktemp("strict")
    document = _document(request.param, folder)
    recorders: list[Recorder] = []

    def record(app: Any) -> Recorder:
        recorders.append(Recorder(app))
        return recorders[-1]

    with (
        serve_hub(folder / "hub.db", record, strict=True) as url,
        ControlHub(url, "admin@admin", "admin@admin") as hub,
    ):
        _go_through(document, hub, folder, REWRITTEN + (ONLY_RICH if request.param == "rich" else []))
        yield Run(recorders[0], requests.get(f"{url}/public-rest/v1/health?details=true", timeout=5).json())


def _document(name: str, folder: Path) -> SeedDocument:
    model = rich_model(folder) if name == "rich" else NoiseModel.load(paths.SAMPLE_MODEL)
    return resolve_variables(create_seed(model, RANDOM_SEED, 1), {})


def _go_through(document: SeedDocument, hub: ControlHub, folder: Path, rules: list[Rule]) -> None:
    populate(document, hub, progress=False)
    setup_engines(document, hub, folder)
    with start_fleet(folder, hub.url, poll_interval_s=0.5):
        start_jobs(document, hub)
        wait_until_active(document, hub)
        assert verify(document, hub).consistent
        rewritten, _ = rewrite_seed(document, rules)
        apply_rewrite(document, rewritten, hub, progress=False)
        teardown(rewritten, hub)


def test_nothing_unknown_and_no_wrong_type_was_sent(run: Run) -> None:
    """Users and engines alike: the hub would have refused it, and counted it."""
    assert run.health["strict"] is True
    assert (run.health["unknownFields"], run.health["wrongTypes"]) == (0, 0)
    refused = [exchange for exchange in run.recorder.exchanges if exchange.status == 400]
    assert refused == []


def _operation(exchange: Exchange) -> tuple[str, Any] | None:
    """Return app and operation of the documents that an exchange was about."""
    for (method, path), operation in VENDOR.operations.items():
        pattern = re.escape(path).replace(r"\{\}", "[^/]+")
        if method == exchange.method and re.fullmatch(pattern, shape_of(exchange.path)):
            return path.split("/")[1], operation
    return None


def shape_of(path: str) -> str:
    return re.sub(r"pageId=[^/]*", "page", path)


def test_bodies_are_as_the_vendors_documents_say(run: Run) -> None:
    """Names and types of every field of every body that they tell of."""
    found, held = set(), set()
    for exchange in run.recorder.exchanges:
        about = _operation(exchange)
        if about is None or not exchange.body or "multipart" in exchange.content_type:
            continue
        app, operation = about
        path = shape(operation["path"])
        kind = BODIES.get((exchange.method, path), operation.get("body"))
        if kind != "string":  # a bare id, without quotes
            held.add(path)
            value = json.loads(exchange.body)
            found |= {f"{exchange.method} {path}{fault}" for fault in faults(kind, value, VENDOR.types[app])}
    assert (_unknown(found), len(held) > 10) == ([], True)


def test_answers_are_as_the_vendors_documents_say(run: Run) -> None:
    """Types of every field, and the words of enumerations; names are compared elsewhere."""
    found, held = set(), set()
    for exchange in run.recorder.exchanges:
        about = _operation(exchange)
        if about is None or exchange.status >= 300 or not exchange.answer:
            continue
        app, operation = about
        path = shape(operation["path"])
        kind = ANSWERS.get((exchange.method, path), operation.get("answer"))
        if kind is not None and record_in(kind) in VENDOR.types[app]:
            held.add(path)
            value = json.loads(exchange.answer)
            if isinstance(value, list) and not isinstance(kind, list):
                kind = [kind]  # some lists are told as their records
            found |= {f"{exchange.method} {path}{fault}" for fault in faults(kind, value, VENDOR.types[app])}
    wrong = [fault for fault in sorted(found) if "has no such field" not in fault]
    assert (wrong, len(held) > 10) == ([], True)


def test_definitions_are_as_the_vendors_documents_say(run: Run) -> None:
    """Pipelines, rules and library definitions in the archives that were imported."""
    types, found, n = VENDOR.types[STORE], set(), 0
    for exchange in run.recorder.exchanges:
        if exchange.path.endswith("/importPipelineCommits"):
            with zipfile.ZipFile(io.BytesIO(exchange.body)) as archive:
                for name in archive.namelist():
                    found |= set(faults("PipelineEnvelopeJson", json.loads(archive.read(name)), types))
                    n += 1
    assert (_unknown(found), n > 0) == ([], True)


def _unknown(found: set[str]) -> list[str]:
    return sorted(fault for fault in found if not any(known in fault for known in KNOWN))
