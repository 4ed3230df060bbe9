"""Reading a request: size limits, typed query parameters, JSON and uploaded bodies."""

import re
from typing import Any, get_origin

import cramjam
import msgspec
from python_multipart.multipart import MultipartParser, parse_options_header

from psrlib.hub.web.issues import IssueError, bad_request
from psrlib.hub.web.routing import Route

MAX_JSON_BYTES = 64 * 1024 * 1024  # a bulk create of 10,000 jobs is about 10 MB
MAX_UPLOAD_BYTES = 256 * 1024 * 1024
_NUL = re.compile(rb"\\+u0000")  # also in JSON within JSON, where the backslash is doubled
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


async def read_body(receive: Any, headers: dict[str, str], route: Route) -> bytes:
    """Return the whole body, refusing one beyond the limit before it is read."""
    limit = MAX_UPLOAD_BYTES if route.signature.body is bytes else MAX_JSON_BYTES
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> IssueError:
    return IssueError(413, "APP_ISSUES_07", f"the body exceeds {limit} bytes")


def decode_body(route: Route, headers: dict[str, str], body: bytes) -> Any:
    """Return the body as the route's type.

    Raises
    ------
    IssueError
        400 naming the field, what was expected and what was received.
    """
    kind = route.signature.body
    if kind is None:
        return None
    if headers.get("content-encoding") == "snappy":
        body = _unsnap(body)
    if kind is bytes:
        return _uploaded(headers, body)
    if kind is str:
        return _raw_text(body)
    if not body.strip():
        body = b"[]" if get_origin(kind) is list else b"{}"
    if b"\\u0000" in body:
        if route.access.who != "component":
            raise bad_request("the body holds a NUL character")
        body = _NUL.sub(b"", body)  # an engine repeats for ever what is refused
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"the body of {route.method} {route.path} is wrong: {error}") from error


def _raw_text(body: bytes) -> str:
    try:
        text = body.decode().strip().strip('"')
    except UnicodeDecodeError as error:
        raise bad_request("the body is not UTF-8 text") from error
    if "\x00" in text:
        raise bad_request("the body holds a NUL character")
    return text


def _unsnap(body: bytes) -> bytes:
    try:
        return bytes(cramjam.snappy.decompress(body))
    except cramjam.DecompressionError as error:
        raise bad_request(f"the body is not framed Snappy: {error}") from error


def _uploaded(headers: dict[str, str], body: bytes) -> bytes:
    """Return the content of the multipart part named ``file``."""
    kind, options = parse_options_header(headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise bad_request("expected multipart/form-data with a part named file")
    collector = _PartCollector()
    try:
        parser = MultipartParser(options[b"boundary"], collector.callbacks())
        parser.write(body)
        parser.finalize()
    except Exception as error:
        raise bad_request(f"the multipart body is wrong: {error}") from error
    if collector.file is None:
        raise bad_request("the multipart body has no part named file")
    return bytes(collector.file)


class _PartCollector:
    """Keeps the bytes of the part named ``file``."""

    def __init__(self) -> None:
        self.file: bytearray | None = None
        self._field = bytearray()
        self._value = bytearray()
        self._wanted = False

    def callbacks(self) -> Any:
        return {
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
        }

    def _header_end(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._wanted = options.get(b"name") == b"file"
            if self._wanted:
                self.file = bytearray()
        self._field.clear()
        self._value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted and self.file is not None:
            self.file.extend(data[start:end])

    def _part_end(self) -> None:
        self._wanted = False
