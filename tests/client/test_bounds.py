"""Whatever a server sends: an answer has an end in time, a length, and the shape of its call."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.memory import peak_mb_of

from psrlib.client import LostAnswerError, Request
from psrlib.client.http import HttpClient
from psrlib.client.shapes import listing, record
from psrlib.errors import HubError, HubUnreachableError, PsrError

READ = Request("GET", "/thing", "things", repeatable=True, read=record(dict), max_bytes=1000)
CREATE = Request("PUT", "/thing", "things", read=record(dict), max_bytes=1000)
Send = Callable[[socket.socket], None]


@contextmanager
def raw_server(send: Send) -> Iterator[str]:
    """Serve bytes: each connection's request is read, then ``send`` writes what it likes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            try:
                connection.recv(65536)
                send(connection)
            except OSError:
                pass

    def accept() -> None:
        while not ended.is_set():
            try:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answer(body: bytes, *headers: str, length: int | None = None) -> Send:
    head = [f"Content-Length: {len(body) if length is None else length}", "Content-Type: application/json"]
    text = "\r\n".join(["HTTP/1.1 200 OK", *head, *headers, "", ""]).encode()
    return lambda connection: connection.sendall(text + body)


def drip(text: bytes, pause_s: float = 0.05) -> Send:
    def send(connection: socket.socket) -> None:
        for i in range(len(text)):
            connection.sendall(text[i : i + 1])
            time.sleep(pause_s)

    return send


def line_in_pieces(connection: socket.socket) -> None:
    """Send a header line just longer than Python reads, yet within the bytes of an answer."""
    connection.sendall(OK + b"X: " + b"a" * 65_000)
    time.sleep(0.2)
    connection.sendall(b"a" * 600)


