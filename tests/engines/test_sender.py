"""HTTP of the fleet: every failure is an answer, never an exception."""

import asyncio
import contextlib
import gzip
import socket
import time

import pytest
from aiohttp import web

from psrlib.engines.exchange import IO_ERROR, Answer, Request
from psrlib.engines.sender import CALL_TIMEOUT_S, LONGEST, LONGEST_IGNORED, HttpSender


def send(
    handler: object,
    *,
    kind: str = "poll",
    count: int = 1,
    connections: int = 2,
    call_timeout_s: float = CALL_TIMEOUT_S,
) -> list[Answer]:
    """Send requests at once to a server with this handler."""

    async def run() -> list[Answer]:
        app = web.Application()
        app.router.add_post("/x", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        sender = HttpSender(connections, call_timeout_s)
        headers = {"X-SS-App-Component-Id": "c", "X-Requested-By": "SDC", "Content-Type": "application/json"}
        try:
            request = Request(kind, base, "/x", headers, b"[]")
            return list(await asyncio.gather(*(sender.send(request) for _ in range(count))))
        finally:
            await sender.close()
            await runner.cleanup()

    return asyncio.run(run())


def test_status_body_and_headers_come_back() -> None:
    """Whatever the status; header names are case-insensitive."""

    async def handler(request: web.Request) -> web.Response:
        assert await request.read() == b"[]"
        return web.Response(status=429, body=b"[1]", headers={"retry-after": "7"})

    (answer,) = send(handler)
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (429, b"[1]", "7")


def test_only_the_headers_of_an_engine_are_sent() -> None:
    """No User-Agent of a Python library, no Accept."""
    seen: list[set[str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append({name.lower() for name in request.headers})
        return web.Response()

    send(handler)
    assert seen == [{"host", "content-length", "content-type", "x-requested-by", "x-ss-app-component-id"}]


def test_a_redirect_is_left_to_the_engine() -> None:
    """308 comes back as it is."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": "http://127.0.0.1:1/y"})

    (answer,) = send(handler)
    assert (answer.status, answer.headers["Location"]) == (308, "http://127.0.0.1:1/y")


def test_a_reset_connection_is_an_answer() -> None:
    """Its body says what happened."""

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    (answer,) = send(handler)
    assert answer.status == IO_ERROR
    assert answer.body


def test_nobody_listening_is_an_answer() -> None:
    """As while a hub restarts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    async def run() -> Answer:
        sender = HttpSender(1)
        try:
            return await sender.send(Request("poll", f"http://127.0.0.1:{port}", "/x", {}, b"[]"))
        finally:
            await sender.close()

    assert asyncio.run(run()).status == IO_ERROR


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_connections_are_open_than_allowed(connections: int) -> None:
    """Twelve requests at once wait for the few connections."""
    ports: set[int] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        await asyncio.sleep(0.005)
        return web.Response(body=b"[]")

    assert [answer.status for answer in send(handler, count=12, connections=connections)] == [200] * 12
    assert len(ports) == connections


@pytest.mark.parametrize(("kind", "most"), [("poll", LONGEST["poll"]), ("metrics", LONGEST_IGNORED)])
def test_a_longer_answer_than_the_call_may_have_is_none(kind: str, most: int) -> None:
    """Read no further than the bound, which the fault names; one of just that length is an answer."""
    sent: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        length = most + len(sent)
        sent.append(length)
        return web.Response(body=b"x" * length)

    good, bad = send(handler, kind=kind, count=2, connections=1)
    assert (good.status, len(good.body)) == (200, most)
    assert (bad.status, bad.fault) == (IO_ERROR, f"answer longer than {most} bytes")


def test_a_compressed_answer_is_none() -> None:
    """No engine asks for one, and a few bytes of it may become many."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"})

    (answer,) = send(handler)
    assert (answer.status, answer.fault) == (IO_ERROR, "compressed answer")


def test_an_answer_that_drips_has_an_end() -> None:
    """The whole call is timed, not only the silence between two bytes."""

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(OSError):
            for _ in range(100):
                await answer.write(b" ")
                await asyncio.sleep(0.05)
        return answer

    begun = time.monotonic()
    (answer,) = send(handler, call_timeout_s=0.5)
    assert (answer.status, answer.fault) == (IO_ERROR, "no whole answer within 0.5 s")
    assert 0.4 < time.monotonic() - begun < 3


def test_an_address_that_is_none_is_an_answer() -> None:
    """A redirect may lead to one."""

    async def run() -> Answer:
        sender = HttpSender(1)
        try:
            return await sender.send(Request("poll", "http://hub.example:99999", "/x", {}, b"[]"))
        finally:
            await sender.close()

    assert asyncio.run(run()).status == IO_ERROR
