"""Engines of a 4.x hub that gives no tokens without a deployment: made, found again, verified, removed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from psrlib.client import ControlHub
from psrlib.client.apps.provisioning import Provisioning
from psrlib.client.apps.security import Security
from psrlib.engines import EngineIdentity, start_fleet
from psrlib.errors import HubError
from psrlib.hub.process.hub_process import start_hub
from psrlib.run import open_hub
from psrlib.seed import SeedDocument
from psrlib.state import diff, held, observe, populate, setup_engines, start_jobs, teardown, wait_until_active
from psrlib.state.deployments import ENVIRONMENT, NAMES
from psrlib.verify import verify


@pytest.fixture
def document(rich: SeedDocument) -> SeedDocument:
    """One organization, the one with the most engines."""
    organization = max(rich.organizations, key=lambda each: len(each.engines))
    assert len(organization.engines) > 1
    return replace(rich, organizations=[organization])


@pytest.fixture
def hub(document: SeedDocument, tmp_path: Path) -> Iterator[ControlHub]:
    with start_hub(tmp_path, release=4), open_hub(tmp_path, release="4", document=document) as hub:
        yield hub


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub refuses registrations that belong to no deployment."""

    def refuse(self: Security, *_: Any) -> None:
        raise HubError("403 SECURITY_99: engines belong to deployments", 403, ("SECURITY_99",))

    monkeypatch.setattr(Security, "create_components", refuse)


def session_of(document: SeedDocument, hub: ControlHub) -> ControlHub:
    return hub.for_organization(document.organizations[0].id)


def check(document: SeedDocument, hub: ControlHub, identities: list[EngineIdentity]) -> None:
    """Each engine has its own token of the deployment of its type, which is active and has the labels."""
    organization = document.organizations[0]
    found = {row["name"]: row for row in session_of(document, hub).provisioning.deployments()}
    assert set(found) == {NAMES[engine.type] for engine in organization.engines}
    assert {row["stateDisplayLabel"] for row in found.values()} == {"ACTIVE"}
    assert len({i.token for i in identities}) == len(identities) == len(organization.engines)
    assert {i.deployment for i in identities} == {row["id"] for row in found.values()}
    for type in {engine.type for engine in organization.engines}:
        deployment = session_of(document, hub).provisioning.deployment(found[NAMES[type]]["id"])
        configuration = deployment["engineConfiguration"]
        wanted = {label for engine in organization.engines if engine.type == type for label in engine.labels}
        assert set(configuration["labels"]) == wanted
        assert configuration["advancedConfiguration"]


def test_a_hub_that_refuses_registrations_gets_a_deployment(
    document: SeedDocument, hub: ControlHub, tmp_path: Path, refusing: None
) -> None:
    """From populating to the verdict and the teardown; the default environment is taken, and stays."""
    populate(document, hub, progress=False)
    identities = setup_engines(document, hub, tmp_path)
    check(document, hub, identities)
    assert setup_engines(document, hub, tmp_path) == identities
    session = session_of(document, hub)
    with start_fleet(tmp_path, hub.url, None, poll_interval_s=0.5):
        start_jobs(document, hub)
        wait_until_active(document, hub)
        assert verify(document, hub).consistent
        reported = {row["id"]: row["cspDeploymentId"] for row in session.jobrunner.engines()}
        assert reported == {i.id: i.deployment for i in identities}
        ids = [row["id"] for row in session.provisioning.deployments()]
        path = "/provisioning/rest/v1/csp/deployments/stopDeployments"
        session.provisioning._post(path, "engine tokens", ids)
        items = diff(held(document, hub), observe(held(document, hub), hub)).items
        told = {i.field: i.observed for i in items}
        assert told == {"engines of a deployment that is not active": len(identities)}
        assert setup_engines(document, hub, tmp_path) == identities
        check(document, hub, identities)
    teardown(document, hub)
    assert session.provisioning.deployments() == []
    (environment,) = session.provisioning.environments()
    assert environment["stateDisplayLabel"] == "ACTIVE"


