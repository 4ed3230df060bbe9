"""What a hub has of what the populator needs: all, all but three calls, wrong answers, another release."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from state.conftest import PASSWORD, rich_model, serve_hub

from psrlib.cli import psr
from psrlib.client import ControlHub
from psrlib.client.wire import App
from psrlib.doctor import examine
from psrlib.doctor.needs import NEEDS, Call, find_need
from psrlib.doctor.watch import WatchedHub
from psrlib.engines import start_fleet
from psrlib.errors import InputError
from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.server import HubApplication
from psrlib.hub.web.routing import Router
from psrlib.run import open_hub
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import diff, observe, populate, setup_engines, start_jobs, teardown, wait_until_active
from psrlib.state.capabilities import load_capabilities
from psrlib.state.observe import SCRATCH
from psrlib.verify import verify

ADMIN = "admin@admin"
BULK = (
    "PUT /jobrunner/rest/v1/jobs/createJobs",
    "POST /pipelinestore/rest/v1/pipelines/importPipelineCommits",
)
TEXTS = "GET /assets/i18n/en.json"
OFF = {*BULK, TEXTS}

Message = dict[str, Any]


def without(*calls: str) -> Callable[[HubApplication], HubApplication]:
    """Return what switches routes off in a hub, in its own documents too."""

    def switch_off(app: HubApplication) -> HubApplication:
        kept = [route for route in app.router.routes if f"{route.method} {route.path}" not in calls]
        assert len(kept) == len(app.router.routes) - len(calls)
        app.router = Router(kept)
        app.hub.routes = app.router.routes
        return app

    return switch_off


def answering(path: str, status: int, body: bytes) -> Callable[[Any], Any]:
    """Return what makes a hub answer one path with something else."""

    def wrap(app: Any) -> Any:
        async def serve(scope: Message, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != path:
                await app(scope, receive, send)
                return
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return serve

    return wrap


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> SeedDocument:
    """Two organizations with entities of every kind."""
    return resolve_variables(create_seed(rich_model(tmp_path_factory.mktemp("model")), 7, 2), {})


@pytest.fixture(scope="module")
def hub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A complete hub."""
    with serve_hub(tmp_path_factory.mktemp("hub") / "hub.db") as url:
        yield url


@pytest.fixture(scope="module")
def poor_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A hub with three routes switched off."""
    with serve_hub(tmp_path_factory.mktemp("poor") / "hub.db", without(*OFF)) as url:
        yield url


def run(*arguments: object, password: str = PASSWORD) -> Result:
    environment = {"PSR_SCH_PASSWORD": password}
    return CliRunner().invoke(psr, [str(a) for a in arguments], env=environment)


def organizations(url: str) -> dict[str, bool]:
    """Return the organizations of a hub and whether they are active."""
    with ControlHub(url, ADMIN, PASSWORD) as hub:
        return {str(row["id"]): bool(row["active"]) for row in hub.security.organizations()}


@pytest.mark.parametrize("poor", [False, True], ids=["all calls", "without bulk forms"])
def test_the_list_of_calls_is_what_the_populator_makes(
    poor: bool, rich: SeedDocument, tmp_path: Path
) -> None:
    """Populate, engines, start, verify, teardown: every request is one of the list."""
    with (
        serve_hub(tmp_path / "hub.db", without(*OFF) if poor else lambda app: app) as url,
        WatchedHub(url, ADMIN, PASSWORD) as hub,
    ):
        for _ in range(2):
            populate(rich, hub, progress=False)
        setup_engines(rich, hub, tmp_path)
        with start_fleet(tmp_path, url, poll_interval_s=0.25):
            start_jobs(rich, hub)
            wait_until_active(rich, hub)
            verify(rich, hub)
            teardown(rich, hub)
        requests = {(seen.request.method, seen.request.path) for seen in hub.seen}
    unknown = {(m, p) for m, p in requests if find_need(m, p) is None and not p.endswith("/swagger.json")}
    assert unknown == set()
    made = {found[1] for m, p in requests if (found := find_need(m, p)) is not None}
    assert len(made) > 45
    singular = {Call("PUT", "/jobrunner/rest/v1/jobs"), Call("PUT", "/pipelinestore/rest/v1/pipelines")}
    assert (singular <= made) is poor


def test_every_call_of_the_client_is_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method added to the client is needed for something, or it should not be there."""
    used: set[str] = set()
    methods: set[str] = set()

    def watch(app: type[App], name: str) -> None:
        method = getattr(app, name)

        def call(self: App, *arguments: Any, **options: Any) -> Any:
            used.add(f"{type(self).__name__}.{name}")
            return method(self, *arguments, **options)

        monkeypatch.setattr(app, name, call)

    apps = [app for base in App.__subclasses__() for app in (base, *base.__subclasses__())]
    for app in apps:
        for name, _ in inspect.getmembers(app, inspect.isfunction):
            if not name.startswith("_") and not app.__name__.startswith("Owned"):
                methods.add(f"{app.__name__}.{name}")
                watch(app, name)
    for need in NEEDS:
        need.__dict__.pop("calls", None)
        assert need.calls, need.what
    assert used == methods


