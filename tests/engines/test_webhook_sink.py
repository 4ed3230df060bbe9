"""The local HTTP of the fleet: webhook sink and addresses."""

import asyncio
import socket

import pytest
from aiohttp import ClientSession
from support.fleet_fakes import JumpingClock, RecorderSender, identity
from support.fleet_recorder import Recorder

from psrlib.engines.fleet import Fleet
from psrlib.engines.serve import serve
from psrlib.engines.webhook_sink import sink_address, webhook_app
from psrlib.errors import ProcessError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:18636/webhook", ("127.0.0.1", 18636, "/webhook")),
        ("http://localhost:9/", ("localhost", 9, "/")),
        ("http://[::1]:9/x", ("::1", 9, "/x")),
        ("http://127.0.0.1", ("127.0.0.1", 80, "/")),
        ("https://127.0.0.1:9/x", None),
        ("http://192.0.2.1:9/x", None),
        ("http://hooks.example/x", None),
        ("", None),
        (None, None),
    ],
)
def test_only_plain_http_on_this_machine_is_served(
    url: str | None, expected: tuple[str, int, str] | None
) -> None:
    """Any other address is somebody else's."""
    assert sink_address(url) == expected


def fleet() -> Fleet:
    clock = JumpingClock()
    return Fleet([identity(0)], "http://hub", RecorderSender(Recorder({}), clock), clock=clock)


@pytest.mark.parametrize("path", ["/webhook", "/"])
def test_every_method_at_the_path_and_below_is_counted(path: str) -> None:
    """Answered 200, whatever it carries."""
    found = fleet()

    async def run() -> list[int]:
        runner, port = await serve(webhook_app(found, path), "127.0.0.1", 0, "sink")
        url = f"http://127.0.0.1:{port}{path}"
        try:
            async with ClientSession() as session:
                calls = [
                    session.post(url, data=b"not json"),
                    session.put(url + "/a/b"),
                    session.get(url + "?x=1"),
                ]
                return [answer.status for answer in await asyncio.gather(*calls)]
        finally:
            await runner.cleanup()

    assert asyncio.run(run()) == [200, 200, 200]
    assert found.webhooks_received == 3


def test_a_port_in_use_is_named() -> None:
    """With what to do about it."""

    async def run(port: int) -> None:
        await serve(webhook_app(fleet(), "/x"), "127.0.0.1", port, "webhook sink")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(
            ProcessError, match=r"webhook sink cannot listen on 127\.0\.0\.1:\d+.*choose another"
        ):
            asyncio.run(run(taken.getsockname()[1]))