def test_both_types_of_engines_have_a_deployment_each(
    document: SeedDocument, hub: ControlHub, tmp_path: Path, refusing: None
) -> None:
    """Of a version of their type."""
    organization = document.organizations[0]
    first, *others = organization.engines
    mixed = [replace(first, type="TRANSFORMER"), *(replace(e, type="COLLECTOR") for e in others)]
    document = replace(document, organizations=[replace(organization, engines=mixed)])
    identities = setup_engines(document, hub, tmp_path)
    check(document, hub, identities)
    components = session_of(document, hub).security.components
    assert len(components(session_of(document, hub).organization, "transformer")) == 1


def test_an_environment_is_made_where_none_is_active_and_removed_again(
    document: SeedDocument, hub: ControlHub, tmp_path: Path, refusing: None
) -> None:
    """It is activated before the deployment."""
    session = session_of(document, hub)
    (default,) = session.provisioning.environments()
    path = "/provisioning/rest/v1/csp/environments/deactivateEnvironments"
    session.provisioning._post(path, "engine tokens", [default["id"]])
    check(document, hub, setup_engines(document, hub, tmp_path))
    states = {row["name"]: row["stateDisplayLabel"] for row in session.provisioning.environments()}
    assert states == {default["name"]: "DEACTIVATED", ENVIRONMENT: "ACTIVE"}
    teardown(document, hub)
    assert [row["name"] for row in session.provisioning.environments()] == [default["name"]]


@pytest.mark.parametrize("step", ["complete_deployment", "start_deployments", "engine_token"])
def test_an_interrupted_setup_goes_on_where_it_was(
    document: SeedDocument,
    hub: ControlHub,
    tmp_path: Path,
    refusing: None,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """The deployment is known by its name; there is no second one, and no registration too many."""

    def fail(*_: Any) -> None:
        raise HubError("the hub went away")

    with monkeypatch.context() as patch:
        patch.setattr(Provisioning, step, fail)
        with pytest.raises(HubError, match="went away"):
            setup_engines(document, hub, tmp_path)
    identities = setup_engines(document, hub, tmp_path)
    check(document, hub, identities)
    session = session_of(document, hub)
    assert len(session.security.components(session.organization, "dc")) == len(identities)


def test_the_credentials_file_may_ask_for_deployments(
    document: SeedDocument, hub: ControlHub, tmp_path: Path
) -> None:
    """Tokens that were made without one are replaced, and their registrations removed."""
    before = setup_engines(document, hub, tmp_path)
    assert {i.deployment for i in before} == {""}
    credentials = replace(hub.dialect.credentials, engines="deployment")  # type: ignore[attr-defined]
    with ControlHub(hub.url, credentials=credentials) as asking:
        after = setup_engines(document, asking, tmp_path)
        check(document, asking, after)
    assert not {i.token for i in before} & {i.token for i in after}
    session = session_of(document, hub)
    assert len(session.security.components(session.organization, "dc")) == len(after)


def test_other_refusals_make_no_deployment(
    document: SeedDocument, hub: ControlHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of the organization, for instance, is told."""

    def refuse(self: Security, *_: Any) -> None:
        raise HubError("400 too many", 400)

    monkeypatch.setattr(Security, "create_components", refuse)
    with pytest.raises(HubError, match="too many"):
        setup_engines(document, hub, tmp_path)
    assert session_of(document, hub).provisioning.deployments() == []


def test_a_hub_that_knows_the_other_words_is_spoken_to_in_them(
    document: SeedDocument, hub: ControlHub, tmp_path: Path, refusing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor's client and documents differ in the names of three calls."""
    answer = ControlHub.answer

    def other(self: ControlHub, request: Any) -> Any:
        if request.path.endswith("/startDeployments") or (
            request.path.endswith("/engineToken") and "/csp/" in request.path
        ):
            raise HubError("no such call", 404)
        return answer(self, request)

    monkeypatch.setattr(ControlHub, "answer", other)
    check(document, hub, setup_engines(document, hub, tmp_path))
