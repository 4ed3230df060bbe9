"""uvicorn's HTTP protocol with an answer's header and body in one packet.

uvicorn writes them one after the other, and uvloop sends each write at once: twice the system calls, and a
caller that is woken by a header waits again for the body.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedWrites:
    """A transport whose writes leave together: when told, or at the end of the event loop's present round."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data with what else is written before the loop goes on."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what was written, unless the caller has gone."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.writelines(parts)

    def close(self) -> None:
        """Close the connection after what was written."""
        self.flush()
        self._transport.close()


class JoiningProtocol(HttpToolsProtocol):
    """HTTP on a connection whose writes are joined; a complete answer leaves at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        self._writes = JoinedWrites(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._writes))

    def on_response_complete(self) -> None:
        """Send the answer, and go on with the next request."""
        self._writes.flush()
        super().on_response_complete()
