"""What a caller may ask at most: beyond it the hub says so, and is never broken by it."""

import asyncio
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import cramjam
import pytest

from psrlib.hub.web import limits
from psrlib.hub.web.limits import MAX_ITEMS, Room
from psrlib.hub.web.request import read_cookie
from psrlib.hub.web.signature import MAX_TEXT

STORE = "/pipelinestore/rest/v1"
COOKIE = "SS-SSO-LOGIN"


def seconds(work: Callable[[], object]) -> float:
    """Return the shortest of three times: what else the machine does makes a time longer only."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(f"{name}.json", content)
    return buffer.getvalue()


def metrics(engine: Any, content: bytes, **headers: str) -> Any:
    marked = {
        "X-Requested-By": "SDC",
        "X-SS-App-Component-Id": engine.id,
        "X-SS-App-Auth-Token": engine.token,
        "Content-Length": str(len(content)),
    }
    return engine.driver.raw("POST", "/timeseries/rest/v1/metrics", marked | headers, content)


@pytest.mark.parametrize(
    "header",
    ['SS-SSO-LOGIN="' + "\\" * 8000, "a=" + '"' * 8000, ";" * 8000, "=" * 8000, COOKIE * 500],
    ids=["backslashes", "quotes", "semicolons", "equals", "names"],
)
def test_a_cookie_is_read_in_linear_time(header: str) -> None:
    """Four times as long a header takes no more than eight times as long, and 8 kB take under 20 ms."""
    quarter = header[: len(header) // 4]
    short = seconds(lambda: [read_cookie(quarter, COOKIE) for _ in range(50)])
    long = seconds(lambda: [read_cookie(header, COOKIE) for _ in range(50)])
    assert long < 8 * short + 0.01
    assert long / 50 < 0.020  # 190 where each backslash looks at all others


def test_a_long_cookie_is_no_session(lite_acme: Any) -> None:
    """20 kB of backslashes are refused as any unknown caller is; the right cookie is a session."""
    path = "/security/rest/v1/currentUser"
    marker = {"X-Requested-By": "test"}
    long = lite_acme.driver.raw("GET", path, marker | {"Cookie": f'{COOKIE}="' + "\\" * 20_000})
    assert long.status == 401
    token = lite_acme.token.replace("|", "%7C")
    for cookie in (f"{COOKIE}={token}", f'a=b; {COOKIE}="{lite_acme.token}" ; c'):
        assert lite_acme.driver.raw("GET", path, marker | {"Cookie": cookie}).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_logout_by_cookie_needs_the_marker(lite_acme: Any, method: str) -> None:
    """A picture on another site, or a link to it, logs nobody out; a token in a header is no accident."""
    call = lite_acme.driver.raw
    cookie = {"Cookie": f"{COOKIE}={lite_acme.token}"}
    assert call(method, "/security/_logout", cookie).status == 400
    assert lite_acme.get("/security/rest/v1/currentUser")["principalId"] == "admin@acme"
    assert call(method, "/security/_logout", cookie | {"X-Requested-By": "test"}).status == 200
    again = lite_acme.driver.login("admin@acme")
    assert call(method, "/security/_logout", {"X-SS-User-Auth-Token": again.token}).status == 200
    assert again.call("GET", "/security/rest/v1/currentUser").status == 401


def test_a_body_that_would_unpack_to_much_is_refused_unread(lite_acme: Any) -> None:
    """2 MB of Snappy that stand for 40 MB: 413; the same engine's honest metrics are taken."""
    engine = lite_acme.engine()
    bomb = bytes(cramjam.snappy.compress(b" " * 40_000_000))
    assert len(bomb) < 2_000_000
    assert metrics(engine, bomb, **{"Content-Encoding": "snappy"}).status == 413
    honest = bytes(cramjam.snappy.compress(json.dumps([{"metadata": {}}]).encode()))
    assert metrics(engine, honest, **{"Content-Encoding": "snappy"}).status == 200


def test_an_archive_is_refused_by_what_it_becomes(lite_acme: Any) -> None:
    """An entry of 32 MB, many that are 80 MB together, and 600,000 objects in one: all 413."""
    path = f"{STORE}/pipelines/importPipelineCommits"
    blanks = b'{"pipelineConfig": {"title": "x"}}' + b" " * 15_000_000
    objects = b'{"pipelineConfig": {"title": "x", "stages": [' + b"{}," * 600_000 + b"{}]}}"
    for content in (
        archive(one=b" " * 32_000_000),
        archive(**{f"n{n}": blanks for n in range(6)}),
        archive(one=objects),
    ):
        assert lite_acme.upload(path, content).status == 413
    assert lite_acme.get(f"{STORE}/pipelines?organization=acme")["data"] == []


@pytest.mark.parametrize(
    ("limit", "content"),
    [("MAX_CONTAINERS", b"{},"), ("MAX_CONTAINERS", b"[],"), ("MAX_MEMBERS", b"0,")],
    ids=["objects", "lists", "numbers"],
)
def test_a_body_with_too_many_members_is_refused(lite_acme: Any, limit: str, content: bytes) -> None:
    """Three bytes become a hundred in memory: counted before they are decoded."""
    body = b"[" + content * (getattr(limits, limit) + 1) + b"0]"
    assert lite_acme.call("POST", "/jobrunner/rest/v1/jobs/importJobsFromJson", body).status == 413


