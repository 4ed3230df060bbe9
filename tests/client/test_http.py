"""Single requests: what is sent, what is repeated, what is not, how long, and what is not kept."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from support.scripted_hub import Reply, ScriptedHub

from psrlib.client import LostAnswerError, Request, Upload
from psrlib.client.http import HttpClient
from psrlib.client.shapes import excerpt, record
from psrlib.errors import HubError, HubUnreachableError

Connect = Callable[..., HttpClient]
READ = Request("GET", "/thing", "things", repeatable=True)
CREATE = Request("PUT", "/thing", "things")
CUT = {"Content-Length": "100", "Connection": "close"}


@pytest.fixture
def connect(scripted: ScriptedHub) -> Iterator[Connect]:
    opened: list[HttpClient] = []

    def open_client(url: str = "", **options: Any) -> HttpClient:
        opened.append(HttpClient(url or scripted.url, **options))
        return opened[-1]

    yield open_client
    for http in opened:
        http.close()


@pytest.mark.parametrize(
    "trouble",
    [Reply(drop=True), Reply(500), Reply(502), Reply(503), Reply(body=[1, 2], headers=CUT)],
    ids=["dropped", "500", "502", "503", "cut"],
)
def test_a_read_is_repeated(scripted: ScriptedHub, connect: Connect, trouble: Reply) -> None:
    """Reading twice is reading once, and half an answer is none."""
    scripted.script("/thing", trouble, trouble, Reply(body=[3]))
    http = connect()
    assert http.send(READ).body == [3]
    assert http.calls.by_kind() == {"things": 3}


@pytest.mark.parametrize(
    "trouble",
    [Reply(drop=True), Reply(500), Reply(503), Reply(504), Reply(body={"id": "a"}, headers=CUT)],
    ids=["dropped", "500", "503", "504", "cut"],
)
def test_a_create_is_not_repeated_blindly(scripted: ScriptedHub, connect: Connect, trouble: Reply) -> None:
    """The hub may have done the work: the caller has to look first."""
    scripted.script("/thing", trouble, Reply(body={}))
    with pytest.raises(LostAnswerError, match="PUT /thing"):
        connect().send(CREATE)
    assert scripted.count("/thing") == 1


def test_a_create_that_timed_out_counts_as_lost(scripted: ScriptedHub, connect: Connect) -> None:
    """No answer in time says nothing about the work."""
    scripted.script("/thing", Reply(delay_s=0.5))
    with pytest.raises(LostAnswerError):
        connect(timeout_s=0.1).send(CREATE)


def test_a_create_refused_with_429_is_repeated(scripted: ScriptedHub, connect: Connect) -> None:
    """429 proves that nothing was done."""
    scripted.script("/thing", Reply(429, headers={"Retry-After": "0"}), Reply(body={"id": "a"}))
    assert connect().send(CREATE).body == {"id": "a"}
    assert scripted.count("/thing") == 2


def test_a_create_without_connection_is_repeated(connect: Connect) -> None:
    """A connection that was not made carried nothing; a hub that was there may be starting again."""
    hub = ScriptedHub()
    hub.script("/thing", Reply(body={}, headers={"Connection": "close"}))
    http = connect(hub.url, deadline_s=0.5)
    http.send(READ)
    hub.close()
    with pytest.raises(HubUnreachableError) as caught:
        http.send(CREATE)
    assert not isinstance(caught.value, LostAnswerError)
    assert http.calls.total > 2


def test_an_address_where_nothing_listens_is_told_at_once(connect: Connect) -> None:
    """Nothing was ever there, so nothing is waited for."""
    http = connect("http://127.0.0.1:9")
    with pytest.raises(HubUnreachableError, match="no connection to"):
        http.send(READ)
    assert http.calls.total == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(scripted: ScriptedHub, connect: Connect, form: str) -> None:
    """Both forms of RFC 9110 are waited for."""
    value = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
    scripted.script("/thing", Reply(503, headers={"Retry-After": value}), Reply(body=[]))
    started = time.monotonic()
    connect().send(READ)
    assert time.monotonic() - started >= 0.95


def test_a_retry_after_beyond_the_deadline_ends_at_once(scripted: ScriptedHub, connect: Connect) -> None:
    """Waiting an hour for a deadline of a second makes no sense."""
    scripted.script("/thing", Reply(503, headers={"Retry-After": "3600"}))
    with pytest.raises(HubUnreachableError, match="status 503"):
        connect(deadline_s=1.0).send(READ)
    assert scripted.count("/thing") == 1


def test_a_refusal_carries_status_codes_and_the_hubs_words(scripted: ScriptedHub, connect: Connect) -> None:
    """The error envelope of the hub is read."""
    envelope = {"ISSUES": [{"code": "JOBRUNNER_72", "message": "over thresholds"}, {"code": "X_1"}]}
    scripted.script("/thing", Reply(400, envelope))
    with pytest.raises(HubError, match="over thresholds") as caught:
        connect().send(READ)
    assert (caught.value.status, caught.value.codes) == (400, ("JOBRUNNER_72", "X_1"))


def test_what_no_repeat_would_change_is_final(scripted: ScriptedHub, connect: Connect) -> None:
    """501 is how a hub says that it has no such call."""
    scripted.script("/thing", Reply(501))
    with pytest.raises(HubError, match="501") as caught:
        connect().send(READ)
    assert caught.value.status == 501
    assert [seen.path for seen in scripted.seen] == ["/thing"]


@pytest.mark.parametrize("location", ["/login", "http://[", ""])
def test_a_redirect_is_not_followed_and_no_answer(
    scripted: ScriptedHub, connect: Connect, location: str
) -> None:
    """A gateway sends one to a page: a reading is repeated, a creation has to be looked for."""
    scripted.script("/thing", Reply(302, headers={"Location": location}), Reply(body=[1]))
    assert connect().send(READ).body == [1]
    scripted.script("/thing", Reply(302, headers={"Location": location}))
    with pytest.raises(LostAnswerError, match="status 302, a redirect"):
        connect().send(CREATE)
    assert {seen.path for seen in scripted.seen} == {"/thing"}


def test_control_hub_paths_are_sent_literally(scripted: ScriptedHub, connect: Connect) -> None:
    """Ids and matrix-like segments keep ':', '@' and '='; query booleans are words, spaces are quoted."""
    path = "/scheduler/rest/v2/jobs/o:new/a@b/x%y/pageId=SchedulerJobCreatePage"
    query = {"owner": "a@b", "fragments": False, "unset": None, "message": "Commit 1"}
    scripted.script(path.replace("%", "%25"), Reply(body={}))
    connect().send(Request("POST", path, "things", query))
    target = path.replace("%", "%25") + "?owner=a@b&fragments=false&message=Commit%201"
    assert scripted.seen[0].path == target


def test_a_hub_below_a_path_is_reached(scripted: ScriptedHub, connect: Connect) -> None:
    """A proxy may serve the hub below a path of its own."""
    scripted.script("/sch/thing", Reply(body=[]))
    assert connect(scripted.url + "/sch/").send(Request("GET", "/thing", "things", {"len": -1})).body == []
    assert scripted.seen[0].path == "/sch/thing?len=-1"


def test_an_upload_is_a_part_named_file(scripted: ScriptedHub, connect: Connect) -> None:
    """Imports are multipart with part ``file``."""
    scripted.script("/thing", Reply(body=[]))
    connect().send(Request("POST", "/thing", "things", upload=Upload("a.zip", b"PK content")))
    seen = scripted.seen[0]
    assert "multipart/form-data" in seen.headers["Content-Type"]
    assert b'name="file"; filename="a.zip"' in seen.body
    assert b"PK content" in seen.body


def test_cookies_are_shown_and_not_sent_again(scripted: ScriptedHub, connect: Connect) -> None:
    """A login's cookie is the caller's to use; the next user on the connection must not have it."""
    scripted.script("/thing", Reply(body=[], headers={"Set-Cookie": "SS-SSO-LOGIN=abc; Path=/"}), Reply())
    http = connect()
    assert [http.send(READ).cookies for _ in range(2)] == [{"SS-SSO-LOGIN": "abc"}, {}]
    assert all("Cookie" not in seen.headers for seen in scripted.seen)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_not_used(
    scripted: ScriptedHub, connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Requests carry passwords: they go to the address given and nowhere else."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    scripted.script("/thing", Reply(body=[1]))
    assert connect(deadline_s=1.0).send(READ).body == [1]


def test_connections_are_kept(scripted: ScriptedHub, connect: Connect) -> None:
    """Twenty requests one after the other take one connection."""
    scripted.script("/thing", Reply(body=[]))
    http = connect()
    for _ in range(20):
        http.send(READ)
    assert scripted.n_connections == 1


def test_a_missing_ca_bundle_is_an_error(connect: Connect, tmp_path: Path) -> None:
    """Nothing is sent rather than certificates left unchecked."""
    with pytest.raises(OSError, match="CA certificate bundle"):
        connect("https://127.0.0.1:9", verify=str(tmp_path / "none.pem")).send(READ)


@pytest.mark.parametrize(
    ("envelope", "words"),
    [
        ({"ISSUES": [{"code": "SCHEDULER_07", "message": "too many tasks"}]}, "SCHEDULER_07: too many tasks"),
        ({"response": {"success": False, "messages": [{"message": "name is taken"}]}}, "name is taken"),
        ({"success": False, "messages": ["switched off"]}, "switched off"),
        ({"response": {"success": False, "data": None}}, "it gives no reason"),
        (
            {"response": {"success": False, "data": {"name": {"messages": [{"message": "too long"}]}}}},
            "name: too long",
        ),
        ({"status": "ERROR", "errors": [{"code": "LOGIN_1", "message": "no such user"}]}, "no such user"),
    ],
    ids=["envelope", "scheduler", "plain", "no words", "field", "login service"],
)
def test_a_refusal_in_an_answer_with_status_200_is_one(
    scripted: ScriptedHub, connect: Connect, envelope: dict[str, Any], words: str
) -> None:
    """It is neither lost nor repeated, and says the hub's own words, whatever the call reads."""
    scripted.script("/thing", Reply(body=envelope))
    for request in (
        CREATE,
        READ,
        replace(CREATE, read=record(dict)),
        replace(CREATE, read=excerpt(list[int])),
    ):
        with pytest.raises(HubError, match=words) as caught:
            connect().send(request)
        assert not isinstance(caught.value, HubUnreachableError)
        assert caught.value.status == 200
    assert scripted.count("/thing") == 4


def test_what_only_looks_like_a_refusal_is_an_answer(scripted: ScriptedHub, connect: Connect) -> None:
    """Empty lists of issues, success, and lists of rows that failed are content."""
    bodies = (
        {"ISSUES": []},
        {"errors": [], "data": 1},
        {"response": {"success": True}},
        [{"success": False}],
    )
    scripted.script("/thing", *(Reply(body=body) for body in bodies))
    for body in bodies:
        assert connect().send(READ).body == body
