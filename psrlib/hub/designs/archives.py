"""Zip archives that come in and go out: sizes limited, names never used as paths."""

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from psrlib.hub.store.text import NOT_JSON, Json
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.limits import check_depth, check_members, too_large
from psrlib.hub.web.request import holds_nul

MAX_ENTRIES = 20_000
MAX_ENTRY_BYTES = 16 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024  # the kit sends 32 MB in an archive
CHUNK = 1 << 20


def read_zip(content: bytes, nul: bool = False) -> Iterator[tuple[str, Json]]:
    """Yield the JSON documents of a zip in its order, each unpacked when it is asked for.

    Folders, hidden files and ``__MACOSX`` are passed over, as an engine does (pipeline-json.md, 1.1).
    ``nul`` says that their texts may hold NUL characters: they are definitions, not names and columns.

    Raises
    ------
    IssueError
        400 for anything that is not a zip of JSON objects, 413 beyond the limits: sizes are counted while
        unpacking, so what the archive's headers say does not matter.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise bad_request(f"the upload is not a zip archive: {error}") from error
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise too_large(f"the archive has {len(infos)} entries; at most {MAX_ENTRIES} are read")
    total = 0
    for info in infos:
        if _passed_over(info):
            continue
        data = _unpack(archive, info)
        total += len(data)
        if total > MAX_TOTAL_BYTES:
            raise too_large(f"the archive unpacks to more than {MAX_TOTAL_BYTES} bytes")
        if not nul and holds_nul(data):
            raise bad_request(f"entry '{info.filename}' holds a NUL character")
        yield info.filename, _parse(info.filename, data)


def _passed_over(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.split("/")
    return info.is_dir() or "__MACOSX" in parts or parts[-1].startswith(".")


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    data = bytearray()
    try:
        with archive.open(info) as entry:
            while part := entry.read(CHUNK):
                data.extend(part)
                if len(data) > MAX_ENTRY_BYTES:
                    raise too_large(f"entry '{info.filename}' unpacks to more than {MAX_ENTRY_BYTES} bytes")
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise bad_request(f"entry '{info.filename}' cannot be unpacked: {error}") from error
    return bytes(data)


def _parse(name: str, data: bytes) -> Json:
    check_members(data, f"entry '{name}'")
    try:
        document = msgspec.json.decode(data)
    except NOT_JSON as error:
        raise bad_request(f"entry '{name}' is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise bad_request(f"entry '{name}': expected a JSON object")
    check_depth(document, f"entry '{name}'")
    return document


def write_zip(documents: Iterable[tuple[str, Json]]) -> bytes:
    """Return a zip of JSON documents under names that differ; each is made when it is its turn.

    Raises
    ------
    IssueError
        413 for more than `read_zip` takes.
    """
    buffer, total = io.BytesIO(), 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, document in documents:
            data = msgspec.json.encode(document)
            total += len(data)
            if total > MAX_TOTAL_BYTES:
                raise too_large(
                    f"the archive would have more than {MAX_TOTAL_BYTES} bytes; export fewer at once"
                )
            archive.writestr(name, data)
    return buffer.getvalue()


def entry_name(title: str, entity_id: str) -> str:
    """Return the name of an entry that a hub writes: letters and digits of the title, then the id.

    Examples
    --------
    >>> entry_name("Orders (daily) 2", "1f7c:acme")
    'Ordersdaily21f7c:acme.json'
    """
    return f"{''.join(c for c in title if c.isalnum())}{entity_id}.json"
