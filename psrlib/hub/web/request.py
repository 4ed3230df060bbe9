"""Reading a request: its body in bounds, as the type that its route wants; its cookie."""

from collections.abc import Iterator
from typing import Any, get_origin

import cramjam
import msgspec
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from psrlib.decoders import decoder_of
from psrlib.hub.store.text import Json
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.limits import (
    JSON_BYTES,
    SHORT_ITEMS,
    SMALL_BYTES,
    SNAPPY_RATIO,
    UPLOAD_BYTES,
    Room,
    body_limit,
    check_members,
    count_items,
    too_large,
)
from psrlib.hub.web.routing import Route

MAX_COOKIE = 8192  # characters of the header; a token has 50
_ZERO = b"u0000"  # a NUL character, after an odd number of backslashes


class Body:
    """The body of a request, on its way in.

    Attributes
    ----------
    content : bytes or bytearray
        What has come.
    is_large : bool
        Whether to decode it takes long enough to keep others waiting.
    is_short : bool
        Whether what it asks for does not.
    """

    def __init__(self, route: Route, headers: dict[str, str]) -> None:
        self.content: bytes | bytearray = b""
        self.is_large = False
        self.is_short = True
        self._route = route
        self._headers = headers
        self._is_snappy = headers.get("content-encoding") == "snappy"
        self._room = 0  # bytes that it takes of the room for large ones

    async def read(self, receive: Any, room: Room) -> None:
        """Read it whole; it takes its place in the room before more than a small part is read.

        Raises
        ------
        IssueError
            413 for one that is, or would be unpacked, larger than its route's may be; 400 for one that ends
            before its end.
        """
        limit = body_limit(self._route)
        if self._is_snappy:
            limit = min(limit, JSON_BYTES // SNAPPY_RATIO)
        declared = self._headers.get("content-length", "")
        size = int(declared[:20]) if declared.isdigit() else 0
        if size > limit:
            raise _over(limit)
        await self._make_room(size, size, room)
        while True:
            message = await receive()
            part = message.get("body", b"")
            if self.content:
                self.content += part
            else:
                self.content = part
            if len(self.content) > limit:
                raise _over(limit)
            await self._make_room(len(self.content), limit, room)
            if not message.get("more_body"):
                break
            if isinstance(self.content, bytes):
                self.content = bytearray(self.content)
        if message["type"] == "http.disconnect" or len(self.content) < size:
            raise bad_request("the body ended before its end")

    async def _make_room(self, size: int, wanted: int, room: Room) -> None:
        unpacked = SNAPPY_RATIO if self._is_snappy else 1
        if not self._room and size * unpacked > SMALL_BYTES:
            self.is_large, self.is_short = True, False
            await room.enter(wanted * unpacked)
            self._room = wanted * unpacked

    def leave(self, room: Room) -> None:
        """Give its place in the room to others."""
        if self._room:
            room.leave(self._room)

    def decode(self) -> Any:
        """Return the body as the route's type.

        Raises
        ------
        IssueError
            400 naming the field, what was expected and what was received; 413 for too many members.
        """
        decoded = decode_body(self._route, self._headers, self.content)
        self.is_short = count_items(decoded) <= SHORT_ITEMS and self.is_short
        return decoded

    def plain(self) -> bytes | bytearray:
        """Return the body uncompressed."""
        return plain_body(self._headers, self.content)


def _over(limit: int) -> Exception:
    return too_large(f"the body exceeds {limit} bytes")


def decode_body(route: Route, headers: dict[str, str], body: bytes | bytearray) -> Any:
    """Return a body as the route's type; see `Body.decode`."""
    kind = route.signature.body
    if kind is None:
        return None
    body = plain_body(headers, body)
    if kind is bytes:
        return _uploaded(headers, body)
    if kind is str:
        return _raw_text(body)
    if not body or body.isspace():
        body = b"[]" if get_origin(kind) is list else b"{}"
    if len(body) > SMALL_BYTES:
        check_members(body, "the body")
    if b"\\u0000" in body:
        if route.access.who == "component":
            body = _without_nul(body)  # an engine repeats for ever what is refused
        elif kind != Json and holds_nul(body):
            raise bad_request("the body holds a NUL character")
    try:
        return decoder_of(kind).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"the body of {route.method} {route.path} is wrong: {error}") from error


