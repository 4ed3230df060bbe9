"""One address, nothing looked up twice, nothing kept that a session would not keep."""

from typing import Any

import pytest

from psrlib.client import LostAnswerError
from psrlib.client.transport import Transport


@pytest.fixture
def transport(scripted: Any) -> Any:
    made = Transport(scripted.url, deadline_s=5.0)
    yield made
    made.close()


def get(transport: Transport, **options: Any) -> Any:
    return transport.send("GET", "/thing", kind="things", headers={}, repeatable=True, **options)


def test_cookies_are_shown_and_not_sent_again(scripted: Any, reply: Any, transport: Transport) -> None:
    """A login's cookie is the caller's to use; the next user on the connection must not have it."""
    scripted.script("/thing", reply(body=[], headers={"Set-Cookie": "SS-SSO-LOGIN=abc; Path=/"}))
    assert get(transport).cookies == {"SS-SSO-LOGIN": "abc"}
    get(transport)
    assert all("Cookie" not in seen.headers for seen in scripted.seen)


def test_an_answer_without_cookie_has_none(scripted: Any, reply: Any, transport: Transport) -> None:
    """Most answers."""
    scripted.script("/thing", reply(body=[]))
    assert get(transport).cookies == {}


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_not_used(
    scripted: Any, reply: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Requests carry passwords: they go to the address given and nowhere else."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    transport = Transport(scripted.url, deadline_s=1.0)
    scripted.script("/thing", reply(body=[1]))
    assert get(transport).body == [1]
    transport.close()


CUT = {"Content-Length": "100", "Connection": "close"}


def test_a_read_whose_answer_was_cut_is_repeated(scripted: Any, reply: Any, transport: Transport) -> None:
    """Half an answer is none."""
    scripted.script("/thing", reply(body=[1, 2], headers=CUT), reply(body=[3]))
    assert get(transport).body == [3]


def test_a_create_whose_answer_was_cut_counts_as_lost(
    scripted: Any, reply: Any, transport: Transport
) -> None:
    """The hub has carried it out; which id it gave is not known."""
    scripted.script("/thing", reply(body={"id": "a"}, headers=CUT))
    with pytest.raises(LostAnswerError):
        transport.send("PUT", "/thing", kind="things", headers={}, body={}, repeatable=False)
    assert scripted.count("/thing") == 1


def test_connections_are_kept(scripted: Any, reply: Any, transport: Transport) -> None:
    """Twenty requests one after the other take one connection."""
    scripted.script("/thing", reply(body=[]))
    for _ in range(20):
        get(transport)
    assert transport._adapter._pool.num_connections == 1


def test_a_hub_below_a_path_is_reached(scripted: Any, reply: Any) -> None:
    """A proxy may serve the hub below a path of its own."""
    transport = Transport(scripted.url + "/sch/")
    scripted.script("/sch/thing", reply(body=[]))
    assert get(transport, query={"len": -1}).body == []
    assert scripted.seen[0].path == "/sch/thing?len=-1"
    transport.close()


def test_a_missing_ca_bundle_is_an_error(tmp_path: Any) -> None:
    """Before the first request, rather than unchecked certificates."""
    with pytest.raises(OSError, match="CA certificate bundle"):
        Transport("https://127.0.0.1:9", verify=str(tmp_path / "none.pem"))
