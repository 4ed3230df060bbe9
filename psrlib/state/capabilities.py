"""What is known of a hub before it is populated: which bulk forms it has."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from psrlib.errors import InputError
from psrlib.files import replace_file


class Capabilities(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A capability file, as ``psr doctor`` writes it; None means that populating asks the hub.

    ``hub`` is the address; ``create_jobs`` and ``import_pipelines`` whether there are the calls that create
    many jobs and pipelines at once; ``import_adds_versions`` whether an imported document that names a
    pipeline becomes its next version; ``calls`` what became of each call, for people.
    """

    format: Literal["psr-capabilities/1"] = "psr-capabilities/1"
    hub: str
    release: str
    checked_at: str
    create_jobs: bool | None = None
    import_pipelines: bool | None = None
    import_adds_versions: bool | None = None
    calls: dict[str, str] = {}


def save_capabilities(capabilities: Capabilities, path: Path) -> Path:
    """Write a capability file and return its path."""
    return replace_file(path, msgspec.json.format(msgspec.json.encode(capabilities), indent=1) + b"\n")


def load_capabilities(path: Path, url: str) -> Capabilities:
    """Return what a file says of the hub at an address.

    Raises
    ------
    InputError
        If it cannot be read, is no capability file, or is of another hub.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Capabilities)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"{path}: no capability file ({error}); write one with psr doctor --save") from error
    if found.hub != url.rstrip("/"):
        raise InputError(f"{path} is of {found.hub}, not of {url}; write one with psr doctor --save")
    return found
