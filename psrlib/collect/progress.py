"""What an unfinished collection has so far: on disk only encrypted, so that it can be resumed but not read.

The key is derived from the administrator's password, or a token, which the file does not hold. A line that
a crash cut off is left out; its organization is read again.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken

from psrlib.errors import InputError
from psrlib.files import PRIVATE, replace_file

FORMAT = "psr-collect/1"
SALT_BYTES = 16
SCRYPT = {"n": 2**14, "r": 8, "p": 1}  # RFC 7914; 16 MiB, some 50 ms


class Progress:
    """Encrypted lines, one per organization.

    Parameters
    ----------
    path : Path
    password : str
        The administrator's, or the token of an API credential; the same again to resume.
    hub : str
        Address of the hub; another one cannot resume the file.

    Raises
    ------
    InputError
        If the file is of another hub, or was begun with another password or credential.
    """

    def __init__(self, path: Path, password: str, hub: str) -> None:
        self.path = path
        self.entries: dict[str, Any] = {}
        lines = _complete_lines(path)
        head = _head(next(lines, b""))
        if head is None:
            salt = secrets.token_bytes(SALT_BYTES)
            replace_file(path, orjson.dumps({"format": FORMAT, "salt": salt.hex()}) + b"\n", PRIVATE)
        else:
            salt = bytes.fromhex(head["salt"])
        key = hashlib.scrypt(password.encode(), salt=salt, dklen=32, maxmem=2**26, **SCRYPT)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        if head is None:
            self._append({"hub": hub})
        else:
            self._read(lines, hub)

    def add(self, organization: str, entry: Any) -> None:
        """Keep what was read of an organization."""
        self._append({"organization": organization, "entry": entry})
        self.entries[organization] = entry

    def finish(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _read(self, lines: Iterator[bytes], hub: str) -> None:
        again = f"delete {self.path.name} to begin again"
        try:
            records = [orjson.loads(self._fernet.decrypt(line)) for line in lines]
        except InvalidToken:
            raise InputError(
                f"{self.path}: unfinished collection, begun with another password or credential; "
                f"use that one, or {again}"
            ) from None
        for record in records:
            if "hub" in record and record["hub"] != hub:
                raise InputError(
                    f"{self.path}: unfinished collection of {record['hub']}, not of {hub}; {again}"
                )
            if "organization" in record:
                self.entries[record["organization"]] = record["entry"]
        # what a crash left of a last line must not run into the next one
        os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)

    def _append(self, record: Any) -> None:
        with self.path.open("ab") as file:
            file.write(self._fernet.encrypt(orjson.dumps(record)) + b"\n")


def _complete_lines(path: Path) -> Iterator[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path}: cannot read the unfinished collection ({error.strerror})") from error
    yield from content[: content.rfind(b"\n") + 1].splitlines()


def _head(line: bytes) -> dict[str, str] | None:
    try:
        head = orjson.loads(line) if line else None
    except ValueError:
        head = None
    return head if isinstance(head, dict) and head.get("format") == FORMAT else None
