"""Single requests: what is repeated, what is not, and how long."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from psrlib.client import LostAnswerError
from psrlib.client.transport import Transport, Upload
from psrlib.errors import HubError, HubUnreachableError


def send(hub: Any, *, repeatable: bool, method: str = "PUT", **options: Any) -> Any:
    settings = {name: options.pop(name) for name in ("timeout_s", "deadline_s") if name in options}
    transport = Transport(hub.url, **settings)
    try:
        arguments: dict[str, Any] = {"kind": "things", "headers": {}, "repeatable": repeatable, **options}
        return transport.send(method, "/thing", **arguments).body, transport.calls.by_kind()["things"]
    finally:
        transport.close()


@pytest.mark.parametrize("trouble", [{"drop": True}, {"status": 500}, {"status": 502}, {"status": 503}])
def test_a_read_is_repeated(scripted: Any, reply: Any, trouble: dict[str, Any]) -> None:
    """Reading twice is reading once."""
    scripted.script("/thing", reply(**trouble), reply(**trouble), reply(body=[1]))
    assert send(scripted, repeatable=True, method="GET") == ([1], 3)


@pytest.mark.parametrize("trouble", [{"drop": True}, {"status": 500}, {"status": 503}, {"status": 504}])
def test_a_create_is_not_repeated_blindly(scripted: Any, reply: Any, trouble: dict[str, Any]) -> None:
    """The hub may have done the work: the caller has to look first."""
    scripted.script("/thing", reply(**trouble), reply(body={}))
    with pytest.raises(LostAnswerError, match="PUT /thing"):
        send(scripted, repeatable=False)
    assert scripted.count("/thing") == 1


def test_a_create_that_timed_out_counts_as_lost(scripted: Any, reply: Any) -> None:
    """No answer in time says nothing about the work."""
    scripted.script("/thing", reply(delay_s=0.5))
    with pytest.raises(LostAnswerError):
        send(scripted, repeatable=False, timeout_s=0.1)


def test_a_create_refused_with_429_is_repeated(scripted: Any, reply: Any) -> None:
    """429 proves that nothing was done."""
    scripted.script("/thing", reply(429, headers={"Retry-After": "0"}), reply(body={"id": "a"}))
    assert send(scripted, repeatable=False) == ({"id": "a"}, 2)


def test_a_create_without_connection_is_repeated(scripted: Any) -> None:
    """A connection that was never made carried nothing; the deadline ends it."""
    transport = Transport("http://127.0.0.1:9", deadline_s=0.3)
    with pytest.raises(HubUnreachableError) as caught:
        transport.send("PUT", "/thing", kind="things", headers={}, repeatable=False)
    assert not isinstance(caught.value, LostAnswerError)
    assert transport.calls.total > 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(scripted: Any, reply: Any, form: str) -> None:
    """Both forms of RFC 9110 are waited for."""
    value = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
    scripted.script("/thing", reply(503, headers={"Retry-After": value}), reply(body=[]))
    started = time.monotonic()
    send(scripted, repeatable=True)
    assert time.monotonic() - started >= 0.95


def test_a_retry_after_beyond_the_deadline_ends_at_once(scripted: Any, reply: Any) -> None:
    """Waiting an hour for a deadline of a second makes no sense."""
    scripted.script("/thing", reply(503, headers={"Retry-After": "3600"}))
    with pytest.raises(HubUnreachableError, match="status 503"):
        send(scripted, repeatable=True, deadline_s=1.0)
    assert scripted.count("/thing") == 1


def test_a_refusal_carries_status_codes_and_the_hubs_words(scripted: Any, reply: Any) -> None:
    """The error envelope of the hub is read."""
    envelope = {"ISSUES": [{"code": "JOBRUNNER_72", "message": "over thresholds"}, {"code": "X_1"}]}
    scripted.script("/thing", reply(400, envelope))
    with pytest.raises(HubError, match="over thresholds") as caught:
        send(scripted, repeatable=True)
    assert (caught.value.status, caught.value.codes) == (400, ("JOBRUNNER_72", "X_1"))


def test_a_missing_endpoint_is_final(scripted: Any, reply: Any) -> None:
    """501 is how a hub says that it has no such call; repeating would not help."""
    scripted.script("/thing", reply(501))
    with pytest.raises(HubError) as caught:
        send(scripted, repeatable=True)
    assert caught.value.status == 501
    assert scripted.count("/thing") == 1


def test_control_hub_paths_are_sent_literally(scripted: Any, reply: Any) -> None:
    """Ids and matrix-like segments keep ':', '@' and '='; query booleans are words."""
    transport = Transport(scripted.url)
    path = "/scheduler/rest/v2/jobs/o:new/pageId=SchedulerJobCreatePage"
    scripted.script(path, reply(body={}))
    query = {"owner": "a@b", "fragments": False, "unset": None}
    transport.send("POST", path, kind="things", headers={}, query=query, repeatable=True)
    transport.close()
    assert scripted.seen[0].path == path + "?owner=a@b&fragments=false"


def test_an_upload_is_a_part_named_file(scripted: Any, reply: Any) -> None:
    """Imports are multipart with part ``file``."""
    scripted.script("/thing", reply(body=[]))
    send(scripted, repeatable=True, upload=Upload("a.zip", b"PK content"))
    seen = scripted.seen[0]
    assert "multipart/form-data" in seen.headers["Content-Type"]
    assert b'name="file"; filename="a.zip"' in seen.body
    assert b"PK content" in seen.body


def test_a_page_instead_of_json_is_an_error(scripted: Any, reply: Any) -> None:
    """Some other server at the address is recognised."""
    scripted.script("/thing", reply(302, headers={"Location": "/login"}))
    with pytest.raises(HubError, match="302"):
        send(scripted, repeatable=True)
