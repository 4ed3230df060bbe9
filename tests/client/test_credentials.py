"""Control Hub 4.x as the client speaks to it: the credentials file, two headers, pages."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.scripted_hub import Reply, ScriptedHub

from psrlib.client import ControlHub, Credentials, load_credentials
from psrlib.client.credentials import ApiCredential
from psrlib.errors import AuthenticationError, HubError, InputError
from psrlib.run import open_hub

USER = "/security/rest/v1/currentUser"
JOBS = "/jobrunner/rest/v1/jobs"
LOGIN = "/security/public-rest/v1/authentication/login"


def token(organization: str) -> str:
    """Return a token of the vendor's shape: its middle part names the organization."""
    payload = base64.urlsafe_b64encode(json.dumps({"o": organization}).encode()).decode().rstrip("=")
    return f"e30.{payload}.secret-{organization}"


def credentials(url: str, **organizations: str) -> Credentials:
    named = {id.replace("_", "-"): ApiCredential(f"id-of-{o}", token(o)) for id, o in organizations.items()}
    return Credentials(url, named)


def is_user_of(scripted: ScriptedHub, organization: str) -> None:
    scripted.script(USER, Reply(body={"principalId": f"u1@{organization}", "organizationId": organization}))


def write(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


GOOD = {"url": "http://hub", "organizations": {"org-0001": {"id": "c", "token": "t-secret"}}}


def test_a_credentials_file_is_read(tmp_path: Path) -> None:
    """Address, one credential per organization of the seed document; the rest may be left out."""
    found = load_credentials(write(tmp_path / "credentials.json", GOOD))
    assert found == Credentials("http://hub", {"org-0001": ApiCredential("c", "t-secret")})
    assert "t-secret" not in repr(found)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Only reading and writing by the owner is accepted; the message says what to do."""
    path = write(tmp_path / "credentials.json", GOOD, mode)
    with pytest.raises(InputError, match=r"mode .*chmod 600"):
        load_credentials(path)


@pytest.mark.parametrize(
    "content",
    [
        "no JSON t-secret",
        {"url": "http://hub"},
        {**GOOD, "organizations": {"org-0001": "t-secret"}},
        {**GOOD, "organizations": {"org-0001": {"id": "c", "token": ["t-secret"]}}},
        {**GOOD, "organizations": {}},
        {**GOOD, "password": "t-secret"},
        {**GOOD, "organizations": {"system": {"id": "c", "token": "t-secret"}}},
    ],
)
def test_another_file_is_refused_without_its_content(tmp_path: Path, content: Any) -> None:
    """No part of a file is quoted: it may hold a token in the wrong place."""
    path = write(tmp_path / "credentials.json", content)
    with pytest.raises(InputError, match=r"credentials\.json") as caught:
        load_credentials(path)
    assert "t-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["org-0001", "system"])
@pytest.mark.parametrize("token", ["", "a b", "s3cret\n", " s3cret", "s3cr\u20act", "s3cret\u00a0"])
def test_what_was_copied_badly_is_refused_without_showing_it(tmp_path: Path, name: str, token: str) -> None:
    """It could not be sent as a header: the entry is named, its content is not."""
    good, bad = {"id": "i", "token": "t"}, {"id": "i", "token": token}
    known = {"url": "http://hub", "organizations": {"org-0001": good}, "system": None}
    known |= {"system": bad} if name == "system" else {"organizations": {name: bad}}
    with pytest.raises(InputError, match=f"id or token of {name}") as raised:
        load_credentials(write(tmp_path / "credentials.json", known))
    assert "s3cr" not in str(raised.value)


def test_a_hub_that_lists_in_pages_only_is_no_hub_of_release_3(scripted: ScriptedHub) -> None:
    """As 3.x everything is asked for at once; where that is refused, the message names the other release."""
    scripted.script(LOGIN, Reply(headers={"X-SS-User-Auth-Token": "t"}))
    scripted.script(JOBS, Reply(400, {"ISSUES": [{"code": "X_1", "message": "len: expected 0 to 250"}]}))
    with (
        ControlHub(scripted.url, "admin@admin", "password") as hub,
        pytest.raises(HubError, match=r"expected 0 to 250; is it a Control Hub 4.x.*--credentials"),
    ):
        hub.jobrunner.jobs()


def test_two_headers_take_the_place_of_a_login(scripted: ScriptedHub) -> None:
    """Every call carries id and token of the credential, and its organization; none logs in."""
    is_user_of(scripted, "acme")
    scripted.script(JOBS, Reply(body=[]))
    with ControlHub(scripted.url, credentials=credentials(scripted.url, org_0001="acme")) as hub:
        session = hub.for_organization("org-0001")
        assert (session.user, session.organization) == ("u1@acme", "acme")
        assert session.jobrunner.jobs() == []
    headers = {name.lower(): value for name, value in scripted.seen[-1].headers.items()}
    assert headers["x-ss-app-component-id"] == "id-of-acme"
    assert headers["x-ss-app-auth-token"] == token("acme")
    assert headers["x-ss-org-id"] == "acme"
    assert headers["x-requested-by"]
    assert "organization=acme" in scripted.seen[-1].path
    assert scripted.count(LOGIN) == 0


def test_a_refused_credential_is_final(scripted: ScriptedHub) -> None:
    """A revoked credential is not tried again; the sentence names its organization and not its token."""
    scripted.script(USER, Reply(401))
    with pytest.raises(
        AuthenticationError, match=r"credential of organization org-0001 .*--release 3"
    ) as caught:
        ControlHub(scripted.url, credentials=credentials(scripted.url, org_0001="acme"))
    assert "secret" not in str(caught.value)
    assert len(scripted.seen) == 1


def test_a_token_of_another_organization_is_refused(scripted: ScriptedHub) -> None:
    """What the token says and who the hub takes it for must agree."""
    is_user_of(scripted, "other")
    with pytest.raises(AuthenticationError, match="of organization other, and its token names acme"):
        ControlHub(scripted.url, credentials=credentials(scripted.url, org_0001="acme"))


def test_an_organization_with_projects_is_told(scripted: ScriptedHub) -> None:
    """Code RESTAPI_08 is no access outside of a project (control-hub-4x, 2)."""
    is_user_of(scripted, "acme")
    scripted.script(JOBS, Reply(403, {"ISSUES": [{"code": "RESTAPI_08", "message": "no project"}]}))
    with (
        ControlHub(scripted.url, credentials=credentials(scripted.url, org_0001="acme")) as hub,
        pytest.raises(HubError, match="org-0001 has projects switched on"),
    ):
        hub.jobrunner.jobs()


def jobs(first: int, n: int) -> list[dict[str, str]]:
    return [{"id": f"{i}:acme", "name": f"job {i}"} for i in range(first, first + n)]


def listed(scripted: ScriptedHub, *replies: Reply) -> tuple[list[str], list[str]]:
    """Return the names of jobs listed from these answers, and the queries of the requests."""
    is_user_of(scripted, "acme")
    scripted.script(JOBS, *replies)
    with ControlHub(scripted.url, credentials=credentials(scripted.url, org_0001="acme")) as hub:
        names = [row["name"] for row in hub.jobrunner.jobs()]
    return names, [seen.path.partition("?")[2] for seen in scripted.seen if seen.path.startswith(JOBS)]


def test_listings_come_in_pages(scripted: ScriptedHub) -> None:
    """All rows at once are never asked for; the total tells when they are all there."""
    names, queries = listed(
        scripted,
        Reply(body={"totalCount": 260, "data": jobs(0, 250)}),
        Reply(body={"totalCount": 260, "data": jobs(250, 10)}),
    )
    assert names == [f"job {i}" for i in range(260)]
    assert ["offset=0" in queries[0], "offset=250" in queries[1], len(queries)] == [True, True, 2]
    assert all("len=250" in query and "withWrapper=true" in query for query in queries)


def test_a_hub_that_gives_fewer_rows_than_asked_for_is_read_to_the_end(scripted: ScriptedHub) -> None:
    """A bound of the hub below ours shortens pages silently; the total tells that rows are missing."""
    names, queries = listed(
        scripted,
        Reply(body={"totalCount": 120, "data": jobs(0, 100)}),
        Reply(body={"totalCount": 120, "data": jobs(100, 20)}),
    )
    assert len(names) == 120
    assert "offset=100" in queries[1]


def test_without_a_total_a_short_page_is_the_last(scripted: ScriptedHub) -> None:
    """A bare list is a page too; one of full length is followed by another request."""
    names, _ = listed(scripted, Reply(body=jobs(0, 250)), Reply(body=jobs(250, 1)))
    assert len(names) == 251


def test_where_long_pages_are_refused_short_ones_are_asked_for(scripted: ScriptedHub) -> None:
    """The bound of a hub is not known: 250 rows, then 50, as the vendor's SDKs ask for."""
    names, queries = listed(
        scripted,
        Reply(400, {"ISSUES": [{"code": "RESTAPI_01", "message": "len"}]}),
        Reply(body={"totalCount": 51, "data": jobs(0, 50)}),
        Reply(body={"totalCount": 51, "data": jobs(50, 1)}),
    )
    assert len(names) == 51
    assert [query.partition("len=")[2].partition("&")[0] for query in queries] == ["250", "50", "50"]


@pytest.mark.parametrize(
    ("sch_url", "release", "given", "message"),
    [
        ("http://127.0.0.1:9", "4", False, "--credentials"),
        ("http://127.0.0.1:9", "3", True, "takes no API credentials"),
        ("http://127.0.0.1:10", "auto", True, "are not sent to"),
    ],
)
def test_release_address_and_credentials_must_agree(
    tmp_path: Path, sch_url: str, release: str, given: bool, message: str
) -> None:
    """Nothing is sent before they do: a credential goes to the hub it was made for alone."""
    file = credentials("http://127.0.0.1:9", org_0001="acme") if given else None
    with pytest.raises(InputError, match=message):
        open_hub(tmp_path, sch_url, release=release, credentials=file)
