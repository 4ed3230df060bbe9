"""Reading a request: size limits, typed query parameters, JSON and uploaded bodies."""

import re
from typing import Any, get_origin

import cramjam
import msgspec
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from psrlib.hub.store.text import Json
from psrlib.hub.web.issues import IssueError, bad_request
from psrlib.hub.web.routing import Route

MAX_JSON_BYTES = 64 * 1024 * 1024  # a bulk create of 10,000 jobs is about 10 MB
MAX_UPLOAD_BYTES = 256 * 1024 * 1024
_NUL = re.compile(
    rb"(?<!\\)(?:\\\\)*\\u0000"
)  # after an even number of backslashes, which stand for half as many
_MAYBE_NUL = re.compile(rb"(\\+)u0000")
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
    body = plain_body(headers, body)
    if kind is bytes:
        return _uploaded(headers, body)
    if kind is str:
        return _raw_text(body)
    if not body.strip():
        body = b"[]" if get_origin(kind) is list else b"{}"
    if b"\\u0000" in body:
        if route.access.who == "component":
            body = _MAYBE_NUL.sub(_without_nul, body)  # an engine repeats for ever what is refused
        elif kind != Json and holds_nul(body):
            raise bad_request("the body holds a NUL character")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"the body of {route.method} {route.path} is wrong: {error}") from error


def holds_nul(document: bytes) -> bool:
    """Whether a text of a JSON document holds a NUL character, which a text column of PostgreSQL cannot.

    One in a document that is a text itself, such as a pipeline's definition, is none: it is written as a
    backslash and ``u0000`` there, is kept so, and both databases hold that.

    Examples
    --------
    >>> holds_nul(b'["\\\\u0000"]'), holds_nul(b'["\\\\\\\\u0000"]')
    (True, False)
    """
    return _NUL.search(document) is not None


def _without_nul(found: re.Match[bytes]) -> bytes:
    """Leave out a NUL character of an engine's text, or of a document in such a text: both become columns."""
    slashes: bytes = found[1]
    if len(slashes) % 4 == 0:
        return found[0]
    return slashes[: -1 if len(slashes) % 2 else -2]


def _raw_text(body: bytes) -> str:
    try:
        text = body.decode().strip().strip('"')
    except UnicodeDecodeError as error:
        raise bad_request("the body is not UTF-8 text") from error
    if "\x00" in text:
        raise bad_request("the body holds a NUL character")
    return text


def plain_body(headers: dict[str, str], body: bytes) -> bytes:
    """Return a body uncompressed."""
    if headers.get("content-encoding") != "snappy":
        return body
    try:
        return bytes(cramjam.snappy.decompress(body))
    except cramjam.DecompressionError as error:
        raise bad_request(f"the body is not framed Snappy: {error}") from error


def _uploaded(headers: dict[str, str], body: bytes) -> bytes:
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

    in_memory = {"MAX_MEMORY_FILE_SIZE": MAX_UPLOAD_BYTES}
    boundary = options[b"boundary"]
    try:
        parser = FormParser("multipart/form-data", take_field, take_file, boundary=boundary, config=in_memory)
        parser.write(body)
        parser.finalize()
    except Exception as error:
        raise bad_request(f"the multipart body is wrong: {error}") from error
    if not found:
        raise bad_request("the multipart body has no part named file")
    return found[-1]
