"""Identities of a fleet's engines: what each one is, and the token that proves it."""

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from psrlib.errors import InputError
from psrlib.files import PRIVATE, replace_file

FOLDER = "engines"
FILE = "identities.json"


class EngineIdentity(msgspec.Struct, frozen=True):
    """One engine of the fleet: its place in the seed document, and what it reports of itself.

    The id is a version-1 UUID in lower case (engine-protocol, 1.1). Nothing contacts the url. The application
    authentication token is never shown by ``repr``. ``registration`` is what the hub calls the token's
    registration until the engine binds its own id; empty where the hub does not say. ``deployment`` is the
    self-managed deployment that the engine reports; empty for none.
    """

    organization: str
    key: str
    id: str
    url: str
    type: str  # COLLECTOR or TRANSFORMER
    labels: list[str]
    token: str
    registration: str = ""
    deployment: str = ""

    def __repr__(self) -> str:
        return f"EngineIdentity({self.organization}, {self.key}, {self.id}, {self.type}, token hidden)"


def engines_dir(run_dir: str | Path) -> Path:
    """Return the folder of a run that holds everything about its engines, made private (0700)."""
    folder = Path(run_dir).resolve() / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def save_identities(run_dir: str | Path, identities: Iterable[EngineIdentity]) -> Path:
    """Write the identities of a run, readable by their owner only (mode 0600).

    Returns
    -------
    Path
        ``run_dir/engines/identities.json``.
    """
    rows = [msgspec.to_builtins(identity) for identity in identities]
    return replace_file(engines_dir(run_dir) / FILE, json.dumps(rows, indent=1) + "\n", PRIVATE)


def load_identities(run_dir: str | Path) -> list[EngineIdentity]:
    """Read the identities of a run; tokens are trimmed as Data Collector does (engine-protocol, 1.1).

    Raises
    ------
    InputError
        When there is no file, or it is not a list of identities, or an engine id occurs twice.
    """
    path = Path(run_dir).resolve() / FOLDER / FILE
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[EngineIdentity])
    except FileNotFoundError:
        raise InputError(
            f"{path}: no engine identities; get tokens first with setup_engines or psr engines start"
        ) from None
    except msgspec.DecodeError as error:
        raise InputError(
            f"{path}: expected a list of engine identities, {error}; get tokens again"
        ) from error
    ids = {row.id for row in rows}
    if len(ids) != len(rows):
        raise InputError(
            f"{path}: expected one identity per engine id, {len(rows) - len(ids)} repeated; remove them"
        )
    return [
        msgspec.structs.replace(row, id=row.id.strip().lower(), token=trim_token(row.token)) for row in rows
    ]


def trim_token(text: str) -> str:
    """Return a token as an engine reads it from a file: no blanks around it, no line ends in it.

    Examples
    --------
    >>> trim_token("  abc\\r\\ndef\\n ")
    'abcdef'
    """
    return text.strip().replace("\r", "").replace("\n", "")