def endless(head: bytes, part: bytes) -> Send:
    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return send


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b"[" * 50_000_000)
SENDERS: dict[str, Send] = {
    "empty": answer(b""),
    "blank": answer(b"  \n"),
    "html": answer(b"<html><body>Welcome</body></html>"),
    "truncated": answer(b'{"id": "a", "na'),
    "another-type": answer(b"[1, 2]"),
    "null": answer(b"null"),
    "not-utf8": answer(b'{"id": "\xff\xfe"}'),
    "deeply-nested": answer(b"[" * 900),
    "too-short": answer(b"{}", length=50),
    "no-http": lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing": lambda connection: None,
    "half-a-head": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "bad-status": lambda connection: connection.sendall(b"HTTP/1.1 2xx OK\r\n\r\n"),
    "bad-length": lambda connection: connection.sendall(OK + b"Content-Length: -5, 7\r\n\r\n{}"),
    "split-head": answer(b"<a>", "X-A: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "many-headers": answer(b"{}", *(f"X-{i}: a" for i in range(200))),
    "bad-gzip": answer(b"not gzip", "Content-Encoding: gzip"),
    "half-gzip": answer(gzip.compress(b'{"a": 1}' * 9)[:-9], "Content-Encoding: gzip"),
    "twice-gzip": answer(gzip.compress(gzip.compress(b"{}")), "Content-Encoding: gzip, gzip"),
    "unknown-packing": answer(b"{}", "Content-Encoding: zstd"),
    "bad-chunks": lambda connection: connection.sendall(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "half-chunk": lambda connection: connection.sendall(CHUNKED + b"ff\r\n{"),
    "dripping-status": drip(b"HTTP/1.1 200 OK" * 20),
    "dripping-head": drip(OK + b"X-A: a\r\n" * 90),
    "dripping-body": drip(OK + b"Content-Length: 500\r\n\r\n" + b"[" * 500),
    "dripping-chunks": drip(CHUNKED + b"1\r\n[\r\n" * 100),
}
TOO_LONG: dict[str, Send] = {
    "announced": endless(OK + b"Content-Length: 3000000000\r\n\r\n", b"[" * 65536),
    "unannounced": endless(OK + b"\r\n", b"[" * 65536),
    "chunked": endless(CHUNKED, b"8000\r\n" + b"[" * 0x8000 + b"\r\n"),
    "gzip-bomb": answer(BOMB, "Content-Encoding: gzip"),
    "deflate-bomb": answer(zlib.compress(b"[" * 50_000_000), "Content-Encoding: deflate"),
    "endless-chunk-size": endless(CHUNKED, b"0" * 65536),
    "endless-line": endless(OK + b"X: ", b"a" * 65536),
    "line-in-pieces": line_in_pieces,
    "endless-continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless-status": endless(b"HTTP/1.1 200 ", b"a" * 65536),
}


@pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS)
def test_what_is_no_answer_is_repeated_or_lost(send: Send) -> None:
    """A reading is repeated until the deadline, a creation counts as lost; both end in time."""
    with raw_server(send) as url:
        http = HttpClient(url, timeout_s=0.2, deadline_s=0.6)
        started = time.monotonic()
        with pytest.raises(HubUnreachableError, match=r"GET /thing on .* failed [2-9] times") as caught:
            http.send(READ)
        assert not isinstance(caught.value, LostAnswerError)
        with pytest.raises(LostAnswerError, match=r"PUT /thing: the answer was lost"):
            http.send(CREATE)
        assert time.monotonic() - started < 2.0
        http.close()


@pytest.mark.parametrize("send", TOO_LONG.values(), ids=TOO_LONG)
def test_an_answer_without_end_is_refused(send: Send) -> None:
    """It is given up at its length, in little memory; a creation may have been carried out."""
    with raw_server(send) as url:
        http = HttpClient(url, timeout_s=5, deadline_s=5)
        started = time.monotonic()

        def read() -> None:
            with pytest.raises(HubError, match=r"GET /thing: .*longer than 1000 bytes"):
                http.send(READ)

        assert peak_mb_of(read) < 40
        with pytest.raises(LostAnswerError):
            http.send(CREATE)
        assert time.monotonic() - started < 4
        http.close()


@pytest.mark.parametrize(
    "body", [b"[" + b"[]," * 3_000_000 + b"[]]", b"[" + b"0," * 5_000_000 + b"0]"], ids=["lists", "numbers"]
)
def test_a_body_that_grows_in_memory_is_refused(body: bytes) -> None:
    """A list of empty lists takes twenty times its text; it is not even parsed."""
    with raw_server(answer(body)) as url:
        http = HttpClient(url, timeout_s=5, deadline_s=3)
        request = Request(
            "GET", "/thing", "things", repeatable=True, read=listing(dict), max_bytes=40_000_000
        )

        def read() -> None:
            with pytest.raises(PsrError, match="more than 400000 objects and lists or 1500000 values"):
                http.send(request)

        assert peak_mb_of(read) < 60
        http.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
def test_a_packed_answer_is_understood(encoding: str) -> None:
    """A gateway may pack what nobody asked to be packed."""
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[encoding](b'{"id": "a"}')
    with raw_server(answer(packed, f"Content-Encoding: {encoding}")) as url:
        http = HttpClient(url)
        assert http.send(READ).body == {"id": "a"}
        http.close()


def test_a_hub_that_always_answers_an_update_with_nothing_is_believed() -> None:
    """One empty answer may be a gateway's; the third in a row is the hub's manner."""
    with raw_server(answer(b"")) as url:
        http = HttpClient(url, deadline_s=5)
        update = Request("POST", "/thing", "things", repeatable=True, read=record(dict), may_be_empty=True)
        assert http.send(update).body is None
        assert http.calls.total == 3
        http.close()


DEEP = b"[" * 1000 + b"]" * 1000  # what orjson takes, and too deep for a text to be made of it


@pytest.mark.parametrize(
    "body",
    [
        b'{"ISSUES": [{"code": %b, "message": %b}]}' % (DEEP, DEEP),
        b'{"success": false, "messages": [%b]}' % DEEP,
        b'{"ISSUES": [{"code": "X", "message": "no\\u001b[2J\\nway%b"}]}' % (b"!" * 1_000_000),
    ],
    ids=["issues", "messages", "what moves the cursor"],
)
def test_a_refusal_is_one_short_sentence(body: bytes) -> None:
    """Whatever a hub puts where its words should be."""
    with raw_server(answer(body)) as url:
        http = HttpClient(url, timeout_s=5, deadline_s=5)
        request = Request("GET", "/thing", "things", repeatable=True, read=record(dict), max_bytes=2_000_000)
        with pytest.raises(HubError, match=r"GET /thing was refused with status 200: (list|X: no)") as caught:
            http.send(request)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 4000
        http.close()
