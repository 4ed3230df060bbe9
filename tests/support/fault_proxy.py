"""A small HTTP proxy that injects faults between a client and a Control Hub, reproducibly.

It reads one request at a time from each connection, decides by a seeded generator what goes wrong with it,
and counts. Faults that follow the hub's work (``*_after``) are the ones that tell a careful client from a
careless one: the hub has carried the request out and the client cannot know.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST instead of FIN


@dataclass(frozen=True)
class Faults:
    """Probability of each fault per request, and latency added to every answer."""

    rates: Mapping[str, float] = field(default_factory=dict)
    latency_s: float = 0.0
    retry_after: str = "0"
    hang_s: float = 3.0


FAULT_KINDS = (
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
    """

    def __init__(
        self, target: str, faults: Faults, seed: int = 0, on_request: Callable[[int], None] | None = None
    ) -> None:
        host, _, port = target.removeprefix("http://").rstrip("/").partition(":")
        self._target = (host, int(port))
        self.faults = faults
        self._random = random.Random(seed)
        self._on_request = on_request
        self.injected: Counter[str] = Counter()
        self.n_requests = 0
        self.in_flight = 0
        self.peak = 0
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
        tasks: set[asyncio.Task[None]] = set()

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
        for task in tasks:
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
                    fault = self._draw(b"/authentication/login" in head)
                    if upstream is None and not _only_refuses(fault):
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
                if kind == "expired" and is_login:
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
        if fault in ("error_503", "error_429"):
            return await _send(writer, _answer(int(fault[-3:]), retry))
        if fault == "expired":
            return await _send(writer, _answer(401, None))
        assert upstream is not None
        if fault == "hang":
            await asyncio.sleep(self.faults.hang_s)
        upstream[1].write(request)
        head = await upstream[0].readuntil(b"\r\n\r\n")
        answer = head + await upstream[0].readexactly(_length(head))
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        if fault == "reset_after":
            return _reset(writer)
        if fault == "cut_body":
            writer.write(
                answer[: len(head) + (len(answer) - len(head)) // 2] if len(answer) > len(head) else b""
            )
            await writer.drain()
            return False
        if fault in ("error_500_after", "error_503_after"):
            return await _send(writer, _answer(int(fault.split("_")[1]), retry if "503" in fault else None))
        return await _send(writer, answer)


def _only_refuses(fault: str) -> bool:
    return fault in ("reset_before", "error_503", "error_429", "expired")


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
