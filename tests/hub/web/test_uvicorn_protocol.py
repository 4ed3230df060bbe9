"""Header and body of an answer leave together."""

import asyncio
import socket
from typing import Any, cast
from urllib.parse import urlsplit

from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.web.uvicorn_protocol import JoinedWrites


class Recorder:
    """A transport that notes what reaches it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def writelines(self, parts: list[bytes]) -> None:
        self.seen.append(b"".join(parts))

    def close(self) -> None:
        self.seen.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.seen


def joined(loop: asyncio.AbstractEventLoop) -> tuple[Recorder, JoinedWrites]:
    recorder = Recorder()
    return recorder, JoinedWrites(cast(asyncio.Transport, recorder), loop)


def test_writes_of_one_round_are_one_packet() -> None:
    """And those of the next round another, in order."""

    async def main() -> list[Any]:
        recorder, transport = joined(asyncio.get_running_loop())
        transport.write(b"header ")
        transport.write(b"body")
        assert recorder.seen == []
        await asyncio.sleep(0)
        transport.write(b"next")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return recorder.seen

    assert asyncio.run(main()) == [b"header body", b"next"]


def test_what_was_written_is_sent_before_the_end() -> None:
    """An answer with Connection: close arrives whole."""

    async def main() -> list[Any]:
        recorder, transport = joined(asyncio.get_running_loop())
        transport.write(b"answer")
        transport.close()
        await asyncio.sleep(0)
        assert transport.is_closing()
        return recorder.seen

    assert asyncio.run(main()) == [b"answer", "closed"]


def test_requests_that_come_in_one_packet_are_answered_in_order(tmp_path: Any) -> None:
    """Pipelined requests (RFC 9112, 9.3.2), the last of which closes the connection."""
    with start_hub(tmp_path) as hub:
        parts = urlsplit(hub.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as raw:
            one = b"GET /public-rest/v1/health HTTP/1.1\r\nHost: hub\r\n\r\n"
            last = b"GET /nowhere HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
            raw.sendall(one + one + last)
            received = b""
            while part := raw.recv(65536):
                received += part
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.rindex(b"HTTP/1.1 501") > received.rindex(b"HTTP/1.1 200 OK")
    assert received.endswith(b"}")


def test_nothing_is_sent_to_a_caller_that_has_gone() -> None:
    """A closed transport takes no more data; that is no error of the hub."""

    async def main() -> list[Any]:
        recorder, transport = joined(asyncio.get_running_loop())
        transport.write(b"late")
        recorder.close()
        await asyncio.sleep(0)
        return recorder.seen

    assert asyncio.run(main()) == ["closed"]
