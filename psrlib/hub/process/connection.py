"""A connection to the hub that ends when its peer stalls, or sends too long a head."""

import asyncio
import resource
from contextlib import suppress

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

MAX_HEAD_BYTES = 64 * 1024  # request line and headers; a list of a hundred ids in a query has 5 kB
HEAD_S = 15.0  # from the first byte, or from the connection, to the end of the head
BODY_S = 60.0  # from the head to the end of the body
STALL_S = 60.0  # without reading any of a large answer
SPARE_FILES = 64  # open files that are no connections: database, log, webhooks
MAX_CONNECTIONS = 8192  # whatever the system allows: some 10 kB each


class Connection(HttpToolsProtocol):
    """uvicorn's, which waits for ever for a request that has begun, and reads headers of any size.

    A connection without a request is closed by uvicorn after a minute, as engines poll every five seconds.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; connections that were idle for long go when there are too many."""
        super().connection_made(transport)
        self.head_bytes = 0
        self.in_head = True
        self.in_body = False
        self.since = self.loop.time()  # the beginning of what is waited for
        self.unread = 0  # bytes of answers that were not taken at the last look
        self.unread_since = self.since
        if len(self.connections) > most_connections():
            close_idle(self.server_state)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, and refuse one that is too large."""
        if not self.in_head and not self.in_body:  # the next request begins
            self.in_head, self.since, self.head_bytes = True, self.loop.time(), 0
        if self.in_head:
            self.head_bytes += len(data)
        super().data_received(data)
        if self.in_head and self.head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The request line and headers are too large.")

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            raise ValueError("the head is too large")  # the parser makes it an error of the request: 400
        self.in_head, self.in_body, self.since = False, True, self.loop.time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing more of the peer."""
        self.in_body = False
        super().on_message_complete()

    def has_stalled(self, now: float) -> bool:
        """Whether the peer has let the hub wait too long."""
        if self.in_head and self.is_idle and now - self.since > HEAD_S:
            return True
        if self.in_body and now - self.since > BODY_S:
            return True
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread < self.unread:
            self.unread_since = now
        self.unread = unread
        return now - self.unread_since > STALL_S

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete


def cut_off_stalled(state: ServerState, now: float) -> None:
    """Cut off the connections whose peers have stalled; ``now`` is the event loop's time, seconds."""
    for connection in _ours(state):
        if connection.has_stalled(now):
            connection.transport.abort()


def close_idle(state: ServerState) -> None:
    """Close connections without a request, those first that have had none for the longest.

    A part of all at a time: looking for them takes a while, and more connections come.
    """
    idle = [connection for connection in _ours(state) if connection.is_idle]
    idle.sort(key=lambda connection: connection.since)
    for connection in idle[: 1 + len(idle) // 8]:
        connection.transport.abort()


def _ours(state: ServerState) -> list[Connection]:
    return [connection for connection in state.connections if isinstance(connection, Connection)]


def most_connections() -> int:
    """Return how many connections there may be at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft - SPARE_FILES, MAX_CONNECTIONS)


def allow_connections() -> None:
    """Let this process have as many open files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
