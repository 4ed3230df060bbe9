"""HTTP for a fleet: one bounded pool of connections for all engines."""

from typing import Protocol

import aiohttp
from yarl import URL

from psrlib.engines.exchange import IO_ERROR, Answer, Request

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0  # event.connect.timeout, event.read.timeout


class Sender(Protocol):
    """Whatever carries requests to a hub."""

    async def send(self, request: Request) -> Answer:
        """Return the answer; failures are answers of status ``IO_ERROR``, never exceptions."""

    async def close(self) -> None:
        """Let all connections go."""


class HttpSender:
    """Requests over a pool of kept-alive connections, at most ``connections`` of them."""

    def __init__(self, connections: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    async def send(self, request: Request) -> Answer:
        """Send a request; redirects are left to the engine."""
        url = URL(request.base + request.path, encoded=True)
        try:
            async with self._session.post(
                url, data=request.body, headers=request.headers, allow_redirects=False
            ) as answer:
                return Answer(answer.status, await answer.read(), answer.headers)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return Answer(IO_ERROR, (str(error) or type(error).__name__).encode())

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
