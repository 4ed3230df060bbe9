"""Sessions: login, renewal, secrets."""

import logging
from typing import Any

import pytest
from support.scripted_hub import Reply, ScriptedHub

from psrlib.client import ControlHub
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError

LOGIN = "/security/public-rest/v1/authentication/login"
ORGANIZATIONS = "/security/rest/v1/organizations"
SECRET = "correct horse battery"


def log_in(hub: ScriptedHub, **options: Any) -> ControlHub:
    return ControlHub(hub.url, "admin@admin", SECRET, **options)


def test_the_token_comes_from_the_header(scripted: ScriptedHub) -> None:
    """A 3.x hub sends it in X-SS-User-Auth-Token, and every later call carries it with the CSRF marker."""
    scripted.script(ORGANIZATIONS, Reply(body=[{"id": "admin"}]))
    with log_in(scripted) as hub:
        assert hub.security.organizations() == [{"id": "admin"}]
    headers = {name.lower(): value for name, value in scripted.seen[-1].headers.items()}
    assert headers["x-ss-user-auth-token"] == "token-1"
    assert headers["x-requested-by"]


def test_the_token_may_come_from_the_cookie_alone(scripted: ScriptedHub) -> None:
    """The vendor's own client reads the cookie; either carrier is enough."""
    scripted.script(LOGIN, Reply(headers={"Set-Cookie": "SS-SSO-LOGIN=from-cookie; Path=/"}))
    scripted.script(ORGANIZATIONS, Reply(body=[]))
    with log_in(scripted) as hub:
        hub.security.organizations()
    headers = {name.lower(): value for name, value in scripted.seen[-1].headers.items()}
    assert headers["x-ss-user-auth-token"] == "from-cookie"
    assert "cookie" not in headers


@pytest.mark.parametrize("status", [401, 403, 400])
def test_a_refused_login_is_one_clear_sentence(scripted: ScriptedHub, status: int) -> None:
    """Whatever the status, which the reference does not know, the user and the address are named."""
    scripted.script(LOGIN, Reply(status))
    with pytest.raises(AuthenticationError, match=r"refused user admin@admin") as caught:
        log_in(scripted)
    assert SECRET not in str(caught.value)


def test_an_answer_without_token_is_no_control_hub(scripted: ScriptedHub) -> None:
    """A 200 without token is reported as such instead of failing later."""
    scripted.script(LOGIN, Reply(body={}))
    with pytest.raises(AuthenticationError, match="without a session token"):
        log_in(scripted)


def test_an_ended_session_is_renewed_once(scripted: ScriptedHub) -> None:
    """Tokens end after 24 hours; the call is repeated with a new one."""
    scripted.script(ORGANIZATIONS, Reply(401), Reply(body=[]))
    with log_in(scripted) as hub:
        assert hub.security.organizations() == []
    assert scripted.count(LOGIN) == 2
    assert scripted.count(ORGANIZATIONS) == 2


def test_a_lasting_401_is_raised(scripted: ScriptedHub) -> None:
    """A hub that refuses the new session too is not asked for ever."""
    scripted.script(ORGANIZATIONS, Reply(401))
    with log_in(scripted) as hub, pytest.raises(HubError) as caught:
        hub.security.organizations()
    assert caught.value.status == 401
    assert scripted.count(ORGANIZATIONS) == 4


def test_organizations_have_their_own_sessions(scripted: ScriptedHub) -> None:
    """Objects belong to the caller's organization, so each organization's administrator logs in, once."""
    scripted.script("/jobrunner/rest/v1/jobs", Reply(body=[]))
    with log_in(scripted) as hub:
        session = hub.for_organization("acme")
        assert session is hub.for_organization("acme")
        session.jobrunner.jobs()
        session.jobrunner.jobs()
        assert hub.calls.by_kind() == {"jobs": 2, "sessions": 2}
    assert b'"userName":"admin@acme"' in scripted.seen[1].body


def test_secrets_are_not_logged(scripted: ScriptedHub, caplog: pytest.LogCaptureFixture) -> None:
    """Neither password nor token reach the log, even at DEBUG."""
    caplog.set_level(logging.DEBUG)
    scripted.script(ORGANIZATIONS, Reply(503, headers={"Retry-After": "0"}), Reply(401), Reply(body=[]))
    with log_in(scripted) as hub:
        hub.security.organizations()
        assert SECRET not in repr(hub)
    assert caplog.records
    assert SECRET not in caplog.text
    assert "token-" not in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no-such-host.invalid:18631"])
def test_nothing_listening_is_said_at_once(address: str) -> None:
    """A wrong port, or a name that nobody knows, ends before a second attempt, naming the address."""
    with pytest.raises(HubUnreachableError, match=f"no connection to {address} ") as caught:
        ControlHub(address, "admin@admin", SECRET)
    assert "times" not in str(caught.value)


def test_some_other_server_is_recognised(scripted: ScriptedHub) -> None:
    """A web server without the login call is no Control Hub, and the password is not what is wrong."""
    scripted.script(LOGIN, Reply(404))
    with pytest.raises(HubUnreachableError, match="not as a Control Hub"):
        log_in(scripted)


@pytest.mark.parametrize("url", ["hub.example.com", "ftp://hub", ""])
def test_an_address_without_scheme_is_refused(url: str) -> None:
    """The expected form is named."""
    with pytest.raises(HubUnreachableError, match="http://HOST:PORT"):
        ControlHub(url, "admin@admin", SECRET)
