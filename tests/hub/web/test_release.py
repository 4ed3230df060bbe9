"""What a hub of release 4 has otherwise than one of release 3, beside its routes."""

from pathlib import Path

import msgspec
import pytest
from support.hub_driver import Credential, Driver, Session, sign_up
from support.in_process import Clock

from psrlib.errors import InputError
from psrlib.hub.catalog import all_routes, not_served
from psrlib.hub.server import create_app
from psrlib.hub.web.openapi import structs_of
from psrlib.hub.web.release import Fields, Release
from psrlib.hub.web.releases import FIELDS_4, RELEASES, find_release
from psrlib.hub.web.routing import Router
from psrlib.hub.web.strictness import unknown_fields


class Part(msgspec.Struct):
    """A record that differs."""

    name: str
    old: int = 1


class Whole(msgspec.Struct):
    """A record that holds such ones."""

    parts: list[Part]
    other: dict[str, int]


NEW = Release(9, "9", fields={"Part": Fields(less=["old"], projectId=(str | None, None))})


def test_a_record_shows_the_fields_of_the_release() -> None:
    """Also where it is held by another record; what holds none is left alone."""
    whole = Whole([Part("a")], {"n": 1})
    assert NEW.show([whole]) == [{"parts": [{"name": "a", "projectId": None}], "other": {"n": 1}}]
    assert NEW.show("text") == "text"
    assert RELEASES[3].show(whole) is whole


def test_what_is_left_out_stays_left_out() -> None:
    """Defaults that a record does not tell, and values that are not set."""

    class Quiet(msgspec.Struct, omit_defaults=True):
        """Tells only what is no default."""

        name: str = ""
        size: int | msgspec.UnsetType = msgspec.UNSET
        n: int = 0

    release = Release(9, "9", fields={"Quiet": Fields(more=(str | None, None))})
    assert release.show(Quiet(n=1)) == {"n": 1, "more": None}


def test_a_schema_has_the_fields_of_the_release() -> None:
    """Clients make bodies of them."""
    _, schemas = msgspec.json.schema_components([Whole])
    assert list(NEW.schemas(schemas)["Part"]["properties"]) == ["name", "projectId"]
    assert NEW.schemas(schemas)["Whole"] == schemas["Whole"]


def test_a_strict_hub_knows_the_fields_of_its_release() -> None:
    """A field that the release has not is unknown."""
    sent = {"parts": [{"name": "a", "old": 1, "projectId": "p"}]}
    assert list(unknown_fields(Whole, sent)) == ["parts[].projectId"]
    assert list(unknown_fields(Whole, sent, release=NEW)) == ["parts[].old"]


def test_the_changes_are_of_records_that_there_are() -> None:
    """And leave out only what a record has, and add only what it has not."""
    _, known = msgspec.json.schema_components(structs_of(all_routes(4)))
    for name, fields in FIELDS_4.items():
        own = set(known[name]["properties"])
        assert fields.less <= own, name
        assert not own & set(fields.values), name


def test_jobs_and_pipelines_have_the_names_of_release_4(platform: Credential, lite_acme: Session) -> None:
    """Release 3 keeps its own."""
    for caller, is_new in ((platform, True), (lite_acme, False)):
        pipeline = caller.pipeline()
        job = caller.job(pipeline=pipeline)
        assert ("projectId" in job, "creator" in pipeline) == (is_new, not is_new)
        document = caller.get("/pipelinestore/rest/openapi.json")["components"]["schemas"]["PipelineJson"]
        assert ("creator" in document["properties"]) is not is_new


def test_a_page_has_bounds(platform: Credential, lite_acme: Session) -> None:
    """Nothing asked is one page, everything asked is refused; release 3 gives everything."""
    path = f"/security/rest/v1/organization/{platform.organization}/groups"
    for number in range(3):
        group = {"id": f"g{number}@{platform.organization}", "name": f"g{number}"}
        platform.put(path, group)
    assert len(platform.get(f"{path}?len=2")) == 2
    assert len(platform.get(path)) == 4
    assert platform.get(f"{path}?len=250&withWrapper=true")["totalCount"] == 4
    for wrong in (-1, 251):
        assert platform.call("GET", f"{path}?len={wrong}").status == 400
    assert len(lite_acme.get("/security/rest/v1/organization/acme/groups?len=-1")) == 1


def test_the_version_is_the_releases(platform: Credential, lite_acme: Session) -> None:
    """Clients tell releases apart by it."""
    assert platform.get("/rest/v1/server/info")["version"].startswith("4.")
    assert lite_acme.get("/rest/v1/server/info")["version"] == "3.22.0"


def test_a_database_stays_of_its_release(tmp_path: Path, clock: Clock) -> None:
    """Its ids and users would not fit the other one."""
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    Driver(url, clock, release=4).close()
    with pytest.raises(InputError, match="release 4; start the hub with --release 4"):
        create_app(url, clock=clock)
    with pytest.raises(InputError, match="release 5"):
        find_release(5)


def test_too_many_calls_a_second_are_refused(tmp_path: Path, clock: Clock) -> None:
    """By organization; the next second brings new ones, and engines are let through."""
    driver = Driver(f"sqlite:///{tmp_path / 'hub.db'}", clock, release=4, rate_limit=3)
    admin = driver.login("admin@admin")
    acme = sign_up(admin, "acme")
    clock.advance(1)
    engine = acme.engine()
    clock.advance(1)
    path = "/security/rest/v1/currentUser"
    assert [acme.call("GET", path).status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert admin.call("GET", path).status == 200
    engine.announce()
    clock.advance(1)
    assert acme.call("GET", path).status == 200
    driver.close()


@pytest.mark.parametrize(
    ("release", "path"),
    [
        (3, "connection/rest/v1/connection/listAclAudits"),
        (3, "topology/rest/v1/topology/listAclAudits"),
        (4, "connection/rest/v1/connection/listAclAudits"),
        (4, "topology/rest/v1/topology/listAclAudits"),
        (4, "sequencing/rest/v1/sequencing/listAclAudits"),
        (4, "provisioning/rest/v1/csp/environment/listAclAudits"),
        (4, "provisioning/rest/v1/csp/deployment/listAclAudits"),
    ],
)
def test_audits_of_access_lists_are_not_taken_for_an_id(release: int, path: str) -> None:
    """Row 21 of the observations, in every app that has such a path: not served, not an unknown entity."""
    assert Router(all_routes(release), not_served(release)).find("GET", path.split("/")) is None
