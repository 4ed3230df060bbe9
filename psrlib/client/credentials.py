"""API credentials of Control Hub 4.x: a private file with one per organization."""

import base64
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
import orjson
from msgspec import Struct

from psrlib.errors import InputError
from psrlib.files import PRIVATE

SYSTEM = "system"  # what the system administrator's credential is called beside those of organizations


class ApiCredential(Struct, forbid_unknown_fields=True, frozen=True):
    """Id and token of an API credential (control-hub-4x, 2); the token is never shown."""

    id: str
    token: str

    def __repr__(self) -> str:
        return f"ApiCredential({self.id!r}, token hidden)"

    @property
    def organization(self) -> str:
        """The organization that the token names in its middle part, key ``o``; empty when it names none.

        Examples
        --------
        >>> ApiCredential("c", "e30.eyJvIjoiYWNtZSJ9.").organization
        'acme'
        """
        parts = self.token.split(".")
        with suppress(ValueError, IndexError, AttributeError):
            payload = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            return str(payload.get("o") or "")
        return ""


class Credentials(Struct, forbid_unknown_fields=True, frozen=True):
    """What a credentials file holds (control-hub-4x, 9).

    ``organizations`` has the ids of the seed document as keys; which organization of the hub each one is, the
    credential says. ``system`` is the credential of the system administrator, with whom limits are set that
    organizations may not set themselves; None leaves those as they are. ``login_url`` is the login service,
    which invites users; None means the hub's address. ``engines`` tells where tokens of engines come from:
    from registrations without a deployment, and from deployments where the hub refuses those
    (``components``); or from deployments at once (``deployment``).
    """

    url: str
    organizations: dict[str, ApiCredential]
    login_url: str | None = None
    system: ApiCredential | None = None
    engines: Literal["components", "deployment"] = "components"


def load_credentials(file: str | Path) -> Credentials:
    """Read a credentials file.

    Raises
    ------
    InputError
        If others may read it, or it is no credentials file. Nothing of its content is in the message.
    """
    path = Path(file)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~PRIVATE:
            raise InputError(
                f"{path}: mode {mode:03o}, so that others may read the API credentials in it; expected "
                f"{PRIVATE:03o}: chmod {PRIVATE:o} {path}"
            )
        found = msgspec.json.decode(path.read_bytes(), type=Credentials)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); is it the credentials file?") from error
    except msgspec.MsgspecError as error:
        raise InputError(
            f'{path}: no credentials file ({error}); expected {{"url", "organizations": '
            '{"org-0001": {"id", "token"}, ...}}, and besides "login_url", "system", "engines"'
        ) from None
    if not found.organizations:
        raise InputError(f"{path}: no organization has a credential in it; there is nothing to populate")
    if SYSTEM in found.organizations:
        raise InputError(f'{path}: an organization cannot be called "{SYSTEM}"')
    for name, credential in {**found.organizations, SYSTEM: found.system}.items():
        if credential is not None and not (_can_be_sent(credential.id) and _can_be_sent(credential.token)):
            raise InputError(
                f"{path}: id or token of {name} is empty or holds a blank, a line end or a letter beyond "
                "ASCII; copy both again, each in one piece"
            )
    return found


def _can_be_sent(text: str) -> bool:
    """Whether a text can be the value of a header."""
    return text.isascii() and text.isprintable() and text != "" and " " not in text
