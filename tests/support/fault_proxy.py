"""A small HTTP proxy that injects faults between a client and a Control Hub, reproducibly.

It reads one request at a time from each connection, decides by a seeded generator what goes wrong with it,
and counts. Faults that follow the hub's work (``*_after``) are the ones that tell a careful client from a
careless one: the hub has carried the request out and the client cannot know.
"""

import asyncio
import gzip
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST instead of FIN


@dataclass(frozen=True)
class Faults:
    """Probability of each fault per request, and latency added to every answer."""

    rates: Mapping[str, float] = field(default_factory=dict)
    latency_s: float = 0.0
    retry_after: str = "0"
    hang_s: float = 3.0


# What a lossy line does, and gateways that say that they could not.
LOSSY_KINDS = (
    "reset_before",  # connection reset, the hub never sees the request
    "reset_after",  # the hub did the work, the connection is reset instead of an answer
    "cut_body",  # the hub did the work, half of the answer arrives
    "error_500_after",  # the hub did the work, a gateway answers 500
    "error_503",  # not forwarded, 503 with Retry-After
    "error_503_after",  # the hub did the work, a gateway answers 503
    "error_429",  # not forwarded, 429 with Retry-After
    "expired",  # not forwarded, 401: the session has ended
    "hang",  # the hub does the work late: the client's timeout comes first
)
# What nobody should do: answers that are none, requests that arrive twice or after later ones.
LYING_KINDS = (
    "empty",  # not forwarded, 200 without a body
    "empty_after",  # the hub did the work, 200 without a body
    "html",  # not forwarded, 200 with a page
    "html_after",
    "half_json_after",  # half of the body, with a length that fits it
    "other_type_after",  # JSON of another type than the answer's
    "redirect",  # not forwarded, 302 to a login page
    "redirect_after",
    "expired_after",  # the hub did the work, 401
    "twice",  # the request arrives twice, the first answer comes back
    "twice_second",  # the request arrives twice, the second answer comes back
    "late",  # connection reset, the request arrives later, after others
    "longer_length_after",  # a length that the body does not reach
    "shorter_length_after",  # a length that the body exceeds: the rest stays in the connection
    "split_head_after",  # an answer of another call before the own one, in one piece
    "bad_gzip_after",  # said to be packed, and is not
    "half_gzip_after",  # packed, and half of it
    "drip_after",  # the answer comes byte by byte, longer than the client's timeout
)
FAULT_KINDS = LOSSY_KINDS + LYING_KINDS
PAGE = b"<html><head><title>Welcome</title></head><body>Please log in</body></html>"
DRIP_PAUSE_S = 0.05
LATE_S = (0.05, 1.5)  # how much later a late request arrives


