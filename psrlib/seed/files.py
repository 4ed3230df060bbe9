"""Reading and writing seed documents: ``.json``, or an organization per line in ``.jsonl`` / ``.jsonl.gz``.

A ``.jsonl`` file starts with a line of format, provenance and variables and ends with a line holding the
digest. All three forms hold the same document and the same digest.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from psrlib.errors import InputError
from psrlib.files import new_file
from psrlib.seed.capacity import Shortage
from psrlib.seed.check import check_references
from psrlib.seed.decode import decode
from psrlib.seed.document import Head, Organization, Provenance, Record, SeedDocument

SUFFIXES = (".json", ".jsonl", ".jsonl.gz")
GZIP_LEVEL = 1  # a fifth of level 6's time for a quarter more bytes on these documents
ORGANIZATIONS = b',"organizations":['
MAX_LINE = 1 << 26  # bytes of a line, which holds an organization; one of 2,000 jobs takes 1 MB
MAX_RATIO = 25  # bytes that one packed byte may become; documents of the shipped models have 8 to 9
ALWAYS = 1 << 24  # bytes that any file may become
BLOCK = 256  # organizations in a block: enough to pay for numpy's calls, few enough for the caches


def seed_sha256(document: SeedDocument) -> str:
    """Return the digest of a document's content: the same for equal content in any file form.

    It is the SHA-256 of the canonical JSON of all fields but ``sha256`` itself.
    """
    digest = hashlib.sha256(_head(document.provenance, document.variables))
    for number, organization in enumerate(document.organizations):
        digest.update(b"," * (number > 0) + msgspec.json.encode(organization))
    digest.update(b"]}")
    return digest.hexdigest()


def save_seed(document: SeedDocument, path: str | Path) -> str:
    """Write a document, to a temporary file that takes the name when complete; return the digest.

    Raises
    ------
    InputError
        If the name ends with none of ``.json``, ``.jsonl``, ``.jsonl.gz``, or its folder can't be written.
    """
    path = Path(path)
    form = suffix(path)
    starts = range(0, len(document.organizations), BLOCK)
    blocks = (pack(document.organizations[start : start + BLOCK], form) for start in starts)
    return write_blocks(document.provenance, document.variables, blocks, path)


def _head(provenance: Provenance, variables: dict[str, str]) -> bytes:
    """Return the canonical JSON of a document up to its first organization."""
    return msgspec.json.encode(Head("psr-seed/1", provenance, variables))[:-1] + ORGANIZATIONS


@dataclass(frozen=True)
class Block:
    """Neighbouring organizations: as part of the canonical JSON, and as part of the file.

    ``shortages`` says which of them ask more of their engines than these can run.
    """

    content: bytes
    packed: bytes
    shortages: tuple[Shortage, ...] = ()


def pack(organizations: list[Organization], form: str) -> Block:
    """Return the block of neighbouring organizations for a file of one form.

    A worker process does this, for compressing takes longer than everything else together.
    """
    texts = list(map(msgspec.json.Encoder().encode, organizations))
    content = b",".join(texts)
    return Block(content, content if form == ".json" else _compressed(b"\n".join([*texts, b""]), form))


def write_blocks(
    provenance: Provenance, variables: dict[str, str], blocks: Iterable[Block], path: Path
) -> str:
    """Write a document block by block; see `save_seed`."""
    form = suffix(path)
    first, between, last = _head(provenance, variables), b",", b'],"sha256":"%s"}\n'
    digest = hashlib.sha256(first)
    if form != ".json":  # head and digest are lines of their own
        first, between, last = first.removesuffix(ORGANIZATIONS) + b"}\n", b"", b'{"sha256":"%s"}\n'
    with new_file(path) as file:
        file.write(_compressed(first, form))
        for number, block in enumerate(blocks):
            digest.update(b"," * (number > 0))
            digest.update(block.content)
            file.write(between * (number > 0))
            file.write(block.packed)
        digest.update(b"]}")
        file.write(_compressed(last % digest.hexdigest().encode(), form))
    return digest.hexdigest()


def _compressed(data: bytes, form: str) -> bytes:
    """Return a gzip member where the form asks for it, without time stamp: equal data give equal bytes."""
    return gzip.compress(data, GZIP_LEVEL, mtime=0) if form == ".jsonl.gz" else data


def load_seed(path: str | Path) -> SeedDocument:
    """Read a document and check everything about it.

    Raises
    ------
    InputError
        Naming file, entity and field: not readable, not JSON, a field missing, unknown, of the wrong type or
        beyond its bound, two entities with one key or name, a reference to something that the document
        lacks, a packed file that becomes far more than seed documents do, or a digest that does not match.
    """
    path = Path(path)
    if suffix(path) == ".json":
        document = decode(_read(path), SeedDocument, path.name)
    else:
        document = _decode_lines(path)
    check_references(document, path.name)
    if document.sha256 is not None and document.sha256 != seed_sha256(document):
        raise InputError(
            f'{path.name}: field "sha256" does not match the content: the file was edited or damaged; change'
            ' seed documents with psr rewrite, or remove "sha256" if the edit was meant'
        )
    return document


def suffix(path: Path) -> str:
    """Return which of the three forms a file name asks for."""
    for ending in SUFFIXES:
        if path.name.endswith(ending):
            return ending
    raise InputError(f"{path.name}: a seed document's name ends with one of {', '.join(SUFFIXES)}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot read the seed document ({error.strerror}); create it with psr create-json"
    )


class _End(Record, frozen=True):
    """Last line of a line-based file."""

    sha256: str


def _decode_lines(path: Path) -> SeedDocument:
    lines = _lines(path)
    head = decode(next(lines, b""), Head, f"{path.name}: line 1")
    organizations: list[Organization] = []
    end = None
    for number, line in enumerate(lines, start=2):
        if end is not None:
            raise InputError(f"{path.name}: line {number}: nothing may follow the line with the digest")
        if line.startswith(b'{"sha256"'):
            end = decode(line, _End, f"{path.name}: line {number}").sha256
        else:
            organizations.append(decode(line, Organization, f"{path.name}: line {number}"))
    return SeedDocument(head.format, head.provenance, head.variables, organizations, end)


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked as they are read: a small file may unpack to a machine's memory."""
    try:
        with path.open("rb") as packed:
            left = MAX_RATIO * os.fstat(packed.fileno()).st_size + ALWAYS
            with gzip.open(packed) if path.name.endswith(".gz") else packed as file:
                while line := file.readline(MAX_LINE + 1):
                    left -= len(line)
                    if len(line) > MAX_LINE:
                        raise InputError(
                            f"{path.name}: a line of more than {MAX_LINE:,} bytes; is it a seed document?"
                        )
                    if left < 0:
                        raise InputError(
                            f"{path.name}: unpacks to more than {MAX_RATIO} times its size and 16 MiB"
                        )
                    yield line.rstrip(b"\r\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path.name}: not a complete gzip file ({error}); create it again with psr create-json"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
