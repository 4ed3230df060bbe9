"""HTTP for a fleet: one bounded pool of connections for all engines, and bounds on what a hub may answer."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from psrlib.engines.exchange import IO_ERROR, Answer, Request

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0  # event.connect.timeout, event.read.timeout
CALL_TIMEOUT_S = 120.0  # a whole call, however steadily its answer drips; a real engine has no such end
# Longest answers, bytes. The events of a poll carry pipeline definitions, some hundreds of them at worst; of
# a registration comes configuration, and nobody reads the others.
LONGEST = {"poll": 16 << 20, "registration": 1 << 20}
LONGEST_IGNORED = 64 << 10
MAX_UNREAD = 16  # answers on one connection that nobody has read
SMALL, LARGE_AT_ONCE = 64 << 10, 2  # longer answers are read only so many at a time


class Sender(Protocol):
    """Whatever carries requests to a hub."""

    async def send(self, request: Request) -> Answer:
        """Return the answer; failures are answers of status ``IO_ERROR``, never exceptions."""

    async def close(self) -> None:
        """Let all connections go."""


class HttpSender:
    """Requests over a pool of kept-alive connections, at most ``connections`` of them.

    An answer that is too long, takes more than ``call_timeout_s``, or is compressed although no engine asks
    for that, is none. ``ca_bundle`` is a PEM file of certificates to trust; None means those of the system.
    """

    def __init__(
        self, connections: int, call_timeout_s: float = CALL_TIMEOUT_S, ca_bundle: str | None = None
    ) -> None:
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._call_timeout_s = call_timeout_s
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=connections, keepalive_timeout=30, ssl=ssl.create_default_context(cafile=ca_bundle)
            ),
            timeout=aiohttp.ClientTimeout(
                total=call_timeout_s, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    async def send(self, request: Request) -> Answer:
        """Send a request; redirects are left to the engine."""
        try:
            url = URL(request.base + request.path, encoded=True)
            async with self._session.post(
                url, data=request.body, headers=request.headers, allow_redirects=False
            ) as answer:
                return await self._read(answer, LONGEST.get(request.kind, LONGEST_IGNORED))
        except TimeoutError as error:
            fault = (
                f"no whole answer within {self._call_timeout_s:g} s"
                if not str(error)
                else "no answer in time"
            )
            return Answer(IO_ERROR, str(error).encode(), fault=fault)
        except (aiohttp.ClientError, aiohttp.EofStream, OSError, ValueError) as error:
            return Answer(IO_ERROR, (str(error) or type(error).__name__).encode())

    async def _read(self, answer: aiohttp.ClientResponse, longest: int) -> Answer:
        if _coding(answer.headers) != "identity":
            answer.close()
            return Answer(IO_ERROR, fault="compressed answer")
        body = bytearray()
        async with AsyncExitStack() as stack:
            async for part in answer.content.iter_any():
                if len(body) <= SMALL < len(body) + len(part):
                    await stack.enter_async_context(self._large)
                body += part
                if len(body) > longest:
                    answer.close()
                    return Answer(IO_ERROR, fault=f"answer longer than {longest} bytes")
        return Answer(answer.status, bytes(body), answer.headers)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Handler(ResponseHandler):
    """A connection that is closed when heads of answers pile up that nobody has asked for.

    aiohttp bounds heads and bodies, but keeps every interim answer (100 Continue) until it is looked at.
    """

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        super().data_received(data)
        if len(self._buffer) > MAX_UNREAD:
            self._buffer.clear()
            self.close()


class _Connector(aiohttp.TCPConnector):
    """Connections of `_Handler`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = _Handler
        self._factory = partial(handler, loop=self._loop)


def _coding(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Encoding", "identity").strip().lower()
