"""Reading and writing seed documents: ``.json``, or an organization per line in ``.jsonl`` / ``.jsonl.gz``.

A ``.jsonl`` file starts with a line of format, provenance and variables and ends with a line holding the
digest. All three forms hold the same document and the same digest.
"""

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson

from psrlib.errors import InputError
from psrlib.seed.check import check_references
from psrlib.seed.document import FORMAT, Organization, Provenance, SeedDocument

SUFFIXES = (".json", ".jsonl", ".jsonl.gz")
GZIP_LEVEL = 1  # a fifth of level 6's time for a quarter more bytes on these documents
GZIP_MEMBER = 1 << 24  # bytes compressed at once


class Digest:
    """The digest of a document, built up organization by organization."""

    def __init__(self, provenance: Provenance, variables: dict[str, str]) -> None:
        self.head = orjson.dumps(
            {"format": FORMAT, "provenance": msgspec.to_builtins(provenance), "variables": variables}
        )
        self._sha256 = hashlib.sha256(self.head[:-1] + b',"organizations":[')
        self._first = True

    def add(self, organization: bytes) -> None:
        """Add the canonical JSON of the next organization."""
        self._sha256.update(organization if self._first else b"," + organization)
        self._first = False

    def value(self) -> str:
        """Return the digest of what was added."""
        final = self._sha256.copy()
        final.update(b"]}")
        return final.hexdigest()


def seed_sha256(document: SeedDocument) -> str:
    """Return the digest of a document's content: the same for equal content in any file form.

    It is the SHA-256 of the canonical JSON of all fields but ``sha256`` itself.
    """
    digest = Digest(document.provenance, document.variables)
    for organization in document.organizations:
        digest.add(msgspec.json.encode(organization))
    return digest.value()


def save_seed(document: SeedDocument, path: str | Path) -> str:
    """Write a document with its digest, to a temporary file that takes the name when complete.

    Returns
    -------
    str
        The digest.

    Raises
    ------
    InputError
        If the name ends with none of ``.json``, ``.jsonl``, ``.jsonl.gz``, or its folder can't be written.
    """
    organizations = (msgspec.json.encode(organization) for organization in document.organizations)
    return write_seed(document.provenance, document.variables, organizations, path)


def write_seed(
    provenance: Provenance, variables: dict[str, str], organizations: Iterable[bytes], path: str | Path
) -> str:
    """Write a document from the canonical JSON of its organizations; see `save_seed`."""
    path = Path(path)
    lines = suffix(path) != ".json"
    digest = Digest(provenance, variables)
    with new_file(path) as file:
        write = Compressor(file).write if path.name.endswith(".gz") else file.write
        write(digest.head + b"\n" if lines else digest.head[:-1] + b',"organizations":[')
        separator = b""
        for organization in organizations:
            digest.add(organization)
            if lines:
                write(organization + b"\n")
            else:
                write(separator + organization)
                separator = b","
        sha256 = digest.value()
        write(b'{"sha256":"%s"}\n' % sha256.encode() if lines else b'],"sha256":"%s"}\n' % sha256.encode())
        write(b"")
    return sha256


def load_seed(path: str | Path) -> SeedDocument:
    """Read a document and check everything about it.

    Raises
    ------
    InputError
        Naming file, entity and field: not readable, not JSON, a field missing, unknown or of the wrong type,
        two entities with one key or name, a reference to something that the document lacks, or a digest
        that does not match the content.
    """
    path = Path(path)
    document = _decode_lines(path) if suffix(path) != ".json" else _decode(path, _read(path))
    check_references(document, path.name)
    if document.sha256 is not None and document.sha256 != seed_sha256(document):
        raise InputError(
            f'{path.name}: field "sha256" does not match the content: the file was edited or damaged; change'
            ' seed documents with psr rewrite, or remove "sha256" if the edit was meant'
        )
    return document


def suffix(path: Path) -> str:
    """Return which of the three forms a file name asks for."""
    for ending in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.endswith(ending):
            return ending
    raise InputError(f"{path.name}: a seed document's name ends with one of {', '.join(SUFFIXES)}")


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path`` that becomes ``path`` when the block ends well, or disappears."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); choose another file with -o"
        ) from error
    try:
        with os.fdopen(handle, "wb", buffering=1 << 20) as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes files only the owner can read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Compressor:
    """Writes gzip members without time stamps, so equal input gives equal files."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Take bytes; empty ones write out what was collected."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= GZIP_MEMBER or not data:
            self._file.write(gzip.compress(b"".join(self._parts), GZIP_LEVEL, mtime=0))
            self._parts, self._size = [], 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot read the seed document ({error.strerror}); create it with psr create-json"
        ) from error


def _decode(path: Path, content: bytes) -> SeedDocument:
    try:
        return msgspec.json.decode(content, type=SeedDocument)
    except msgspec.ValidationError as error:
        raise InputError(f"{path.name}: {_place(error, content)}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path.name}: not JSON ({error}); create it again with psr create-json") from error


def _decode_lines(path: Path) -> SeedDocument:
    parts: list[Any] = []
    content = _read(path)
    if path.name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{path.name}: not a complete gzip file ({error}); create it again with psr create-json"
            ) from error
    lines = content.splitlines()
    if len(lines) < 2:
        raise InputError(f"{path.name}: expected a head line, a line per organization and a digest line")
    head = _decode(path, lines[0].rstrip()[:-1] + b',"organizations":[]}')
    end = lines.pop() if b'"sha256"' in lines[-1][:10] else b"{}"
    decoder = msgspec.json.Decoder(Organization)
    for number, line in enumerate(lines[1:], start=2):
        try:
            parts.append(decoder.decode(line))
        except msgspec.ValidationError as error:
            raise InputError(f"{path.name}: line {number}: {_place(error, line)}") from error
        except msgspec.DecodeError as error:
            raise InputError(f"{path.name}: line {number}: not JSON ({error})") from error
    sha256 = orjson.loads(end).get("sha256")
    return SeedDocument(head.format, head.provenance, head.variables, parts, sha256)


def _place(error: msgspec.ValidationError, content: bytes) -> str:
    """Turn ``$.organizations[0].jobs[3].owner`` into the ids that stand there."""
    reason, _, where = str(error).partition(" - at `")
    steps = where.rstrip("`").removeprefix("$").replace("[", ".[").strip(".").split(".")
    node: Any = orjson.loads(content)
    names = []
    for step in steps:
        if not step:
            continue
        try:
            node = node[int(step[1:-1])] if step.startswith("[") else node[step]
        except (KeyError, ValueError, IndexError, TypeError):
            node = None
        name = node.get("key") or node.get("id") if isinstance(node, dict) else None
        names.append(f'"{name}"' if name and step.startswith("[") else step)
    return f"{' '.join(names) or 'top level'}: {reason[:1].lower()}{reason[1:]}"