class FaultProxy:
    """Proxy in a thread of its own; a context manager.

    Parameters
    ----------
    target : str
        Base URL of the hub, ``http://host:port``.
    faults : Faults
    seed : int
        Of the generator that draws the faults.
    on_request : callable or None
        Called with the number of each request before anything is done with it (1, 2, ...).
    concerns : callable
        Whether a request, given as its bytes, may suffer a fault.
    """

    def __init__(
        self,
        target: str,
        faults: Faults,
        seed: int = 0,
        on_request: Callable[[int], None] | None = None,
        concerns: Callable[[bytes], bool] = lambda request: True,
    ) -> None:
        host, _, port = target.removeprefix("http://").rstrip("/").partition(":")
        self._target = (host, int(port))
        self.faults = faults
        self._random = random.Random(seed)
        self._on_request = on_request
        self._concerns = concerns
        self.injected: Counter[str] = Counter()
        self.n_requests = 0
        self.in_flight = 0
        self.peak = 0
        self._tasks: set[asyncio.Future[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def retarget(self, target: str) -> None:
        """Forward to another address from now on: a hub that was restarted."""
        host, _, port = target.removeprefix("http://").rstrip("/").partition(":")
        self._target = (host, int(port))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        tasks = self._tasks

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._connection(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
                pass
            finally:
                tasks.discard(task)
                self._close(writer)

        server = await asyncio.start_server(accept, sock=self._listener, limit=1 << 20)
        await self._stop.wait()
        # What is being accepted while a server closes fails, and is never closed itself (asyncio 3.11).
        await asyncio.sleep(0.02)
        server.close()
        for task in set(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports that are closed go in the loop's next round

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = head + await reader.readexactly(_length(head))
                self.n_requests += 1
                self.in_flight += 1
                self.peak = max(self.peak, self.in_flight)
                try:
                    if self._on_request is not None:
                        self._on_request(self.n_requests)
                    is_login = b"/authentication/login" in head
                    fault = self._draw(is_login) if self._concerns(request) else ""
                    if upstream is None and fault not in BEFORE:
                        upstream = await asyncio.open_connection(*self._target, limit=1 << 20)
                    if not await self._exchange(fault, request, writer, upstream):
                        return
                finally:
                    self.in_flight -= 1
        finally:
            if upstream is not None:
                self._close(upstream[1])

    def _close(self, writer: asyncio.StreamWriter) -> None:
        """Close a connection once what is written has left; at the proxy's end nothing waits for that."""
        if self._stop.is_set():
            writer.transport.abort()
        else:
            writer.close()

    def _draw(self, is_login: bool) -> str:
        """Choose what goes wrong; a session cannot have ended at the login that begins it."""
        point = self._random.random()
        for kind, rate in self.faults.rates.items():
            if point < rate:
                if kind.startswith("expired") and is_login:
                    return ""
                self.injected[kind] += 1
                return kind
            point -= rate
        return ""

    async def _exchange(
        self,
        fault: str,
        request: bytes,
        writer: asyncio.StreamWriter,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None,
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        retry = self.faults.retry_after
        if fault == "reset_before":
            return _reset(writer)
        if fault == "late":
            self._tasks.add(asyncio.ensure_future(self._deliver_late(request)))
            return _reset(writer)
        if fault in ("error_503", "error_429", "expired", "empty", "html", "redirect"):
            return await _send(writer, _instead(fault, retry))
        assert upstream is not None
        if fault == "hang":
            await asyncio.sleep(self.faults.hang_s)
        head, body = await _ask(upstream, request)
        if fault.startswith("twice"):
            second = await _ask(upstream, request)
            head, body = second if fault == "twice_second" else (head, body)
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        if fault == "reset_after":
            return _reset(writer)
        if fault == "cut_body":
            await _send(writer, head + body[: len(body) // 2] if body else b"")
            return False
        if fault in ("error_500_after", "error_503_after", "expired_after"):
            return await _send(writer, _instead(fault.removesuffix("_after"), retry))
        if fault in ("empty_after", "html_after", "redirect_after"):
            return await _send(writer, _instead(fault.removesuffix("_after"), retry))
        if fault == "drip_after":
            with suppress(ConnectionError):
                for i in range(len(head + body)):
                    await _send(writer, (head + body)[i : i + 1])
                    await asyncio.sleep(DRIP_PAUSE_S)
            return False
        data, goes_on = _spoiled(fault, head, body)
        await _send(writer, data)
        return goes_on

    async def _deliver_late(self, request: bytes) -> None:
        await asyncio.sleep(self._random.uniform(*LATE_S))
        with suppress(OSError, asyncio.IncompleteReadError):
            upstream = await asyncio.open_connection(*self._target, limit=1 << 20)
            await _ask(upstream, request)
            upstream[1].close()


# Faults whose request does not reach the hub on the connection of its client.
BEFORE = ("reset_before", "error_503", "error_429", "expired", "late", "empty", "html", "redirect")


async def _ask(
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
) -> tuple[bytes, bytes]:
    """Send a request to the hub; return head and body of its answer."""
    upstream[1].write(request)
    head = await upstream[0].readuntil(b"\r\n\r\n")
    return head, await upstream[0].readexactly(_length(head))


def _spoiled(fault: str, head: bytes, body: bytes) -> tuple[bytes, bool]:
    """Return the bytes of an answer with a fault in it, and whether the connection goes on."""
    status = head.partition(b"\r\n")[0]
    if fault == "half_json_after":
        return _with_length(status, body[: len(body) // 2]), True
    if fault == "other_type_after":
        return _with_length(status, b'{"surprise":[1]}' if body[:1] != b"{" else b'["surprise"]'), True
    if fault == "longer_length_after":
        return _with_length(status, body, length=len(body) + 9), False
    if fault == "shorter_length_after":
        return _with_length(status, body, length=len(body) // 2), True
    if fault == "split_head_after":
        return _with_length(b"HTTP/1.1 200 OK", b"") + head + body, True
    if fault == "bad_gzip_after":
        return _with_length(status, body or b"?", b"Content-Encoding: gzip\r\n"), True
    if fault == "half_gzip_after":
        packed = gzip.compress(body)
        return _with_length(status, packed[: len(packed) // 2], b"Content-Encoding: gzip\r\n"), True
    return head + body, True


def _with_length(status: bytes, body: bytes, more: bytes = b"", length: int | None = None) -> bytes:
    n_bytes = len(body) if length is None else length
    return b"%s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
        *(status, more, n_bytes, body),
    )


def _instead(fault: str, retry_after: str) -> bytes:
    """Return what a gateway answers by itself."""
    if fault == "empty":
        return _with_length(b"HTTP/1.1 200 OK", b"")
    if fault == "html":
        return _with_length(b"HTTP/1.1 200 OK", PAGE).replace(b"application/json", b"text/html")
    if fault == "redirect":
        return _with_length(b"HTTP/1.1 302 Found", PAGE, b"Location: http://[login\r\n")
    status = 401 if fault == "expired" else int(fault.removeprefix("error_"))
    return _answer(status, retry_after if status in (429, 503) else None)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _reset(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
    return False


async def _send(writer: asyncio.StreamWriter, data: bytes) -> bool:
    writer.write(data)
    await writer.drain()
    return True


def _answer(status: int, retry_after: str | None) -> bytes:
    body = b'{"ISSUES":[{"code":"PROXY_%d","message":"injected"}]}' % status
    retry = b"Retry-After: " + retry_after.encode() + b"\r\n" if retry_after is not None else b""
    return b"HTTP/1.1 %d Injected\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status,
        retry,
        len(body),
        body,
    )
