"""Registrations of engines: as many as there are engines, whatever was delivered twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from psrlib.client import ControlHub
from psrlib.client.apps.security import Security
from psrlib.engines import start_fleet
from psrlib.errors import HubError
from psrlib.seed import SeedDocument
from psrlib.state import diff, observe, populate, setup_engines
from psrlib.state.reading import engine_registrations

Connect = Callable[..., ControlHub]


def n_registrations(document: SeedDocument, hub: ControlHub) -> list[int]:
    wanted = document.organizations
    return [len(engine_registrations(hub.for_organization(each.id), each)) for each in wanted]


def n_engines(document: SeedDocument) -> list[int]:
    return [len(organization.engines) for organization in document.organizations]


def without_an_engine(document: SeedDocument, hub: ControlHub) -> list[Any]:
    items = diff(document, observe(document, hub)).items
    return [item.observed for item in items if item.field == "registrations without an engine"]


def test_a_request_that_was_delivered_twice_leaves_nothing(
    rich: SeedDocument, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many registrations as engines are made, and half of them are removed at once."""
    create = Security.create_components
    made: list[int] = []

    def twice(self: Security, organization: str, component_type: str, n: int) -> Any:
        create(self, organization, component_type, n)
        made.append(n)
        return create(self, organization, component_type, n)

    monkeypatch.setattr(Security, "create_components", twice)
    with connect() as hub:
        populate(rich, hub, progress=False)
        identities = setup_engines(rich, hub, tmp_path)
        assert sum(made) == len(identities) == sum(n_engines(rich))
        assert n_registrations(rich, hub) == n_engines(rich)


def test_a_late_double_is_found_and_then_removed(
    rich: SeedDocument, connect: Connect, hub_url: str, tmp_path: Path
) -> None:
    """Verifying sees it, whether engines have registered or not; the next populate has it removed."""
    organization = rich.organizations[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        before = setup_engines(rich, hub, tmp_path)
        assert without_an_engine(rich, hub) == []
        session = hub.for_organization(organization.id)
        session.security.create_components(organization.id, "dc", 2)
        session.security.create_components(organization.id, "dc-edge", 1)
        assert without_an_engine(rich, hub) == [2]
        with start_fleet(tmp_path, hub_url, poll_interval_s=0.2):
            assert without_an_engine(rich, hub) == [2]
            assert setup_engines(rich, hub, tmp_path) == before
            assert without_an_engine(rich, hub) == []
            assert n_registrations(rich, hub) == n_engines(rich)
        assert len(session.security.components(organization.id, "dc-edge")) == 1  # somebody else's


def test_a_hub_that_does_not_list_registrations_gets_its_engines(
    rich: SeedDocument,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The refusal is named with the organization; tokens are made once, and verifying goes on too."""

    def refuse(self: Security, *_: Any) -> None:
        raise HubError("GET /components was refused with status 403: SECURITY_12: not for you", 403)

    with connect() as hub:
        populate(rich, hub, progress=False)
        with monkeypatch.context() as patch:
            patch.setattr(Security, "components", refuse)
            identities = setup_engines(rich, hub, tmp_path)
            assert setup_engines(rich, hub, tmp_path) == identities
            assert without_an_engine(rich, hub) == []
        said = {f"{o.id}: registrations of engines are not looked at, for GET" for o in rich.organizations}
        assert said <= {message.partition(" /")[0] for message in caplog.messages}
        assert n_registrations(rich, hub) == n_engines(rich)


def test_refused_tokens_name_organization_and_engines(
    rich: SeedDocument, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 3.x there is no other way to them."""

    def refuse(self: Security, *_: Any) -> None:
        raise HubError("PUT /components was refused with status 403: SECURITY_12: not for you", 403)

    monkeypatch.setattr(Security, "create_components", refuse)
    with connect() as hub:
        populate(rich, hub, progress=False)
        with pytest.raises(HubError, match=r"org-000\d: no tokens for \d+ engines of type dc: .*SECURITY_12"):
            setup_engines(rich, hub, tmp_path)


def test_an_engine_whose_registration_was_deleted_gets_a_new_token(
    rich: SeedDocument, connect: Connect, tmp_path: Path
) -> None:
    """The others keep theirs."""
    organization = next(o for o in rich.organizations if o.engines)
    with connect() as hub:
        populate(rich, hub, progress=False)
        before = setup_engines(rich, hub, tmp_path)
        lost = next(i for i in before if i.organization == organization.id)
        hub.for_organization(organization.id).security.delete_components(organization.id, [lost.registration])
        after = setup_engines(rich, hub, tmp_path)
        assert n_registrations(rich, hub) == n_engines(rich)
    changed = [new.key for old, new in zip(before, after, strict=True) if old.token != new.token]
    assert changed == [lost.key]


def test_transformers_are_known_again_where_a_hub_lists_one_type_at_a_time(
    rich: SeedDocument, connect: Connect, tmp_path: Path
) -> None:
    """Their registrations are not made anew at every populate, and a double of one is removed."""
    organizations = [
        replace(each, engines=[replace(engine, type="TRANSFORMER") for engine in each.engines])
        for each in rich.organizations
    ]
    document = replace(rich, organizations=organizations)
    first = next(each for each in organizations if each.engines)
    with connect() as hub:
        populate(document, hub, progress=False)
        before = setup_engines(document, hub, tmp_path)
        assert {identity.type for identity in before} == {"TRANSFORMER"}
        hub.for_organization(first.id).security.create_components(first.id, "transformer", 1)
        assert without_an_engine(document, hub) == [1]
        assert setup_engines(document, hub, tmp_path) == before
        assert n_registrations(document, hub) == n_engines(document)