def test_a_complete_hub_has_everything_and_nothing_is_written(hub_url: str) -> None:
    """Quiet successes: a line an app; the organizations are the ones before."""
    before = organizations(hub_url)
    result = run("doctor", "--sch-url", hub_url)
    assert result.exit_code == 0, result.output
    assert organizations(hub_url) == before
    lines = result.output.splitlines()
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert len(lines) < 15
    n_calls = sum(len(need.calls) for need in NEEDS if 3 in need.releases)
    assert f"psr populate can fill this hub: {n_calls} of {n_calls} calls are there, 0 notes" in lines[-1]
    assert "--write" in lines[-1]
    assert PASSWORD not in result.output.replace(f"{PASSWORD} is", "").replace(f"as {PASSWORD}", "")


def test_a_scratch_organization_is_named_and_removed(hub_url: str) -> None:
    """It holds something of every kind, reads back as it was sent, and ends empty and inactive."""
    report = examine(hub_url, ADMIN, PASSWORD, write=True)
    assert report.exit_status == 0, report.text()
    assert report.scratch.startswith(SCRATCH)
    assert organizations(hub_url)[report.scratch] is False
    with ControlHub(hub_url, ADMIN, PASSWORD) as hub:
        assert [row["id"] for row in hub.security.users(report.scratch)] == [f"admin@{report.scratch}"]
        assert hub.security.groups(report.scratch)[1:] == []
        assert hub.security.components(report.scratch, "dc") == []
    assert f"organization {report.scratch}: " in report.text()
    made = {checked.call.path for checked in report.calls if checked.result == "answered"}
    assert {call.split()[1] for call in BULK} <= made
    assert {
        "/scheduler/rest/v2/jobs/pageId=SchedulerJobManagePage",
        "/jobrunner/rest/v1/jobs/startJobs",
    } <= made


def test_a_hub_that_was_tried_can_be_populated_and_verified(hub_url: str, rich: SeedDocument) -> None:
    """The empty organization that cannot be deleted is in nobody's way; an active one would be."""
    scratch = examine(hub_url, ADMIN, PASSWORD, write=True).scratch
    with ControlHub(hub_url, ADMIN, PASSWORD) as hub:
        populate(rich, hub, progress=False)
        assert scratch not in observe(rich, hub).foreign
        (row,) = [row for row in hub.security.organizations() if row["id"] == scratch]
        hub.security.update_organization({**row, "active": True})
        assert scratch in observe(rich, hub).foreign


@pytest.mark.parametrize("write", [False, True], ids=["read only", "write"])
def test_calls_that_lack_are_named_and_no_others(poor_url: str, write: bool) -> None:
    """What the populator does without them is in the line."""
    report = examine(poor_url, ADMIN, PASSWORD, write=write)
    notes = [finding for finding in report.findings if finding.level != "ok"]
    assert {finding.subject for finding in notes} == OFF
    is_not = "is not there; needed to " if write else "is not in the hub's own document, and was not tried; "
    assert all(f.text.startswith(is_not) for f in notes if f.subject != TEXTS)
    assert all(finding.advice.startswith("without it ") for finding in notes)
    assert report.exit_status == 0, report.text()


def test_populate_goes_on_without_them(poor_url: str, rich: SeedDocument, tmp_path: Path) -> None:
    """With the capability file the bulk forms are not even tried."""
    file = tmp_path / "hub.json"
    result = run("doctor", "--sch-url", poor_url, "--write", "--save", file, "--output", "json")
    found = json.loads(result.stdout)
    assert {c["call"] for c in found["calls"] if c["result"] == "missing"} == OFF
    assert found["exit_status"] == result.exit_code == 0
    capabilities = load_capabilities(file, poor_url)
    assert (capabilities.create_jobs, capabilities.import_pipelines) == (False, False)
    with WatchedHub(poor_url, ADMIN, PASSWORD) as hub:
        populate(rich, hub, progress=False, capabilities=capabilities, allow_foreign=True)
        assert not diff(rich, observe(rich, hub), runtime=False)
        sent = {f"{seen.request.method} {seen.request.path}" for seen in hub.seen}
    assert not sent & set(BULK)
    with pytest.raises(InputError, match=r"is of http://.*, not of http://other"):
        load_capabilities(file, "http://other")