def test_a_call_without_a_body_takes_none(lite_acme: Any) -> None:
    """Neither does an anonymous one take more than 64 kB."""
    raw = lite_acme.driver.raw
    marker, large = {"X-Requested-By": "test"}, b"x" * 70_000
    login = raw("POST", "/security/public-rest/v1/authentication/login", marker, large)
    assert (login.status, login.code) == (413, "APP_ISSUES_07")
    token = marker | {"X-SS-User-Auth-Token": lite_acme.token}
    assert raw("GET", "/security/rest/v1/currentUser", token, large).status == 413


def test_a_list_is_bounded(acme: Any) -> None:
    """As the body, and in a record of it; just at the bound it is looked at, on either database."""
    ids = [f"job{n}:acme" for n in range(MAX_ITEMS)]
    assert acme.call("POST", "/jobrunner/rest/v1/jobs/deleteJobs", ids).status == 404
    assert acme.call("POST", "/jobrunner/rest/v1/jobs/deleteJobs", [*ids, "x"]).status == 400
    group = {"id": "g@acme", "name": "g", "users": [*ids, "x"]}
    assert acme.call("PUT", "/security/rest/v1/organization/acme/groups", group).status == 400


def test_a_query_parameter_is_bounded(acme: Any) -> None:
    """What is searched for too: all wildcards is the worst, and finds nothing on either database."""
    for text, status in (("%25" * MAX_TEXT, 200), ("_" * MAX_TEXT, 200), ("x" * (MAX_TEXT + 1), 400)):
        answer = acme.call("GET", f"/jobrunner/rest/v1/jobs?organization=acme&filterText={text}")
        assert answer.status == status


@pytest.mark.parametrize("depth", [limits.MAX_DEPTH + 1, 900, 1500, 100_000])
def test_nesting_is_refused(lite_acme: Any, depth: int) -> None:
    """In a body, in a text that is JSON, in an archive: 400, and what was refused is not there."""
    inner = nested(depth)
    definition = f'{{"title": "deep", "stages": {inner}}}'
    body = {"name": "deep", "commitMessage": "1", "pipelineDefinition": definition}
    document = f'{{"pipelineConfig": {definition}}}'
    library = f'{{"pipelineConfig": {{"title": "deep"}}, "libraryDefinitions": {inner}}}'
    answers = [
        lite_acme.call("PUT", f"{STORE}/pipelines", body),
        lite_acme.call("PUT", f"{STORE}/pipelines", body | {"rulesDefinition": f'{{"a": {inner}}}'}),
        lite_acme.upload(f"{STORE}/pipelines/importPipelineCommits", archive(a=document.encode())),
        lite_acme.upload(f"{STORE}/pipelines/importPipelineCommits", archive(a=library.encode())),
        lite_acme.call("PUT", f"{STORE}/pipelines", f'{{"name": {inner}}}'.encode()),
    ]
    assert [answer.status for answer in answers] == [400] * len(answers)
    assert lite_acme.get(f"{STORE}/pipelines?organization=acme")["data"] == []


def test_a_library_that_is_not_json_is_refused(lite_acme: Any) -> None:
    """It would break the export of its pipeline, and nothing else."""
    body = {"name": "x", "commitMessage": "1", "libraryDefinitions": "{"}
    assert lite_acme.call("PUT", f"{STORE}/pipelines", body).status == 400


def test_large_bodies_have_a_room_of_their_own() -> None:
    """Who finds too little of it waits his turn, also when one before him gives up."""

    async def visit() -> list[str]:
        room, seen = Room(10), []

        async def stay(name: str, size: int) -> None:
            await room.enter(size)
            seen.append(name)
            await asyncio.sleep(0.01)
            room.leave(size)

        first, tired, large, small = (
            asyncio.ensure_future(stay(name, size))
            for name, size in (("first", 8), ("tired", 9), ("large", 6), ("small", 1))
        )
        await asyncio.sleep(0)
        assert seen == ["first"]
        tired.cancel()
        await asyncio.gather(first, large, small)
        await room.enter(10)
        return seen

    assert asyncio.run(visit()) == ["first", "large", "small"]


def test_wrong_passwords_slow_their_sender_down(lite_acme: Any) -> None:
    """After five in a row the next wait, longer each time; a wait is short, and a right one forgives them."""
    driver = lite_acme.driver
    path, marker = "/security/public-rest/v1/authentication/login", {"X-Requested-By": "test"}

    def attempt(password: str) -> Any:
        body = json.dumps({"userName": "admin@acme", "password": password}).encode()
        return driver.raw("POST", path, marker, body)

    assert [attempt("wrong").status for _ in range(5)] == [401] * 5
    refused = attempt("admin@acme")
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "SECURITY_04", "1")
    driver.clock.advance(1)
    assert attempt("wrong").status == 401
    assert attempt("wrong").headers["Retry-After"] == "2"
    driver.clock.advance(2)
    assert attempt("admin@acme").status == 200
    assert [attempt("wrong").status for _ in range(4)] == [401] * 4
    assert attempt("admin@acme").status == 200


def test_guesses_that_come_together_are_not_all_looked_at(lite_acme: Any) -> None:
    """A hundred at once: five are looked at, and those that two threads have in hand; others log in."""
    from support.in_process import Request

    driver = lite_acme.driver
    path, marker = "/security/public-rest/v1/authentication/login", {"X-Requested-By": "test"}
    guesses = [
        Request(
            "POST", path, marker, json.dumps({"userName": "admin@acme", "password": f"guess{n}"}).encode()
        )
        for n in range(100)
    ]
    statuses = [answer.status for answer in driver.raw_together(guesses)]
    assert 5 <= statuses.count(401) <= 7
    assert statuses.count(429) == 100 - statuses.count(401)
    assert driver.login("admin@admin").get("/security/rest/v1/currentUser")["principalId"] == "admin@admin"