def holds_nul(document: bytes | bytearray) -> bool:
    """Whether a text of a JSON document holds a NUL character, which a text column of PostgreSQL cannot.

    One in a document that is a text itself, such as a pipeline's definition, is none: it is written as a
    backslash and ``u0000`` there, is kept so, and both databases hold that.

    Examples
    --------
    >>> holds_nul(rb'["\\u0000"]'), holds_nul(rb'["\\\\u0000"]')
    (True, False)
    """
    return any(n_slashes % 2 for _, n_slashes in _escapes(document))


def _without_nul(body: bytes | bytearray) -> bytes | bytearray:
    """Leave out NUL characters of an engine's texts, or of documents in such texts: both become columns."""
    kept, done = bytearray(), 0
    for at, n_slashes in _escapes(body):
        if n_slashes % 4:
            kept += body[done : at - (1 if n_slashes % 2 else 2)]
            done = at + len(_ZERO)
    return kept + body[done:]


def _escapes(document: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield where each ``u0000`` of a JSON text stands, and how many backslashes stand before it.

    In linear time, and others get their turns between two of them: an expression goes over a run of
    backslashes again and again, and keeps all threads waiting meanwhile.
    """
    done, at = 0, document.find(_ZERO)
    while at >= 0:
        before = document[done:at]
        yield at, len(before) - len(before.rstrip(b"\\"))
        done = at + len(_ZERO)
        at = document.find(_ZERO, done)


def _raw_text(body: bytes | bytearray) -> str:
    try:
        text = body.decode().strip().strip('"')
    except UnicodeDecodeError as error:
        raise bad_request("the body is not UTF-8 text") from error
    if "\x00" in text:
        raise bad_request("the body holds a NUL character")
    return text


def plain_body(headers: dict[str, str], body: bytes | bytearray) -> bytes | bytearray:
    """Return a body uncompressed."""
    if headers.get("content-encoding") != "snappy":
        return body
    try:
        return bytes(cramjam.snappy.decompress(body))
    except cramjam.DecompressionError as error:
        raise bad_request(f"the body is not framed Snappy: {error}") from error


def _uploaded(headers: dict[str, str], body: bytes | bytearray) -> bytes:
    """Return the content of the multipart part named ``file``."""
    kind, options = parse_options_header(headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise bad_request("expected multipart/form-data with a part named file")
    found: list[bytes] = []

    def take_file(part: File) -> None:
        if part.field_name == b"file":
            part.file_object.seek(0)
            found.append(part.file_object.read())

    def take_field(part: Field) -> None:  # a part without a file name
        if part.field_name == b"file":
            found.append(part.value or b"")

    in_memory = {"MAX_MEMORY_FILE_SIZE": UPLOAD_BYTES}
    boundary = options[b"boundary"]
    try:
        parser = FormParser("multipart/form-data", take_field, take_file, boundary=boundary, config=in_memory)
        parser.write(bytes(body))
        parser.finalize()
    except Exception as error:
        raise bad_request(f"the multipart body is wrong: {error}") from error
    if not found:
        raise bad_request("the multipart body has no part named file")
    return found[-1]


def read_cookie(header: str, name: str) -> str:
    """Return the value of a cookie in the header of a request; empty when it has none, or the header is long.

    Split at semicolons as RFC 6265 (4.2.1) has it, in linear time. The parser of the standard library takes
    1.2 s for 20 kB of backslashes in a quoted value.

    Examples
    --------
    >>> read_cookie('a=1; token="x|-5"', "token"), read_cookie("token", "token")
    ('x|-5', '')
    """
    if len(header) > MAX_COOKIE:
        return ""
    for pair in header.split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name:
            return value.strip().strip('"')
    return ""
