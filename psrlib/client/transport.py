"""Connections whose answers have bounds: an end in time, however slowly bytes come, and a length.

A timeout of a socket begins anew with every byte, and a line of HTTP may be endless. So every reading from a
socket asks the bounds of the answer under way in its thread.
"""

import io
import socket
import threading
import zlib
from collections.abc import Iterator
from http.client import HTTPResponse, LineTooLong
from time import monotonic
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

HEAD_BYTES = 65_536  # of status line and headers, added to the length of the body
ZLIB_OR_GZIP = 47  # window bits with which zlib finds out the format by itself
SHORTEST_S = 0.001  # a timeout of 0 would mean not to wait at all


class TooLongError(OSError):
    """An answer is longer than its call allows."""


class Bounds:
    """End in time (``monotonic``) and length of one answer as it comes over the wire."""

    def __init__(self, ends_at: float, max_bytes: int) -> None:
        self.ends_at = ends_at
        self.max_bytes = max_bytes
        self._bytes_left = max_bytes + HEAD_BYTES
        self.exceeded = False

    def left_s(self) -> float:
        """Return the seconds left.

        Raises
        ------
        TimeoutError
            If there are none.
        """
        left_s = self.ends_at - monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        return max(left_s, SHORTEST_S)

    def take(self, n_bytes: int) -> None:
        """Count bytes that came.

        Raises
        ------
        TooLongError
            If they are too many.
        """
        self._bytes_left -= n_bytes
        if self._bytes_left < 0:
            self.too_long()

    def too_long(self) -> None:
        """Refuse the answer."""
        self.exceeded = True
        raise TooLongError(f"an answer of more than {self.max_bytes} bytes")


_thread = threading.local()


def bound(bounds: Bounds) -> None:
    """Set the bounds of what this thread sends and receives from now on."""
    _thread.bounds = bounds


def _bounds() -> Bounds:
    bounds: Bounds = _thread.bounds
    return bounds


class _BoundedFile(io.RawIOBase):
    """Reads from a socket within the bounds of the answer under way."""

    def __init__(self, file: io.RawIOBase, sock: socket.socket) -> None:
        self._file = file
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        bounds = _bounds()
        self._socket.settimeout(bounds.left_s())
        n_bytes: int | None = self._file.readinto(buffer)
        bounds.take(n_bytes or 0)
        return n_bytes

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_BoundedFile(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read status line and headers; a line that Python finds too long, the count may not have met yet."""
        try:
            super().begin()
        except LineTooLong:
            _bounds().too_long()


class _Connection(HTTPConnection):
    response_class = _Answer

    def send(self, data: Any) -> None:
        _send_bounded(self)
        super().send(data)


class _SecureConnection(HTTPSConnection):
    response_class = _Answer

    def send(self, data: Any) -> None:
        _send_bounded(self)
        super().send(data)


def _send_bounded(connection: HTTPConnection) -> None:
    """Give sending the time left; a new connection has the timeout of connecting, too short for an upload."""
    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(_bounds().left_s())


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class BoundedAdapter(HTTPAdapter):
    """The connections of requests, each answer within the bounds that its thread has set."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool of connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def read_body(chunks: Iterator[bytes], encoding: str, bounds: Bounds) -> bytes:
    """Return the body of an answer, unpacked where it came packed, within the bounds.

    Raises
    ------
    TooLongError
        If it becomes longer than allowed.
    ValueError
        If it came packed in another way than gzip or deflate, or broken; nothing packed was asked for.
    """
    if encoding in ("", "identity"):
        return b"".join(chunks)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f'a body packed as "{encoding[:40]}", which was not asked for')
    unpacker, body = zlib.decompressobj(ZLIB_OR_GZIP), bytearray()
    try:
        for chunk in chunks:
            body += unpacker.decompress(chunk, bounds.max_bytes + 1 - len(body))
            if len(body) > bounds.max_bytes:
                bounds.too_long()
    except zlib.error as error:
        raise ValueError(f"a body packed as {encoding} that cannot be unpacked: {error}") from error
    if body and not unpacker.eof:
        raise ValueError(f"half a body packed as {encoding}")
    return bytes(body)
