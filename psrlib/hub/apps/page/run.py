"""What the folder of a run says of it: its seed, and its last verification."""

import json
from pathlib import Path

import msgspec

HEAD_BYTES = 64 * 1024  # of a seed document: what it was made from stands before its organizations


class Provenance(msgspec.Struct):
    """What a seed document was made from."""

    random_seed: int
    num_orgs: int
    model: str
    generator: int


class Verification(msgspec.Struct):
    """How the last verification ended."""

    consistent: bool
    verdict: str
    verified_at: str


def read_provenance(folder: Path | None) -> Provenance | None:
    """Return what the seed document of a run was made from; None where none is to be read."""
    if folder is None:
        return None
    try:
        with open(folder / "seed.json", "rb") as file:
            head = file.read(HEAD_BYTES).decode(errors="replace")
        _, _, rest = head.partition('"provenance":')
        return msgspec.convert(json.JSONDecoder().raw_decode(rest.lstrip())[0], Provenance)
    except (OSError, ValueError):  # no document there, or something else
        return None


def read_verification(folder: Path | None) -> Verification | None:
    """Return how the last verification of a run ended; None before the first."""
    if folder is None:
        return None
    try:
        return msgspec.json.decode((folder / "report" / "report.json").read_bytes(), type=Verification)
    except (OSError, ValueError):
        return None


def read_report(folder: Path | None) -> bytes | None:
    """Return the page that the last verification of a run made; None before the first."""
    try:
        return (folder / "report" / "report.html").read_bytes() if folder else None
    except OSError:
        return None