def test_a_call_that_populating_needs_is_a_problem(tmp_path: Path) -> None:
    """Exit status 1; with --write the step that failed, too, and nothing is left behind."""
    call = "PUT /notification/rest/v1/eventsub/createEventSub"
    with serve_hub(tmp_path / "hub.db", without(call)) as url:
        for words in ((), ("--write",)):
            result = run("doctor", "--sch-url", url, *words)
            assert result.exit_code == 1
            is_not = "is not there" if words else "is not in the hub's own document, and was not tried"
            assert f"problem  {call}: {is_not}; needed to create a subscription" in result.output
            assert "psr populate would fail on this hub" in result.output
        assert [id for id, active in organizations(url).items() if active] == ["admin"]


@pytest.mark.parametrize("body", [b"<html>", b'[{"id": 7}]'], ids=str)
def test_an_answer_of_another_shape_is_a_problem(body: bytes, tmp_path: Path) -> None:
    """Expected fields and types are those that the client reads."""
    path = "/jobrunner/rest/v1/jobs"
    with serve_hub(tmp_path / "hub.db", answering(path, 200, body)) as url:
        report = examine(url, ADMIN, PASSWORD)
    problems = [finding.subject for finding in report.findings if finding.level == "problem"]
    assert problems == [f"GET {path}"], report.text()
    assert "answers otherwise than expected" in report.text()


def test_a_later_release_is_told_plainly(tmp_path: Path) -> None:
    """It has no login by user and password; its release says so."""
    login = without("POST /security/public-rest/v1/authentication/login")
    version = answering("/rest/v1/server/info", 200, b'{"version": "5.11.0"}')
    with serve_hub(tmp_path / "hub.db", lambda app: version(login(app))) as url:
        result = run("doctor", "--sch-url", url)
    assert result.exit_code == 1
    assert "Control Hub 5.11.0: this is Control Hub 4.x or later: there is no login by user" in result.output


def test_a_wrong_login_and_a_wrong_address_are_findings(hub_url: str) -> None:
    """No traceback, no password, exit status 1."""
    wrong = run("doctor", "--sch-url", hub_url, password="not the right one")
    assert wrong.exit_code == 1
    assert "problem  login: " in wrong.output
    assert "refused user admin@admin" in wrong.output
    assert "not the right one" not in wrong.output
    nobody = run("doctor", "--sch-url", "http://127.0.0.1:9")
    assert nobody.exit_code == 1
    assert "check the address" in nobody.output


def test_a_user_of_an_organization_is_not_enough(hub_url: str) -> None:
    """Creating organizations takes a system administrator."""
    with ControlHub(hub_url, ADMIN, PASSWORD) as hub:
        user = {"id": "admin@small", "name": "A", "email": "a@example.com", "roles": ["user", "org-admin"]}
        hub.security.create_organization("small", "Small", user)
    report = examine(hub_url, "admin@small", "admin@small")
    assert report.exit_status == 1
    assert "creating organizations takes a system administrator" in report.text()


def test_writing_to_a_hub_elsewhere_has_to_be_meant() -> None:
    """As for populate, --yes; reading needs none."""
    result = run("doctor", "--sch-url", "https://hub.example.com", "--write")
    assert isinstance(result.exception, InputError)
    assert "--yes" in str(result.exception)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b'{"paths": {}}',
        b'{"basePath": "/", "paths": {"/elsewhere": {"get": {}}}}',
        b'{"paths": {"/v1/jobs": {"put": {}}}}',
    ],
    ids=["empty", "no paths", "others", "too few"],
)
def test_a_document_that_lacks_what_answered_is_not_believed(document: bytes, tmp_path: Path) -> None:
    """What it does not list may be there all the same: not tried, and no problem."""
    path = "/jobrunner/rest/swagger.json"
    with serve_hub(tmp_path / "hub.db", answering(path, 200, document)) as url:
        report = examine(url, ADMIN, PASSWORD)
    assert report.exit_status == 0, report.text()
    assert "no document that lists the calls of jobrunner" in report.text()
    assert {c.result for c in report.calls if c.call.app == "jobrunner"} == {"answered", "not tried"}


def test_a_4x_hub_is_asked_for_what_its_release_has(rich: SeedDocument, tmp_path: Path) -> None:
    """Each credential with its organization; no login, no organizations made, no users with passwords."""
    with start_hub(tmp_path, release=4), open_hub(tmp_path, release="4", document=rich) as hub:
        populate(rich, hub, progress=False)
        file = tmp_path / "credentials.json"
        result = CliRunner().invoke(psr, ["doctor", "--credentials", str(file), "--output", "json"])
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        said = [finding["text"] for finding in found["findings"] if finding["subject"] == "credential"]
        assert [text.partition(":")[0] for text in said] == [*(o.id for o in rich.organizations), "system"]
        calls = {one["call"]: one["result"] for one in found["calls"]}
        assert "POST /security/public-rest/v1/authentication/login" not in calls
        assert calls["GET /security/rest/v1/organization/{}/user/{}"] == "answered"
        assert "POST /api/security/v3/org-users.invite" in calls
        written = CliRunner().invoke(psr, ["doctor", "--credentials", str(file), "--write"])
        assert "nothing was written" in written.output
